//! The sizes of servers: how many of a template's there is room for, and which
//! one is taken where nobody says.

use std::collections::BTreeSet;

use rm_core::Result;
use rm_core::backend::Cx;
use serde_json::Value;

use crate::client::heat::Parameters;
use crate::client::nova::{ComputeLimits, Flavor};
use crate::client::{self, Glance, Nova, Service, Session};
use crate::failure::{LOG_IN, failure};
use crate::template::TemplateInfo;

/// For how many servers of a template there is room; `None` where nothing
/// limits them. Each is as large as the largest; of what nobody knows the size,
/// each takes one processor and some memory.
pub(crate) fn room(
    limits: &ComputeLimits,
    flavors: &[Flavor],
    info: &TemplateInfo,
    values: &Parameters,
) -> Option<u64> {
    let names = named(info, values, "flavor");
    let used = || {
        let known = |f: &&Flavor| names.contains(&f.name) || names.contains(&f.id);
        flavors.iter().filter(known)
    };
    let vcpus = used().map(|f| f.vcpus).max().unwrap_or(0).max(1);
    let ram = used().map(|f| f.ram).max().unwrap_or(0).max(1);
    [
        limits.instances.left(),
        limits.cores.left().map(|left| left / vcpus),
        limits.ram.left().map(|left| left / ram),
    ]
    .into_iter()
    .flatten()
    .min()
}

/// The id of the smallest flavor that is enough for the images of a template:
/// the least memory, then the fewest processors, then the smallest disk. One
/// without a disk of its own is none: many clouds refuse it.
pub(crate) async fn smallest(
    cx: &Cx<'_>,
    session: &Session,
    info: &TemplateInfo,
    values: &Parameters,
) -> Result<Option<String>> {
    let site = &*cx.site.name;
    match session.endpoint(Service::Compute).await {
        Err(client::Error::NoEndpoint { .. }) => return Ok(None),
        Err(e) => return Err(failure(site, LOG_IN, e)),
        Ok(_) => {}
    }
    let (mut ram, mut disk) = (0, 1);
    let glance = Glance::new(session.clone());
    for name in named(info, values, "image") {
        let found = glance.find(&name).await;
        let found = found.map_err(|e| failure(site, "find image", e))?;
        for image in found {
            let gib = image.size.unwrap_or(0).div_ceil(1 << 30);
            ram = ram.max(image.min_ram);
            disk = disk.max(image.min_disk).max(gib);
        }
    }
    let flavors = Nova::new(session.clone()).flavors().await;
    let flavors = flavors.map_err(|e| failure(site, "list flavors", e))?;
    let enough = flavors
        .into_iter()
        .filter(|f| f.ram >= ram && f.disk >= disk);
    let smallest = enough.min_by(|a, b| size(a).cmp(&size(b)));
    Ok(smallest.map(|f| f.id))
}

fn size(f: &Flavor) -> (u64, u64, u64, &str) {
    (f.ram, f.vcpus, f.disk, &f.id)
}

/// What a template says for this property of its resources: itself, or by a
/// parameter.
fn named(info: &TemplateInfo, values: &Parameters, property: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for section in ["resources", "Resources"] {
        if let Some(resources) = info.body.get(section) {
            collect(resources, property, &mut |value| {
                let parameter = value.get("get_param").and_then(Value::as_str);
                let value = match parameter {
                    Some(name) => values
                        .get(name)
                        .or_else(|| info.parameters.get(name)?.default.as_ref()),
                    None => Some(value),
                };
                found.extend(value.and_then(Value::as_str).map(str::to_owned));
            });
        }
    }
    found
}

fn collect(value: &Value, property: &str, see: &mut impl FnMut(&Value)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == property {
                    see(value);
                }
                collect(value, property, see);
            }
        }
        Value::Array(items) => {
            for item in items {
                collect(item, property, see);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::Usage;

    const TEMPLATE: &str = "
heat_template_version: 2018-08-31
parameters:
  flavor: {type: string, default: small}
resources:
  one: {type: OS::Nova::Server, properties: {flavor: {get_param: flavor}}}
outputs:
  master_ip: {value: 10.0.0.1}
";

    fn flavor(id: &str, vcpus: u64, ram: u64) -> Flavor {
        serde_json::from_value(json!({"id": id, "name": id, "vcpus": vcpus, "ram": ram})).unwrap()
    }

    fn left(n: u64) -> Usage {
        Usage {
            limit: Some(n),
            used: Some(0),
        }
    }

    #[test]
    fn there_is_room_for_what_instances_processors_and_memory_all_allow() {
        let info = TemplateInfo::read(TEMPLATE).unwrap();
        let flavors = [flavor("small", 2, 512), flavor("large", 4, 4096)];
        let limits = |instances, cores, ram| ComputeLimits {
            instances: left(instances),
            cores: left(cores),
            ram: left(ram),
        };
        let small = Parameters::new();
        let room = |limits, values: &Parameters| super::room(&limits, &flavors, &info, values);
        assert_eq!(room(limits(3, 100, 100_000), &small), Some(3));
        assert_eq!(room(limits(100, 9, 100_000), &small), Some(4));
        assert_eq!(room(limits(100, 100, 1500), &small), Some(2));
        assert_eq!(room(limits(100, 100, 500), &small), Some(0));
        let large: Parameters = [("flavor".to_owned(), json!("large"))].into();
        assert_eq!(room(limits(100, 100, 9000), &large), Some(2));
        let unknown: Parameters = [("flavor".to_owned(), json!("huge"))].into();
        assert_eq!(room(limits(100, 7, 9000), &unknown), Some(7));
        assert_eq!(room(limits(100, 7, 0), &unknown), Some(0));
        assert_eq!(room(ComputeLimits::default(), &small), None);
    }
}

//! Heat templates as implementations: refused when they are uploaded, not
//! after they ran.

use std::collections::BTreeMap;

use rm_core::catalog::{Implementation, Script};
use rm_core::registry::{Media, SURROUNDINGS};
use rm_core::{Error, Result};
use serde_json::Value;

use crate::template::{TemplateError, TemplateInfo};
use crate::{size, software};

/// The media type of Heat templates.
pub const HEAT_TEMPLATE: &str = "application/vnd.openstack.heat+yaml";

/// What requests and sites may call a parameter, and how templates name it.
/// The first name is the request's.
const ALIASES: [&[&str]; 5] = [
    &[
        "network",
        "network_name",
        "network_id",
        "net",
        "private_network",
    ],
    &["key", "key_name", "keypair", "ssh_key_name"],
    &["image", "image_name", "image_id"],
    &["flavor", "flavor_name", "instance_type"],
    &["allowed_ip", "allowed_cidr"],
];

/// Understands Heat templates.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeatTemplate;

impl Media for HeatTemplate {
    fn media_type(&self) -> &str {
        HEAT_TEMPLATE
    }

    fn check(&self, body: &str) -> Result<()> {
        let info = TemplateInfo::read(body).map_err(|e| refused(&e))?;
        twice(&info)?;
        undeclared(&info)
    }

    fn takes(
        &self,
        body: &str,
        scripts: &[Script],
        environment: &BTreeMap<String, Value>,
    ) -> Result<()> {
        let info = TemplateInfo::read(body).map_err(|e| refused(&e))?;
        software::takes(&info, scripts, environment)
    }

    fn accepts(&self, body: &str, parameters: &BTreeMap<String, Value>) -> Result<()> {
        let info = TemplateInfo::read(body).map_err(|e| refused(&e))?;
        size::not_among(parameters.keys())?;
        for name in parameters.keys() {
            let known =
                info.parameters.contains_key(name) || ALIASES.iter().any(|names| names[0] == name);
            if !known {
                let declared = info.parameters.keys().map(String::as_str);
                let offered: Vec<&str> = declared.filter(|name| !size::is_size(name)).collect();
                return Err(Error::invalid(format!(
                    "the implementation has no parameter {name:?}"
                ))
                .code("unknown-parameter")
                .advice(match offered.is_empty() {
                    true => "it has none".to_owned(),
                    false => format!("it has: {}", offered.join(", ")),
                }));
            }
        }
        Ok(())
    }

    fn is_surroundings(&self, name: &str) -> bool {
        SURROUNDINGS.contains(&meaning(name))
    }

    fn default_slaves(&self, body: &str) -> Option<u32> {
        let info = TemplateInfo::read(body).ok()?;
        let number = |name: &str| {
            let value = info.parameters.get(name)?.default.as_ref()?;
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
            u32::try_from(number).ok()
        };
        number("slaves").or_else(|| number("cluster_size").map(|n| n.saturating_sub(1)))
    }

    fn fits(&self, body: &str, slaves: u32) -> Result<()> {
        let info = TemplateInfo::read(body).map_err(|e| refused(&e))?;
        size::fits(&info, slaves)
    }

    fn around_image(&self, image: &str) -> Option<String> {
        Some(crate::generated::around(image))
    }

    fn image_of(&self, body: &str) -> Option<String> {
        let shown = self.as_json(body)?;
        let image = shown["resources"]["master"]["properties"]["image"].as_str()?;
        (crate::generated::around(image) == body).then(|| image.to_owned())
    }

    fn as_json(&self, body: &str) -> Option<Value> {
        crate::yaml::read(body).ok()
    }
}

/// Heat makes no stack of a template with a parameter and a resource of one
/// name, and takes it until then.
fn twice(info: &TemplateInfo) -> Result<()> {
    let is_resource = |name: &&String| {
        let mut sections = ["resources", "Resources"].into_iter();
        sections.any(|section| info.body[section].get(name.as_str()).is_some())
    };
    match info.parameters.keys().find(is_resource) {
        Some(name) => Err(Error::invalid(format!(
            "the template has a parameter and a resource called {name:?}, which Heat refuses"
        ))
        .code("template")
        .advice("give one of them another name")),
        None => Ok(()),
    }
}

/// A template that asks for parameters that it does not declare fails at
/// every site.
fn undeclared(info: &TemplateInfo) -> Result<()> {
    let mut asked = Vec::new();
    collect(&info.body, &mut asked);
    for name in asked {
        // `OS::stack_name` and its like are Heat's own.
        if !name.contains("::") && !info.parameters.contains_key(name) {
            return Err(Error::invalid(format!(
                "the template uses a parameter {name:?} that it does not declare"
            ))
            .code("template")
            .advice("declare it under parameters"));
        }
    }
    Ok(())
}

fn collect<'a>(value: &'a Value, names: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            if let (1, Some(asked)) = (map.len(), map.get("get_param")) {
                match asked {
                    Value::String(name) => names.push(name),
                    Value::Array(path) => names.extend(path.first().and_then(Value::as_str)),
                    _ => {}
                }
            }
            for inner in map.values() {
                collect(inner, names);
            }
        }
        Value::Array(list) => {
            for inner in list {
                collect(inner, names);
            }
        }
        _ => {}
    }
}

fn refused(e: &TemplateError) -> Error {
    Error::invalid(e.to_string())
        .code("template")
        .advice(match e {
            TemplateError::NoMasterIp { .. } => {
                "add an output master_ip whose value is the address of the master"
            }
            TemplateError::NotYaml { .. } => "check its indentation and brackets there",
            _ => "see the description of Heat templates",
        })
}

/// The values that a template is given: only what it declares, the request's
/// before the site's, and these before the implementation's own.
pub(crate) fn values(
    info: &TemplateInfo,
    implementation: &Implementation,
    slaves: u32,
    asked: &BTreeMap<String, Value>,
    defaults: &BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    let value = |name: &String| match name.as_str() {
        "slaves" => Some(Value::from(slaves)),
        "cluster_size" => Some(Value::from(u64::from(slaves) + 1)),
        name => named(asked, name)
            .or_else(|| named(defaults, name))
            .cloned()
            .or_else(|| software::value(implementation, name)),
    };
    let names = info.parameters.keys();
    names
        .filter_map(|name| Some((name.clone(), value(name)?)))
        .collect()
}

/// What requests call a parameter of a template; its own name where that is
/// none of those agreed upon.
pub(crate) fn meaning(name: &str) -> &str {
    let names = ALIASES.iter().find(|names| names.contains(&name));
    names.and_then(|names| names.first()).map_or(name, |n| *n)
}

/// A value by the parameter's own name, or by what requests call it.
fn named<'a>(given: &'a BTreeMap<String, Value>, name: &str) -> Option<&'a Value> {
    given.get(name).or_else(|| given.get(meaning(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
heat_template_version: 2018-08-31
parameters:
  cluster_size: {type: number, default: 4}
  key_name: {type: string}
resources:
  v: {type: OS::Heat::Value, properties: {value: {get_param: key_name}}}
outputs:
  master_ip: {value: 10.0.0.1}
";

    /// One that brings nothing beside its template.
    fn bare() -> Implementation {
        let id = "01a20038-ceab-70d3-b0fe-5770a8ee0735";
        let bare = serde_json::json!({
            "id": id, "owner": "root", "appliance": id, "target": {"api": "openstack"},
            "revision": 1, "enabled": true, "media_type": HEAT_TEMPLATE, "body": TEMPLATE,
            "created": 0,
        });
        serde_json::from_value(bare).unwrap()
    }

    fn map(text: &str) -> BTreeMap<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn only_declared_parameters_are_sent_by_the_names_of_the_template() {
        let info = TemplateInfo::read(TEMPLATE).unwrap();
        let asked = map(r#"{"key": "mine", "network": "lan"}"#);
        let sent = values(&info, &bare(), 4, &asked, &map("{}"));
        assert_eq!(sent, map(r#"{"cluster_size": 5, "key_name": "mine"}"#));
    }

    #[test]
    fn the_request_comes_before_the_site() {
        let info = TemplateInfo::read(TEMPLATE).unwrap();
        let site = map(r#"{"key": "site's"}"#);
        assert_eq!(
            values(&info, &bare(), 0, &map("{}"), &site)["key_name"],
            "site's"
        );
        let asked = map(r#"{"key_name": "mine"}"#);
        assert_eq!(values(&info, &bare(), 0, &asked, &site)["key_name"], "mine");
    }

    #[test]
    fn what_surrounds_a_cluster_is_known_by_every_name_of_it() {
        for name in ALIASES.iter().flat_map(|names| names.iter()) {
            assert!(HeatTemplate.is_surroundings(name), "{name}");
        }
        for name in ["slaves", "greeting", "networks"] {
            assert!(!HeatTemplate.is_surroundings(name), "{name}");
        }
    }

    #[test]
    fn a_template_that_could_never_run_is_refused_with_the_reason() {
        let refusal = |text: &str| HeatTemplate.check(text).unwrap_err().to_string();
        assert!(refusal(&TEMPLATE.replace("master_ip", "ip")).contains("master_ip"));
        assert!(refusal("]").contains("YAML"));
        assert!(
            refusal(&TEMPLATE.replace("get_param: key_name", "get_param: kee")).contains("\"kee\"")
        );
        let twice = refusal(&TEMPLATE.replace("  v: {type", "  key_name: {type"));
        assert!(twice.contains("a resource called \"key_name\""), "{twice}");
        assert_eq!(HeatTemplate.default_slaves(TEMPLATE), Some(3));
    }

    #[test]
    fn unknown_parameters_of_a_caller_are_refused_with_those_there_are() {
        let e = HeatTemplate
            .accepts(TEMPLATE, &map(r#"{"colour": "red"}"#))
            .unwrap_err();
        assert_eq!(e.next(), Some("it has: key_name"));
        assert!(
            HeatTemplate
                .accepts(TEMPLATE, &map(r#"{"flavor": "m1"}"#))
                .is_ok()
        );
    }

    #[test]
    fn the_size_is_no_parameter_of_a_request() {
        for name in ["slaves", "cluster_size"] {
            let asked = BTreeMap::from([(name.to_owned(), Value::from(5))]);
            let e = HeatTemplate.accepts(TEMPLATE, &asked).unwrap_err();
            assert_eq!(e.stable_code(), "size-is-no-parameter");
            assert!(e.what().contains(name), "{e}");
            assert!(e.next().unwrap().contains("say slaves"), "{e}");
        }
    }
}

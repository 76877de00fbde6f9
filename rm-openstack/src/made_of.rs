//! The images that a stack is made of. Implementations ask for them by name;
//! stacks are given ids, for a name may be another image's, too.

use std::collections::BTreeMap;

use rm_core::backend::Cx;
use rm_core::model::ClusterSpec;
use rm_core::{Error, ErrorKind, Result};
use serde_json::Value;

use crate::client::glance::Image;
use crate::client::heat::{Parameters, Template};
use crate::client::{Glance, Session};
use crate::failure::failure;
use crate::images::with_bytes;
use crate::template::TemplateInfo;

/// How templates call the image of a server or a volume.
const PROPERTIES: [&str; 3] = ["image", "image_id", "ImageId"];

/// The ids of a spec's images by their names: those of the copies that were
/// brought for it, else of what the site has without our doing.
pub(crate) async fn ids(
    cx: &Cx<'_>,
    session: &Session,
    spec: &ClusterSpec,
) -> Result<BTreeMap<String, String>> {
    let mut ids = BTreeMap::new();
    for (name, sha256) in &spec.images {
        let id = match cx.needs.get(name) {
            Some(remote) => remote.0.clone(),
            None => there(cx, session, name, sha256).await?,
        };
        ids.insert(name.clone(), id);
    }
    Ok(ids)
}

async fn there(cx: &Cx<'_>, session: &Session, name: &str, sha256: &str) -> Result<String> {
    let site = &*cx.site.name;
    let found = with_bytes(&Glance::new(session.clone()), name, sha256)
        .await
        .map_err(|e| failure(site, "find image", e))?;
    let usable = found.into_iter().filter(Image::is_active).map(|i| i.id);
    // Of several the same one every time.
    usable.min().ok_or_else(|| {
        Error::new(
            ErrorKind::Failed,
            format!("{site}: the image {name:?} is not there any more"),
        )
        .advice("ask for another cluster: the image is brought there then")
        .site(site)
    })
}

/// Puts ids where a template and the values of its parameters have names.
pub(crate) fn put(
    ids: &BTreeMap<String, String>,
    info: &TemplateInfo,
    template: &mut Template,
    values: &mut Parameters,
) {
    let id = |value: &Value| ids.get(value.as_str()?).map(|id| Value::from(&**id));
    for (name, parameter) in &info.parameters {
        let value = values.get(name).or(parameter.default.as_ref());
        if let Some(id) = value.and_then(id) {
            values.insert(name.clone(), id);
        }
    }
    let mut body = info.body.clone();
    let mut found = false;
    for section in ["resources", "Resources"] {
        if let Some(resources) = body.get_mut(section) {
            found |= replace(resources, &id);
        }
    }
    if found {
        *template = Template::Value(body);
    }
}

fn replace(value: &mut Value, id: &impl Fn(&Value) -> Option<Value>) -> bool {
    let mut found = false;
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match id(value).filter(|_| PROPERTIES.contains(&name.as_str())) {
                    Some(id) => {
                        *value = id;
                        found = true;
                    }
                    None => found |= replace(value, id),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                found |= replace(item, id);
            }
        }
        _ => {}
    }
    found
}

/// A template without the images that it names, which differ from site to
/// site.
pub(crate) fn anything(mut template: Value) -> Value {
    for section in ["resources", "Resources"] {
        if let Some(resources) = template.get_mut(section) {
            replace(resources, &|value| value.is_string().then_some(Value::Null));
        }
    }
    template
}

/// The images of a spec that a stack was made of, with their bytes, by what the
/// stack itself says: those of these names and bytes at the site whose ids it
/// was given.
pub(crate) async fn used(
    cx: &Cx<'_>,
    session: &Session,
    names: &[String],
    template: &Value,
    given: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, String>> {
    let site = &*cx.site.name;
    let glance = Glance::new(session.clone());
    let mut used = BTreeMap::new();
    for name in names {
        let image = cx.catalog.image(name).await?;
        let found = with_bytes(&glance, &image.name, &image.sha256)
            .await
            .map_err(|e| failure(site, "find image", e))?;
        if found
            .iter()
            .any(|image| names_it(template, given, &image.id))
        {
            used.insert(image.name, image.sha256);
        }
    }
    Ok(used)
}

/// Whether a stack of this template and these values is made of the image.
fn names_it(template: &Value, given: &BTreeMap<String, Value>, id: &str) -> bool {
    let is = |value: &Value| value.as_str() == Some(id);
    let mut body = template.clone();
    given.values().any(is)
        || ["resources", "Resources"].into_iter().any(|section| {
            let resources = body.get_mut(section);
            resources.is_some_and(|r| replace(r, &|value| is(value).then_some(Value::Null)))
        })
}

/// Takes out the values that name an image: a stack that is changed stays made
/// of the image that it was made of.
pub(crate) fn keep(spec: &ClusterSpec, values: &mut Parameters) {
    values.retain(|_, value| !value.as_str().is_some_and(|v| spec.images.contains_key(v)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
heat_template_version: 2018-08-31
parameters:
  asked: {type: string}
  image: {type: string, default: cc7}
  flavor: {type: string, default: m1}
resources:
  one: {type: OS::Nova::Server, properties: {image: cc7, name: cc7}}
  two: {type: OS::Nova::Server, properties: {image: {get_param: image}}}
  group:
    type: OS::Heat::ResourceGroup
    properties: {resource_def: {type: OS::Nova::Server, properties: {image: cc7}}}
outputs:
  master_ip: {value: cc7}
";

    fn of(name: &str) -> (Value, Parameters, bool) {
        let info = TemplateInfo::read(TEMPLATE).unwrap();
        let ids = BTreeMap::from([(name.to_owned(), "the-id".to_owned())]);
        let mut template = Template::Text(TEMPLATE.to_owned());
        let mut values = Parameters::from([("asked".to_owned(), Value::from("cc7"))]);
        put(&ids, &info, &mut template, &mut values);
        match template {
            Template::Value(body) => (body, values, true),
            Template::Text(_) => (Value::Null, values, false),
        }
    }

    #[test]
    fn names_of_images_become_ids_wherever_a_template_may_have_them() {
        let (body, values, changed) = of("cc7");
        assert!(changed);
        assert_eq!(values["asked"], "the-id");
        assert_eq!(values["image"], "the-id", "a default is a name, too");
        assert_eq!(values.get("flavor"), None);
        let resources = &body["resources"];
        assert_eq!(resources["one"]["properties"]["image"], "the-id");
        assert_eq!(resources["one"]["properties"]["name"], "cc7");
        let inner = &resources["group"]["properties"]["resource_def"];
        assert_eq!(inner["properties"]["image"], "the-id");
        assert_eq!(body["outputs"]["master_ip"]["value"], "cc7");
    }

    #[test]
    fn what_a_stack_is_made_of_is_read_from_it() {
        let (body, values, _) = of("cc7");
        assert!(names_it(&body, &BTreeMap::new(), "the-id"));
        assert!(names_it(&Value::Null, &values, "the-id"));
        assert!(!names_it(&body, &values, "another-id"));
    }

    #[test]
    fn a_template_that_names_no_image_is_sent_as_it_is() {
        let (_, values, changed) = of("other");
        assert!(!changed);
        assert_eq!(values["asked"], "cc7");
        assert_eq!(values.len(), 1);
    }
}

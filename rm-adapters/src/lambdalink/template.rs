//! A template around an image, for implementations that bring none, and the
//! JSON in which the original shows templates.

use serde_json::Value;

/// A master and a group of slaves of one image.
pub(super) fn around(image: &str) -> String {
    // JSON text is YAML text.
    let image = Value::from(image);
    format!(
        r"heat_template_version: 2016-10-14
description: A master and its slaves, all of one image
parameters:
  slaves:
    type: number
    default: 0
    constraints:
      - range: {{min: 0}}
  flavor:
    type: string
  network:
    type: string
resources:
  master:
    type: OS::Nova::Server
    properties:
      image: {image}
      flavor: {{get_param: flavor}}
      networks:
        - network: {{get_param: network}}
  slaves:
    type: OS::Heat::ResourceGroup
    properties:
      count: {{get_param: slaves}}
      resource_def:
        type: OS::Nova::Server
        properties:
          image: {image}
          flavor: {{get_param: flavor}}
          networks:
            - network: {{get_param: network}}
outputs:
  master_ip:
    description: Where the master is reached
    value: {{get_attr: [master, first_address]}}
"
    )
}

/// The image that a template was made around; none for any other template.
pub(super) fn image_of(template: &str) -> Option<String> {
    let body: Value = serde_json::from_str(&parsed(template)?).ok()?;
    let image = body["resources"]["master"]["properties"]["image"].as_str()?;
    (around(image) == template).then(|| image.to_owned())
}

/// The template as JSON text; none where it is no YAML.
pub(super) fn parsed(template: &str) -> Option<String> {
    let mut limits = serde_saphyr::options::AliasLimits::default();
    limits.max_total_replayed_events = 50_000;
    limits.max_replay_stack_depth = 16;
    limits.max_alias_expansions_per_anchor = 1000;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 64,
            max_nodes: 100_000,
            max_aliases: 2000,
            max_anchors: 2000,
            max_documents: 1,
        },
        alias_limits: limits,
    };
    let value: Value = serde_saphyr::from_str_with_options(template, options).ok()?;
    Some(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_yaml_whatever_the_image_is_called() {
        for name in ["CC-CentOS7", "it's: {a} \"name\"", "2024", "\u{1F600}"] {
            let json = parsed(&around(name)).unwrap();
            let value: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(value["resources"]["master"]["properties"]["image"], name);
            assert!(value["outputs"]["master_ip"].is_object());
            assert_eq!(image_of(&around(name)).as_deref(), Some(name));
            assert_eq!(image_of(&format!("{}# mine\n", around(name))), None);
        }
    }

    #[test]
    fn a_small_text_does_not_become_a_large_value() {
        let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
        for (this, last) in ["b", "c", "d", "e", "f", "g", "h", "i"]
            .iter()
            .zip(["a", "b", "c", "d", "e", "f", "g", "h"])
        {
            let aliases = vec![format!("*{last}"); 10].join(",");
            bomb.push_str(&format!("{this}: &{this} [{aliases}]\n"));
        }
        assert!(parsed(&bomb).is_none());
    }
}

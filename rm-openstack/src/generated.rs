//! A template around an image, for implementations that bring none.

use serde_json::Value;

/// A master and a group of slaves, all of one image. To Heat a parameter and a
/// resource of one name are two of that name.
pub(crate) fn around(image: &str) -> String {
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
  slave_group:
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

#[cfg(test)]
mod tests {
    use rm_core::registry::Media;

    use crate::media::HeatTemplate;

    #[test]
    fn it_is_a_template_whatever_the_image_is_called() {
        for name in ["CC-CentOS7", "it's: {a} \"name\"", "2024", "\u{1F600}"] {
            let body = HeatTemplate.around_image(name).unwrap();
            HeatTemplate.check(&body).unwrap();
            let shown = HeatTemplate.as_json(&body).unwrap();
            assert_eq!(shown["resources"]["master"]["properties"]["image"], name);
            assert_eq!(HeatTemplate.image_of(&body).as_deref(), Some(name));
            assert_eq!(HeatTemplate.image_of(&format!("{body}# mine\n")), None);
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
        assert!(HeatTemplate.as_json(&bomb).is_none());
    }
}

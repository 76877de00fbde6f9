//! What an implementation brings beside its template.

use rm_core::catalog::{NewAppliance, NewImplementation, Script};
use rm_core::clusters::Size;
use rm_openstack::media::HEAT_TEMPLATE;
use serde_json::json;

use crate::lab::Lab;

const TEMPLATE: &str = "
heat_template_version: 2018-08-31
parameters:
  slaves: {type: number, default: 0}
  environment: {type: json}
  scripts: {type: json}
  script_user_data: {type: string}
resources:
  note: {type: OS::Heat::Value, properties: {value: {get_param: script_user_data}}}
outputs:
  master_ip: {value: 10.77.0.1}
  slaves: {value: {get_param: slaves}}
  python: {value: {get_param: [environment, python]}}
  join: {value: {get_param: [scripts, configure_node, join.sh]}}
  boot: {value: {get_attr: [note, value]}}
";

#[tokio::test]
async fn scripts_and_environment_reach_the_stack_and_stay_when_it_changes() {
    let Some(lab) = Lab::open("scripts_and_environment_reach_the_stack").await else {
        return;
    };
    let catalog = lab.host.catalog();
    let appliance = NewAppliance::new("scripted");
    catalog
        .add_appliance(&lab.operator, appliance)
        .await
        .unwrap();
    let mut new = NewImplementation::new("scripted", "openstack", HEAT_TEMPLATE, TEMPLATE);
    new.scripts = [("boot.sh", "user_data"), ("join.sh", "configure_node")]
        .map(|(name, action)| Script {
            name: name.to_owned(),
            action: action.to_owned(),
            code: format!("#!/bin/sh\necho \"{name}: 'ü'\"\n"),
        })
        .to_vec();
    new.environment
        .insert("python".to_owned(), json!({"version": [3, 12]}));
    let (boot, join) = (new.scripts[0].code.clone(), new.scripts[1].code.clone());
    catalog
        .add_implementation(&lab.operator, new)
        .await
        .unwrap();

    let clusters = lab.host.clusters();
    let made = clusters
        .create(&lab.user, &lab.another("scripted"))
        .await
        .unwrap();
    let id = made.cluster.id();
    for slaves in [0, 2] {
        if slaves > 0 {
            clusters
                .resize(&lab.user, id, Size::To(slaves))
                .await
                .unwrap();
        }
        let outputs = lab.ready(id).await.view().unwrap().outputs;
        assert_eq!(outputs["slaves"], json!(slaves));
        assert_eq!(outputs["python"], json!({"version": [3, 12]}));
        assert_eq!(outputs["boot"], json!(boot));
        assert_eq!(outputs["join"], json!(join));
    }
    lab.delete(id).await;
}

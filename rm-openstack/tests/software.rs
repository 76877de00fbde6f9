//! Scripts and the environment of an implementation reach Heat, as far as the
//! template declares parameters for them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by a panic, and is a host"
)]

mod support;

use std::time::Duration;

use rm_core::catalog::{NewAppliance, NewImplementation, Script};
use rm_core::clusters::ClusterRequest;
use rm_openstack::media::HEAT_TEMPLATE;
use serde_json::json;
use support::cloud;
use support::replay::Recording;

const TEMPLATE: &str = "
heat_template_version: 2018-08-31
parameters:
  slaves: {type: number, default: 0}
  environment: {type: json}
  scripts: {type: json, default: {}}
  script_user_data: {type: string}
  script_prepare_node: {type: string, default: 'true'}
outputs:
  master_ip: {value: 10.0.0.1}
";

#[tokio::test]
async fn scripts_and_environment_are_sent_to_the_parameters_for_them() {
    let Some(reference) = needs::reference("scripts_and_environment") else {
        return;
    };
    let (server, _, stacks) = cloud(&reference).await;
    let made = Recording::load(&reference, "min/055-heat-create");
    server.on("POST", &stacks, made.answer());

    let host = support::host::at(&server.base).await;
    let (catalog, ann) = (host.catalog(), support::host::ann());
    catalog
        .add_appliance(&ann, NewAppliance::new("hadoop"))
        .await
        .unwrap();

    let mut new = NewImplementation::new("hadoop", "openstack", HEAT_TEMPLATE, TEMPLATE);
    new.scripts = vec![
        Script {
            name: "boot.sh".to_owned(),
            action: "user_data".to_owned(),
            code: "echo boot".to_owned(),
        },
        Script {
            name: "join.sh".to_owned(),
            action: "configure_node".to_owned(),
            code: "echo join".to_owned(),
        },
    ];
    new.environment.insert("python".to_owned(), json!("3.12"));
    let mut homeless = new.clone();
    homeless.body = TEMPLATE.replace("  environment: {type: json}\n", "");
    let e = catalog
        .add_implementation(&ann, homeless)
        .await
        .unwrap_err();
    assert!(
        e.to_string()
            .contains("declare the parameter \"environment\""),
        "{e}"
    );
    catalog.add_implementation(&ann, new).await.unwrap();

    let mut request = ClusterRequest::of("hadoop", 2);
    // A request comes before what the implementation says itself.
    let own = json!("echo mine");
    request
        .parameters
        .insert("script_prepare_node".to_owned(), own.clone());
    host.clusters().create(&ann, &request).await.unwrap();
    while server.count("POST", &stacks) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let sent = server
        .seen()
        .into_iter()
        .find(|s| s.method == "POST" && s.path() == stacks);
    assert_eq!(
        sent.unwrap().json()["parameters"],
        json!({
            "slaves": 2,
            "environment": {"python": "3.12"},
            "scripts": {
                "configure_node": {"join.sh": "echo join"},
                "user_data": {"boot.sh": "echo boot"},
            },
            "script_user_data": "echo boot",
            "script_prepare_node": own,
        })
    );
}

//! For how many servers a site says that it has room.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by a panic, and is a host"
)]

mod support;

use rm_core::Host;
use rm_core::catalog::{NewAppliance, NewImplementation};
use rm_core::clusters::{ClusterRequest, Reuse};
use rm_openstack::media::HEAT_TEMPLATE;
use serde_json::{Value, json};
use support::TOKENS;
use support::host::ann;
use support::replay::{Answer, Recording, Server};

const SERVERS: &str = include_str!("../../lab/openstack/templates/cluster.yaml");

/// What is said of two servers of the flavor m1.tiny (64 MiB) by a project with
/// these limits.
async fn said(limits: Value) -> Option<Result<String, String>> {
    let reference = needs::reference("what a site has room for")?;
    let server = Server::start().await;
    let login = Recording::load(&reference, "full/001-ks-auth-full-catalog");
    let project = login.body["token"]["project"]["id"].as_str().unwrap();
    server.on("POST", TOKENS, login.answer());
    let mut told = Recording::load(&reference, "full/012-nova-limits").body;
    let absolute = told["limits"]["absolute"].as_object_mut().unwrap();
    absolute.extend(limits.as_object().unwrap().clone());
    server.on("GET", "/v2.1/limits", Answer::json(200, &told));
    let flavors = Recording::load(&reference, "full/008-nova-flavors");
    server.on("GET", "/v2.1/flavors/detail", flavors.answer());
    let ports = json!({"quota": {"port": {"limit": 500, "used": 0, "reserved": 0}}});
    let ports = Answer::json(200, &ports);
    server.on(
        "GET",
        &format!("/v2.0/quotas/{project}/details.json"),
        ports,
    );
    let host = support::host::at(&server.base).await;
    Some(plan(&host).await)
}

async fn plan(host: &Host) -> Result<String, String> {
    let catalog = host.catalog();
    let new = NewAppliance::new("servers");
    catalog.add_appliance(&ann(), new).await.unwrap();
    let new = NewImplementation::new("servers", "openstack", HEAT_TEMPLATE, SERVERS);
    catalog.add_implementation(&ann(), new).await.unwrap();
    let request = ClusterRequest {
        reuse: Reuse::Never,
        ..ClusterRequest::of("servers", 1)
    };
    let mut plan = host.clusters().plan(&ann(), &request).await.unwrap();
    let only = plan.considered.remove(0);
    match only.verdict.as_str() {
        "chosen" => Ok(only.why),
        verdict => {
            assert_eq!(verdict, "refused");
            Err(only.why)
        }
    }
}

#[tokio::test]
async fn memory_that_is_left_is_room_for_so_many_servers_of_the_flavor() {
    let left = |mib: u64| json!({"maxTotalRAMSize": 10_000 + mib, "totalRAMUsed": 10_000});
    let Some(two) = said(left(191)).await else {
        return;
    };
    assert!(two.as_ref().unwrap().contains("room for 2 "), "{two:?}");
    let one = said(left(127)).await.unwrap().unwrap_err();
    assert!(one.contains("room for 1 nodes, 2 are needed"), "{one}");
}

#[tokio::test]
async fn a_project_that_has_all_its_servers_or_all_its_memory_is_full() {
    for full in [
        json!({"maxTotalInstances": 10, "totalInstancesUsed": 10}),
        json!({"maxTotalCores": 10, "totalCoresUsed": 10}),
        json!({"maxTotalRAMSize": 512, "totalRAMUsed": 512}),
    ] {
        let Some(said) = said(full.clone()).await else {
            return;
        };
        let why = said.unwrap_err();
        assert!(why.contains("room for 0 nodes"), "{full}: {why}");
    }
}

//! What a template needs of where it runs is found where nobody says it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by a panic, and is a host"
)]

mod support;

use std::path::Path;
use std::time::Duration;

use rm_core::catalog::{NewAppliance, NewImplementation};
use rm_core::clusters::{ClusterRequest, Reuse};
use rm_core::registry::Media;
use rm_core::{ErrorKind, Host};
use rm_openstack::media::{HEAT_TEMPLATE, HeatTemplate};
use serde_json::{Value, json};
use support::TOKENS;
use support::host::ann;
use support::replay::{Answer, Recording, Server};

/// By the specification of the original appliances, and with a network.
const TEMPLATE: &str = "
heat_template_version: 2018-08-31
parameters:
  cluster_size: {type: number}
  allowed_ip: {type: string}
  network_name: {type: string}
  key_name: {type: string, default: none}
outputs:
  master_ip: {value: 10.0.0.1}
";

async fn appliance(host: &Host, name: &str, template: &str) {
    let catalog = host.catalog();
    let new = NewAppliance::new(name);
    catalog.add_appliance(&ann(), new).await.unwrap();
    let new = NewImplementation::new(name, "openstack", HEAT_TEMPLATE, template);
    catalog.add_implementation(&ann(), new).await.unwrap();
}

fn request(appliance: &str) -> ClusterRequest {
    ClusterRequest {
        reuse: Reuse::Never,
        ..ClusterRequest::of(appliance, 1)
    }
}

/// With Neutron in its catalog; answers the path of its stacks.
async fn full_cloud(server: &Server, reference: &Path) -> String {
    let login = Recording::load(reference, "full/001-ks-auth-full-catalog");
    let project = login.body["token"]["project"]["id"].as_str().unwrap();
    server.on("POST", TOKENS, login.answer());
    let stacks = format!("/v1/{project}/stacks");
    let made = Recording::load(reference, "min/055-heat-create");
    server.on("POST", &stacks, made.answer());
    stacks
}

/// The parameters of the nth stack that was asked for.
async fn sent(server: &Server, stacks: &str, nth: usize) -> Value {
    while server.count("POST", stacks) <= nth {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked = server.seen().into_iter();
    let mut asked = asked.filter(|s| s.method == "POST" && s.path() == stacks);
    asked.nth(nth).unwrap().json()["parameters"].clone()
}

#[tokio::test]
async fn the_network_and_our_address_are_found_where_nobody_says_them() {
    let Some(reference) = needs::reference("the_network_and_our_address_are_found") else {
        return;
    };
    let server = Server::start().await;
    let stacks = full_cloud(&server, &reference).await;
    let networks = Recording::load(&reference, "full/015-neutron-networks");
    // The oldest is the recorded one named private; another leads outside.
    let private = networks.body["networks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|n| n["name"] == "private");
    let private = private.unwrap()["id"].clone();
    server.on("GET", "/v2.0/networks", networks.answer());
    let host = support::host::at(&server.base).await;
    appliance(&host, "original", TEMPLATE).await;
    let clusters = host.clusters();
    clusters.create(&ann(), &request("original")).await.unwrap();
    let found = json!({"cluster_size": 2, "allowed_ip": "127.0.0.1/32", "network_name": private});
    assert_eq!(sent(&server, &stacks, 0).await, found);

    // What is said counts, and nobody is asked.
    let asked = server.count("GET", "/v2.0/networks");
    let mut own = request("original");
    own.parameters = [("network", "lan"), ("allowed_ip", "10.0.0.0/8")]
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .into();
    clusters.create(&ann(), &own).await.unwrap();
    let said = json!({"cluster_size": 2, "allowed_ip": "10.0.0.0/8", "network_name": "lan"});
    assert_eq!(sent(&server, &stacks, 1).await, said);
    assert_eq!(server.count("GET", "/v2.0/networks"), asked);
}

#[tokio::test]
async fn servers_around_an_image_get_the_smallest_flavor_that_is_enough_for_it() {
    let Some(reference) = needs::reference("servers_around_an_image_get_the_smallest_flavor")
    else {
        return;
    };
    let server = Server::start().await;
    let stacks = full_cloud(&server, &reference).await;
    let networks = Recording::load(&reference, "full/015-neutron-networks");
    server.on("GET", "/v2.0/networks", networks.answer());
    let flavors = Recording::load(&reference, "full/008-nova-flavors");
    server.on("GET", "/v2.1/flavors/detail", flavors.answer());
    let named = |name: &str| {
        let all = flavors.body["flavors"].as_array().unwrap();
        let one = all.iter().find(|f| f["name"] == name);
        one.unwrap()["id"].clone()
    };
    let host = support::host::at(&server.base).await;
    for (name, min_ram, min_disk) in [("tiny", 0, 0), ("small", 65, 0), ("huge", 0, 100)] {
        let image = json!({"id": name, "name": name, "status": "active", "size": 1000,
            "min_ram": min_ram, "min_disk": min_disk});
        let images = Answer::json(200, &json!({"images": [image]}));
        server.on("GET", &format!("/v2/images?name={name}&limit=100"), images);
        let body = HeatTemplate.around_image(name).unwrap();
        appliance(&host, name, &body).await;
    }
    let clusters = host.clusters();
    for (nth, name) in ["tiny", "small"].into_iter().enumerate() {
        clusters.create(&ann(), &request(name)).await.unwrap();
        let flavor = sent(&server, &stacks, nth).await["flavor"].clone();
        assert_eq!(flavor, named(&format!("m1.{name}")));
    }
    let e = clusters.create(&ann(), &request("huge")).await.unwrap_err();
    assert_eq!(e.stable_code(), "missing-surroundings");
    assert!(e.what().contains("\"flavor\""), "{e}");
}

#[tokio::test]
async fn what_cannot_be_found_is_named_before_anything_is_reserved() {
    let Some(reference) = needs::reference("what_cannot_be_found_is_named") else {
        return;
    };
    let server = Server::start().await;
    full_cloud(&server, &reference).await;
    // The only one is made by another stack of ours, and goes with it.
    let a_stacks = json!({
        "id": "5d1e5a0c-0000-4000-8000-000000000001",
        "name": "rm-019ab0c0-0000-7000-8000-000000000001-net-x2k4mwqhzvtb",
        "router:external": false,
        "created_at": "2026-01-01T00:00:00Z",
    });
    let networks = Answer::json(200, &json!({"networks": [a_stacks]}));
    server.on("GET", "/v2.0/networks", networks);
    let host = support::host::at(&server.base).await;
    appliance(&host, "original", TEMPLATE).await;
    let keyed = TEMPLATE
        .replace(", default: none", "")
        .replace("network_name", "lan");
    appliance(&host, "keyed", &keyed).await;
    // What only a request can say is told otherwise.
    let greets = keyed.replace("key_name", "greeting");
    appliance(&host, "greets", &greets).await;
    let clusters = host.clusters();
    for (name, code, told) in [
        ("original", "missing-surroundings", "has no network"),
        ("keyed", "missing-surroundings", "\"key_name\""),
        ("greets", "missing-parameter", "\"greeting\""),
    ] {
        let e = clusters.create(&ann(), &request(name)).await.unwrap_err();
        assert_eq!((e.kind(), e.stable_code()), (ErrorKind::Invalid, code));
        assert!(e.what().contains(told), "{e}");
    }
    let kept = clusters.list(&ann(), false, None, 10).await.unwrap();
    assert!(kept.items.is_empty());
}

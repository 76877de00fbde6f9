//! Nodes that are linked.

use std::sync::Arc;

use rm_adapters::geni::register;
use rm_adapters::geni::xmlrpc::Value;
use rm_core::catalog::{NewCredential, NewSite};
use rm_core::model::{Interface, Json, NodeInterface, NodeSpec, NodeView};
use rm_core::store::{Batch, By, Due};
use rm_core::{Caller, Tenant};
use rm_testkit::SimConfig;

use super::lab::{code, lab, lab_at};
use super::rspec::fits;
use super::slice::{Slice, link, manifest, none, request, slivers, value};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_linked_is_at_one_site_with_the_addresses_that_were_asked_for() {
    let config = SimConfig {
        nodes: Some(3),
        ..SimConfig::default()
    };
    let lab = lab_at("links", config, |all| register(all).unwrap(), |door| door).await;
    let operator = Caller::operator("root", "ops");
    let catalog = lab.host.catalog();
    let site = NewSite::new("shelf", "sim", "sim://shelf");
    catalog.add_site(&operator, site).await.unwrap();
    let means = NewCredential {
        tenant: Some(Tenant("lab:one".to_owned())),
        ..NewCredential::new("shelf", "shelf", serde_json::json!({"account": "geni"}))
    };
    catalog.add_credential(&operator, means).await.unwrap();
    let node = |name: &str, n: u8| {
        format!(
            "<node client_id=\"{name}\"><interface client_id=\"{name}:0\">\
             <ip address=\"10.9.0.{n}\" netmask=\"255.255.255.128\" type=\"ipv4\"/></interface></node>"
        )
    };
    let pair = |a: &str, b: &str| {
        let ends = [&*format!("{a}:0"), &*format!("{b}:0")];
        format!(
            "{}{}{}",
            node(a, 1),
            node(b, 2),
            link(&format!("{a}{b}"), &ends)
        )
    };
    let slice = Slice::of(&lab, "s");
    // Two pairs do not fit one site of three, nor does a ring of four.
    let rspec = request(&format!("{}{}", pair("a", "b"), pair("c", "d")));
    let allocated = value(&slice.allocate(&rspec).await);
    let told = manifest(allocated.get("geni_rspec").unwrap());
    assert_eq!(told.links.len(), 2);
    let text = allocated.get("geni_rspec").unwrap().as_text().unwrap();
    fits("what_is_linked", "manifest.xsd", text);
    let sites: Vec<&str> = told
        .nodes
        .iter()
        .filter_map(|n| n.component_name.as_deref())
        .collect();
    assert_eq!(sites[0], sites[1]);
    assert_eq!(sites[2], sites[3]);
    assert_ne!(sites[0], sites[2]);
    let all = lab
        .host
        .store()
        .resources(&By::All, None, 10)
        .await
        .unwrap();
    let mut links = Vec::new();
    for row in all.items {
        let spec: NodeSpec = row.record.place.spec.read().unwrap();
        // By the first it is reached.
        assert_eq!(spec.interfaces[0], Interface::default());
        let end = &spec.interfaces[1];
        assert_eq!(end.addresses[0].prefix, 25);
        let host = if ["a", "c"].contains(&&*row.record.name) {
            1
        } else {
            2
        };
        assert_eq!(end.addresses[0].ip.to_string(), format!("10.9.0.{host}"));
        links.push(end.link.clone().unwrap());
    }
    assert_eq!(links[0], links[1]);
    assert_eq!(links[2], links[3]);
    assert_ne!(links[0], links[2]);
    let other = Slice::of(&lab, "t");
    let ring: String = (0..4)
        .map(|n| {
            let ends = [&*format!("r{n}:0"), &*format!("r{}:1", (n + 1) % 4)];
            format!(
                "<node client_id=\"r{n}\"><interface client_id=\"r{n}:0\"/><interface client_id=\"r{n}:1\"/></node>{}",
                link(&format!("l{n}"), &ends)
            )
        })
        .collect();
    let answer = other.allocate(&request(&ring)).await;
    assert_eq!(code(&answer), 26, "{answer:?}");
    // With one end gone the link is still told; with both it is not.
    let urns: Vec<String> = slivers(&allocated).into_iter().map(|s| s.urn).collect();
    for (gone, left) in [(0, 2), (1, 1)] {
        let one = Value::Array(vec![Value::text(urns[gone].clone())]);
        value(
            &slice
                .call(3, "Delete", vec![one, slice.proof(), none()])
                .await,
        );
        let described = value(&slice.all("Describe").await);
        assert_eq!(
            manifest(described.get("geni_rspec").unwrap()).links.len(),
            left
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_tells_hardware_addresses_at_the_ends_of_links() {
    let lab = lab("macs").await;
    let slice = Slice::of(&lab, "s");
    let node = |name: &str| {
        format!(
            "<node client_id=\"{name}\"><interface client_id=\"{name}:0\"/>\
             <interface client_id=\"{name}:1\"/></node>"
        )
    };
    let ends = link("l", &["a:1", "b:1"]);
    let rspec = request(&format!("{}{}{ends}", node("a"), node("b")));
    value(&slice.allocate(&rspec).await);
    let store = lab.host.store();
    let all = store.resources(&By::All, None, 10).await.unwrap();
    assert_eq!(all.items.len(), 2);
    for row in all.items {
        let interface = |mac: &str| NodeInterface {
            bridge: "bridge".to_owned(),
            vlan: None,
            mac: mac.to_owned(),
            addresses: Vec::new(),
            shaping: None,
        };
        // The first is what it is reached by.
        let view = NodeView {
            interfaces: vec![
                interface("02:00:00:00:00:01"),
                interface("02:00:00:00:00:02"),
            ],
            ..NodeView::default()
        };
        let mut record = (*row.record).clone();
        record.view = Some(Json::of(&view).unwrap());
        let batch = Batch {
            resources: vec![(Arc::new(record), Due::Keep)],
            ..Batch::default()
        };
        lab.host.commit(batch).await.unwrap();
    }
    let described = value(&slice.all("Describe").await);
    for node in manifest(described.get("geni_rspec").unwrap()).nodes {
        let macs: Vec<Option<&str>> = node
            .interfaces
            .iter()
            .map(|i| i.mac_address.as_deref())
            .collect();
        assert_eq!(macs, [None, Some("02:00:00:00:00:02")]);
    }
}

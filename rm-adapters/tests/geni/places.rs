//! Which sites are asked, and which are told of.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rm_adapters::geni::register;
use rm_adapters::geni::rspec::Rspec;
use rm_adapters::geni::xmlrpc::Value;
use rm_core::backend::Serves;
use rm_core::catalog::{NewCredential, NewImage, NewSite};
use rm_core::model::Node;
use rm_core::registry::Registries;
use rm_core::{Caller, Kind, Tenant};
use rm_testkit::{Fault, Rule, SimCloud, SimConfig, SimSite, Verb};

use super::lab::{code, lab, lab_at, lab_of, options, sfa};
use super::slice::{Slice, all, manifest, nodes, request, slivers, states, value, with_users};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_is_asked_once_for_nodes_that_differ_in_what_they_are_told_to_do() {
    let lab = lab("asked-once").await;
    let slice = Slice::of(&lab, "s");
    let asked = || {
        let calls = lab.cloud.calls();
        calls.iter().filter(|c| c.verb == Verb::Offers).count()
    };
    let before = asked();
    let node = |n: u32| {
        format!(
            "<node client_id=\"n{n}\"><sliver_type name=\"lxc\"/>\
             <services><execute shell=\"sh\" command=\"run {n}\"/></services></node>"
        )
    };
    let all: String = (0..20).map(node).collect();
    let made = value(&slice.create(&request(&all)).await);
    assert_eq!(manifest(&made).nodes.len(), 20);
    assert_eq!(asked() - before, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_hangs_is_asked_once_and_nobody_waits_for_it_where_another_has_room() {
    let lab = lab("hangs").await;
    lab.evening.2.store(100, Ordering::SeqCst);
    let operator = Caller::operator("root", "ops");
    let catalog = lab.host.catalog();
    catalog
        .add_site(&operator, NewSite::new("dead", "sim", "sim://dead"))
        .await
        .unwrap();
    let means = NewCredential {
        tenant: Some(Tenant("lab:one".to_owned())),
        ..NewCredential::new("dead", "dead", serde_json::json!({"account": "geni"}))
    };
    catalog.add_credential(&operator, means).await.unwrap();
    let image = NewImage {
        name: "other".to_owned(),
        source: "file:/images/other".to_owned(),
        sha256: "1".repeat(64),
        disk_format: "tar".to_owned(),
    };
    catalog.add_image(&operator, image).await.unwrap();
    let hour = Fault::Slow(Duration::from_secs(3600));
    lab.cloud
        .inject(Rule::next(Verb::Offers, hour).at("dead").always());
    let slice = Slice::of(&lab, "s");
    let node = |name: &str| {
        format!(
            "<node client_id=\"{name}\"><sliver_type name=\"lxc\">\
             <disk_image name=\"{name}\"/></sliver_type></node>"
        )
    };
    // Of two images, which the sites are asked for one by one.
    let both = request(&format!("{}{}", node("debian"), node("other")));
    let made = manifest(&value(&slice.create(&both).await));
    for node in made.nodes {
        assert_eq!(node.component_name.as_deref(), Some("rack"));
    }
    let calls = lab.cloud.calls();
    let of = |site: &str| {
        let offers = calls.iter().filter(|c| c.verb == Verb::Offers);
        offers.filter(|c| c.site == site).count()
    };
    assert_eq!((of("rack"), of("dead")), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_two_sites_hold_together_does_not_wait_for_one_that_hangs() {
    let three = SimSite {
        nodes: Some(3),
        ..SimSite::default()
    };
    let sites = [
        ("rack".to_owned(), three.clone()),
        ("second".to_owned(), three),
    ];
    let config = SimConfig {
        sites: BTreeMap::from(sites),
        ..SimConfig::default()
    };
    let lab = lab_at(
        "together",
        config,
        |all| register(all).unwrap(),
        |door| door,
    )
    .await;
    let operator = Caller::operator("root", "ops");
    let catalog = lab.host.catalog();
    for name in ["second", "dead"] {
        let site = NewSite::new(name, "sim", &format!("sim://{name}"));
        catalog.add_site(&operator, site).await.unwrap();
        let means = NewCredential {
            tenant: Some(Tenant("lab:one".to_owned())),
            ..NewCredential::new(name, name, serde_json::json!({"account": "geni"}))
        };
        catalog.add_credential(&operator, means).await.unwrap();
    }
    // Where nobody has room for all alone, and a third site never says.
    let hour = Fault::Slow(Duration::from_secs(3600));
    lab.cloud
        .inject(Rule::next(Verb::Offers, hour).at("dead").always());
    lab.evening.2.store(100, Ordering::SeqCst);
    let slice = Slice::of(&lab, "s");
    let names: Vec<String> = (0..5).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rspec = nodes(&names);
    // Sooner than a call that is not answered is given up.
    let soon = lab.cloud.declared().call_timeout / 2;
    let made = tokio::time::timeout(soon, slice.create(&rspec));
    let made = manifest(&value(&made.await.unwrap()));
    assert_eq!(made.nodes.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_host_cannot_do_for_those_who_log_in_is_refused_before_anything_is_made() {
    let rack = SimSite {
        unvisited: true,
        ..SimSite::default()
    };
    let config = SimConfig {
        sites: BTreeMap::from([("rack".to_owned(), rack)]),
        ..SimConfig::default()
    };
    let usual = |all: &mut Registries| register(all).unwrap();
    let lab = lab_at("admitted", config, usual, |door| door).await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a", "b"])).await);
    let answer = slice.all("Provision").await;
    assert_eq!(code(&answer), 13, "{answer:?}");
    let status = value(&slice.all("Status").await);
    let allocated = all("geni_allocated", "geni_pending_allocation", 2);
    assert_eq!(states(&status), allocated);
    // Nor with as much as possible, where each says why.
    let Value::Struct(mut best) = with_users() else {
        panic!()
    };
    best.push(("geni_best_effort".to_owned(), Value::Bool(true)));
    let arguments = vec![slice.urns(), slice.proof(), Value::Struct(best)];
    let tried = value(&slice.call(3, "Provision", arguments).await);
    assert_eq!(states(&tried), allocated);
    for told in slivers(&tried) {
        assert!(!told.error.is_empty(), "{told:?}");
    }
    assert_eq!(states(&value(&slice.all("Status").await)), allocated);
    // For nobody it can.
    let arguments = vec![slice.urns(), slice.proof(), options(vec![])];
    let provisioned = value(&slice.call(3, "Provision", arguments).await);
    let made = all("geni_provisioned", "geni_notready", 2);
    assert_eq!(states(&provisioned), made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_listed_says_whether_it_can_be_had_and_is_left_out_where_it_cannot() {
    let full = SimSite {
        nodes: Some(0),
        ..SimSite::default()
    };
    let config = SimConfig {
        sites: BTreeMap::from([("full".to_owned(), full)]),
        ..SimConfig::default()
    };
    let lab = lab_at("listed", config, |all| register(all).unwrap(), |door| door).await;
    let operator = Caller::operator("root", "ops");
    let catalog = lab.host.catalog();
    for name in ["full", "poor"] {
        let site = NewSite::new(name, "sim", &format!("sim://{name}"));
        catalog.add_site(&operator, site).await.unwrap();
    }
    let means = NewCredential {
        tenant: Some(Tenant("lab:one".to_owned())),
        ..NewCredential::new("full", "full", serde_json::json!({"account": "geni"}))
    };
    catalog.add_credential(&operator, means).await.unwrap();
    let list = async |available: bool| {
        let brought = Value::Array(vec![sfa(&lab.user_credential(&lab.alice))]);
        let options = options(vec![("geni_available", Value::Bool(available))]);
        let answer = lab.call(&lab.alice, 3, "ListResources", vec![brought, options]);
        let there = value(&answer.await);
        let there = Rspec::parse(there.as_text().unwrap()).unwrap();
        let told = there.nodes.iter().map(|node| {
            let name = node.component_name.as_deref().unwrap();
            let now = node.available[0].now.as_deref().unwrap();
            (name.to_owned(), now.to_owned())
        });
        told.collect::<BTreeMap<String, String>>()
    };
    let told = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
        let owned = all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        owned.collect()
    };
    assert_eq!(
        list(false).await,
        told(&[("full", "true"), ("poor", "false"), ("rack", "true")])
    );
    assert_eq!(list(true).await, told(&[("rack", "true")]));

    // However many ask, the sites are asked once a second.
    let asked = || {
        let calls = lab.cloud.calls();
        let offers = calls.iter().filter(|c| c.verb == Verb::Offers);
        offers.filter(|c| c.site == "rack").count()
    };
    for wanted in [1, 2] {
        for _ in 0..3 {
            assert_eq!(list(true).await, told(&[("rack", "true")]));
        }
        assert_eq!(asked(), wanted);
        lab.later(Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_names_a_component_is_told_what_it_makes_and_gets_that_where_no_type_is_said() {
    let adapters = |all: &mut Registries| {
        register(all).unwrap();
        let serves = Serves {
            kind: Kind::from_static("vm.xen"),
            api: "simx".to_owned(),
            media: Vec::new(),
        };
        let cloud = SimCloud::new(SimConfig::default());
        all.backend::<Node>("simx", serves, cloud as _).unwrap();
    };
    let lab = lab_of("kinds-of-sites", adapters, |door| door).await;
    let operator = Caller::operator("root", "ops");
    let catalog = lab.host.catalog();
    let site = NewSite::new("metal", "simx", "sim://metal");
    catalog.add_site(&operator, site).await.unwrap();
    let means = NewCredential {
        tenant: Some(Tenant("lab:one".to_owned())),
        ..NewCredential::new("metal", "metal", serde_json::json!({"account": "geni"}))
    };
    catalog.add_credential(&operator, means).await.unwrap();
    let slice = Slice::of(&lab, "s");
    let xen = "<node client_id=\"a\" component_name=\"rack\"><sliver_type name=\"xen\"/></node>";
    let answer = slice.allocate(&request(xen)).await;
    assert_eq!(code(&answer), 1, "{answer:?}");
    let output = answer.get("output").unwrap().as_text().unwrap();
    assert!(output.contains("it makes lxc"), "{output}");
    assert!(output.contains("are: metal"), "{output}");

    let any = "<node client_id=\"a\" component_name=\"metal\"/>";
    let made = value(&slice.allocate(&request(any)).await);
    let told = manifest(made.get("geni_rspec").unwrap());
    assert_eq!(told.nodes[0].component_name.as_deref(), Some("metal"));
}

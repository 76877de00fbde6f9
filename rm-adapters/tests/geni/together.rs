//! Clusters and nodes of one request: all of them or none, and who is asked.

use rm_adapters::geni::register;
use rm_adapters::geni::xmlrpc::Value;
use rm_core::registry::Registries;
use rm_core::store::By;
use rm_testkit::{SimConfig, Verb};

use super::clusters::{appliance, charged, cluster, node, web, with_web};
use super::lab::{code, lab_at};
use super::slice::{Slice, link, request, slivers, value};
use super::table::refused;

/// So many clusters with so many slaves.
fn webs(n: usize, slaves: u32) -> String {
    (0..n).map(|i| web(&format!("c{i}"), slaves)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_cluster_cannot_be_nothing_of_the_request_is() {
    let small = SimConfig {
        nodes: Some(4),
        ..SimConfig::default()
    };
    let usual = |all: &mut Registries| register(all).unwrap();
    let lab = lab_at("cluster-full", small, usual, |door| door).await;
    appliance(&lab, "web").await;
    let slice = Slice::of(&lab, "s");
    let linked = "<node client_id=\"b\"><sliver_type name=\"cluster\"/>\
                  <interface client_id=\"b:0\"/></node>"
        .to_owned();
    let ends =
        "<node client_id=\"a\"><sliver_type name=\"lxc\"/><interface client_id=\"a:0\"/></node>";
    for (what, rspec, wanted) in [
        ("too large", web("b", 4), 26),
        (
            "too large with what else there is",
            format!("{}{}", node("a"), web("b", 3)),
            26,
        ),
        ("too many", format!("{}{}", web("b", 1), web("c", 2)), 26),
        ("unknown", cluster("b", "appliance=\"wep\"/>"), 1),
        (
            "unknown parameter",
            cluster(
                "b",
                "appliance=\"web\"><c:parameter xmlns:c=\"urn:resource-manager:rspec:ext:cluster:1\" name=\"x\" value=\"1\"/></c:cluster>",
            ),
            1,
        ),
        ("more than any cluster", web("b", 5000), 1),
        (
            "no appliance",
            "<node client_id=\"b\"><sliver_type name=\"cluster\"/></node>".to_owned(),
            1,
        ),
        (
            "linked",
            format!("{ends}{linked}{}", link("l", &["a:0", "b:0"])),
            13,
        ),
    ] {
        let rspec = request(&format!("{}{rspec}", node("z")));
        for answer in [slice.create(&rspec).await, slice.allocate(&rspec).await] {
            assert_eq!(code(&answer), wanted, "{what}: {answer:?}");
        }
        let kept = lab.host.store().resources(&By::All, None, 10).await;
        assert_eq!(kept.unwrap().items, [], "{what}");
        assert_eq!(charged(&slice).await, 0, "{what}");
    }
    let answer = slice.allocate(&request(&web("b", 4))).await;
    assert_eq!(code(&answer), 26);
    let hint = answer.get("value").unwrap();
    assert_eq!(hint.get("requested"), Some(&Value::Int(1)));
    assert_eq!(hint.get("available"), Some(&Value::Int(0)));
    // What is reserved keeps its place, for whoever asks next.
    value(&slice.allocate(&request(&web("b", 2))).await);
    let other = Slice::of(&lab, "t");
    assert_eq!(code(&other.allocate(&request(&web("b", 1))).await), 26);
    assert_eq!(code(&other.allocate(&request(&node("a"))).await), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_is_asked_once_for_all_clusters_of_a_request_that_are_alike() {
    let lab = with_web("together-once").await;
    let asked = async |name: &str, rspec: &str| {
        let before = lab.cloud.count(Verb::Offers);
        value(&Slice::of(&lab, name).allocate(&request(rspec)).await);
        lab.cloud.count(Verb::Offers) - before
    };
    let one = asked("one", &webs(1, 3)).await;
    assert!(one > 0);
    assert_eq!(asked("many", &webs(16, 3)).await, one);
    // Those that are not alike are asked for apart.
    let both = format!("{}{}", webs(8, 3), web("d", 2));
    assert_eq!(asked("both", &both).await, 2 * one);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_quota_does_not_allow_is_refused_before_any_site_is_asked() {
    let lab = with_web("together-quota").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&request(&webs(16, 499))).await);
    assert_eq!(charged(&slice).await, 8000);
    let before = lab.cloud.count(Verb::Offers);
    let more: String = (0..5).map(|i| web(&format!("d{i}"), 400)).collect();
    let answer = slice.allocate(&request(&more)).await;
    let hint = refused("more clusters than the quota allows", &answer, 6);
    assert_eq!(hint.get("limit"), Some(&Value::Int(10_000)));
    assert_eq!(hint.get("used"), Some(&Value::Int(8000)));
    assert_eq!(lab.cloud.count(Verb::Offers), before);
    // Each would do, and so would the nodes: all of it does not.
    let nodes: String = (0..600).map(|i| node(&format!("n{i}"))).collect();
    let more: String = (0..3).map(|i| web(&format!("d{i}"), 499)).collect();
    let answer = slice.allocate(&request(&format!("{nodes}{more}"))).await;
    refused("clusters and nodes", &answer, 6);
    assert_eq!(charged(&slice).await, 8000);
    assert_eq!(slivers(&value(&slice.all("Status").await)).len(), 16);
    // What is left can be had.
    value(&slice.allocate(&request(&more)).await);
    assert_eq!(charged(&slice).await, 9500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_many_clusters_there_would_have_been_room_for_is_told() {
    let small = SimConfig {
        nodes: Some(7),
        ..SimConfig::default()
    };
    let usual = |all: &mut Registries| register(all).unwrap();
    let lab = lab_at("together-room", small, usual, |door| door).await;
    appliance(&lab, "web").await;
    let slice = Slice::of(&lab, "s");
    let answer = slice.allocate(&request(&webs(4, 2))).await;
    let hint = refused("more clusters than there is room for", &answer, 26);
    assert_eq!(hint.get("requested"), Some(&Value::Int(4)));
    assert_eq!(hint.get("available"), Some(&Value::Int(2)));
    assert_eq!(charged(&slice).await, 0);
    let kept = lab.host.store().resources(&By::All, None, 10).await;
    assert_eq!(kept.unwrap().items, []);
    value(&slice.allocate(&request(&webs(2, 2))).await);
}

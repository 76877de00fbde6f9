//! What the operator says of how slices are allocated, and what calls then can be.

use rm_adapters::geni::Allocating;
use rm_adapters::geni::xmlrpc::Value;

use super::complaints::reason;
use super::lab::{lab, options};
use super::slice::{Slice, nodes, none, slivers, value, with_users};
use super::table::refused;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slice_can_ask_once_where_the_aggregate_says_so() {
    let mut lab = lab("mode-single").await;
    lab.reopen(|aggregate| aggregate.allocating = Allocating::Single)
        .await;
    let version = value(&lab.call(&lab.alice, 3, "GetVersion", vec![]).await);
    let told = version.get("geni_allocate").and_then(Value::as_text);
    assert_eq!(told, Some("geni_single"));
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a"])).await);
    for name in ["a", "b"] {
        let answer = slice.allocate(&nodes(&[name])).await;
        refused("Allocate a second time", &answer, 17);
    }
    value(&slice.all("Provision").await);
    refused("once made", &slice.allocate(&nodes(&["b"])).await, 17);
    value(&slice.all("Delete").await);
    value(&slice.allocate(&nodes(&["b"])).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slivers_go_together_where_the_aggregate_says_so() {
    let mut lab = lab("mode-together").await;
    lab.reopen(|aggregate| aggregate.single_allocation = true)
        .await;
    let version = value(&lab.call(&lab.alice, 3, "GetVersion", vec![]).await);
    let told = version.get("geni_single_allocation");
    assert_eq!(told, Some(&Value::Int(1)));
    let slice = Slice::of(&lab, "s");
    let first = slivers(&value(&slice.allocate(&nodes(&["a", "b"])).await));
    let urns = |of: &[&str]| Value::Array(of.iter().map(|urn| Value::text(*urn)).collect());
    let (a, b) = (first[0].urn.as_str(), first[1].urn.as_str());
    let call = async |method: &str, of: &[&str]| {
        let mut arguments = vec![urns(of), slice.proof()];
        match method {
            "Renew" => arguments.extend([Value::text("2026-11-21T20:20:00Z"), none()]),
            "Provision" => arguments.push(with_users()),
            _ => arguments.push(options(vec![])),
        }
        slice.call(3, method, arguments).await
    };
    for method in ["Describe", "Renew", "Provision", "Delete"] {
        let answer = call(method, &[a]).await;
        refused(method, &answer, 13);
        assert_eq!(reason(&answer), "single-allocation", "{method}");
    }
    // To look how one stands takes nothing from the others.
    assert_eq!(slivers(&value(&call("Status", &[a]).await)).len(), 1);
    for method in ["Describe", "Renew", "Provision"] {
        let told = slivers(&value(&call(method, &[b, a]).await));
        assert_eq!(told.len(), 2, "{method}");
    }
    // What has come less far is apart from them.
    let third = slivers(&value(&slice.allocate(&nodes(&["c"])).await));
    let c = third[0].urn.as_str();
    refused("one of each", &call("Delete", &[a, c]).await, 13);
    assert_eq!(slivers(&value(&call("Delete", &[c]).await)).len(), 1);
    // What is asked of a sliver that is made is asked of that alone.
    let start = Value::text("geni_start");
    let arguments = vec![urns(&[a]), slice.proof(), start, none()];
    let started = slice.call(3, "PerformOperationalAction", arguments).await;
    assert_eq!(slivers(&value(&started)).len(), 1);
    value(&slice.all("Delete").await);
}

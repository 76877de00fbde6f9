//! When slivers end: never sooner by being extended, at their moment for every
//! call, and when it was wished.

use std::time::Duration;

use rm_adapters::geni::xmlrpc::Value;

use super::lab::{lab, sfa};
use super::slice::{Slice, nodes, none, slivers, value, with_users};
use super::table::{kept, refused};

const MORE: &str = "2026-11-27T20:00:00.000Z";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_be_extended_as_long_as_possible_is_never_to_be_shortened() {
    let lab = lab("alap").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a"])).await);
    value(&slice.all("Provision").await);
    let renew = async |version: u8, credential: &str, to: &str| {
        let (method, urn) = match version {
            2 => ("RenewSliver", slice.urn()),
            _ => ("Renew", slice.urns()),
        };
        let as_long = Value::of([("geni_extend_alap", Value::Bool(true))]);
        let proof = Value::Array(vec![sfa(credential)]);
        let arguments = vec![urn, proof, Value::text(to), as_long];
        slice.call(version, method, arguments).await
    };
    let renewed = value(&renew(3, &slice.credential, MORE).await);
    // It has more already.
    let until = slivers(&renewed)[0].expires.clone();
    assert!(*until > *MORE, "{until}");
    // What another may do ends in an hour.
    let short = lab.slice_credential(&lab.alice, &slice.party, "2026-11-21T21:00:00Z");
    for to in ["2026-12-31T00:00:00Z", "2026-11-21T20:30:00Z"] {
        let answer = renew(3, &short, to).await;
        assert_eq!(slivers(&value(&answer))[0].expires, until);
        let answer = renew(2, &short, to).await;
        assert_eq!(value(&answer), Value::Bool(true));
        assert_eq!(answer.get("output").unwrap().as_text(), Some(&*until));
    }
    assert_eq!(
        slivers(&value(&slice.all("Status").await))[0].expires,
        until
    );
    // Who says when gets that.
    let proof = Value::Array(vec![sfa(&short)]);
    let soon = Value::text("2026-11-21T20:30:00Z");
    let arguments = vec![slice.urns(), proof, soon, none()];
    let renewed = value(&slice.call(3, "Renew", arguments).await);
    assert_eq!(slivers(&renewed)[0].expires, "2026-11-21T20:30:00.000Z");
}

/// No engine runs, so that nobody has ended it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_is_over_from_its_moment_for_every_call() {
    let lab = lab("over").await;
    let slice = Slice::of(&lab, "s");
    let allocated = value(&slice.allocate(&nodes(&["a"])).await);
    let urn = slivers(&allocated)[0].urn.clone();
    lab.later(Duration::from_millis(599_999));
    assert_eq!(slivers(&value(&slice.all("Status").await)).len(), 1);
    lab.later(Duration::from_millis(1));
    for method in ["Status", "Describe", "Provision", "Delete"] {
        refused(method, &slice.all(method).await, 12);
    }
    refused("POA", &slice.act("geni_start").await, 12);
    let later = Value::text("2026-11-21T21:00:00Z");
    for urns in [slice.urns(), Value::Array(vec![Value::text(urn)])] {
        let arguments = vec![urns, slice.proof(), later.clone(), none()];
        refused("Renew", &slice.call(3, "Renew", arguments).await, 12);
    }
    let arguments = vec![slice.urn(), slice.proof(), later, none()];
    refused(
        "RenewSliver",
        &slice.call(2, "RenewSliver", arguments).await,
        12,
    );
    // Its name is free again, and version 2 has nothing there.
    value(&slice.create(&nodes(&["a"])).await);
    assert_eq!(slivers(&value(&slice.all("Status").await)).len(), 1);
    assert_eq!(kept(&lab).await.0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_request_is_wished_to_end_is_known_when_it_is_provisioned() {
    let lab = lab("wish").await;
    let end = |time: &str| ("geni_end_time", Value::text(time));
    let allocate = async |slice: &Slice<'_>| {
        let rspec = Value::text(nodes(&["a"]));
        let wish = Value::of([end("2026-11-23T20:00:00Z")]);
        let arguments = vec![slice.urn(), slice.proof(), rspec, wish];
        slivers(&value(&slice.call(3, "Allocate", arguments).await)).remove(0)
    };
    let slice = Slice::of(&lab, "s");
    assert_eq!(allocate(&slice).await.expires, "2026-11-21T20:10:00.000Z");
    let made = slivers(&value(&slice.all("Provision").await));
    assert_eq!(made[0].expires, "2026-11-23T20:00:00.000Z");
    // What Provision says itself counts.
    let slice = Slice::of(&lab, "t");
    allocate(&slice).await;
    let Value::Struct(mut options) = with_users() else {
        panic!()
    };
    let (name, time) = end("2026-11-24T20:00:00Z");
    options.push((name.to_owned(), time));
    let arguments = vec![slice.urns(), slice.proof(), Value::Struct(options)];
    let made = slivers(&value(&slice.call(3, "Provision", arguments).await));
    assert_eq!(made[0].expires, "2026-11-24T20:00:00.000Z");
}

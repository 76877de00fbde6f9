//! What the field's own acceptance suite does and no other test of ours: slivers
//! of several slices, and credentials that were passed on. [`super::rows`] tells
//! where the rest of it is.

use rm_adapters::geni::xmlrpc::Value;

use super::authority::{Draft, Party, Sign, envelope};
use super::lab::{Lab, code, lab, options, sfa};
use super::slice::{Slice, WEEK, all, manifest, nodes, none, slivers, states, value, with_users};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slivers_of_several_slices_are_apart_and_each_wants_its_own_credential() {
    let lab = lab("several").await;
    let (one, other) = (Slice::of(&lab, "s"), Slice::of(&lab, "t"));
    let third = Slice::of(&lab, "u");
    let mut urns = Vec::new();
    for slice in [&one, &other] {
        urns.push(
            slivers(&value(&slice.allocate(&nodes(&["a"])).await))
                .remove(0)
                .urn,
        );
        value(&slice.all("Provision").await);
    }
    value(&third.create(&nodes(&["a"])).await);
    assert_ne!(urns[0], urns[1]);
    for (slice, urn, foreign) in [(&one, &urns[0], &other), (&other, &urns[1], &one)] {
        let told = value(&slice.all("Describe").await);
        assert_eq!(&slivers(&told)[0].urn, urn);
        let named = manifest(told.get("geni_rspec").unwrap());
        assert_eq!(named.nodes[0].sliver_id.as_deref(), Some(urn.as_str()));
        for (method, more) in [
            ("Status", none()),
            ("Describe", options(vec![])),
            ("Provision", with_users()),
            ("Delete", none()),
        ] {
            let arguments = vec![slice.urns(), foreign.proof(), more];
            let answer = slice.call(3, method, arguments).await;
            assert_eq!(code(&answer), 22, "{method}: {answer:?}");
        }
    }
    let arguments = vec![third.urn(), one.proof(), none()];
    assert_eq!(code(&third.call(2, "DeleteSliver", arguments).await), 22);
    // Of several credentials that of the slice is found.
    let both = Value::Array(vec![sfa(&one.credential), sfa(&other.credential)]);
    let arguments = vec![other.urns(), both, none()];
    value(&other.call(3, "Delete", arguments).await);
    assert_eq!(code(&other.all("Status").await), 12);
    assert_eq!(
        states(&value(&one.all("Status").await)),
        all("geni_provisioned", "geni_notready", 1)
    );
}

/// What alice may do with a slice, passed on to bob.
fn passed_on(lab: &Lab, slice: &Party) -> String {
    let first = Draft {
        id: "ref0",
        owner: &lab.alice,
        target: slice,
        expires: WEEK,
        privileges: &[("embed", "true")],
        parent: None,
    };
    let first = first.write();
    let second = Draft {
        id: "ref1",
        owner: &lab.bob,
        target: slice,
        expires: WEEK,
        privileges: &[("embed", "false")],
        parent: Some(&first),
    };
    let second = second.write();
    let signatures = format!(
        "{}{}",
        Sign::usual(&lab.sa, "ref0").over(&first),
        Sign::usual(&lab.alice, "ref1").over(&second)
    );
    envelope(&second, &signatures)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_credential_was_passed_on_to_can_do_with_the_slice_what_it_says() {
    let lab = lab("passed-on").await;
    let (one, other) = (lab.slice("s"), lab.slice("t"));
    let call = async |version: u8, slice: &Party, who: &Party, method: &str, more: Vec<Value>| {
        let proof = Value::Array(vec![sfa(&passed_on(&lab, slice))]);
        let urn = Value::text(slice.urn.as_str());
        let about = match (version, method) {
            (2, _) | (_, "Allocate" | "Shutdown") => urn,
            _ => Value::Array(vec![urn]),
        };
        let arguments = [about, proof].into_iter().chain(more).collect();
        lab.call(who, version, method, arguments).await
    };
    let rspec = || Value::text(nodes(&["a"]));
    let users = with_users().get("geni_users").unwrap().clone();
    // It was alice's, and is bob's.
    let asked = call(3, &one, &lab.alice, "Allocate", vec![rspec(), none()]).await;
    assert_eq!(code(&asked), 22, "{asked:?}");
    for (version, slice, method, more) in [
        (3, &one, "Allocate", vec![rspec(), none()]),
        (3, &one, "Provision", vec![with_users()]),
        (
            3,
            &one,
            "PerformOperationalAction",
            vec![Value::text("geni_start"), none()],
        ),
        (3, &one, "Status", vec![none()]),
        (3, &one, "Describe", vec![options(vec![])]),
        (
            3,
            &one,
            "Renew",
            vec![Value::text("2026-11-23T20:00:00Z"), none()],
        ),
        (3, &one, "Delete", vec![none()]),
        (2, &other, "CreateSliver", vec![rspec(), users, none()]),
        (2, &other, "SliverStatus", vec![none()]),
        (
            2,
            &other,
            "RenewSliver",
            vec![Value::text("2026-11-23T20:00:00Z"), none()],
        ),
        (2, &other, "DeleteSliver", vec![none()]),
    ] {
        value(&call(version, slice, &lab.bob, method, more).await);
    }
}

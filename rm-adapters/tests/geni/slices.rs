//! Slivers through their lives, by both versions.

use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::ZlibDecoder;
use rm_adapters::geni::xmlrpc::Value;
use rm_adapters::geni::{lift_shutdown, shut_slices};
use rm_core::Caller;

use super::authority::{Sign, envelope};
use super::lab::{code, lab, options, sfa};
use super::rspec::fits;
use super::slice::{AM, Slice, all, manifest, nodes, none, slivers, states, value, with_users};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slivers_are_allocated_provisioned_started_and_deleted() {
    let lab = lab("life-v3").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "life");

    let allocated = value(&slice.allocate(&nodes(&["a", "b"])).await);
    assert_eq!(
        states(&allocated),
        all("geni_allocated", "geni_pending_allocation", 2)
    );
    // Ten minutes.
    for sliver in slivers(&allocated) {
        assert_eq!(sliver.expires, "2026-11-21T20:10:00.000Z");
        assert_eq!(sliver.error, "");
    }
    let told = manifest(allocated.get("geni_rspec").unwrap());
    let urns: Vec<String> = slivers(&allocated).into_iter().map(|s| s.urn).collect();
    let named: Vec<String> = told
        .nodes
        .iter()
        .filter_map(|n| n.sliver_id.as_deref().map(str::to_owned))
        .collect();
    assert_eq!(named, urns);
    assert!(urns[0].starts_with("urn:publicid:IDN+lab:one+sliver+"));
    assert_ne!(urns[0], urns[1]);
    assert_eq!(told.expires.as_deref(), Some("2026-11-21T20:10:00.000Z"));
    for node in &told.nodes {
        assert_eq!(node.component_manager_id.as_deref(), Some(AM));
        assert_eq!(
            node.component_id.as_deref(),
            Some("urn:publicid:IDN+lab:one+node+rack")
        );
    }
    let site = || lab.cloud.everything(lab.host.env().now());
    assert_eq!(site(), [], "nothing is made before it is provisioned");

    let provisioned = value(&slice.all("Provision").await);
    assert_eq!(
        states(&provisioned),
        all("geni_provisioned", "geni_notready", 2)
    );
    // The credential's end comes before seven days are over.
    for sliver in slivers(&provisioned) {
        assert_eq!(sliver.expires, "2026-11-28T07:42:26.000Z");
    }
    let rest = |what: &'static str| {
        let (slice, site) = (&slice, &site);
        async move {
            for _ in 0..3000 {
                if site().len() == 2 {
                    return;
                }
                slice.lab.later(Duration::from_millis(500));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            panic!("{what}");
        }
    };
    rest("they are made").await;
    let status = value(&slice.all("Status").await);
    assert_eq!(states(&status), all("geni_provisioned", "geni_notready", 2));
    assert_eq!(status.get("geni_urn"), Some(&slice.urn()));

    let started = value(&slice.act("geni_start").await);
    for (allocation, operational) in states(&started) {
        assert_eq!(allocation, "geni_provisioned");
        assert_eq!(operational, "geni_configuring");
    }
    slice.comes_to("geni_ready").await;
    let described = value(&slice.all("Describe").await);
    assert_eq!(described.get("geni_urn"), Some(&slice.urn()));
    let text = described.get("geni_rspec").unwrap().as_text().unwrap();
    fits("slivers_are_described", "manifest.xsd", text);
    let packed = options(vec![("geni_compressed", Value::Bool(true))]);
    let arguments = vec![slice.urns(), slice.proof(), packed];
    let packed = value(&slice.call(3, "Describe", arguments).await);
    // RFC 1950, in base64.
    let packed = packed
        .get("geni_rspec")
        .unwrap()
        .as_text()
        .unwrap()
        .to_owned();
    let packed = BASE64_STANDARD.decode(packed).unwrap();
    let mut unpacked = String::new();
    ZlibDecoder::new(&packed[..])
        .read_to_string(&mut unpacked)
        .unwrap();
    let unpacked = manifest(&Value::Text(unpacked));
    assert_eq!(unpacked.nodes.len(), 2);
    for node in manifest(described.get("geni_rspec").unwrap()).nodes {
        let login = &node.services[0].logins[0];
        assert_eq!(login.username.as_deref(), Some("alice"));
        assert_eq!(login.port.as_deref(), Some("22"));
        assert_eq!(login.hostname, node.hosts[0].name);
    }

    let deleted = value(&slice.all("Delete").await);
    assert_eq!(
        states(&deleted),
        all("geni_unallocated", "geni_pending_allocation", 2)
    );
    for sliver in slivers(&deleted) {
        assert_eq!(sliver.expires, "2026-11-28T07:42:26.000Z");
    }
    for method in ["Status", "Describe", "Delete"] {
        assert_eq!(code(&slice.all(method).await), 12, "{method}");
    }
    for _ in 0..3000 {
        if site().is_empty() {
            return;
        }
        lab.later(Duration::from_millis(500));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("what was deleted stays: {:?}", site());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_2_starts_what_it_reserves() {
    let lab = lab("life-v2").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "life");
    let told = manifest(&value(&slice.create(&nodes(&["a", "b"])).await));
    assert_eq!(told.nodes.len(), 2);
    let call = |method: &'static str| {
        let arguments = vec![slice.urn(), slice.proof(), none()];
        slice.call(2, method, arguments)
    };
    let mut status = value(&call("SliverStatus").await);
    assert_eq!(status.get("geni_status"), Some(&Value::text("configuring")));
    for _ in 0..3000 {
        if status.get("geni_status") == Some(&Value::text("ready")) {
            break;
        }
        lab.later(Duration::from_millis(500));
        tokio::time::sleep(Duration::from_millis(20)).await;
        status = value(&call("SliverStatus").await);
    }
    assert_eq!(status.get("geni_status"), Some(&Value::text("ready")));
    assert_eq!(status.get("geni_urn"), Some(&slice.urn()));
    let expires = status.get("geni_expires").unwrap().as_text();
    assert_eq!(expires, Some("2026-11-28T07:42:26.000Z"));
    let resources = status.get("geni_resources").unwrap().as_array().unwrap();
    let urns: Vec<&str> = resources
        .iter()
        .map(|r| {
            assert_eq!(r.get("geni_status"), Some(&Value::text("ready")));
            assert_eq!(r.get("geni_error"), Some(&Value::text("")));
            r.get("geni_urn").unwrap().as_text().unwrap()
        })
        .collect();
    let named: Vec<&str> = told
        .nodes
        .iter()
        .filter_map(|n| n.sliver_id.as_deref())
        .collect();
    assert_eq!(urns, named);

    let listing = options(vec![("geni_slice_urn", slice.urn())]);
    let listed = slice
        .call(2, "ListResources", vec![slice.proof(), listing])
        .await;
    for node in manifest(&value(&listed)).nodes {
        assert_eq!(
            node.services[0].logins[0].username.as_deref(),
            Some("alice")
        );
    }

    let time = Value::text("2026-11-23T20:00:00Z");
    let arguments = vec![slice.urn(), slice.proof(), time, none()];
    let renewed = slice.call(2, "RenewSliver", arguments).await;
    assert_eq!(value(&renewed), Value::Bool(true));
    assert_eq!(renewed.get("output"), Some(&Value::text("")));
    let status = value(&call("SliverStatus").await);
    let expires = status.get("geni_expires").unwrap().as_text();
    assert_eq!(expires, Some("2026-11-23T20:00:00.000Z"));

    assert_eq!(value(&call("DeleteSliver").await), Value::Bool(true));
    assert_eq!(code(&call("DeleteSliver").await), 12);
    // And now it is another one.
    value(&slice.create(&nodes(&["a"])).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_best_effort_each_sliver_tells_what_became_of_it() {
    let lab = lab("best-effort").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a"])).await);
    value(&slice.all("Provision").await);
    value(&slice.allocate(&nodes(&["b"])).await);
    // One can be started, the other is only allocated.
    assert_eq!(code(&slice.act("geni_start").await), 13);
    let before = slivers(&value(&slice.all("Status").await));
    assert_eq!(before[0].operational, "geni_notready");
    let best = Value::of([("geni_best_effort", Value::Int(1))]);
    let start = Value::text("geni_start");
    let arguments = vec![slice.urns(), slice.proof(), start, best.clone()];
    let answer = slice.call(3, "PerformOperationalAction", arguments).await;
    let told = slivers(&value(&answer));
    assert_eq!(told[0].operational, "geni_configuring");
    assert_eq!(told[0].error, "");
    assert_eq!(told[1].allocation, "geni_allocated");
    assert!(told[1].error.contains("geni_start"), "{told:?}");
    // An allocated one may be there for two hours, a provisioned one for days.
    let days = Value::text("2026-11-24T20:00:00Z");
    let arguments = vec![slice.urns(), slice.proof(), days.clone(), none()];
    assert_eq!(code(&slice.call(3, "Renew", arguments).await), 19);
    let arguments = vec![slice.urns(), slice.proof(), days, best];
    let told = slivers(&value(&slice.call(3, "Renew", arguments).await));
    assert_eq!(told[0].expires, "2026-11-24T20:00:00.000Z");
    assert_eq!(told[1].expires, "2026-11-21T20:10:00.000Z");
    assert!(told[1].error.contains("later than"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_on_some_slivers_leaves_the_others_alone() {
    let lab = lab("some").await;
    let slice = Slice::of(&lab, "s");
    let allocated = value(&slice.allocate(&nodes(&["a", "b", "c"])).await);
    let urns: Vec<String> = slivers(&allocated).into_iter().map(|s| s.urn).collect();
    let second = || Value::Array(vec![Value::text(urns[1].clone())]);
    let arguments = vec![second(), slice.proof(), with_users()];
    let provisioned = value(&slice.call(3, "Provision", arguments).await);
    assert_eq!(
        states(&provisioned),
        all("geni_provisioned", "geni_notready", 1)
    );
    assert_eq!(
        manifest(provisioned.get("geni_rspec").unwrap()).nodes.len(),
        1
    );
    let arguments = vec![second(), slice.proof(), none()];
    value(&slice.call(3, "Delete", arguments).await);
    let left = slivers(&value(&slice.all("Status").await));
    let left: Vec<&str> = left.iter().map(|s| s.urn.as_str()).collect();
    assert_eq!(left, [urns[0].as_str(), urns[2].as_str()]);
    // Its name is free again.
    let again = value(&slice.allocate(&nodes(&["b"])).await);
    assert!(!urns.contains(&slivers(&again)[0].urn));
    let described = value(&slice.all("Describe").await);
    let told = manifest(described.get("geni_rspec").unwrap());
    let names: Vec<&str> = told
        .nodes
        .iter()
        .filter_map(|n| n.client_id.as_deref())
        .collect();
    assert_eq!(names, ["a", "c", "b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_only_allocated_ends_by_itself() {
    let lab = lab("expiry").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a", "b"])).await);
    lab.later(Duration::from_secs(599));
    assert_eq!(slivers(&value(&slice.all("Status").await)).len(), 2);
    lab.later(Duration::from_secs(2));
    for _ in 0..3000 {
        if code(&slice.all("Status").await) == 12 {
            // What is left of it is forgotten, and what there is of others is not.
            value(&Slice::of(&lab, "t").allocate(&nodes(&["a"])).await);
            assert_eq!(lab.door.tidy().await.unwrap(), 1);
            assert_eq!(lab.door.tidy().await.unwrap(), 0);
            // And its place is free again.
            value(&slice.allocate(&nodes(&["a", "b"])).await);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it is still there: {:?}", slice.all("Status").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sliver_never_outlives_its_credential() {
    let lab = lab("outlive").await;
    let soon = Slice::until(&lab, "s", "2026-11-21T20:05:00Z");
    let allocated = value(&soon.allocate(&nodes(&["a"])).await);
    let end = "2026-11-21T20:05:00.000Z";
    assert_eq!(slivers(&allocated)[0].expires, end);
    let provisioned = value(&soon.all("Provision").await);
    assert_eq!(slivers(&provisioned)[0].expires, end);
    let later = Value::text("2026-11-21T20:05:01Z");
    let arguments = vec![soon.urns(), soon.proof(), later, none()];
    let answer = soon.call(3, "Renew", arguments).await;
    assert_eq!(code(&answer), 19);
    assert_eq!(answer.get("value"), Some(&Value::text(end)));

    // Of several credentials the one counts that holds for longest.
    let longer = lab.slice_credential(&lab.alice, &soon.party, "2026-11-21T21:00:00Z");
    let both = Value::Array(vec![sfa(&soon.credential), sfa(&longer)]);
    let later = Value::text("2026-11-21T20:30:00Z");
    let arguments = vec![soon.urns(), both, later, none()];
    let renewed = value(&soon.call(3, "Renew", arguments).await);
    assert_eq!(slivers(&renewed)[0].expires, "2026-11-21T20:30:00.000Z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slice_that_is_shut_down_can_only_be_looked_at() {
    let lab = lab("shut").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    value(&slice.create(&nodes(&["a"])).await);
    slice.comes_to("geni_ready").await;
    let arguments = || vec![slice.urn(), slice.proof(), none()];
    for _ in 0..2 {
        let answer = slice.call(3, "Shutdown", arguments()).await;
        assert_eq!(value(&answer), Value::Bool(true));
    }
    slice.comes_to("geni_notready").await;
    assert_eq!(code(&slice.act("geni_start").await), 3);
    assert_eq!(code(&slice.allocate(&nodes(&["b"])).await), 3);
    assert_eq!(code(&slice.all("Delete").await), 3);
    assert_eq!(code(&slice.call(2, "DeleteSliver", arguments()).await), 3);
    assert_eq!(code(&slice.all("Describe").await), 0);

    // The operator knows of it, and opens it again.
    let operator = Caller::operator("root", "ops");
    let told = shut_slices(&lab.host, &operator).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].slice, slice.party.urn.as_str());
    assert_eq!(told[0].by, lab.alice.urn.as_str());
    assert_eq!(told[0].slivers, 1);
    let member = Caller::user("alice", "lab:one");
    assert!(shut_slices(&lab.host, &member).await.is_err());
    let urn = &slice.party.urn;
    assert!(lift_shutdown(&lab.host, &member, urn).await.is_err());
    lift_shutdown(&lab.host, &operator, urn).await.unwrap();
    assert!(lift_shutdown(&lab.host, &operator, urn).await.is_err());
    assert_eq!(shut_slices(&lab.host, &operator).await.unwrap(), []);
    value(&slice.act("geni_start").await);
    value(&slice.all("Delete").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_818_830_who_speaks_for_a_user_makes_nothing_that_outlives_the_word() {
    let lab = lab("speaks").await;
    let slice = lab.slice("s");
    let tool = lab
        .sa
        .makes("urn:publicid:IDN+lab:one+tool+portal", false, 2040);
    let credential = lab.slice_credential(&lab.alice, &slice, "2026-11-28T07:42:26Z");
    let (alice, portal) = (lab.alice.key_id(), tool.key_id());
    let said = format!(
        "<credential xml:id=\"ref0\"><type>abac</type><serial></serial><owner_gid></owner_gid>\
         <target_gid></target_gid><uuid></uuid><expires>2026-11-21T21:00:00Z</expires><abac><rt0>\
         <version>1.1</version><head><ABACprincipal><keyid>{alice}</keyid></ABACprincipal>\
         <role>speaks_for_{alice}</role></head><tail><ABACprincipal><keyid>{portal}</keyid>\
         </ABACprincipal></tail></rt0></abac></credential>"
    );
    let said = envelope(&said, &Sign::usual(&lab.alice, "ref0").over(&said));
    let said = Value::of([
        ("geni_type", Value::text("geni_abac")),
        ("geni_version", Value::text("1")),
        ("geni_value", Value::text(said)),
    ]);
    let urn = || Value::text(slice.urn.as_str());
    let call = async |method: &str, options: Value, proofs: Vec<Value>| {
        let urns = Value::Array(vec![urn()]);
        let arguments = match method {
            "Allocate" => vec![
                urn(),
                Value::Array(proofs),
                Value::text(nodes(&["a"])),
                options,
            ],
            _ => vec![urns, Value::Array(proofs), options],
        };
        lab.call(&tool, 3, method, arguments).await
    };
    let speaking = || {
        options(vec![(
            "geni_speaking_for",
            Value::text(lab.alice.urn.as_str()),
        )])
    };
    let alone = vec![sfa(&credential)];
    assert_eq!(code(&call("Allocate", none(), alone.clone()).await), 22);
    assert_eq!(code(&call("Allocate", speaking(), alone).await), 3);
    let both = vec![said, sfa(&credential)];
    let allocated = value(&call("Allocate", speaking(), both.clone()).await);
    assert_eq!(slivers(&allocated)[0].expires, "2026-11-21T20:10:00.000Z");
    let provisioned = value(&call("Provision", speaking(), both).await);
    assert_eq!(slivers(&provisioned)[0].expires, "2026-11-21T21:00:00.000Z");
}

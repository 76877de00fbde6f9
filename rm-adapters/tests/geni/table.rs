//! The table of bad input: every row of it by both versions, each named as it
//! is there. What is refused has changed nothing.

use std::time::Duration;

use rm_adapters::geni::rspec::Rspec;
use rm_adapters::geni::xmlrpc::Value;
use rm_core::store::By;

use super::lab::{Lab, code, lab, options, request as call_text, sfa};
use super::slice::{
    AM, KEY, Slice, WEEK, link, manifest, nodes, none, request, slivers, value, with_users,
};

/// Asserts that a call is refused by this code, with a message that says what
/// to look for in the log; answers its value.
pub(crate) fn refused(row: &str, answer: &Value, wanted: i64) -> Value {
    assert_eq!(code(answer), wanted, "{row}: {answer:?}");
    let output = answer.get("output").unwrap().as_text().unwrap();
    assert!(output.contains("(request "), "{row}: {output}");
    answer.get("value").unwrap().clone()
}

/// How many slices and resources there are.
pub(crate) async fn kept(lab: &Lab) -> (usize, usize) {
    let store = lab.host.store();
    let slices = store.documents("geni.slice", None, None, 100).await;
    let resources = store.resources(&By::All, None, 100).await;
    (slices.unwrap().items.len(), resources.unwrap().items.len())
}

/// Asks for this, by both versions.
pub(crate) async fn ask(slice: &Slice<'_>, rspec: &str) -> [Value; 2] {
    [slice.create(rspec).await, slice.allocate(rspec).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_unknown_method_or_wrong_arity_is_a_fault() {
    let lab = lab("row-fault").await;
    for (version, method, arguments, fault) in [
        (2, "Allocate", 4, -32601),
        (3, "CreateSliver", 5, -32601),
        (3, "_dispatch", 2, -32601),
        (2, "CreateSliver", 4, -32602),
        (2, "Shutdown", 2, -32602),
        (3, "Allocate", 3, -32602),
        (3, "PerformOperationalAction", 3, -32602),
    ] {
        let arguments = vec![none(); arguments];
        let path = format!("/xmlrpc/am/{version}.0");
        let text = lab
            .post(&lab.alice, &path, call_text(method, arguments))
            .await;
        assert!(text.contains("<fault>"), "{version} {method}: {text}");
        assert!(text.contains(&fault.to_string()), "{method}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_create_or_allocate_with_wrong_credentials() {
    let lab = lab("row-credentials").await;
    let slice = Slice::of(&lab, "mine");
    let other = Slice::of(&lab, "other");
    let bobs = lab.slice_credential(&lab.bob, &slice.party, WEEK);
    let tampered = slice
        .credential
        .replace("<name>*</name>", "<name>sa</name>");
    assert_ne!(tampered, slice.credential);
    let looks = lab.credential(&lab.alice, &slice.party, WEEK, &[("info", "true")]);
    let expired = lab.slice_credential(&lab.alice, &slice.party, "2026-11-21T19:59:59Z");
    let user = lab.user_credential(&lab.alice);
    for (row, brought, wanted) in [
        ("no credential", vec![], 3),
        ("user credential only", vec![&user], 22),
        ("tampered", vec![&tampered], 20),
        ("another user's", vec![&bobs], 22),
        ("another slice's", vec![&other.credential], 22),
        ("one that grants nothing of it", vec![&looks], 3),
        ("one that has expired", vec![&expired], 21),
    ] {
        let brought = Value::Array(brought.into_iter().map(|xml| sfa(xml)).collect());
        let rspec = Value::text(nodes(&["a"]));
        let (urn, users) = (slice.urn(), Value::Array(vec![]));
        let arguments = vec![urn.clone(), brought.clone(), rspec.clone(), users, none()];
        refused(row, &slice.call(2, "CreateSliver", arguments).await, wanted);
        let arguments = vec![urn.clone(), brought.clone(), rspec, none()];
        refused(row, &slice.call(3, "Allocate", arguments).await, wanted);
        for (version, method) in [
            (2, "SliverStatus"),
            (2, "DeleteSliver"),
            (2, "Shutdown"),
            (3, "Shutdown"),
        ] {
            let arguments = vec![urn.clone(), brought.clone(), none()];
            refused(row, &slice.call(version, method, arguments).await, wanted);
        }
        for method in ["Status", "Delete", "Provision", "Describe"] {
            let arguments = vec![slice.urns(), brought.clone(), options(vec![])];
            refused(row, &slice.call(3, method, arguments).await, wanted);
        }
    }
    for urn in [
        "mine",
        "urn:publicid:IDN+lab:one+user+alice",
        "urn:publicid:IDN+lab:one+slice+-mine",
        "urn:publicid:IDN+lab:one+slice+twenty-letters-is-20",
    ] {
        let rspec = Value::text(nodes(&["a"]));
        let arguments = vec![Value::text(urn), slice.proof(), rspec, none()];
        refused(urn, &slice.call(3, "Allocate", arguments).await, 1);
    }
    assert_eq!(kept(&lab).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_an_rspec_that_is_no_request_for_this_aggregate() {
    let lab = lab("row-rspec").await;
    let slice = Slice::of(&lab, "s");
    let typed = |kind: &str| nodes(&["a"]).replace("\"request\"", kind);
    let other = "component_manager_id=\"urn:publicid:IDN+other+authority+am\"";
    let ends = "<node client_id=\"a\"><interface client_id=\"a:0\"/></node>";
    let addressed = |name: &str, ip: &str| {
        format!(
            "<node client_id=\"{name}\"><interface client_id=\"{name}:0\">\
             <ip address=\"{ip}\" type=\"ipv4\"/></interface></node>"
        )
    };
    for (row, rspec, wanted) in [
        ("RSpec not XML", "not XML".to_owned(), 1),
        ("RSpec empty", String::new(), 1),
        ("manifest offered as request", typed("\"manifest\""), 1),
        (
            "advertisement offered as request",
            typed("\"advertisement\""),
            1,
        ),
        ("no nodes", request(""), 1),
        (
            "node without client_id",
            request("<node><sliver_type name=\"lxc\"/></node>"),
            1,
        ),
        ("duplicate client_id", nodes(&["a", "a"]), 1),
        (
            "unknown sliver_type",
            request("<node client_id=\"a\"><sliver_type name=\"mainframe\"/></node>"),
            13,
        ),
        (
            "only nodes of another component manager",
            request(&format!("<node client_id=\"a\" {other}/>")),
            1,
        ),
        (
            "a machine of its own",
            request("<node client_id=\"a\" exclusive=\"true\"/>"),
            13,
        ),
        (
            "a component that is not here",
            request("<node client_id=\"a\" component_id=\"urn:publicid:IDN+lab:one+node+moon\"/>"),
            1,
        ),
        (
            "an image that is not here",
            request(
                "<node client_id=\"a\"><sliver_type name=\"lxc\"><disk_image name=\"dos\"/></sliver_type></node>",
            ),
            1,
        ),
        (
            "one good node and one that cannot be made",
            request(
                "<node client_id=\"a\"/><node client_id=\"b\"><sliver_type name=\"mainframe\"/></node>",
            ),
            13,
        ),
        (
            "a link to another aggregate",
            request(&format!(
                "{ends}<node client_id=\"b\" {other}><interface client_id=\"b:0\"/></node>{}",
                link("l", &["a:0", "b:0"])
            )),
            13,
        ),
        (
            "an interface at the end of two links",
            request(&format!(
                "{ends}{}{}",
                link("l", &["a:0"]),
                link("m", &["a:0"])
            )),
            1,
        ),
        (
            "two interfaces on one link with one address",
            request(&format!(
                "{}{}{}",
                addressed("a", "10.9.0.1"),
                addressed("b", "10.9.0.1"),
                link("l", &["a:0", "b:0"])
            )),
            1,
        ),
        (
            "an address that no interface can have",
            request(&format!(
                "{}{}{}",
                addressed("a", "127.0.0.1"),
                addressed("b", "10.9.0.1"),
                link("l", &["a:0", "b:0"])
            )),
            1,
        ),
        (
            "a link without ends",
            request(&format!("{ends}{}", link("l", &[]))),
            1,
        ),
    ] {
        for answer in ask(&slice, &rspec).await {
            assert_eq!(refused(row, &answer, wanted), Value::text(""), "{row}");
        }
        assert_eq!(kept(&lab).await, (0, 0), "{row}");
        // The slice is not stuck.
        assert_eq!(code(&slice.all("Describe").await), 12, "{row}");
    }
    assert_eq!(code(&slice.allocate(&nodes(&["a"])).await), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_nodes_of_another_component_manager_are_ignored_and_repeated() {
    let lab = lab("row-foreign").await;
    let slice = Slice::of(&lab, "s");
    let theirs = "<node client_id=\"b\" component_manager_id=\"urn:publicid:IDN+other+authority+am\" x:odd=\"1\"><x:box/></node>";
    let rspec = request(&format!(
        "<node client_id=\"a\" component_manager_id=\"{AM}\"/>{theirs}<x:plan>all of it</x:plan>"
    ))
    .replace("<rspec ", "<rspec xmlns:x=\"urn:x\" ");
    let asked = Rspec::parse(&rspec).unwrap();
    let allocated = value(&slice.allocate(&rspec).await);
    assert_eq!(slivers(&allocated).len(), 1);
    let described = value(&slice.all("Describe").await);
    for told in [&allocated, &described] {
        let told = manifest(told.get("geni_rspec").unwrap());
        assert_eq!(told.nodes.len(), 2);
        assert!(told.nodes[0].sliver_id.is_some());
        assert_eq!(told.nodes[1], asked.nodes[1]);
        let plan = told.extra.element("urn:x", "plan").unwrap();
        assert_eq!(plan.text(), "all of it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_a_second_time_is_17() {
    let lab = lab("row-second").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a", "b"])).await);
    for rspec in [nodes(&["a", "b"]), nodes(&["c", "b"])] {
        refused("Allocate a second time", &slice.allocate(&rspec).await, 17);
    }
    assert_eq!(kept(&lab).await, (1, 2));
    // Nodes of other names are another request: geni_disjoint.
    value(&slice.allocate(&nodes(&["c"])).await);
    assert_eq!(slivers(&value(&slice.all("Status").await)).len(), 3);
    let answer = slice.create(&nodes(&["d"])).await;
    refused("CreateSliver a second time", &answer, 17);
    let slice = Slice::of(&lab, "t");
    value_of_manifest(&slice.create(&nodes(&["a"])).await, 1);
    for rspec in [nodes(&["a"]), nodes(&["b"])] {
        let answer = slice.create(&rspec).await;
        refused("CreateSliver a second time", &answer, 17);
    }
}

fn value_of_manifest(answer: &Value, nodes: usize) {
    assert_eq!(manifest(&value(answer)).nodes.len(), nodes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_times_that_cannot_be() {
    let lab = lab("row-times").await;
    let slice = Slice::of(&lab, "s");
    let end = |time: &str| Value::of([("geni_end_time", Value::text(time))]);
    for (row, time, wanted) in [
        ("garbage geni_end_time", "tomorrow", 1),
        ("geni_end_time that is over", "2026-11-21T19:00:00Z", 19),
    ] {
        let rspec = Value::text(nodes(&["a"]));
        let arguments = vec![slice.urn(), slice.proof(), rspec, end(time)];
        refused(row, &slice.call(3, "Allocate", arguments).await, wanted);
    }
    assert_eq!(kept(&lab).await, (0, 0));
    // What is wished is done as far as it is possible, and told.
    for (time, told) in [
        ("2026-11-21T20:05:00+00:00", "2026-11-21T20:05:00.000Z"),
        ("2026-11-22T20:05:00Z", "2026-11-21T20:10:00.000Z"),
    ] {
        let rspec = Value::text(nodes(&[&time[..13]]));
        let arguments = vec![slice.urn(), slice.proof(), rspec, end(time)];
        let allocated = value(&slice.call(3, "Allocate", arguments).await);
        assert_eq!(slivers(&allocated)[0].expires, told);
    }
    value(&slice.all("Delete").await);
    value(&slice.allocate(&nodes(&["a"])).await);
    let users = with_users();
    for (row, time, wanted) in [
        ("Provision, garbage geni_end_time", "tomorrow", 1),
        ("Provision, geni_end_time over", "2026-11-21T19:00:00Z", 19),
    ] {
        let Value::Struct(mut options) = users.clone() else {
            panic!()
        };
        options.push(("geni_end_time".to_owned(), Value::text(time)));
        let arguments = vec![slice.urns(), slice.proof(), Value::Struct(options)];
        refused(row, &slice.call(3, "Provision", arguments).await, wanted);
    }
    value(&slice.all("Provision").await);
    let before = slivers(&value(&slice.all("Status").await));
    for (row, time, wanted, hint) in [
        ("Renew garbage date", "tomorrow", 1, ""),
        ("Renew in the past", "2026-11-21T19:00:00Z", 19, ""),
        (
            "Renew too far",
            "2026-12-31T00:00:00Z",
            19,
            // The credential ends before seven days are over.
            "2026-11-28T07:42:26.000Z",
        ),
    ] {
        for (version, method, urn) in [(2, "RenewSliver", slice.urn()), (3, "Renew", slice.urns())]
        {
            let arguments = vec![urn, slice.proof(), Value::text(time), none()];
            let answer = slice.call(version, method, arguments).await;
            assert_eq!(refused(row, &answer, wanted), Value::text(hint), "{row}");
        }
    }
    assert_eq!(slivers(&value(&slice.all("Status").await)), before);
    let as_long = Value::of([("geni_extend_alap", Value::Bool(true))]);
    let far = Value::text("2026-12-31T00:00:00Z");
    let arguments = vec![slice.urn(), slice.proof(), far.clone(), as_long.clone()];
    let answer = slice.call(2, "RenewSliver", arguments).await;
    assert_eq!(value(&answer), Value::Bool(true));
    let actual = answer.get("output").unwrap().as_text();
    assert_eq!(actual, Some("2026-11-28T07:42:26.000Z"));
    let arguments = vec![slice.urns(), slice.proof(), far, as_long];
    let renewed = value(&slice.call(3, "Renew", arguments).await);
    assert_eq!(slivers(&renewed)[0].expires, "2026-11-28T07:42:26.000Z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_actions_that_are_not_possible_are_13() {
    let lab = lab("row-actions").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a"])).await);
    let before = slice.act("geni_start").await;
    refused("POA before provision", &before, 13);
    value(&slice.all("Provision").await);
    for (row, action) in [
        ("POA in a wrong state", "geni_stop"),
        ("POA in a wrong state", "geni_restart"),
        ("POA empty", ""),
        ("POA unknown", "geni_bogus"),
        ("POA that its host cannot do", "geni_update_users"),
    ] {
        refused(row, &slice.act(action).await, 13);
    }
    value(&slice.act("geni_start").await);
    let again = slice.act("geni_start").await;
    refused("POA in a wrong state", &again, 13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_provision_of_what_is_not_there() {
    let lab = lab("row-provision").await;
    let slice = Slice::of(&lab, "s");
    let other = Slice::of(&lab, "other");
    value(&other.allocate(&nodes(&["a"])).await);
    let allocated = value(&slice.allocate(&nodes(&["a"])).await);
    let own = Value::text(slivers(&allocated)[0].urn.clone());
    let theirs = Value::text(slivers(&value(&other.all("Status").await))[0].urn.clone());
    let text = |n: &str| Value::text(format!("urn:publicid:IDN+lab:one+sliver+{n}"));
    let nobodys = text("01929f3d-0000-7000-8000-000000000000");
    for (row, urns, wanted) in [
        ("urns empty", Value::Array(vec![]), 1),
        ("urns a string", slice.urn(), 1),
        (
            "urns mixed",
            Value::Array(vec![slice.urn(), own.clone()]),
            1,
        ),
        (
            "slivers of two slices",
            Value::Array(vec![own.clone(), theirs]),
            1,
        ),
        (
            "unknown sliver",
            Value::Array(vec![own.clone(), nobodys.clone()]),
            12,
        ),
        ("only an unknown sliver", Value::Array(vec![nobodys]), 12),
        (
            "what is no sliver's name",
            Value::Array(vec![text("x")]),
            12,
        ),
    ] {
        let arguments = vec![urns, slice.proof(), with_users()];
        refused(row, &slice.call(3, "Provision", arguments).await, wanted);
    }
    let arguments = vec![slice.urns(), slice.proof(), none()];
    let answer = slice.call(3, "Provision", arguments).await;
    refused("Provision without rspec version", &answer, 1);
    let arguments = vec![slice.urns(), slice.proof(), none()];
    let answer = slice.call(3, "Describe", arguments).await;
    refused("Describe without rspec version", &answer, 1);
    for keys in [
        Value::text(KEY),
        Value::Array(vec![Value::text("no-key")]),
        Value::Array(vec![Value::text("ssh-rsa A\nssh-rsa B")]),
    ] {
        let user = Value::of([
            ("urn", Value::text("urn:publicid:IDN+lab:one+user+alice")),
            ("keys", keys),
        ]);
        let users = options(vec![("geni_users", Value::Array(vec![user]))]);
        let arguments = vec![slice.urns(), slice.proof(), users];
        refused(
            "keys that are none",
            &slice.call(3, "Provision", arguments).await,
            1,
        );
    }
    assert_eq!(
        slivers(&value(&slice.all("Status").await))[0].allocation,
        "geni_allocated"
    );
    let first = slivers(&value(&slice.all("Provision").await));
    lab.later(Duration::from_secs(60));
    let again = slivers(&value(&slice.all("Provision").await));
    assert_eq!(again, first, "Provision twice changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_a_slice_with_no_slivers_here_is_12() {
    let lab = lab("row-empty").await;
    let slice = Slice::of(&lab, "s");
    for method in ["Describe", "Status", "Delete", "Provision"] {
        refused(method, &slice.all(method).await, 12);
    }
    refused("POA", &slice.act("geni_start").await, 12);
    for method in ["SliverStatus", "DeleteSliver"] {
        let arguments = vec![slice.urn(), slice.proof(), none()];
        refused(method, &slice.call(2, method, arguments).await, 12);
    }
    let listing = options(vec![("geni_slice_urn", slice.urn())]);
    let answer = slice
        .call(2, "ListResources", vec![slice.proof(), listing])
        .await;
    refused("ListResources of a slice", &answer, 12);
    assert_eq!(kept(&lab).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_shutdown_of_an_unknown_slice_is_true() {
    let lab = lab("row-shutdown").await;
    let slice = Slice::of(&lab, "s");
    for version in [2, 3] {
        let arguments = vec![slice.urn(), slice.proof(), none()];
        let answer = slice.call(version, "Shutdown", arguments).await;
        assert_eq!(value(&answer), Value::Bool(true));
    }
    // It binds what somebody may be asking for at this moment.
    assert_eq!(code(&slice.create(&nodes(&["a"])).await), 3);
    assert_eq!(code(&slice.allocate(&nodes(&["a"])).await), 3);
    assert_eq!(kept(&lab).await, (1, 0));
}

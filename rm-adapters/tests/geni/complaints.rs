//! What users and operators of other aggregates complained of, where it names a
//! behaviour: each by the number of its thread in the reference, or by the
//! aggregate that it was read in.

use rm_adapters::geni::register;
use rm_adapters::geni::xmlrpc::Value;
use rm_testkit::{SimConfig, Verb};

use super::authority::{Draft, Sign, envelope};
use super::lab::{Lab, code, lab, lab_at, lab_of, options, sfa};
use super::limits::broken;
use super::slice::{Slice, WEEK, link, manifest, nodes, none, request, slivers, value, with_users};
use super::table::{kept, refused};

/// Why, for programs.
pub(crate) fn reason(answer: &Value) -> &str {
    let reason = answer.get("code").and_then(|c| c.get("reason"));
    reason.and_then(Value::as_text).unwrap()
}

pub(crate) fn output(answer: &Value) -> &str {
    answer.get("output").unwrap().as_text().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_379_nothing_here_is_one_code_and_one_reason_by_every_call() {
    let lab = lab("complaint-379").await;
    let slice = Slice::of(&lab, "s");
    let time = || Value::text("2026-11-23T20:00:00Z");
    let (urn, proof) = (|| slice.urn(), || slice.proof());
    let of_slice = options(vec![("geni_slice_urn", urn())]);
    let mut answers = vec![slice.act("geni_start").await];
    for (version, method, arguments) in [
        (2, "ListResources", vec![proof(), of_slice]),
        (2, "SliverStatus", vec![urn(), proof(), none()]),
        (2, "DeleteSliver", vec![urn(), proof(), none()]),
        (2, "RenewSliver", vec![urn(), proof(), time(), none()]),
        (3, "Describe", vec![slice.urns(), proof(), options(vec![])]),
        (3, "Status", vec![slice.urns(), proof(), none()]),
        (3, "Provision", vec![slice.urns(), proof(), with_users()]),
        (3, "Renew", vec![slice.urns(), proof(), time(), none()]),
        (3, "Delete", vec![slice.urns(), proof(), none()]),
    ] {
        answers.push(slice.call(version, method, arguments).await);
    }
    for answer in answers {
        refused("nothing here", &answer, 12);
        assert_eq!(reason(&answer), "no-slivers");
        // What to do about it.
        assert!(output(&answer).contains("ask for something first"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_465_571_572_35_139_every_answer_says_when_it_ends_and_the_same() {
    let lab = lab("complaint-465").await;
    let slice = Slice::of(&lab, "s");
    // A slice may be there for longer than its slivers are.
    for (told, end) in [
        (
            slice.allocate(&nodes(&["a", "b"])).await,
            "2026-11-21T20:10:00.000Z",
        ),
        (slice.all("Provision").await, "2026-11-28T07:42:26.000Z"),
        (slice.all("Describe").await, "2026-11-28T07:42:26.000Z"),
    ] {
        let told = value(&told);
        let rspec = manifest(told.get("geni_rspec").unwrap());
        assert_eq!(rspec.expires.as_deref(), Some(end));
        for sliver in slivers(&told) {
            assert_eq!(sliver.expires, end);
        }
    }
    let other = Slice::of(&lab, "t");
    let made = manifest(&value(&other.create(&nodes(&["a"])).await));
    let arguments = vec![other.urn(), other.proof(), none()];
    let status = value(&other.call(2, "SliverStatus", arguments).await);
    let end = status.get("geni_expires").unwrap().as_text();
    assert_eq!(end, made.expires.as_deref());
    assert_eq!(end, Some("2026-11-28T07:42:26.000Z"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_527_as_long_as_possible_tells_how_long_that_is() {
    let lab = lab("complaint-527").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.create(&nodes(&["a"])).await);
    let as_long = || Value::of([("geni_extend_alap", Value::Bool(true))]);
    let far = || Value::text("2027-11-21T20:00:00Z");
    let end = "2026-11-28T07:42:26.000Z";
    let arguments = vec![slice.urn(), slice.proof(), far(), as_long()];
    let answer = slice.call(2, "RenewSliver", arguments).await;
    assert_eq!(value(&answer), Value::Bool(true));
    assert_eq!(output(&answer), end);
    let arguments = vec![slice.urns(), slice.proof(), far(), as_long()];
    let renewed = value(&slice.call(3, "Renew", arguments).await);
    assert_eq!(slivers(&renewed)[0].expires, end);
    assert_eq!(slivers(&value(&slice.all("Status").await))[0].expires, end);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_577_695_638_nothing_outlives_its_credential_and_the_latest_is_told() {
    let lab = lab("complaint-577").await;
    let soon = Slice::until(&lab, "s", "2026-11-21T20:05:00Z");
    let end = "2026-11-21T20:05:00.000Z";
    value(&soon.allocate(&nodes(&["a"])).await);
    value(&soon.all("Provision").await);
    assert_eq!(slivers(&value(&soon.all("Status").await))[0].expires, end);
    for (version, method, urn) in [(2, "RenewSliver", soon.urn()), (3, "Renew", soon.urns())] {
        let time = Value::text("2026-11-21T20:05:01Z");
        let answer = soon.call(version, method, vec![urn, soon.proof(), time, none()]);
        let answer = answer.await;
        assert_eq!(refused(method, &answer, 19), Value::text(end));
        assert_eq!(reason(&answer), "out-of-range");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_714_693_each_refusal_has_a_reason_that_programs_can_read() {
    let lab = lab("complaint-714").await;
    let slice = Slice::of(&lab, "s");
    let typed = |kind: &str| {
        request(&format!(
            "<node client_id=\"a\"><sliver_type name=\"{kind}\"/></node>"
        ))
    };
    for (rspec, wanted, why) in [
        ("not XML".to_owned(), 1, "malformed-xml"),
        (request(""), 1, "empty-request"),
        (request("<node/>"), 1, "no-client-id"),
        (nodes(&["a", "a"]), 1, "duplicate-client-id"),
        (typed("mainframe"), 13, "unknown-sliver-type"),
    ] {
        for answer in [slice.create(&rspec).await, slice.allocate(&rspec).await] {
            refused(why, &answer, wanted);
            assert_eq!(reason(&answer), why, "{answer:?}");
        }
    }
    value(&slice.allocate(&nodes(&["a"])).await);
    let renew = async |time: &str| {
        let arguments = vec![slice.urns(), slice.proof(), Value::text(time), none()];
        slice.call(3, "Renew", arguments).await
    };
    // Such a short life for a sliver is none of our business.
    value(&renew("2026-11-21T20:00:01Z").await);
    assert_eq!(reason(&renew("tomorrow").await), "bad-arguments");
    assert_eq!(reason(&renew("2027-01-01T00:00:00Z").await), "out-of-range");
    assert_eq!(reason(&slice.act("geni_fly").await), "unknown-action");
    assert_eq!(reason(&slice.act("geni_stop").await), "wrong-state");
}

fn small(nodes: u64) -> SimConfig {
    SimConfig {
        nodes: Some(nodes),
        ..SimConfig::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_547_561_606_696_801_what_is_short_is_told_with_how_much_there_is() {
    let name = "complaint-547";
    let lab = lab_at(name, small(4), |all| register(all).unwrap(), |door| door).await;
    let slice = Slice::of(&lab, "s");
    // Five that are linked are wanted, four can be had.
    let ends: Vec<String> = (0..5).map(|n| format!("n{n}:0")).collect();
    let five: String = (0..5)
        .map(|n| format!("<node client_id=\"n{n}\"><interface client_id=\"n{n}:0\"/></node>"))
        .collect();
    let lan = link("lan", &ends.iter().map(String::as_str).collect::<Vec<_>>());
    let five = request(&format!("{five}{lan}"));
    for answer in [slice.create(&five).await, slice.allocate(&five).await] {
        let hint = refused("five linked nodes", &answer, 26);
        assert_eq!(hint.get("requested"), Some(&Value::Int(5)));
        assert_eq!(hint.get("available"), Some(&Value::Int(4)));
        assert_eq!(reason(&answer), "no-capacity");
    }
    // What a pair has of it is not there for the three.
    let pair = |a: &str, b: &str| link(&format!("{a}{b}"), &[&format!("{a}:0"), &format!("{b}:0")]);
    let six: String = ["a", "b", "c", "d", "e", "f"]
        .map(|n| format!("<node client_id=\"{n}\"><interface client_id=\"{n}:0\"/></node>"))
        .concat();
    let three = link("three", &["d:0", "e:0", "f:0"]);
    let rspec = request(&format!("{six}{}{three}", pair("a", "b")));
    let hint = refused("a pair and three", &slice.allocate(&rspec).await, 26);
    assert_eq!(hint.get("requested"), Some(&Value::Int(6)));
    assert_eq!(hint.get("available"), Some(&Value::Int(4)));
    let five = nodes(&["a", "b", "c", "d", "e"]);
    for answer in [slice.create(&five).await, slice.allocate(&five).await] {
        let hint = refused("five nodes", &answer, 26);
        assert_eq!(hint.get("requested"), Some(&Value::Int(5)));
        assert_eq!(hint.get("available"), Some(&Value::Int(4)));
    }
    assert_eq!(kept(&lab).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_132_198_932_a_defect_is_told_in_clean_words_with_a_number() {
    let lab = lab_of("complaint-132", broken, |door| door).await;
    let slice = Slice::of(&lab, "s");
    let rspec = request("<node client_id=\"a\"><sliver_type name=\"broken\"/></node>");
    let mut numbers = Vec::new();
    for answer in [slice.create(&rspec).await, slice.allocate(&rspec).await] {
        refused("a defect", &answer, 5);
        let said = output(&answer);
        for leak in ["panick", "purpose", "::", ".rs", "stack", "Error {"] {
            assert!(!said.contains(leak), "{said}");
        }
        let (_, rest) = said.rsplit_once("(request ").unwrap();
        let number = rest.trim_end_matches(')').to_owned();
        let log = answer.get("code").unwrap().get("protogeni_error_log");
        let log = log.unwrap().as_text().unwrap().to_owned();
        assert_eq!(log, format!("urn:publicid:IDN+lab:one+log+{number}"));
        numbers.push(number);
    }
    assert_ne!(numbers[0], numbers[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_438_create_sliver_a_second_time_is_17_whatever_it_asks_for() {
    let lab = lab("complaint-438").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.create(&nodes(&["a"])).await);
    for rspec in [nodes(&["a"]), nodes(&["b"]), nodes(&["a", "b"])] {
        let answer = slice.create(&rspec).await;
        refused("a second time", &answer, 17);
        assert_eq!(reason(&answer), "already-exists");
    }
    assert_eq!(kept(&lab).await, (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_261_allocate_makes_nothing_and_is_undone_at_once() {
    let lab = lab("complaint-261").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    for _ in 0..3 {
        value(&slice.allocate(&nodes(&["a", "b"])).await);
        value(&slice.all("Delete").await);
    }
    // The same names, and the room for them, are free at once.
    value(&slice.allocate(&nodes(&["a", "b"])).await);
    for verb in [Verb::Create, Verb::Change, Verb::Destroy] {
        assert_eq!(lab.cloud.count(verb), 0, "{verb:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_148_98_246_a_wrong_request_is_told_by_line_and_element() {
    let lab = lab("complaint-148").await;
    let slice = Slice::of(&lab, "s");
    let rspec = request("\n<node client_id=\"a\"/>\n<node client_id=\"b\">\n<interface/></node>\n");
    for answer in [slice.create(&rspec).await, slice.allocate(&rspec).await] {
        refused("an interface without client_id", &answer, 1);
        let said = output(&answer);
        assert!(
            said.contains("line 4") && said.contains("interface"),
            "{said}"
        );
        assert!(said.contains("rspec lint"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_188_72_217_renewals_are_exact_and_provision_wants_its_version() {
    let lab = lab("complaint-188").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a"])).await);
    let arguments = vec![slice.urns(), slice.proof(), none()];
    refused(
        "no version",
        &slice.call(3, "Provision", arguments).await,
        1,
    );
    value(&slice.all("Provision").await);
    // By five minutes, by days, and by the least that a clock tells; also back.
    for (asked, told) in [
        ("2026-11-21T20:05:00Z", "2026-11-21T20:05:00.000Z"),
        ("2026-11-23T20:00:00+00:00", "2026-11-23T20:00:00.000Z"),
        ("2026-11-26T22:00:00.500+02:00", "2026-11-26T20:00:00.500Z"),
        ("2026-11-21T20:00:01Z", "2026-11-21T20:00:01.000Z"),
    ] {
        let arguments = vec![slice.urns(), slice.proof(), Value::text(asked), none()];
        let renewed = value(&slice.call(3, "Renew", arguments).await);
        assert_eq!(slivers(&renewed)[0].expires, told);
        assert_eq!(slivers(&value(&slice.all("Status").await))[0].expires, told);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_792_228_the_operator_says_who_may_list_without_a_credential() {
    let mut lab = lab("complaint-792").await;
    let list = async |lab: &Lab, version| {
        let arguments = vec![Value::Array(vec![]), options(vec![])];
        let answer = lab.call(&lab.alice, version, "ListResources", arguments);
        code(&answer.await)
    };
    assert_eq!((list(&lab, 2).await, list(&lab, 3).await), (0, 3));
    lab.reopen(|aggregate| (aggregate.open_v2, aggregate.open_v3) = (false, true))
        .await;
    assert_eq!((list(&lab, 2).await, list(&lab, 3).await), (3, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_890_a_credential_may_call_its_statement_anything() {
    let lab = lab("complaint-890").await;
    let slice = lab.slice("s");
    for (name, id) in [("a", "_0"), ("b", "ref0"), ("c", "Sig_x")] {
        let statement = Draft {
            id,
            owner: &lab.alice,
            target: &slice,
            expires: WEEK,
            privileges: &[("*", "true")],
            parent: None,
        }
        .write();
        let credential = envelope(&statement, &Sign::usual(&lab.sa, id).over(&statement));
        let proof = Value::Array(vec![sfa(&credential)]);
        let (urn, rspec) = (Value::text(slice.urn.as_str()), nodes(&[name]));
        let arguments = vec![urn, proof, Value::text(rspec), none()];
        let answer = lab.call(&lab.alice, 3, "Allocate", arguments).await;
        assert_eq!(code(&answer), 0, "{id}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_482_get_version_asks_nobody() {
    let lab = lab("complaint-482").await;
    let before = lab.cloud.calls().len();
    let first = lab.call(&lab.alice, 3, "GetVersion", vec![]).await;
    for _ in 0..10 {
        assert_eq!(lab.call(&lab.bob, 3, "GetVersion", vec![]).await, first);
    }
    assert_eq!(code(&first), 0);
    assert_eq!(lab.cloud.calls().len(), before);
}

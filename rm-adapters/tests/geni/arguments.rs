//! Arguments of every kind in every place of every call: the answer is always
//! the return struct, and nothing has changed.

use rm_adapters::geni::xmlrpc::Value;
use rm_core::store::By;

use super::lab::{code, lab, options};
use super::slice::{Slice, nodes, none, with_users};

/// What no method takes in the place of something else.
fn strange() -> Vec<Value> {
    vec![
        Value::Int(-1),
        Value::Bool(true),
        Value::Double(0.5),
        Value::text(""),
        Value::text("\u{0}\u{fffe}"),
        Value::text("urn:publicid:IDN+lab:one+slice+s".repeat(100)),
        Value::Array(vec![]),
        Value::Array(vec![Value::Array(vec![Value::Int(1)])]),
        Value::Array(vec![none()]),
        none(),
        Value::of([("geni_value", none()), ("keys", Value::Int(3))]),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strange_arguments_are_refused_by_the_struct_and_change_nothing() {
    let lab = lab("strange-arguments").await;
    let slice = Slice::of(&lab, "s");
    let (urn, urns, proof) = (slice.urn(), slice.urns(), slice.proof());
    let rspec = Value::text(nodes(&["a"]));
    let time = Value::text("2026-11-22T20:00:00Z");
    let users = with_users().get("geni_users").unwrap().clone();
    let (start, full) = (Value::text("geni_start"), options(vec![]));
    let calls: Vec<(u8, &str, Vec<Value>)> = vec![
        (
            2,
            "CreateSliver",
            vec![urn.clone(), proof.clone(), rspec.clone(), users, none()],
        ),
        (2, "SliverStatus", vec![urn.clone(), proof.clone(), none()]),
        (
            2,
            "RenewSliver",
            vec![urn.clone(), proof.clone(), time.clone(), none()],
        ),
        (2, "DeleteSliver", vec![urn.clone(), proof.clone(), none()]),
        (
            3,
            "Allocate",
            vec![urn.clone(), proof.clone(), rspec, none()],
        ),
        (
            3,
            "Provision",
            vec![urns.clone(), proof.clone(), full.clone()],
        ),
        (3, "Status", vec![urns.clone(), proof.clone(), none()]),
        (3, "Describe", vec![urns.clone(), proof.clone(), full]),
        (
            3,
            "PerformOperationalAction",
            vec![urns.clone(), proof.clone(), start, none()],
        ),
        (3, "Renew", vec![urns.clone(), proof.clone(), time, none()]),
        (3, "Delete", vec![urns, proof.clone(), none()]),
        (3, "Shutdown", vec![urn, proof, none()]),
    ];
    for (version, method, good) in &calls {
        for place in 0..good.len() {
            let last = place == good.len() - 1;
            // Options may be empty, or hold what nobody knows; so may users.
            let may_be = |value: &Value| match value {
                Value::Struct(_) => last,
                Value::Array(list) => *method == "CreateSliver" && place == 3 && list.is_empty(),
                _ => false,
            };
            for value in strange().into_iter().filter(|v| !may_be(v)) {
                let mut arguments = good.clone();
                arguments[place] = value.clone();
                let answer = slice.call(*version, method, arguments).await;
                let code = code(&answer);
                let known = [1, 3, 12, 13, 20];
                assert!(
                    known.contains(&code),
                    "{method} {place} {value:?}: {answer:?}"
                );
                let output = answer.get("output").unwrap().as_text().unwrap();
                assert!(output.len() < 1000, "{output}");
            }
        }
    }
    let kept = lab.host.store().resources(&By::All, None, 10).await;
    assert_eq!(kept.unwrap().items, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strange_options_are_refused() {
    let lab = lab("strange-options").await;
    let slice = Slice::of(&lab, "s");
    super::slice::value(&slice.allocate(&nodes(&["a"])).await);
    let flags = ["geni_best_effort", "geni_extend_alap", "geni_compressed"];
    for (method, name) in [
        ("Delete", flags[0]),
        ("Renew", flags[0]),
        ("Renew", flags[1]),
        ("Describe", flags[2]),
        ("Provision", flags[0]),
        ("Provision", "geni_end_time"),
        ("Provision", "geni_users"),
        ("Provision", "geni_speaking_for"),
    ] {
        for value in [Value::text("perhaps"), Value::Int(7), none()] {
            let options = options(vec![(name, value.clone())]);
            let mut arguments = vec![slice.urns(), slice.proof(), options];
            if method == "Renew" {
                arguments.insert(2, Value::text("2026-11-21T20:30:00Z"));
            }
            let answer = slice.call(3, method, arguments).await;
            assert_eq!(code(&answer), 1, "{method} {name} {value:?}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_through_while_the_engine_is_at_work_on_the_same_slivers() {
    use std::time::Duration;
    let lab = lab("at-work").await;
    lab.start_engine();
    let names: Vec<String> = (0..30).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let slice = Slice::of(&lab, "s");
    for round in 0..3 {
        super::slice::value(&slice.create(&nodes(&names)).await);
        for step in 0..10 {
            lab.later(Duration::from_millis(100));
            let time = format!("2026-11-2{}T20:{round}{step}:00Z", 2 + round);
            let arguments = vec![slice.urns(), slice.proof(), Value::text(time), none()];
            super::slice::value(&slice.call(3, "Renew", arguments).await);
        }
        super::slice::value(&slice.all("Delete").await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_keys_than_anybody_needs_are_refused() {
    let lab = lab("many-keys").await;
    let slice = Slice::of(&lab, "s");
    // Many, and one that no host takes.
    for (letters, keys) in [(10_000, 10), (16 * 1024, 1)] {
        let key = Value::text(format!("ssh-ed25519 {}", "A".repeat(letters)));
        let alice = Value::of([
            ("urn", Value::text("urn:publicid:IDN+lab:one+user+alice")),
            ("keys", Value::Array(vec![key; keys])),
        ]);
        let users = Value::Array(vec![alice]);
        let rspec = Value::text(nodes(&["a"]));
        let arguments = vec![slice.urn(), slice.proof(), rspec, users, none()];
        let answer = slice.call(2, "CreateSliver", arguments).await;
        assert_eq!(code(&answer), 1, "{answer:?}");
    }
    assert_eq!(code(&slice.all("Status").await), 12);
}

//! The whole way through: from an empty store to a cluster and back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

mod support;

use serde_json::Value;
use support::{Stage, row};

#[test]
fn the_catalog_is_loaded_shown_and_emptied() {
    let stage = Stage::new();
    assert!(
        stage
            .operator(&["site", "list"])
            .good()
            .out
            .contains("no site yet")
    );
    assert_eq!(
        stage.operator(&["--json", "site", "list"]).good().json(),
        Value::Array(vec![])
    );
    stage.load();

    let sites = stage.operator(&["site", "list"]).good().out;
    assert!(sites.starts_with("NAME"), "{sites}");
    assert_eq!(row(&sites, "here")[..3], ["here", "sim", "sim:here"]);
    let sites = stage.operator(&["site", "list", "--json"]).good().json();
    assert_eq!(sites[0]["name"], "here");
    let shown = stage
        .operator(&["site", "show", "here", "--json"])
        .good()
        .json();
    assert_eq!(shown["id"], sites[0]["id"]);

    let credentials = stage.user(&["credential", "list"]).good().out;
    assert_eq!(
        row(&credentials, "mine")[..5],
        ["mine", "here", "user", "user", "1"]
    );
    let rotated = stage
        .operator_reading(
            &[
                "credential",
                "rotate",
                rotated_id(&stage).as_str(),
                "--json",
            ],
            "{\"password\": \"another\"}",
        )
        .good();
    assert_eq!(rotated.json()["revision"], 2);

    let all = stage.operator(&["implementation", "list"]).good().out;
    let cells = row(&all, "hadoop");
    assert_eq!(cells[..5], ["hadoop", "any", "sim", "1", "true"]);
    let id = cells[cells.len() - 1].to_owned();
    let off = stage
        .operator(&["implementation", "disable", &id, "--json"])
        .good();
    assert_eq!(off.json()["enabled"], false);
    let on = stage.operator(&["implementation", "enable", &id]).good();
    assert_eq!(row(&on.out, "enabled"), ["enabled", "true"]);
    let body = stage.operator(&["implementation", "show", &id]).good().out;
    assert!(
        body.contains("--- body") && body.contains("\"parameters\""),
        "{body}"
    );

    let file = stage.home.write("disk.img", "QFI\u{fb}");
    let file = file.to_str().unwrap();
    let image = stage
        .operator(&[
            "image",
            "add",
            "disk",
            file,
            "--disk-format",
            "raw",
            "--json",
        ])
        .good()
        .json();
    assert_eq!(image["sha256"].as_str().unwrap().len(), 64);
    assert!(image["source"].as_str().unwrap().starts_with("file:/"));
    assert!(
        stage
            .operator(&["image", "list"])
            .good()
            .out
            .contains("disk")
    );
    stage.operator(&["image", "remove", "disk"]).good();

    // Used things stay.
    stage
        .operator(&["appliance", "remove", "hadoop"])
        .bad(1, &["still used by implementations", "remove those"]);
    stage.operator(&["implementation", "remove", &id]).good();
    stage.operator(&["appliance", "remove", "hadoop"]).good();
    stage
        .operator(&["site", "remove", "here"])
        .bad(1, &["credentials"]);
    stage.user(&["credential", "remove", "mine"]).good();
    stage.operator(&["site", "remove", "here"]).good();
    assert!(
        stage
            .operator(&["site", "list"])
            .good()
            .out
            .contains("no site yet")
    );
}

fn rotated_id(stage: &Stage) -> String {
    let all = stage.user(&["credential", "list", "--json"]).good().json();
    all[0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_cluster_lives_and_goes() {
    let stage = Stage::new();
    stage.load();

    let plan = stage.user(&["plan", "hadoop", "--slaves", "3"]).good().out;
    assert!(plan.contains("chosen: here (revision 1)"), "{plan}");
    assert!(plan.contains("1000 clusters"), "{plan}");

    let made = stage
        .user(&[
            "cluster",
            "create",
            "hadoop",
            "--slaves",
            "3",
            "--name",
            "first",
            "--lease",
            "2h",
            "--param",
            "flavor=m1",
        ])
        .good();
    // Plain lines where nobody watches, and the cluster on standard output.
    assert!(
        made.err
            .lines()
            .next()
            .unwrap()
            .starts_with("makes cluster "),
        "{}",
        made.err
    );
    assert!(made.err.contains("ready"), "{}", made.err);
    assert_eq!(row(&made.out, "state"), ["state", "ready"]);
    assert!(made.out.contains("user until "), "{}", made.out);

    let list = stage.user(&["cluster", "list"]).good().out;
    assert_eq!(
        row(&list, "first")[..5],
        ["first", "hadoop", "here", "ready", "3"]
    );
    assert!(
        stage
            .operator(&["cluster", "list"])
            .good()
            .out
            .contains("no cluster"),
        "an operator's own list has the operator's own"
    );
    let all = stage
        .operator(&["cluster", "list", "--all", "--json"])
        .good()
        .json();
    assert_eq!(all[0]["name"], "first");
    let id = all[0]["id"].as_str().unwrap().to_owned();

    let hosts = stage.user(&["cluster", "hosts", "first"]).good().out;
    assert_eq!(hosts.lines().count(), 1 + 4, "{hosts}");
    let outputs = stage
        .user(&["cluster", "outputs", "first", "--json"])
        .good()
        .json();
    assert_eq!(outputs["web"], "http://10.0.0.1:9870/");

    // The same request again is the same cluster, and JSON is all there is.
    let again = stage
        .user(&["cluster", "create", "hadoop", "--slaves", "3", "--json"])
        .good();
    assert_eq!(again.err, "");
    let again = again.json();
    assert_eq!(
        (&again["id"], &again["reused"]),
        (&Value::from(id.as_str()), &Value::from(true))
    );
    stage
        .user(&["cluster", "create", "hadoop", "--slaves", "9"])
        .bad(1, &["3 slaves", "grow", "never"]);
    let hold = again["hold"].as_str().unwrap();
    let left = stage
        .user(&["cluster", "delete", "first", "--hold", hold])
        .good();
    assert!(left.out.contains("1 are left"), "{}", left.out);

    let bigger = stage
        .user(&["cluster", "resize", "first", "+2", "--json"])
        .good()
        .json();
    assert_eq!(
        (&bigger["slaves"], &bigger["ready"]),
        (&Value::from(5), &Value::from(true))
    );
    assert_eq!(bigger["hosts"].as_array().unwrap().len(), 6);
    let smaller = stage.user(&["cluster", "resize", "first", "-1"]).good().out;
    assert_eq!(row(&smaller, "slaves"), ["slaves", "4"]);

    let renewed = stage
        .user(&["cluster", "renew", "first", "--lease", "4h", "--json"])
        .good();
    assert!(renewed.json()["holds"][0]["until"].is_string());
    let shared = stage
        .user(&["cluster", "share", "first", "--user", "operator"])
        .good();
    assert_eq!(row(&shared.out, "shared"), ["shared", "with", "operator"]);
    stage
        .user(&["cluster", "share", "first", "--user", "ghost"])
        .bad(1, &["there is no user \"ghost\""]);
    stage
        .user(&["cluster", "unshare", "first", "--user", "operator"])
        .good();

    let events = stage
        .user(&["cluster", "events", "first", "--json"])
        .good()
        .json();
    let what: Vec<&str> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["what"].as_str().unwrap())
        .collect();
    assert_eq!(what[0], "cluster.requested");
    for word in [
        "cluster.building",
        "cluster.ready",
        "cluster.joined",
        "cluster.changing",
    ] {
        assert!(what.contains(&word), "{word} is not in {what:?}");
    }
    let table = stage.user(&["cluster", "events", "first"]).good().out;
    assert!(table.starts_with("NUMBER"), "{table}");

    let gone = stage.user(&["cluster", "delete", "first"]).good();
    assert_eq!(gone.out, format!("cluster {id} is gone\n"));
    stage
        .user(&["cluster", "delete", "first"])
        .bad(1, &["you have no cluster \"first\""]);
    stage
        .user(&["cluster", "show", &id])
        .bad(1, &["there is no cluster"]);
    assert_eq!(
        stage.user(&["cluster", "list", "--json"]).good().json(),
        Value::Array(vec![])
    );
    let last = stage.operator(&["events", "--json"]).good().json();
    let last = last.as_array().unwrap().last().unwrap()["what"].clone();
    assert_eq!(last, "cluster.gone");
}

#[test]
fn what_fails_is_told_with_its_reason_and_can_be_let_go() {
    let stage = Stage::new();
    stage.load();
    stage.appliance("broken", "simulated-broken.json");
    let failed = stage.user(&["cluster", "create", "broken", "--name", "b"]);
    let failed = failed.bad(1, &["it failed", "cluster retry"]);
    assert!(failed.err.contains("failed  "), "{}", failed.err);
    let shown = stage
        .user(&["cluster", "show", "b", "--json"])
        .good()
        .json();
    assert_eq!(shown["state"], "failed");
    assert_ne!(shown["reason"], "");
    stage.user(&["cluster", "delete", "b"]).good();
}

#[test]
fn without_waiting_the_answer_comes_at_once() {
    let stage = Stage::new();
    stage.load();
    let made = stage
        .user(&["cluster", "create", "hadoop", "--no-wait", "--json"])
        .good()
        .json();
    assert_eq!(made["ready"], false);
    let id = made["id"].as_str().unwrap();
    stage
        .user(&[
            "cluster", "create", "hadoop", "--reuse", "never", "--name", "second",
        ])
        .good();
    let gone = stage.user(&["cluster", "delete", id, "--no-wait"]).good();
    assert!(gone.out.contains("is being deleted"), "{}", gone.out);
    stage
        .user(&["cluster", "delete", "second", "--json"])
        .good();
}

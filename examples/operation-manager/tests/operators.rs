//! What operators have beside the catalog: orphans, histories, a lost store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

mod support;

use serde_json::json;
use support::{Stage, program, run};

/// A cluster of the user's, ready.
fn cluster(stage: &Stage) -> String {
    let words = ["--json", "cluster", "create", "hadoop", "--slaves", "1"];
    let made = stage.user(&words).good().json();
    made["id"].as_str().unwrap().to_owned()
}

#[test]
fn orphans_are_searched_for_by_operators() {
    let stage = Stage::new();
    stage.load();
    cluster(&stage);
    let said = stage.operator(&["orphans"]).good().out;
    assert!(said.contains("There is no orphan."), "{said}");
    assert!(said.contains("1 things are their record's"), "{said}");
    let report = stage.operator(&["--json", "orphans"]).good().json();
    assert_eq!(report["items"], json!([]));
    assert_eq!(
        (&report["owned"], &report["foreign"]),
        (&json!(1), &json!(0))
    );
    let done = stage.operator(&["--json", "orphans", "--reclaim"]).good();
    assert_eq!(done.json()["done"], json!([]));
    stage.user(&["orphans"]).bad(1, &["may not", "operator"]);
    // What was never heard of is only destroyed where something is.
    stage
        .operator(&["orphans", "--unheard"])
        .bad(2, &["--reclaim"]);
}

#[test]
fn a_history_is_told_of_a_moment_and_after_the_end() {
    let stage = Stage::new();
    stage.load();
    let id = cluster(&stage);
    let told = stage.user(&["history", "hadoop", "--json"]).good().json();
    let items = told["items"].as_array().unwrap();
    let ready = items.iter().find(|e| e["what"] == "cluster.ready").unwrap();
    let at = ready["at"].as_str().unwrap().to_owned();
    stage.user(&["cluster", "delete", &id]).good();

    let whole = stage.user(&["history", &id]).good().out;
    for words in [
        "asked for at here, 2 nodes, without end",
        "create begins",
        "its last holder gave it up",
        "seen to be gone",
    ] {
        assert!(whole.contains(words), "{words:?} is not in: {whole}");
    }
    let then = stage.user(&["history", &id, "--at", &at]).good().out;
    let has = |name: &str, value: &str| {
        then.lines()
            .any(|line| line.starts_with(name) && line.ends_with(value))
    };
    assert!(has("state", "ready") && has("wanted", "running"), "{then}");
    assert!(has("site", "here") && has("held by", "user"), "{then}");
    assert!(!then.contains("seen to be gone"), "{then}");
    let never = ["history", &id, "--at", "2020-01-01T00:00:00Z"];
    let never = stage.user(&never).good().out;
    assert!(never.contains("Nothing was known of it then"), "{never}");
    stage
        .user(&["history", &id, "--at", "noon"])
        .bad(1, &["not a moment", "write it as"]);
}

#[test]
fn a_store_is_rebuilt_alone_and_after_the_catalog_is_loaded() {
    let stage = Stage::new();
    let rebuild = |home: &support::Home, words: &[&str]| {
        run(program()
            .args(["store", "rebuild", "--config"])
            .arg(home.config())
            .args(words))
    };
    rebuild(&stage.home, &[]).bad(1, &["in use", "a daemon serves it"]);
    stage.load();
    let Stage { home, daemon } = stage;
    assert_eq!(daemon.stop().0, 0);

    // The simulated site has ended with the daemon: there is nothing.
    let said = rebuild(&home, &[]).good().out;
    assert!(said.contains("There is nothing to restore."), "{said}");
    let lost = "of what does not keep its owner, leases: it has one hold";
    assert!(said.contains(lost), "{said}");
    let done = rebuild(&home, &["--apply", "--json"]).good().json();
    assert_eq!(done["applied"], true);
    assert_eq!(done["restored"], json!([]));

    // A new store knows no way to any site.
    for file in std::fs::read_dir(home.dir.path()).unwrap() {
        let path = file.unwrap().path();
        if path.to_string_lossy().contains("operation-manager.db") {
            std::fs::remove_file(path).unwrap();
        }
    }
    rebuild(&home, &[]).bad(1, &["no credential", "load sites"]);
    let memory = run(program()
        .args(["store", "rebuild", "--config"])
        .arg(home.config())
        .env("RM_STORE__PATH", "memory"));
    memory.bad(2, &["a store in memory"]);
}

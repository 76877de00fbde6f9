//! A small run of the suite `engine`: every figure is there, and what is
//! counted is exact.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::process::Command;

use serde_json::Value;

fn small_run() -> Value {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_engine"))
        .args(["--json", "--folder"])
        .arg(folder.path())
        .args(["--rounds", "1", "--worlds", "1", "--callers", "8"])
        .args(["--seconds", "0.3", "--waiting", "300", "--clusters", "2000"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_figure_is_there_and_counts_are_exact() {
    let found = small_run();
    for goal in found["goals"].as_array().unwrap() {
        let measured = goal["measured"].as_f64();
        assert!(measured.is_some_and(f64::is_finite), "{goal}");
    }
    assert_eq!(found["goals"].as_array().unwrap().len(), 12);

    // One caller's three lives: in each the engine creates, changes and
    // destroys with two commits, and sees with one that it is ready, ready
    // again, and gone.
    let steps = found["steps"].as_array().unwrap();
    let of = |has_effect: bool, commits: u64| {
        let step = steps
            .iter()
            .find(|s| s["has_effect"] == has_effect && s["commits"] == commits);
        step.map_or(0, |s| s["count"].as_u64().unwrap())
    };
    assert_eq!(of(true, 2), 9, "{steps:?}");
    let effects: u64 = (0..10).map(|commits| of(true, commits)).sum();
    assert_eq!(effects, 9, "{steps:?}");
    let without: u64 = (0..10).map(|commits| of(false, commits)).sum();
    assert_eq!(of(false, 1), without, "{steps:?}");

    assert_eq!(found["waiting"]["operations"], 300);
    assert_eq!(found["waiting"]["threads_more"], 0);
    assert_eq!(found["clusters"]["clusters"], 2000);
    assert_eq!(found["lives"]["callers"], 8);
}

//! A small run of the suite `geni`: every call goes well on a server of its own,
//! and every figure has its place.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::process::Command;

use serde_json::Value;

fn small_run() -> Value {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let out = folder.path().join("geni.json");
    let output = Command::new(env!("CARGO_BIN_EXE_geni"))
        .args(["--rounds", "1", "--calls", "5", "--largest", "10"])
        .arg("--folder")
        .arg(folder.path())
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap()
}

#[test]
fn every_call_goes_well_and_has_its_figure() {
    let found = small_run();
    let goals = found["goals"].as_array().unwrap();
    // Five of documents, one of them against geni-lib; four of calls; two of
    // CreateSliver; three of growth.
    assert_eq!(goals.len(), 14, "{goals:?}");
    let calls = &found["calls"];
    for what in [
        "get_version_ms",
        "status_ms",
        "list_resources_ms",
        "list_resources_remembered_ms",
    ] {
        assert_eq!(calls[what].as_array().unwrap().len(), 1, "{what}");
    }
    let [made] = &calls["create_sliver"].as_array().unwrap()[..] else {
        panic!("{calls}");
    };
    assert_eq!(made["nodes"], 10);
    assert!(made["answered_ms"][0].as_f64().unwrap() > 0.0);
    assert_eq!(found["documents"][0]["nodes"], 10);
}

//! Public clients of GENI through the daemon's door, undisturbed: geni-lib as it is
//! published by version 2, and Python's own library by version 3. Each asks for
//! two nodes and a link, goes into both by ssh and pings from each to the other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::aggregate::Testbed;
use crate::daemon::Daemon;
use crate::ground::{Ground, facts};

/// What the clients call their nodes.
const NODES: [&str; 4] = ["one", "two", "left", "right"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn public_clients_are_served_and_leave_nothing_behind() {
    let test = "public_clients_are_served_and_leave_nothing_behind";
    let Some(lab) = needs::lab(test, "RM_LAB_LXC") else {
        return;
    };
    let Some(python) = needs::lab(test, "RM_GENI_PYTHON") else {
        return;
    };
    let path = PathBuf::from(facts(&lab)["lxcpath"].as_str().unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let testbed = Testbed::make(folder.path());
    let _daemon = Daemon::first_with(folder.path(), &Ground::Lxc(lab), &testbed.section()).await;
    for (program, name) in [("v2.py", "by-two"), ("v3.py", "by-three")] {
        let slice = testbed.slice(name);
        let mut client = testbed.client(&python, program, name);
        let ran = tokio::task::spawn_blocking(move || client.output().unwrap());
        let ran = ran.await.unwrap();
        println!("{}", String::from_utf8_lossy(&ran.stdout));
        assert!(
            ran.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        assert_eq!(slice.told().await, []);
        none_left(&path).await;
    }
}

/// Waits until the host has no container of theirs any more.
async fn none_left(path: &Path) {
    let mut left = Vec::new();
    for _ in 0..600 {
        left = theirs(path);
        if left.is_empty() {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("left behind: {left:?}");
}

fn theirs(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(path).unwrap() {
        let Ok(text) = std::fs::read(folder.unwrap().path().join("rm.json")) else {
            continue;
        };
        let says: Value = serde_json::from_slice(&text).unwrap();
        let host = says["spec"]["hostname"].as_str().unwrap_or_default();
        found.extend(NODES.contains(&host).then(|| host.to_owned()));
    }
    found
}

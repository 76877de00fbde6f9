//! A store that a newer version has written.

use std::path::Path;

use crate::support::{Stage, run};

/// Where SQLite keeps the number that we use for the format.
const USER_VERSION: usize = 60;

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_not_touched() {
    let stage = Stage::new();
    stage.load();
    let Stage { home, daemon } = stage;
    assert_eq!(daemon.stop().0, 0);
    let path = home.path("operation-manager.db");
    let mut newer = bytes(&path);
    newer[USER_VERSION..USER_VERSION + 4].copy_from_slice(&99u32.to_be_bytes());
    std::fs::write(&path, &newer).unwrap();

    let mut serve = home.daemon("newer");
    assert_eq!(serve.status().unwrap().code(), Some(1));
    let said = home.read("newer.log");
    for word in [
        "newer version",
        "format 99",
        "not touched",
        "start the newer version",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let rotate = ["key", "rotate", "--config"];
    run(crate::support::program().args(rotate).arg(home.config())).bad(1, &["newer version"]);
    assert_eq!(bytes(&path), newer);
}

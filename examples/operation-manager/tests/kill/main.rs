//! The daemon is killed with -9, or stopped, in the middle of create, resize and
//! delete on a real Heat, and goes on: exactly one stack a cluster, none left
//! over. `cargo xtask crash` runs the same with many more kills.
//!
//! What is claimed about the cloud is read from Heat by a session of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

mod campaign;
mod daemon;
mod eyes;
mod phases;
mod stopped;

use std::path::PathBuf;

/// The cloud to be used; none, said aloud, where there is none.
fn clouds(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("RM_LAB_CLOUDS").map(PathBuf::from);
    if path.is_none() {
        assert!(std::env::var_os("RM_LAB_REQUIRED").is_none(), "no cloud");
        println!("SKIPPED lab: {test}: RM_LAB_CLOUDS is not set");
        if let Some(log) = std::env::var_os("RM_SKIP_LOG") {
            use std::io::Write;
            let mut options = std::fs::OpenOptions::new();
            let mut log = options.append(true).create(true).open(log).unwrap();
            writeln!(log, "{test}: RM_LAB_CLOUDS is not set").unwrap();
        }
    }
    path
}

/// A number from the environment.
fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok().and_then(|n| n.parse().ok());
    given.unwrap_or(otherwise)
}

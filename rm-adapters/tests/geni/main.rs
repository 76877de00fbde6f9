//! GENI: documents, credentials and calls, against recorded ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod authority;
mod corpus;
mod credentials;
mod door;
mod ring;
mod rspec;
mod xmlrpc;

use std::path::PathBuf;

/// The folder with reference data: named by the environment, or beside the
/// workspace. A test that has none says so.
fn reference(test: &str) -> Option<PathBuf> {
    let dir = match std::env::var_os("RM_REFERENCE_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    };
    if !dir.is_dir() {
        println!("SKIPPED reference: {test}: no reference data");
        return None;
    }
    Some(dir)
}

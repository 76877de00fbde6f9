//! What a test needs that may not be there: reference data of others, a lab,
//! a program. A test that lacks it says so, and `cargo xtask test` tells at
//! its end what was skipped and why.
//!
//! | variable | says |
//! |---|---|
//! | `RM_REFERENCE_DIR` | the folder with reference data; else `../shared` beside the workspace |
//! | `RM_SKIP_LOG` | the file to which what is skipped is appended |
//! | `RM_LAB_REQUIRED` | that labs and programs are there: whatever lacks one fails |

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// The folder with reference data, for a test of this name. Where the folder
/// is, a file that is missing in it is a failure.
pub fn reference(test: &str) -> Option<PathBuf> {
    let dir = env::var_os("RM_REFERENCE_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    if dir.is_dir() {
        return Some(dir);
    }
    skipped(test, "no reference data");
    None
}

/// What a variable of the environment names: a lab that is up.
///
/// # Panics
///
/// Where it is not set and nothing may be skipped.
pub fn lab(test: &str, variable: &str) -> Option<PathBuf> {
    let found = env::var_os(variable).map(PathBuf::from);
    if found.is_none() {
        lacks(test, &format!("{variable} is not set"));
    }
    found
}

/// Whether a program of others can be run, which tells its version.
///
/// # Panics
///
/// Where it cannot and nothing may be skipped.
pub fn program(test: &str, name: &str) -> bool {
    let found = Command::new(name).arg("--version").output().is_ok();
    if !found {
        lacks(test, &format!("no {name} in PATH"));
    }
    found
}

fn lacks(test: &str, what: &str) {
    assert!(
        env::var_os("RM_LAB_REQUIRED").is_none(),
        "{test}: {what}, and this run must not skip"
    );
    skipped(test, what);
}

/// Says aloud that a test did not run, and writes it down where the run
/// gathers that: a runner hides the output of tests that pass.
pub fn skipped(test: &str, why: &str) {
    println!("SKIPPED {test}: {why}");
    if let Some(log) = env::var_os("RM_SKIP_LOG") {
        let mut options = OpenOptions::new();
        let mut log = options.append(true).create(true).open(log).unwrap();
        writeln!(log, "{test}: {why}").unwrap();
    }
}

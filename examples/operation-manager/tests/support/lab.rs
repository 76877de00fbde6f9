//! The cloud of a test run.

use std::path::PathBuf;

/// The cloud to be used; none, said aloud, where there is none and the run may
/// skip.
pub(crate) fn clouds(test: &str) -> Option<PathBuf> {
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

//! What a test says that cannot run.

use std::path::PathBuf;

/// A path that the test run gives; a test that lacks it is skipped, and that
/// is told, unless the run must not skip.
pub(crate) fn from_env(test: &str, name: &str) -> Option<PathBuf> {
    let path = std::env::var_os(name).map(PathBuf::from);
    if path.is_none() {
        assert!(
            std::env::var_os("RM_LAB_REQUIRED").is_none(),
            "{name} is not set, and this run must not skip"
        );
        skipped("lab", test, &format!("{name} is not set"));
    }
    path
}

/// Says aloud that a test did not run, and writes it down where the run
/// gathers that: a runner hides the output of tests that pass.
pub(crate) fn skipped(what: &str, test: &str, why: &str) {
    println!("SKIPPED {what}: {test}: {why}");
    if let Some(log) = std::env::var_os("RM_SKIP_LOG") {
        use std::io::Write;
        let mut options = std::fs::OpenOptions::new();
        let mut log = options.append(true).create(true).open(log).unwrap();
        writeln!(log, "{test}: {why}").unwrap();
    }
}

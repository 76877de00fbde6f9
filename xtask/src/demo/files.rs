//! The folder of one demo: configuration, tokens, store, log.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{At, Result};
use crate::paths;

/// An empty folder; what an earlier demo left in it is removed.
pub(super) fn fresh(name: &str) -> Result<PathBuf> {
    let dir = paths::target().join("demo").join(name);
    if dir.exists() {
        fs::remove_dir_all(&dir).at(dir.display())?;
    }
    fs::create_dir_all(&dir).at(dir.display())?;
    Ok(dir)
}

/// A new file that nobody else may read.
pub(super) fn private(file: &Path, text: &str) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut opened| opened.write_all(text.as_bytes()))
        .at(file.display())
}

pub(super) fn append(file: &Path, text: &str) -> Result<()> {
    OpenOptions::new()
        .append(true)
        .open(file)
        .and_then(|mut opened| opened.write_all(text.as_bytes()))
        .at(file.display())
}

/// As people type it in the workspace.
pub(super) fn shown(path: &Path) -> String {
    let root = paths::root();
    let short = path.strip_prefix(&root).unwrap_or(path);
    short.display().to_string()
}

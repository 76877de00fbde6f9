//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The workspace.
pub(crate) fn root() -> PathBuf {
    // `cargo run` names the place of today; the one compiled in may be stale.
    let own = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map_or_else(|| own.clone(), Path::to_path_buf)
}

pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// What is kept between runs and between checkouts. The lab's scripts have
/// the same rule.
pub(crate) fn cache() -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(own) = set("RM_CACHE_DIR") {
        return Ok(PathBuf::from(own));
    }
    set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")))
        .map(|base| base.join("resource-manager"))
        .ok_or_else(|| Error::new("none of RM_CACHE_DIR, XDG_CACHE_HOME and HOME is set"))
}

/// The program NAME in PATH.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

//! Who works on a store: daemons together, or one command alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;

use crate::config::Config;
use crate::failure::{Failure, Result};

/// A lock beside the store, for as long as this lives. The kernel drops it
/// with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Presence {
    _lock: Option<File>,
}

/// Shows that a daemon works on the store; several may.
pub(crate) fn serving(config: &Config) -> Result<Presence> {
    take(config, File::try_lock_shared, "a command works on it alone")
}

/// Works on the store alone.
///
/// # Errors
///
/// Where a daemon serves it.
pub(crate) fn alone(config: &Config) -> Result<Presence> {
    take(config, File::try_lock, "a daemon serves it")
}

fn take(
    config: &Config,
    lock: impl Fn(&File) -> std::result::Result<(), TryLockError>,
    why: &str,
) -> Result<Presence> {
    let store = &config.sections.store;
    if store.is_memory() {
        return Ok(Presence { _lock: None });
    }
    let mut path = config.path(&store.path).into_os_string();
    path.push(".serving");
    let path = PathBuf::from(path);
    let unusable = |kind: std::io::ErrorKind| {
        Failure::refused(format!("cannot lock {}", path.display())).detail(kind.to_string())
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|e| unusable(e.kind()))?;
    match lock(&file) {
        Ok(()) => Ok(Presence { _lock: Some(file) }),
        Err(TryLockError::WouldBlock) => Err(Failure::refused("the store is in use")
            .detail(why)
            .advice("wait until that has ended, or stop it")),
        Err(TryLockError::Error(e)) => Err(unusable(e.kind())),
    }
}

//! Bridges for links between containers, each with nobody on it but them: made
//! when a container that is on it starts, removed with the last one that is.
//!
//! A bridge says by its alias whose it is, so that what others have made is
//! never touched; and all is done under one lock.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools::words;
use crate::driver::{Error, Result};
use crate::files::{self, told};
use crate::links::is_link;

const NET: &str = "/sys/class/net";
/// The folder by which who makes and who removes wait for each other.
const LOCK: &str = ".links";

/// The links that a container is on, by its configuration.
pub(super) fn of(config: &str) -> BTreeSet<String> {
    let link = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let (key, value) = (key.trim(), value.trim());
        let ours = key.starts_with("lxc.net.") && key.ends_with(".link") && is_link(value);
        ours.then(|| value.to_owned())
    };
    config.lines().filter_map(link).collect()
}

/// Makes these, where they are not there, for containers below this path.
pub(super) fn make(path: &Path, links: &BTreeSet<String>) -> Result<()> {
    if links.is_empty() {
        return Ok(());
    }
    let _lock = lock(path)?;
    for link in links {
        if !at(link).exists() {
            ip(&["link", "add", link, "type", "bridge", "forward_delay", "0"])?;
        }
        // The machine itself is not on it.
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{link}/disable_ipv6"), "1");
        ip(&["link", "set", "dev", link, "alias", &alias(path), "up"])?;
    }
    Ok(())
}

/// Removes those of this path that `named` does not name any more; it is asked
/// only where there are some.
pub(super) fn sweep(path: &Path, named: impl FnOnce() -> Result<BTreeSet<String>>) -> Result<()> {
    if ours(path).is_empty() {
        return Ok(());
    }
    let _lock = lock(path)?;
    let named = named()?;
    for link in ours(path) {
        if !named.contains(&link) {
            ip(&["link", "delete", &link])?;
        }
    }
    Ok(())
}

/// The bridges that say that they are of this path.
fn ours(path: &Path) -> Vec<String> {
    let all = fs::read_dir(NET).into_iter().flatten().flatten();
    let own = alias(path);
    all.filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_link(name))
        .filter(|name| {
            fs::read_to_string(at(name).join("ifalias")).is_ok_and(|said| said.trim() == own)
        })
        .collect()
}

fn alias(path: &Path) -> String {
    format!("resource-manager:{}", path.display())
}

fn at(link: &str) -> PathBuf {
    Path::new(NET).join(link)
}

fn lock(path: &Path) -> Result<fs::File> {
    let folder = path.join(LOCK);
    fs::create_dir_all(&folder).map_err(|e| told(&folder, &e))?;
    match files::lock(&folder)? {
        Some(lock) => Ok(lock),
        None => Err(Error::Failed(format!("{} is gone", folder.display()))),
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let done = Command::new("ip").args(arguments).output().map_err(|e| {
        Error::Unavailable(format!(
            "ip cannot be started: {e}; install the package iproute2"
        ))
    })?;
    match done.status.success() {
        true => Ok(()),
        false => Err(Error::Failed(format!(
            "a link cannot be made: {}",
            words(&done.stderr)
        ))),
    }
}

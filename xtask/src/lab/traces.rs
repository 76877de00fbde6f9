//! What machines and containers leave on their host, if they leave anything:
//! links, mounts, cgroups and files, compared with what there was before.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{At, Error, Result};
use crate::run::say;

/// Where the tools of LXC and libvirt keep files.
const FOLDERS: &[&str] = &[
    "/run/lxc",
    "/run/libvirt",
    "/var/cache/libvirt",
    "/var/cache/lxc",
    "/var/lib/libvirt",
    "/var/lib/lxc",
    "/var/log/libvirt",
    "/var/log/lxc",
];

/// What there is at one moment, each with its sort: `link veth0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Traces(BTreeSet<String>);

impl Traces {
    /// The host's own lists, and the files below MORE folders.
    pub(crate) fn take(more: &[&Path]) -> Result<Self> {
        let mut found = BTreeSet::new();
        for link in fs::read_dir("/sys/class/net").at("/sys/class/net")? {
            let name = link.at("/sys/class/net")?.file_name();
            found.insert(format!("link {}", name.to_string_lossy()));
        }
        let mounts = fs::read_to_string("/proc/self/mounts").at("/proc/self/mounts")?;
        for (place, sort) in mounts.lines().filter_map(place_and_sort) {
            found.insert(format!("mount {place} ({sort})"));
            if sort.starts_with("cgroup") {
                cgroups(Path::new(place), &mut found);
            }
        }
        for folder in FOLDERS.iter().map(Path::new).chain(more.iter().copied()) {
            files(folder, &mut found);
        }
        Ok(Self(found))
    }

    /// What is there now and was not before.
    fn left_over(&self, now: &Self) -> Vec<String> {
        now.0.difference(&self.0).cloned().collect()
    }

    /// Compares with what there is now. The kernel removes a link some time
    /// after the process that had it, so this waits a little.
    pub(crate) fn none_new(&self, more: &[&Path]) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let left = self.left_over(&Self::take(more)?);
            if left.is_empty() {
                say("no link, mount, cgroup or file is there that was not there before");
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Error::new(format!(
                    "left behind on this machine:\n  {}",
                    left.join("\n  ")
                )));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Of a line of /proc/self/mounts: where, and which file system.
fn place_and_sort(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split(' ').skip(1);
    Some((words.next()?, words.next()?))
}

/// The cgroups below a folder, but not those in which other programs of this
/// machine run: they come and go as they like.
fn cgroups(folder: &Path, found: &mut BTreeSet<String>) {
    for inner in folders_in(folder) {
        if !is_in_use(&inner) {
            found.insert(format!("cgroup {}", inner.display()));
        }
        cgroups(&inner, found);
    }
}

/// Whether a process in it, or below it, is one of the host and of no
/// container.
fn is_in_use(cgroup: &Path) -> bool {
    let own = fs::read_link("/proc/self/ns/pid").ok();
    let processes = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let one_of_ours = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok() == own;
    processes.lines().any(one_of_ours) || folders_in(cgroup).iter().any(|inner| is_in_use(inner))
}

fn files(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        found.insert(format!("file {}", path.display()));
        // A link to a folder is not one.
        if entry.file_type().is_ok_and(|sort| sort.is_dir()) {
            files(&path, found);
        }
    }
}

/// None, where the folder has just gone.
fn folders_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|sort| sort.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces(of: &[&str]) -> Traces {
        Traces(of.iter().map(|&one| one.to_owned()).collect())
    }

    #[test]
    fn only_what_is_new_is_left_over() {
        let before = traces(&["link lo", "link eth0", "mount / (ext4)"]);
        let after = traces(&["link lo", "link veth1", "mount / (ext4)"]);
        assert_eq!(before.left_over(&after), ["link veth1"]);
        assert!(before.left_over(&before).is_empty());
    }

    #[test]
    fn mounts_are_read_as_the_kernel_writes_them() {
        let line = "overlay /srv/a\\040b overlay rw,lowerdir=/x 0 0";
        assert_eq!(place_and_sort(line), Some(("/srv/a\\040b", "overlay")));
        assert_eq!(place_and_sort(""), None);
    }

    #[test]
    fn a_file_is_noticed_and_its_absence_too() {
        let folder = std::env::temp_dir().join(format!("traces-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let before = Traces::take(&[&folder]).unwrap();
        fs::create_dir(folder.join("inner")).unwrap();
        fs::write(folder.join("inner/lease"), "").unwrap();
        let left = before.left_over(&Traces::take(&[&folder]).unwrap());
        let named = |end: &str| left.iter().any(|one| one.ends_with(end));
        assert!(named("inner") && named("inner/lease"), "{left:?}");
        fs::remove_dir_all(&folder).unwrap();
        let left = before.left_over(&Traces::take(&[&folder]).unwrap());
        assert!(!left.iter().any(|one| one.contains("lease")), "{left:?}");
    }
}

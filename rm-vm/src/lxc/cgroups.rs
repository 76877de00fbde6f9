//! What a container whose monitor was killed leaves in the machine's cgroups.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";

/// Removes the cgroups of a container that does not run and is going. LXC does
/// so itself, unless its monitor was killed. What has processes stays.
pub(super) fn forget(name: &str) {
    for folder in folders() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let called = entry.file_name();
            if called.to_str().is_some_and(|called| is_of(called, name)) {
                remove(&entry.path());
            }
        }
    }
}

/// Where LXC makes them: in the cgroups of the first process, or in ours.
fn folders() -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for of in ["/proc/1/cgroup", "/proc/self/cgroup"] {
        let text = fs::read_to_string(of).unwrap_or_default();
        for line in text.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(of), Some(path)) = (parts.next(), parts.next()) else {
                continue;
            };
            let mounted = match of.strip_prefix("name=").unwrap_or(of) {
                "" if Path::new(ROOT).join("unified").exists() => "unified",
                of => of,
            };
            let path = path.trim_start_matches('/');
            folders.insert(Path::new(ROOT).join(mounted).join(path));
        }
    }
    folders
}

/// The first one, and those of starts that found it taken: `NAME`, `NAME-1`.
fn is_of(called: &str, name: &str) -> bool {
    let rest = ["lxc.payload.", "lxc.monitor."]
        .iter()
        .find_map(|kind| called.strip_prefix(kind))
        .and_then(|rest| rest.strip_prefix(name));
    match rest.and_then(|rest| rest.strip_prefix('-')) {
        Some(count) => !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit()),
        None => rest == Some(""),
    }
}

fn remove(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    // The files in it are the kernel's, and go with it.
    let _ = fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn only_cgroups_of_this_container_are_its_own() {
        for own in ["lxc.payload.rm-1", "lxc.monitor.rm-1", "lxc.payload.rm-1-2"] {
            assert!(is_of(own, "rm-1"), "{own}");
        }
        for other in [
            "lxc.payload.rm-12",
            "lxc.payload.rm-1-",
            "lxc.payload.rm-1-x",
            "lxc.payload.rm-1-1-1",
            "lxc.other.rm-1",
            "rm-1",
        ] {
            assert!(!is_of(other, "rm-1"), "{other}");
        }
    }
}

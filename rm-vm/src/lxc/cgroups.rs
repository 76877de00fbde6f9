//! What a container whose monitor was killed leaves in the machine's cgroups.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";

/// Removes the cgroups of a container that does not run and is going. LXC does
/// so itself, unless its monitor was killed. What has processes stays.
pub(super) fn forget(name: &str) {
    let read = |of| fs::read_to_string(of).unwrap_or_default();
    let in_which = ["/proc/1/cgroup", "/proc/self/cgroup"].map(read);
    remove_of(name, &folders(Path::new(ROOT), &in_which));
}

fn remove_of(name: &str, folders: &BTreeSet<PathBuf>) {
    for folder in folders {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let called = entry.file_name();
            if called.to_str().is_some_and(|called| is_of(called, name)) {
                remove(&entry.path());
            }
        }
    }
}

/// Where LXC makes them: in the cgroups of the first process, or in ours, as
/// the kernel tells of each. Of version 1 each hierarchy is a folder; version 2
/// is all there is, or a folder `unified` beside those.
fn folders(root: &Path, in_which: &[String]) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for line in in_which.iter().flat_map(|text| text.lines()) {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(of), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let mounted = match of.strip_prefix("name=").unwrap_or(of) {
            "" if root.join("unified").exists() => "unified",
            of => of,
        };
        let path = path.trim_start_matches('/');
        folders.insert(root.join(mounted).join(path));
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
    use super::*;

    /// The cgroups of a machine, and what two of its processes are in.
    fn left(name: &str, made: &[&str], in_which: [&str; 2]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for path in made {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        let in_which = in_which.map(str::to_owned);
        remove_of(name, &folders(root.path(), &in_which));
        let left = made.iter().filter(|path| root.path().join(path).exists());
        left.map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn with_version_2_alone_all_that_a_container_left_goes() {
        // As systemd has it, seen from a service and from a session.
        let made = [
            "lxc.payload.rm-1",
            "lxc.monitor.rm-1/inner",
            "system.slice/manager.service/lxc.payload.rm-1/init.scope",
            "system.slice/manager.service/lxc.monitor.rm-1-3",
            "system.slice/manager.service/lxc.payload.rm-2",
            "user.slice/lxc.payload.rm-1",
        ];
        let of = ["0::/\n", "0::/system.slice/manager.service\n"];
        let stays = [
            "system.slice/manager.service/lxc.payload.rm-2",
            "user.slice/lxc.payload.rm-1",
        ];
        assert_eq!(left("rm-1", &made, of), stays);
        // The first process is in one of its own there.
        let of = ["0::/init.scope\n", "0::/user.slice\n"];
        let left = left("rm-1", &made, of);
        assert!(!left.contains(&"user.slice/lxc.payload.rm-1".to_owned()));
        assert_eq!(left.len(), made.len() - 1);
    }

    #[test]
    fn with_both_versions_each_hierarchy_is_looked_at() {
        let made = [
            "memory/lxc.payload.rm-1",
            "memory/of/us/lxc.monitor.rm-1",
            "systemd/lxc.payload.rm-1",
            "cpu,cpuacct/lxc.payload.rm-1",
            "unified/lxc.payload.rm-1",
            "freezer/other/lxc.payload.rm-1",
        ];
        let of = [
            "9:name=systemd:/\n4:memory:/\n2:cpu,cpuacct:/\n0::/\n",
            "9:name=systemd:/\n4:memory:/of/us\nnot a line\n0::/\n",
        ];
        assert_eq!(left("rm-1", &made, of), ["freezer/other/lxc.payload.rm-1"]);
    }

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

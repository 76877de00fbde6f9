//! Which containers run, without asking a tool: the first process of one, once
//! it is known, tells by being there. A tool takes longer than all else that a
//! look needs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::tools::Info;
use crate::driver::State;

const GROUPS: &str = "/sys/fs/cgroup";

/// The first processes of containers, by name.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<BTreeMap<String, First>>);

#[derive(Debug)]
struct First {
    init: u32,
    boot: String,
}

impl Running {
    /// How one is doing that was seen to run before; none where a tool must be
    /// asked, for it is not known, has ended, or does not go on.
    pub(super) fn info(&self, name: &str) -> Option<Info> {
        let mut all = self.lock();
        let first = all.get(name)?;
        if boot(first.init).as_ref() != Some(&first.boot) {
            all.remove(name);
            return None;
        }
        let init = first.init;
        // What is read now takes a moment, and nobody need wait for that.
        drop(all);
        let groups = fs::read_to_string(format!("/proc/{init}/cgroup")).ok()?;
        goes_on(Path::new(GROUPS), &groups).then_some(Info {
            state: State::Running,
            init: Some(init),
        })
    }

    /// What a tool has told of one.
    pub(super) fn told(&self, name: &str, info: &Info) {
        let runs = info.init.filter(|_| info.state == State::Running);
        let first = runs.and_then(|init| boot(init).map(|boot| First { init, boot }));
        let mut all = self.lock();
        match first {
            Some(first) => all.insert(name.to_owned(), first),
            None => all.remove(name),
        };
    }

    /// One was started; `file` names the process that watches over it.
    pub(super) fn started(&self, name: &str, file: &Path) {
        let monitor = fs::read_to_string(file).ok();
        let init = monitor.and_then(|text| child(text.trim().parse().ok()?));
        let info = Info {
            state: State::Running,
            init,
        };
        self.told(name, &info);
    }

    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, First>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another one for each start: a container's first process, and when it began.
pub(super) fn boot(init: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{init}/stat")).ok()?;
    // After the name, which may hold anything, begin is the 20th word.
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    // One that nobody has buried yet runs no more.
    let ended = matches!(words.next()?, "Z" | "X");
    let begin = words.nth(18)?;
    (!ended).then(|| format!("{init}-{begin}"))
}

/// The child of a process that is the first of its own.
fn child(of: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).ok()?;
    let is_first = |init: &u32| {
        let status = fs::read_to_string(format!("/proc/{init}/status")).unwrap_or_default();
        let mut of = status.lines().filter_map(|l| l.strip_prefix("NSpid:"));
        // Its number everywhere from here to where it is the first.
        let numbers = of.next().unwrap_or_default().split_whitespace();
        numbers.skip(1).last() == Some("1")
    };
    let mut all = children.split_whitespace().filter_map(|c| c.parse().ok());
    all.find(is_first)
}

/// Whether the kernel says that a process which is in these cgroups, as
/// `/proc/PID/cgroup` has them, is not frozen; no where that cannot be read.
fn goes_on(root: &Path, groups: &str) -> bool {
    let read = |mounted: &str, path: &str, file: &str| {
        let path = path.trim_start_matches('/');
        fs::read_to_string(root.join(mounted).join(path).join(file)).ok()
    };
    // Number, hierarchies, path.
    let mut lines = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        Some((parts.next()?, parts.next()?))
    });
    if let Some((_, path)) = lines.clone().find(|(of, _)| *of == "freezer") {
        let state = read("freezer", path, "freezer.state");
        return state.is_some_and(|state| state.trim() == "THAWED");
    }
    let mounted = match root.join("unified").exists() {
        true => "unified",
        false => "",
    };
    // What `cgroup.freeze` says is the wish for this one cgroup; a container is
    // frozen above where its first process may have gone.
    let events = lines
        .find(|(of, _)| of.is_empty())
        .and_then(|(_, path)| read(mounted, path, "cgroup.events"));
    events.is_some_and(|events| events.lines().any(|line| line.trim() == "frozen 0"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn running(init: u32) -> Info {
        Info {
            state: State::Running,
            init: Some(init),
        }
    }

    #[test]
    fn a_process_that_has_ended_says_nothing_and_neither_does_another_of_its_number() {
        let all = Running::default();
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        all.told("a", &running(child.id()));
        assert!(all.lock().contains_key("a"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(all.info("a"), None);
        let own = std::process::id();
        let boot = format!("{own}-1");
        let first = First { init: own, boot };
        all.lock().insert("b".to_owned(), first);
        assert_eq!(all.info("b"), None);
        assert!(all.lock().is_empty());
    }

    #[test]
    fn what_a_tool_tells_last_counts() {
        let all = Running::default();
        let own = std::process::id();
        all.told("a", &running(own));
        assert!(all.lock().contains_key("a"));
        all.told("a", &Info::STOPPED);
        assert_eq!(all.info("a"), None);
        all.told("a", &running(own));
        all.forget("a");
        assert_eq!(all.info("a"), None);
    }

    #[test]
    fn a_process_that_is_no_first_one_is_nobodys_container() {
        let mut shell = Command::new("sleep").arg("100").spawn().unwrap();
        assert_eq!(child(std::process::id()), None);
        shell.kill().unwrap();
        shell.wait().unwrap();
    }
    /// Whether a process in these cgroups goes on, on a machine with these files.
    fn goes(files: &[(&str, &str)], groups: &str) -> bool {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        goes_on(root.path(), groups)
    }

    #[test]
    fn with_version_2_alone_what_is_frozen_above_the_first_process_stands_still() {
        let own = "lxc.payload.a/init.scope";
        let groups = format!("0::/{own}\n");
        let says = |frozen: &str| {
            let events = format!("populated 1\nfrozen {frozen}\n");
            let wish = format!("{own}/cgroup.freeze");
            let told = format!("{own}/cgroup.events");
            // Nobody asked for it here: that was done to the container's own.
            let files = [(wish.as_str(), "0\n"), (told.as_str(), events.as_str())];
            goes(&files, &groups)
        };
        assert!(says("0"));
        assert!(!says("1"));
        assert!(!goes(&[], &groups), "nothing tells");
        let older = format!("{own}/cgroup.events");
        assert!(!goes(&[(older.as_str(), "populated 1\n")], &groups));
    }

    #[test]
    fn with_version_1_the_freezer_tells() {
        let groups = "9:cpu,cpuacct:/\n4:freezer:/lxc.payload.a\n1:name=systemd:/x\n0::/\n";
        let file = "freezer/lxc.payload.a/freezer.state";
        let says = |state: &str| goes(&[(file, state)], groups);
        assert!(says("THAWED\n"));
        assert!(!says("FROZEN\n"));
        assert!(!says("FREEZING\n"));
        assert!(!goes(&[], groups));
    }

    #[test]
    fn with_both_versions_and_no_freezer_version_2_tells_where_it_is_mounted() {
        let groups = "4:cpu:/lxc.payload.a\n0::/lxc.payload.a\n";
        let file = "unified/lxc.payload.a/cgroup.events";
        let says = |events: &str| goes(&[(file, events)], groups);
        assert!(says("populated 1\nfrozen 0\n"));
        assert!(!says("populated 1\nfrozen 1\n"));
        let both = "4:freezer:/lxc.payload.a\n0::/lxc.payload.a\n";
        let files = [
            (file, "frozen 0\n"),
            ("freezer/lxc.payload.a/freezer.state", "FROZEN\n"),
        ];
        assert!(!goes(&files, both), "where there is a freezer, it tells");
    }
}

//! The file `config` of a container: what it says, and what of it changes.

use std::fmt::Write as _;
use std::path::Path;

use super::shaping;
use crate::driver::{Definition, Size};

/// What all containers include, where the machine has it: capabilities that
/// are dropped, devices that are allowed, a filter of system calls.
const COMMON: &str = "/usr/share/lxc/config/common.conf";

/// How a machine limits processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cgroups {
    /// Each resource a hierarchy of its own.
    One,
    /// One hierarchy for all.
    Two,
}

impl Cgroups {
    pub(super) fn of_this_machine() -> Self {
        Self::of(Path::new("/sys/fs/cgroup"))
    }

    /// Beside version 1 a machine may have version 2, too, and limits by the
    /// former.
    fn of(root: &Path) -> Self {
        match root.join("cgroup.controllers").exists() {
            true => Self::Two,
            false => Self::One,
        }
    }

    /// A size as keys and values of the machine's limits.
    pub(super) fn limits(self, size: Size) -> Vec<(&'static str, String)> {
        let bytes = (size.memory_mib << 20).to_string();
        let quota = u64::from(size.vcpus) * PERIOD;
        match self {
            Self::One => vec![
                ("memory.limit_in_bytes", bytes),
                ("cpu.cfs_quota_us", quota.to_string()),
            ],
            Self::Two => vec![
                ("memory.max", bytes),
                ("cpu.max", format!("{quota} {PERIOD}")),
            ],
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::One => "lxc.cgroup.",
            Self::Two => "lxc.cgroup2.",
        }
    }
}

/// In so many microseconds a processor has so many to give.
const PERIOD: u64 = 100_000;

/// What the configuration needs beside the definition.
pub(super) struct Place<'a> {
    /// The root file system of the image.
    pub(super) lower: &'a Path,
    /// The container's own folder, where it will be.
    pub(super) folder: &'a Path,
    /// The program that is its first process, where it is not the image's own.
    pub(super) init: Option<&'a str>,
    /// The signal that asks the image's init to stop.
    pub(super) halt: &'a str,
}

/// The whole file.
pub(super) fn write(new: &Definition, place: &Place<'_>, cgroups: Cgroups) -> String {
    let mut text = String::from("# made by the resource manager, which keeps rm.json beside it\n");
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "{key} = {value}");
    };
    if Path::new(COMMON).exists() {
        line("lxc.include", COMMON);
    }
    let (lower, folder) = (place.lower.display(), place.folder.display());
    line("lxc.uts.name", &new.seed.hostname);
    line(
        "lxc.rootfs.path",
        &format!("overlay:{lower}:{folder}/overlay/delta"),
    );
    line("lxc.apparmor.profile", apparmor());
    line("lxc.signal.halt", place.halt);
    if let Some(init) = place.init {
        line("lxc.init.cmd", init);
    }
    line(
        "lxc.console.logfile",
        &format!("{folder}/{}", super::container::CONSOLE),
    );
    line("lxc.console.size", "1MB");
    for (at, nic) in new.nics.iter().enumerate() {
        let mut of = |key: &str, value: &str| line(&format!("lxc.net.{at}.{key}"), value);
        of("type", "veth");
        of("link", &nic.bridge);
        of("flags", "up");
        of("name", &format!("eth{at}"));
        of("hwaddr", &nic.mac);
        for address in &nic.addresses {
            of(
                if address.ip.is_ipv4() {
                    "ipv4.address"
                } else {
                    "ipv6.address"
                },
                &address.to_string(),
            );
        }
        for gateway in &nic.gateways {
            of(
                if gateway.is_ipv4() {
                    "ipv4.gateway"
                } else {
                    "ipv6.gateway"
                },
                &gateway.to_string(),
            );
        }
        if let Some(script) = nic.shaping.as_ref().and_then(shaping::script) {
            of("script.up", &script);
        }
    }
    if new.nics.is_empty() {
        line("lxc.net.0.type", "empty");
    }
    resized(&text, new.size, cgroups)
}

/// The file with another size.
pub(super) fn resized(text: &str, size: Size, cgroups: Cgroups) -> String {
    let limits = cgroups.limits(size);
    let ours = |line: &str| {
        let key = line.split('=').next().unwrap_or_default().trim();
        let key = key.strip_prefix(cgroups.prefix()).unwrap_or_default();
        limits.iter().any(|(limit, _)| *limit == key)
    };
    let mut new: String = text
        .lines()
        .filter(|line| !ours(line))
        .map(|l| format!("{l}\n"))
        .collect();
    for (key, value) in &limits {
        let _ = writeln!(new, "{}{key} = {value}", cgroups.prefix());
    }
    new
}

/// The file with what another one says of the disk: which image it is of, and
/// what its init is and understands.
pub(super) fn reborn(text: &str, of: &str) -> String {
    let disk = |line: &&str| {
        let key = line.split('=').next().unwrap_or_default().trim();
        ["lxc.rootfs.path", "lxc.init.cmd", "lxc.signal.halt"].contains(&key)
    };
    let kept = text.lines().filter(|line| !disk(line));
    kept.chain(of.lines().filter(disk))
        .map(|l| format!("{l}\n"))
        .collect()
}

/// The size that a file says; nothing where it says none.
pub(super) fn size(text: &str) -> Size {
    let value = |keys: [&str; 2]| -> u64 {
        let mut found = 0;
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            if keys.contains(&key.trim()) {
                let first = value.split_whitespace().next().unwrap_or_default();
                found = first.parse().unwrap_or(0);
            }
        }
        found
    };
    let quota = value(["lxc.cgroup.cpu.cfs_quota_us", "lxc.cgroup2.cpu.max"]);
    Size {
        vcpus: u32::try_from(quota / PERIOD).unwrap_or(u32::MAX),
        memory_mib: value(["lxc.cgroup.memory.limit_in_bytes", "lxc.cgroup2.memory.max"]) >> 20,
    }
}

fn apparmor() -> &'static str {
    match std::fs::read("/sys/module/apparmor/parameters/enabled") {
        Ok(word) if word.starts_with(b"Y") => "generated",
        _ => "unconfined",
    }
}

#[cfg(test)]
mod tests {
    use rm_core::model::Shaping;

    use super::*;
    use crate::driver::{Image, Nic, Seed};

    fn definition() -> Definition {
        Definition {
            name: "rm-1".to_owned(),
            size: Size {
                vcpus: 2,
                memory_mib: 64,
            },
            image: Image {
                name: String::new(),
                source: String::new(),
                sha256: String::new(),
                format: String::new(),
            },
            disk_mib: None,
            nics: vec![Nic {
                bridge: "br0".to_owned(),
                mac: "02:00:00:00:00:01".to_owned(),
                addresses: vec![
                    "10.0.0.2/24".parse().unwrap(),
                    "fd00::2/64".parse().unwrap(),
                ],
                gateways: vec!["10.0.0.1".parse().unwrap()],
                shaping: Some(Shaping {
                    capacity_kbps: Some(1000),
                    ..Shaping::default()
                }),
            }],
            seed: Seed {
                hostname: "n1".to_owned(),
                ..Seed::default()
            },
            metadata: String::new(),
            unfinished: String::new(),
            by: None,
        }
    }

    #[test]
    fn a_machine_with_version_2_alone_limits_by_it() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("unified")).unwrap();
        std::fs::write(root.path().join("unified/cgroup.controllers"), "cpu memory").unwrap();
        assert_eq!(Cgroups::of(root.path()), Cgroups::One);
        std::fs::write(root.path().join("cgroup.controllers"), "cpu memory").unwrap();
        assert_eq!(Cgroups::of(root.path()), Cgroups::Two);
        let size = Size {
            vcpus: 3,
            memory_mib: 64,
        };
        let limits = Cgroups::Two.limits(size);
        let want = [("memory.max", "67108864"), ("cpu.max", "300000 100000")];
        assert_eq!(limits, want.map(|(key, value)| (key, value.to_owned())));
        assert_eq!(super::size(&resized("", size, Cgroups::Two)), size);
    }

    #[test]
    fn what_is_written_is_what_was_asked_for() {
        let place = Place {
            lower: Path::new("/l/root"),
            folder: Path::new("/p/rm-1"),
            init: None,
            halt: "SIGPWR",
        };
        for cgroups in [Cgroups::One, Cgroups::Two] {
            let text = write(&definition(), &place, cgroups);
            for line in [
                "lxc.rootfs.path = overlay:/l/root:/p/rm-1/overlay/delta",
                "lxc.net.0.link = br0",
                "lxc.net.0.ipv4.address = 10.0.0.2/24",
                "lxc.net.0.ipv6.address = fd00::2/64",
                "lxc.net.0.ipv4.gateway = 10.0.0.1",
                "lxc.net.0.script.up = /bin/sh -c 'for end; do :; done; exec tc qdisc replace \
                 dev \"$end\" root tbf rate 1000kbit burst 4096 limit 131072' shaping",
            ] {
                assert!(text.lines().any(|l| l == line), "{line}\n{text}");
            }
            assert_eq!(size(&text), definition().size);
            let other = Size {
                vcpus: 1,
                memory_mib: 128,
            };
            let changed = resized(&text, other, cgroups);
            assert_eq!(size(&changed), other);
            assert_eq!(changed.lines().count(), text.lines().count());
        }
    }
}

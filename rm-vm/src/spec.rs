//! What is checked of a spec before anything exists.

use std::ops::RangeInclusive;

use rm_core::model::{Action, NodeSpec, Power, Shaping};
use rm_core::{Error, ErrorKind, Result};

use crate::driver::{self, Features};
use crate::links::is_link;

/// Much for a script, and what clouds take at most.
const USER_DATA: usize = 64 * 1024;
const COMMANDS: usize = 64 * 1024;
const KEY: usize = 16 * 1024;
const LINK: usize = 512;
/// In kbit a second: from what is of any use to what no wire of a host has.
const CAPACITY: RangeInclusive<u64> = 8..=100_000_000;
/// A minute, in microseconds.
const LATENCY: u64 = 60_000_000;

/// What can never be, on whatever host.
pub(crate) fn check(spec: &NodeSpec) -> Result<()> {
    let wrong = |what: String| Err(Error::invalid(what).advice("correct the request"));
    if spec.vcpus == 0 || spec.memory_mib == 0 || spec.disk_gib == Some(0) {
        return wrong(
            "a node has at least one virtual processor, some memory and some disk".into(),
        );
    }
    if spec.vcpus > 4096 || spec.memory_mib > 1 << 30 || spec.disk_gib > Some(1 << 20) {
        return wrong("no host has so much of virtual processors, memory or disk".into());
    }
    let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if spec.image.sha256.len() != 64 || !spec.image.sha256.bytes().all(digits) {
        return wrong("the image's sha256 is not 64 hexadecimal digits in small letters".into());
    }
    if spec.hostname.as_deref().is_some_and(|name| !is_host(name)) {
        return wrong(
            "a hostname is 1 to 63 letters, digits and hyphens, with a hyphen at neither end"
                .into(),
        );
    }
    if spec.user_data.len() > USER_DATA {
        return wrong(format!("user data takes at most {USER_DATA} bytes"));
    }
    let commands: usize = spec.boot_commands.iter().map(|c| c.len() + 1).sum();
    if commands > COMMANDS || spec.boot_commands.iter().any(|c| c.contains('\0')) {
        return wrong(format!(
            "boot commands take at most {COMMANDS} bytes, and none of them is NUL"
        ));
    }
    for (at, user) in spec.users.iter().enumerate() {
        if !is_user(&user.name) || spec.users[..at].iter().any(|u| u.name == user.name) {
            return wrong(
                "a user's name is 1 to 32 small letters, digits, hyphens and underscores, begins with a letter, and is there once"
                    .into(),
            );
        }
        if !user.ssh_keys.iter().all(|key| is_key(key)) {
            return wrong("a public key is one line as in authorized_keys".into());
        }
    }
    if spec.interfaces.len() > 8 {
        return wrong("a node has at most 8 interfaces".into());
    }
    for interface in &spec.interfaces {
        let bridge = interface.bridge.as_deref();
        if bridge.is_some_and(|b| driver::name(b).is_err() || b.len() > 15) {
            return wrong("that is not the name of a bridge".into());
        }
        if bridge.is_some_and(is_link) {
            return wrong("bridges of that name are links'; name the link".into());
        }
        if interface.link.is_some() && (bridge.is_some() || interface.vlan.is_some()) {
            return wrong("the end of a link has neither bridge nor VLAN".into());
        }
        let length = interface.link.as_ref().map_or(1, String::len);
        if !(1..=LINK).contains(&length) {
            return wrong(format!("the name of a link has 1 to {LINK} bytes"));
        }
        if interface.vlan.is_some_and(|v| v == 0 || v > 4094) {
            return wrong("a VLAN is a number from 1 to 4094".into());
        }
        if interface.mac.as_deref().is_some_and(|mac| !is_mac(mac)) {
            return wrong(
                "a hardware address is written 02:00:0a:4d:00:02, in small letters, and is nobody's group"
                    .into(),
            );
        }
        if let Some(Shaping {
            capacity_kbps,
            latency_us,
            loss_ppm,
        }) = interface.shaping
        {
            if capacity_kbps.is_some_and(|kbps| !CAPACITY.contains(&kbps)) {
                return wrong(format!(
                    "an interface takes {} to {} kbit a second",
                    CAPACITY.start(),
                    CAPACITY.end()
                ));
            }
            if latency_us > Some(LATENCY) || loss_ppm > Some(1_000_000) {
                return wrong(
                    "what comes by an interface is a minute late at the most, and no more is lost than comes"
                        .into(),
                );
            }
        }
        if interface.addresses.len() > 16
            || interface.addresses.iter().any(|a| {
                !a.ip.is_ipv4() && !a.ip.is_ipv6()
                    || a.ip.is_unspecified()
                    || a.ip.is_multicast()
                    || a.ip.is_loopback()
            })
        {
            return wrong("that is not an address that a node can have".into());
        }
    }
    let mut last = 0;
    for request in &spec.requests {
        if request.number <= last {
            return wrong("the numbers of requests ascend, from 1".into());
        }
        last = request.number;
        if let Action::Snapshot(name) | Action::Restore(name) = &request.action
            && driver::name(name).is_err()
        {
            return wrong("a snapshot's name is 1 to 63 letters, digits, hyphens, dots and underscores, and begins with a letter or digit".into());
        }
    }
    Ok(())
}

/// What this driver cannot do, and is asked for.
pub(crate) fn possible(spec: &NodeSpec, features: Features) -> Result<()> {
    let Features {
        suspend,
        snapshots,
        reimage,
        disk_size,
        links,
        rates,
        delays,
        seed,
        vcpus,
        ..
    } = features;
    let born =
        !spec.users.is_empty() || !spec.user_data.is_empty() || !spec.boot_commands.is_empty();
    let asks = |what: fn(&Action) -> bool| spec.requests.iter().any(|r| what(&r.action));
    shapes(spec, rates, delays)?;
    let cannot = [
        (!suspend && spec.power == Power::Suspended, "suspend nodes"),
        (
            vcpus.is_some_and(|most| spec.vcpus > most),
            "give a node so many processors",
        ),
        (
            !snapshots && asks(|a| matches!(a, Action::Snapshot(_) | Action::Restore(_))),
            "keep snapshots",
        ),
        (
            !reimage && asks(|a| matches!(a, Action::Reimage)),
            "make disks anew",
        ),
        (!disk_size && spec.disk_gib.is_some(), "give disks a size"),
        (
            !links && spec.interfaces.iter().any(|i| i.link.is_some()),
            "make links between nodes",
        ),
        (
            !seed && born,
            "bring users, keys, user data or commands into a guest",
        ),
    ];
    match cannot.iter().find(|(asked, _)| *asked) {
        Some((_, what)) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("this kind of host cannot {what}"),
        )
        .advice("leave it out, or ask for a host of another kind")),
        None => Ok(()),
    }
}

/// What of interfaces a host cannot hold back.
fn shapes(spec: &NodeSpec, rates: bool, delays: bool) -> Result<()> {
    let mut all = spec.interfaces.iter().filter_map(|i| i.shaping);
    let what = all.find_map(|shaping| {
        let late = (!delays && shaping.delays()).then_some("let things come late or get lost");
        late.or_else(|| {
            (!rates && shaping.capacity_kbps.is_some()).then_some("limit how fast things come")
        })
    });
    match what {
        Some(what) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("this host cannot {what} by an interface"),
        )
        .code(Shaping::UNSUPPORTED)
        .advice("leave it out, or ask for a host whose kernel can")),
        None => Ok(()),
    }
}

fn is_host(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn is_user(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

fn is_key(key: &str) -> bool {
    key.len() <= KEY && key.contains(' ') && !key.contains(|c: char| c.is_control())
}

fn is_mac(mac: &str) -> bool {
    let bytes: Vec<&str> = mac.split(':').collect();
    let small = |b: &&str| {
        b.len() == 2
            && b.bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let own = u8::from_str_radix(bytes[0], 16).is_ok_and(|first| first & 1 == 0);
    bytes.len() == 6 && bytes.iter().all(small) && own && mac != "00:00:00:00:00:00"
}

#[cfg(test)]
mod tests {
    use rm_core::model::{Interface, NodeUser, Request};

    use super::*;

    fn good() -> NodeSpec {
        serde_json::from_value(serde_json::json!({
            "image": {"name": "i", "sha256": "a".repeat(64)}, "vcpus": 1, "memory_mib": 64,
            "hostname": "n-1",
            "users": [{"name": "ann", "ssh_keys": ["ssh-ed25519 AAAA ann@x"]}],
            "interfaces": [{"mac": "02:00:0a:4d:00:02", "addresses": ["10.0.0.5/24"], "vlan": 7}],
        }))
        .unwrap()
    }

    fn capacity(kbps: u64) -> Option<Shaping> {
        Some(Shaping {
            capacity_kbps: Some(kbps),
            ..Shaping::default()
        })
    }

    type Edit = fn(&mut NodeSpec);

    #[test]
    fn what_could_mean_something_to_a_shell_a_path_or_a_file_is_refused() {
        assert!(check(&good()).is_ok());
        let wrong: &[Edit] = &[
            |s| s.hostname = Some("a\nb".to_owned()),
            |s| s.hostname = Some("../a".to_owned()),
            |s| s.hostname = Some(String::new()),
            |s| s.hostname = Some("<a>".to_owned()),
            |s| s.users[0].name = "root:x:0:0".to_owned(),
            |s| s.users[0].name = "../ann".to_owned(),
            |s| s.users[0].ssh_keys[0] = "ssh-rsa A\nssh-rsa B".to_owned(),
            |s| {
                s.users.push(NodeUser {
                    name: "ann".to_owned(),
                    ssh_keys: Vec::new(),
                })
            },
            |s| s.interfaces[0].bridge = Some("br0\nlxc.hook.start = /x".to_owned()),
            |s| s.interfaces[0].bridge = Some("a/b".to_owned()),
            |s| s.interfaces[0].mac = Some("01:00:00:00:00:01".to_owned()),
            |s| s.interfaces[0].mac = Some("02:00:00:00:00:0g".to_owned()),
            |s| s.interfaces[0].mac = Some(String::new()),
            |s| s.interfaces[0].vlan = Some(4095),
            |s| s.interfaces[0].bridge = Some("rml0123456789ab".to_owned()),
            |s| s.interfaces[0].link = Some("a".to_owned()),
            |s| {
                s.interfaces[0] = Interface {
                    link: Some(String::new()),
                    ..Interface::default()
                }
            },
            |s| {
                s.interfaces[0] = Interface {
                    link: Some("x".repeat(513)),
                    ..Interface::default()
                }
            },
            |s| s.interfaces[0].shaping = capacity(7),
            |s| s.interfaces[0].shaping = capacity(u64::MAX),
            |s| {
                s.interfaces[0].shaping = Some(Shaping {
                    latency_us: Some(60_000_001),
                    ..Shaping::default()
                })
            },
            |s| {
                s.interfaces[0].shaping = Some(Shaping {
                    loss_ppm: Some(1_000_001),
                    ..Shaping::default()
                })
            },
            |s| s.interfaces = vec![Interface::default(); 9],
            |s| s.image.sha256 = "../../etc".to_owned(),
            |s| s.vcpus = 0,
            |s| s.memory_mib = u64::MAX,
            |s| s.disk_gib = Some(0),
            |s| s.user_data = "x".repeat(10 << 20),
            |s| s.boot_commands = vec!["x".repeat(65), "\0".to_owned()],
            |s| {
                s.requests = vec![Request {
                    number: 1,
                    action: Action::Snapshot("../x".to_owned()),
                }];
            },
            |s| {
                let reboot = Request {
                    number: 3,
                    action: Action::Reboot,
                };
                s.requests = vec![reboot.clone(), reboot];
            },
        ];
        for (at, edit) in wrong.iter().enumerate() {
            let mut spec = good();
            edit(&mut spec);
            let e = check(&spec).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Invalid, "{at}");
            assert!(e.next().is_some(), "{at}");
        }
    }

    #[test]
    fn what_a_driver_does_not_declare_is_refused() {
        let nothing = Features::default();
        let asks: &[Edit] = &[
            |s| s.power = Power::Suspended,
            |s| s.disk_gib = Some(1),
            |s| s.user_data = "x".to_owned(),
            |s| s.interfaces[0].link = Some("a".to_owned()),
            |s| s.interfaces[0].shaping = capacity(1000),
            |s| {
                s.interfaces[0].shaping = Some(Shaping {
                    loss_ppm: Some(1),
                    ..Shaping::default()
                })
            },
            |s| {
                s.requests = vec![Request {
                    number: 1,
                    action: Action::Reimage,
                }]
            },
            |s| {
                s.requests = vec![Request {
                    number: 1,
                    action: Action::Restore("a".to_owned()),
                }]
            },
        ];
        let plain = NodeSpec {
            users: Vec::new(),
            interfaces: Vec::new(),
            ..good()
        };
        assert!(possible(&plain, nothing).is_ok());
        let few = Features {
            vcpus: Some(2),
            ..nothing
        };
        for (vcpus, can) in [(2, true), (3, false)] {
            let spec = NodeSpec {
                vcpus,
                ..plain.clone()
            };
            assert_eq!(possible(&spec, few).is_ok(), can);
        }
        for edit in asks {
            let mut spec = plain.clone();
            spec.interfaces = vec![Interface::default()];
            edit(&mut spec);
            let e = possible(&spec, nothing).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Unsupported);
        }
    }
}

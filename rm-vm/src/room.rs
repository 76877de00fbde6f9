//! What a host has left for nodes, and what is short where that is too little.

use std::collections::BTreeMap;

use rm_core::backend::OnDisk;
use rm_core::model::NodeSpec;
use rm_core::{Error, ErrorKind, Result};

use crate::driver::{self, Disk, Size};

/// What is left of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Room {
    cpus: u32,
    /// Of which so many are offered, by all its processors.
    vcpus: [u64; 2],
    /// Memory that is nobody's, and all that there is, in MiB.
    memory_mib: [u64; 2],
    /// What is not in use, whosever it is.
    unused_mib: u64,
    disk_mib: Option<u64>,
    /// What images take of it that are still to be brought, by their checksums.
    to_bring: BTreeMap<String, u64>,
    /// What nodes take of it that say nothing of it.
    takes: Disk,
}

impl Room {
    /// All that a host has, with so many virtual processors for each real one.
    pub(crate) fn of(has: &driver::Host, vcpus_per_cpu: u32) -> Self {
        let vcpus = u64::from(has.cpus) * u64::from(vcpus_per_cpu);
        Self {
            cpus: has.cpus,
            vcpus: [vcpus; 2],
            memory_mib: [has.memory_mib; 2],
            unused_mib: has.free_memory_mib,
            disk_mib: has.free_disk_mib,
            to_bring: BTreeMap::new(),
            takes: Disk::default(),
        }
    }

    /// The same for nodes of an image that take so much of its disks.
    pub(crate) fn of_image(mut self, sha256: &str, takes: Disk) -> Self {
        self.bring(sha256, takes);
        self.takes = takes;
        self
    }

    /// Of an image that is not there yet, as many nodes as may come need one.
    fn bring(&mut self, sha256: &str, takes: Disk) {
        if takes.once_mib > 0 {
            self.to_bring.insert(sha256.to_owned(), takes.once_mib);
        }
    }

    /// What is left of its disks beside what images will take.
    fn free_disk_mib(&self) -> Option<u64> {
        let once = self.to_bring.values();
        let free = |free| once.fold(free, |free: u64, once| free.saturating_sub(*once));
        self.disk_mib.map(free)
    }

    /// Refuses what would be too much for the host if nothing else was there.
    pub(crate) fn admit(&self, host: &str, want: &NodeSpec) -> Result<()> {
        let ([_, memory], [_, vcpus]) = (self.memory_mib, self.vcpus);
        if want.memory_mib <= memory && u64::from(want.vcpus) <= vcpus {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::NoCapacity,
            format!(
                "{host}: the host has {memory} MiB of memory and {} processors in all, and {} MiB and {} are asked for",
                self.cpus, want.memory_mib, want.vcpus
            ),
        )
        .advice("ask for less, or on a greater host")
        .site(host)
        .permanent())
    }

    /// Somebody has so much of it.
    pub(crate) fn take(&mut self, size: Size) {
        let ([memory, _], [vcpus, _]) = (&mut self.memory_mib, &mut self.vcpus);
        *memory = memory.saturating_sub(size.memory_mib);
        *vcpus = vcpus.saturating_sub(size.vcpus.into());
    }

    /// Somebody will have so much of it, and takes nothing yet.
    pub(crate) fn keep(&mut self, spec: &NodeSpec, takes: Disk) {
        self.take(Size {
            vcpus: spec.vcpus,
            memory_mib: spec.memory_mib,
        });
        self.unused_mib = self.unused_mib.saturating_sub(spec.memory_mib);
        let disk = each_mib(spec, takes);
        self.disk_mib = self.disk_mib.map(|mib| mib.saturating_sub(disk));
        self.bring(&spec.image.sha256, takes);
    }

    /// For how many nodes of this spec there is room, where addresses are left
    /// for so many.
    pub(crate) fn nodes(&self, want: &NodeSpec, addresses: Option<u64>) -> u64 {
        let left = self.left(want, addresses).into_iter();
        left.filter_map(|(_, left)| left).min().unwrap_or(0)
    }

    /// What is left of the disk for nodes of this spec, where it is known, and
    /// what they take of it.
    pub(crate) fn disk(&self, want: &NodeSpec) -> Option<OnDisk> {
        Some(OnDisk {
            left_mib: self.disk_mib?,
            each_mib: each_mib(want, self.takes),
            to_bring: self.to_bring.clone(),
            image: want.image.sha256.clone(),
        })
    }

    /// The same in words, with what is short for more of them.
    pub(crate) fn told(&self, want: &NodeSpec, addresses: Option<u64>) -> String {
        let left = self.left(want, addresses).into_iter();
        let least = left.filter_map(|(what, left)| Some((left?, what)));
        match least.min_by_key(|(left, _)| *left) {
            Some((left, what)) => format!("room for {left} more nodes, by its {what}"),
            None => "room for 0 more nodes".to_owned(),
        }
    }

    /// For how many nodes each thing is enough, where it is known.
    fn left(&self, want: &NodeSpec, addresses: Option<u64>) -> [(&'static str, Option<u64>); 4] {
        let each = each_mib(want, self.takes);
        let disks = self.free_disk_mib().and_then(|free| free.checked_div(each));
        [
            (
                "memory",
                self.free_memory_mib().checked_div(want.memory_mib),
            ),
            ("processors", self.vcpus[0].checked_div(want.vcpus.into())),
            ("disks", disks),
            ("addresses", addresses),
        ]
    }

    /// Why there is no room for one node of this spec; `pools` say so where
    /// addresses are short.
    pub(crate) fn short(&self, host: &str, want: &NodeSpec, pools: Option<&str>) -> Error {
        let ([_, memory], [vcpus, all]) = (self.memory_mib, self.vcpus);
        let mut short = Vec::new();
        let free = self.free_memory_mib();
        if free < want.memory_mib {
            short.push(format!(
                "{free} of {memory} MiB of memory are free and {} are asked for",
                want.memory_mib
            ));
        }
        if vcpus < want.vcpus.into() {
            short.push(format!(
                "{vcpus} of {all} virtual processors are free and {} are asked for",
                want.vcpus
            ));
        }
        let each = each_mib(want, self.takes);
        if let Some(free) = self.free_disk_mib().filter(|free| *free < each) {
            let why = match want.disk_gib {
                Some(_) => "are asked for",
                None => "are taken by a node of this image at the least",
            };
            let image = match self.takes.once_mib {
                0 => String::new(),
                once => format!(" beside the {once} of the image itself"),
            };
            short.push(format!(
                "{free} MiB of disk are free{image} and {each} {why}"
            ));
        }
        short.extend(pools.map(str::to_owned));
        Error::new(
            ErrorKind::NoCapacity,
            format!(
                "{host}: there is no room for this node: {}",
                short.join("; ")
            ),
        )
        .advice("delete a node there, ask for less, or ask for another host")
        .site(host)
    }

    /// What is nobody's may still be in use, and the other way round.
    fn free_memory_mib(&self) -> u64 {
        self.memory_mib[0].min(self.unused_mib)
    }
}

/// What a node takes of the room for disks.
fn each_mib(want: &NodeSpec, takes: Disk) -> u64 {
    let asked = want.disk_gib.map(|gib| gib.saturating_mul(1024));
    asked.unwrap_or(takes.each_mib)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn want(memory_mib: u64, vcpus: u32, disk_gib: Option<u64>) -> NodeSpec {
        let image = json!({"name": "a", "sha256": "a"});
        let spec =
            json!({"image": image, "vcpus": vcpus, "memory_mib": memory_mib, "disk_gib": disk_gib});
        serde_json::from_value(spec).unwrap()
    }

    fn room() -> Room {
        let has = driver::Host {
            cpus: 2,
            memory_mib: 1000,
            free_memory_mib: 900,
            free_disk_mib: Some(5000),
        };
        Room::of(&has, 4)
    }

    #[test]
    fn what_is_least_counts() {
        let mut room = room();
        assert_eq!(room.nodes(&want(100, 1, None), None), 8);
        assert_eq!(room.nodes(&want(300, 1, None), None), 3);
        assert_eq!(room.nodes(&want(100, 1, Some(2)), None), 2);
        assert_eq!(room.nodes(&want(100, 1, None), Some(1)), 1);
        room.take(Size {
            vcpus: 7,
            memory_mib: 500,
        });
        assert_eq!(room.nodes(&want(100, 1, None), None), 1);
        assert_eq!(room.nodes(&want(501, 1, None), None), 0);
    }

    #[test]
    fn a_disk_counts_for_who_says_nothing_of_it_and_so_does_the_image() {
        let takes = Disk {
            once_mib: 2000,
            each_mib: 1000,
        };
        let want = want(100, 1, None);
        let image = &want.image.sha256;
        let mut of_image = room().of_image(image, takes);
        assert_eq!(of_image.nodes(&want, None), 3);
        let disk = of_image.disk(&want).unwrap();
        assert_eq!(
            (disk.left_mib, &disk.to_bring, disk.each_mib),
            (5000, &BTreeMap::from([(image.clone(), 2000)]), 1000)
        );
        assert_eq!(
            of_image.told(&want, None),
            "room for 3 more nodes, by its disks"
        );
        for _ in 0..3 {
            of_image.keep(&want, takes);
        }
        assert_eq!(of_image.nodes(&want, None), 0);
        let told = of_image.short("north", &want, None).what().to_owned();
        assert!(
            told.contains("0 MiB of disk are free beside the 2000 of the image itself and 1000 are taken by a node of this image at the least"),
            "{told}"
        );
        let much = Disk {
            once_mib: 5000,
            each_mib: 1,
        };
        let full = room().of_image(image, much);
        assert_eq!(full.nodes(&want, None), 0);
        // What others wait for has its room, and who asks for both is told of it.
        let mut beside = room().of_image("another", Disk::default());
        beside.keep(&want, takes);
        let other = beside.disk(&want).unwrap();
        assert_eq!((other.left_mib, other.to_bring), (4000, disk.to_bring));
        assert_eq!(beside.nodes(&self::want(100, 1, Some(1)), None), 1);
    }

    #[test]
    fn what_is_to_come_has_its_room_whatever_is_in_use_yet() {
        let mut room = room();
        let big = want(500, 1, Some(4));
        room.keep(&big, Disk::default());
        // 400 MiB of what is not in use are left.
        assert_eq!(room.nodes(&want(100, 1, None), None), 4);
        assert_eq!(room.nodes(&want(401, 1, None), None), 0);
        assert_eq!(room.nodes(&want(1, 1, Some(1)), None), 0);
        assert_eq!(room.nodes(&want(1, 8, None), None), 0);
        assert_eq!(room.nodes(&want(1, 7, None), None), 1);
    }

    #[test]
    fn who_is_refused_is_told_what_is_short_how_much_is_free_and_what_was_asked() {
        let mut room = room();
        room.take(Size {
            vcpus: 7,
            memory_mib: 950,
        });
        let told = |want: &NodeSpec, pools| {
            let e = room.short("north", want, pools);
            assert_eq!(
                (e.kind(), e.at_site()),
                (ErrorKind::NoCapacity, Some("north"))
            );
            assert!(e.is_temporary() && e.next().is_some(), "{e}");
            e.what().to_owned()
        };
        assert_eq!(
            told(&want(64, 1, None), None),
            "north: there is no room for this node: 50 of 1000 MiB of memory are free and 64 are asked for"
        );
        let all = told(&want(64, 2, Some(5)), Some("no address is left"));
        for part in [
            "1 of 8 virtual processors are free and 2 are asked for",
            "5000 MiB of disk are free and 5120 are asked for",
            "no address is left",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
        let most = room.admit("north", &want(1001, 1, None)).unwrap_err();
        assert!(!most.is_temporary(), "{most}");
        for part in ["north", "1000 MiB", "2 processors", "1001 MiB"] {
            assert!(most.to_string().contains(part), "{part}: {most}");
        }
        assert!(room.admit("north", &want(1000, 8, None)).is_ok());
    }
}

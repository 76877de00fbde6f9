//! For how many nodes of several sizes a site has room.
//!
//! A site says of each size for how many of that size alone it has room. So of
//! whatever nodes take it has at least as much as the greatest of these answers
//! would take, and what takes no more than that finds room. Of the disk it says
//! itself what is left and what each takes, for that follows from the image.

use std::collections::BTreeMap;

use crate::backend::OnDisk;
use crate::model::NodeSpec;

/// What the disk is called, which is counted in MiB.
const DISK: &str = "disk";

/// Nodes of one size.
#[derive(Debug)]
pub(super) struct Sort {
    /// What one of them takes, and how much of it.
    takes: BTreeMap<String, u64>,
    /// For so many of them alone there is room.
    alone: u64,
    /// What they take of the disk, where the site says that.
    disk: Option<OnDisk>,
}

impl Sort {
    pub(super) fn of(node: &NodeSpec, alone: u64, disk: Option<OnDisk>) -> Self {
        let each = disk.as_ref().map(|disk| disk.each_mib);
        let asked = node.disk_gib.unwrap_or(0).saturating_mul(1024);
        let mut takes = BTreeMap::from([
            ("processors".to_owned(), node.vcpus.into()),
            ("memory".to_owned(), node.memory_mib),
            (DISK.to_owned(), each.unwrap_or(asked)),
        ]);
        let pooled = node.interfaces.iter();
        let mut bridges: Vec<&str> = pooled
            .filter(|i| i.addresses.is_empty() && i.link.is_none())
            .map(|i| i.bridge.as_deref().unwrap_or_default())
            .collect();
        if node.interfaces.is_empty() {
            bridges.push("");
        }
        for bridge in bridges {
            *takes.entry(format!("addresses on {bridge}")).or_default() += 1;
        }
        takes.retain(|_, much| *much > 0);
        Self { takes, alone, disk }
    }
}

/// For how many nodes there is room: of these in their order, each by the number
/// of its sort, and after the last of them of more of that sort.
pub(super) fn nodes(sorts: &[Sort], order: &[usize]) -> u64 {
    let mut left: BTreeMap<&str, u64> = BTreeMap::new();
    for sort in sorts {
        for (what, much) in &sort.takes {
            let all = sort.alone.saturating_mul(*much);
            let has = left.entry(what).or_default();
            *has = all.max(*has);
        }
    }
    if let Some(free) = disk(sorts) {
        left.insert(DISK, free);
    }
    let mut alone: Vec<u64> = sorts.iter().map(|sort| sort.alone).collect();
    let mut count: u64 = 0;
    let mut last = None;
    for at in order {
        let (Some(sort), Some(alone)) = (sorts.get(*at), alone.get_mut(*at)) else {
            continue;
        };
        if (*alone).min(more(sort, &left)) == 0 {
            return count;
        }
        *alone -= 1;
        for (what, much) in &sort.takes {
            if let Some(left) = left.get_mut(what.as_str()) {
                *left = left.saturating_sub(*much);
            }
        }
        count = count.saturating_add(1);
        last = Some((sort, *alone));
    }
    last.map_or(count, |(sort, alone)| {
        count.saturating_add(alone.min(more(sort, &left)))
    })
}

/// What is left of the disk for nodes of all these images, where the site says it.
fn disk(sorts: &[Sort]) -> Option<u64> {
    let told = || sorts.iter().filter_map(|sort| sort.disk.as_ref());
    let free = told().map(|disk| disk.left_mib).min()?;
    let images: BTreeMap<&String, &u64> = told().flat_map(|disk| &disk.to_bring).collect();
    let once = images.into_values();
    Some(once.fold(free, |free, once| free.saturating_sub(*once)))
}

/// How many more of a sort this is enough for.
fn more(sort: &Sort, left: &BTreeMap<&str, u64>) -> u64 {
    let takes = sort.takes.iter();
    let each = takes.map(|(what, much)| left.get(what.as_str()).map_or(0, |left| left / much));
    each.min().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sort(vcpus: u32, memory_mib: u64, alone: u64) -> Sort {
        let image = json!({"name": "a", "sha256": "a"});
        let node = json!({"image": image, "vcpus": vcpus, "memory_mib": memory_mib});
        Sort::of(&serde_json::from_value(node).unwrap(), alone, None)
    }

    /// One of the first sort, and so many of the second.
    fn with(slaves: usize) -> Vec<usize> {
        let mut order = vec![1; slaves + 1];
        order[0] = 0;
        order
    }

    #[test]
    fn a_master_that_is_greater_than_its_slaves_finds_room_beside_them() {
        // 12 GiB in all.
        let sorts = [sort(1, 4096, 3), sort(1, 1024, 12)];
        assert_eq!(nodes(&sorts, &with(8)), 9);
        assert_eq!(nodes(&sorts, &with(2)), 9);
        assert_eq!(nodes(&sorts, &with(9)), 9);
        // 11 GiB, of which the masters alone would not show all.
        let sorts = [sort(1, 4096, 2), sort(1, 1024, 11)];
        assert_eq!(nodes(&sorts, &with(7)), 8);
        assert_eq!(nodes(&sorts, &with(8)), 8);
    }

    #[test]
    fn what_one_size_is_short_of_is_not_given_to_another() {
        // 16 processors and 12 GiB: each is short for one of them.
        let sorts = [sort(8, 1024, 2), sort(1, 2048, 6)];
        assert_eq!(nodes(&sorts, &with(5)), 6);
        assert_eq!(nodes(&sorts, &with(6)), 6);
        // No master, no cluster.
        let sorts = [sort(8, 1024, 0), sort(1, 2048, 6)];
        assert_eq!(nodes(&sorts, &with(1)), 0);
    }

    #[test]
    fn of_one_size_it_is_as_the_site_says() {
        for alone in [0, 1, 7] {
            assert_eq!(nodes(&[sort(2, 64, alone)], &[0, 0]), alone);
        }
    }

    #[test]
    fn containers_of_several_roles_get_no_more_than_the_disk_has_room_for() {
        let image = json!({"name": "a", "sha256": "a"});
        let role = |vcpus: u32, image_of: &str, to_bring: &[(&str, u64)], alone| {
            let node = json!({"image": image, "vcpus": vcpus, "memory_mib": 1});
            let disk = OnDisk {
                left_mib: 3000,
                each_mib: 1000,
                to_bring: to_bring
                    .iter()
                    .map(|(i, once)| ((*i).to_owned(), *once))
                    .collect(),
                image: image_of.to_owned(),
            };
            let node = serde_json::from_value(node).unwrap();
            Sort::of(&node, alone, Some(disk))
        };
        // Disk for three, of whatever role.
        let sorts = [role(2, "a", &[], 3), role(1, "a", &[], 3)];
        assert_eq!(nodes(&sorts, &with(2)), 3);
        assert_eq!(nodes(&sorts, &with(3)), 3);
        assert_eq!(nodes(&sorts, &[0, 0, 0, 1, 1, 1]), 3);
        // The image of one role takes the room of a node as long as it is not there,
        // and once, also where others wait for it.
        let b = [("b", 1000)];
        let sorts = [role(2, "a", &[], 3), role(1, "b", &b, 2)];
        assert_eq!(nodes(&sorts, &with(3)), 2);
        for first in [role(2, "b", &b, 2), role(2, "a", &b, 2)] {
            assert_eq!(nodes(&[first, role(1, "b", &b, 2)], &with(3)), 2);
        }
    }
}

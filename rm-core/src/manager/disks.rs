//! What one call takes of the disks of sites.
//!
//! A site says of nodes of one image for how many there is room. Those of others
//! take another part of the same disk, and whoever asks for several adds it up:
//! nodes and clusters of one request alike.

use std::collections::{BTreeMap, BTreeSet};

use crate::backend::{Offer, OnDisk};

/// What is taken of the disk of a site.
#[derive(Debug, Default)]
pub(super) struct OnDisks {
    mib: u64,
    /// The images that are counted in this.
    images: BTreeSet<String>,
}

/// The same with some that have no place yet.
struct With<'d, 'a> {
    on: &'d OnDisks,
    mib: u64,
    images: BTreeSet<&'a str>,
}

impl OnDisks {
    /// Takes what these offers say, all of it or nothing: answers of each how many
    /// more of its kind there is room for then, beside those after it.
    pub(super) fn take(&mut self, offers: &[&Offer]) -> Option<Vec<u64>> {
        let mut with = self.with();
        let more = offers.iter().map(|offer| with.one(&offer.disk));
        let more = more.collect::<Option<Vec<u64>>>()?;
        let With { mib, images, .. } = with;
        self.mib = mib;
        self.images.extend(images.into_iter().map(str::to_owned));
        Some(more)
    }

    /// Which of these offers there is room for beside each other, in their order.
    pub(super) fn fit(&self, offers: &[&Offer]) -> Vec<bool> {
        let mut with = self.with();
        let fits = offers.iter().map(|o| with.one(&o.disk).is_some());
        fits.collect()
    }

    fn with<'a>(&self) -> With<'_, 'a> {
        With {
            on: self,
            mib: self.mib,
            images: BTreeSet::new(),
        }
    }
}

impl<'a> With<'_, 'a> {
    /// One more that takes this, and for how many of its kind there is room beside
    /// it; nothing where there is none for it.
    fn one(&mut self, takes: &'a [OnDisk]) -> Option<u64> {
        let Some(left) = takes.iter().map(|disk| disk.left_mib).min() else {
            return Some(u64::MAX);
        };
        let all = takes.iter().flat_map(|disk| &disk.to_bring);
        let all = all.map(|(image, once)| (image.as_str(), *once));
        let known = |image: &str| self.on.images.contains(image) || self.images.contains(image);
        let new: BTreeMap<&str, u64> = all.filter(|(image, _)| !known(image)).collect();
        let each = takes.iter().map(|disk| disk.each_mib);
        let each = each.fold(0, u64::saturating_add);
        let once = new
            .values()
            .fold(each, |sum, once| sum.saturating_add(*once));
        let mib = self.mib.saturating_add(once);
        let over = left.checked_sub(mib)?;
        self.mib = mib;
        self.images.extend(new.into_keys());
        Some(over.checked_div(each).unwrap_or(u64::MAX))
    }
}

/// What so many more nodes take of a disk, beside others of the same thing.
pub(crate) fn of_nodes(takes: &mut Vec<OnDisk>, each: &[OnDisk], nodes: u64) {
    for disk in each {
        let more = disk.each_mib.saturating_mul(nodes);
        match takes.iter_mut().find(|known| known.image == disk.image) {
            Some(known) => {
                known.left_mib = known.left_mib.min(disk.left_mib);
                known.each_mib = known.each_mib.saturating_add(more);
                known.to_bring.extend(disk.to_bring.clone());
            }
            None => takes.push(OnDisk {
                each_mib: more,
                ..disk.clone()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of these images, each with what it takes itself while it is not there.
    fn takes(disks: &[(&str, u64, u64)]) -> Offer {
        let disk = |(image, each_mib, once): &(&str, u64, u64)| OnDisk {
            left_mib: 3000,
            each_mib: *each_mib,
            to_bring: match once {
                0 => BTreeMap::new(),
                once => BTreeMap::from([((*image).to_owned(), *once)]),
            },
            image: (*image).to_owned(),
        };
        Offer {
            disk: disks.iter().map(disk).collect(),
            ..Offer::room(None)
        }
    }

    /// How many more of the last there is room for, where there is for all.
    fn over(all: &[&Offer]) -> Option<u64> {
        OnDisks::default().take(all)?.pop()
    }

    #[test]
    fn nodes_of_several_images_share_one_disk_in_whatever_order() {
        let (big, small) = (&takes(&[("big", 1400, 0)]), &takes(&[("small", 1000, 0)]));
        assert_eq!(over(&[big, big]), Some(0));
        assert_eq!(over(&[small, small, small]), Some(0));
        assert_eq!(over(&[big, small]), Some(0));
        for of in [[big, big, small], [big, small, big], [small, big, big]] {
            assert_eq!(over(&of), None);
        }
        // A cluster of both takes what both do.
        let both = &takes(&[("big", 1400, 0), ("small", 1000, 0)]);
        assert_eq!(over(&[both]), Some(0));
        assert_eq!(over(&[both, small]), None);
    }

    #[test]
    fn an_image_that_has_still_to_be_brought_takes_its_room_once() {
        let (new, there) = (&takes(&[("new", 100, 2000)]), &takes(&[("there", 500, 0)]));
        assert_eq!(over(&[new, new]), Some(8));
        assert_eq!(over(&[new, new, there]), Some(0));
        assert_eq!(over(&[there, there, new]), None);
        // It is also brought for others, whom the site counts already.
        let mut beside = there.clone();
        beside.disk[0].to_bring.clone_from(&new.disk[0].to_bring);
        assert_eq!(over(&[&beside]), Some(1));
        assert_eq!(over(&[&beside, new]), Some(4));
        assert_eq!(over(&[new, &beside]), Some(0));
        assert_eq!(over(&[new, &beside, &beside]), None);
    }

    #[test]
    fn what_does_not_fit_as_a_whole_takes_nothing() {
        let (big, small) = (&takes(&[("big", 2000, 0)]), &takes(&[("small", 1000, 0)]));
        let mut disks = OnDisks::default();
        assert_eq!(disks.take(&[small, big, small]), None);
        assert_eq!(disks.fit(&[small, big, small]), [true, true, false]);
        assert_eq!(disks.take(&[small, big]), Some(vec![2, 0]));
        assert_eq!(disks.fit(&[small, &takes(&[])]), [false, true]);
    }

    #[test]
    fn a_cluster_takes_what_its_nodes_do_of_each_image() {
        let (big, small) = (takes(&[("big", 1400, 0)]), takes(&[("small", 100, 300)]));
        let mut all = Vec::new();
        of_nodes(&mut all, &big.disk, 1);
        of_nodes(&mut all, &small.disk, 2);
        of_nodes(&mut all, &small.disk, 3);
        let told: Vec<_> = all
            .iter()
            .map(|d| (&*d.image, d.each_mib, d.to_bring.values().sum::<u64>()))
            .collect();
        assert_eq!(told, [("big", 1400, 0), ("small", 500, 300)]);
    }
}

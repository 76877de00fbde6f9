//! What the nodes of one request take of the disk of a place.
//!
//! A site says of nodes of one image for how many there is room. Those of others
//! take another part of the same disk, and whoever asks for several adds it up.

use std::collections::BTreeSet;

use rm_core::backend::OnDisk;

/// What nodes of several images take of the disk of a place.
#[derive(Debug, Clone, Default)]
pub(super) struct OnDisks {
    mib: u64,
    /// The images that are counted in this.
    images: BTreeSet<String>,
}

impl OnDisks {
    /// With one node more, and so many of its kind beside it; nothing where
    /// there is no room for it.
    pub(super) fn with(mut self, disk: &OnDisk) -> Option<(Self, u64)> {
        if self.images.insert(disk.image.clone()) {
            self.mib = self.mib.saturating_add(disk.once_mib);
        }
        self.mib = self.mib.saturating_add(disk.each_mib);
        let over = disk.left_mib.checked_sub(self.mib)?;
        let more = over.checked_div(disk.each_mib).unwrap_or(u64::MAX);
        Some((self, more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(image: &str, each_mib: u64, once_mib: u64) -> OnDisk {
        OnDisk {
            left_mib: 3000,
            each_mib,
            once_mib,
            image: image.to_owned(),
        }
    }

    /// How many more of the last there is room for, where there is for all.
    fn over(all: &[OnDisk]) -> Option<u64> {
        let mut over = 0;
        let mut disks = OnDisks::default();
        for disk in all {
            (disks, over) = disks.with(disk)?;
        }
        Some(over)
    }

    #[test]
    fn nodes_of_several_images_share_one_disk_in_whatever_order() {
        let (big, small) = (disk("big", 1400, 0), disk("small", 1000, 0));
        let all = |of: [&OnDisk; 3]| over(&of.map(OnDisk::clone));
        assert_eq!(over(&[big.clone(), big.clone()]), Some(0));
        assert_eq!(all([&small, &small, &small]), Some(0));
        assert_eq!(over(&[big.clone(), small.clone()]), Some(0));
        for of in [
            [&big, &big, &small],
            [&big, &small, &big],
            [&small, &big, &big],
        ] {
            assert_eq!(all(of), None);
        }
    }

    #[test]
    fn an_image_that_has_still_to_be_brought_takes_its_room_once() {
        let (new, there) = (disk("new", 100, 2000), disk("there", 500, 0));
        let new = || new.clone();
        assert_eq!(over(&[new(), new()]), Some(8));
        assert_eq!(over(&[new(), new(), there.clone()]), Some(0));
        assert_eq!(over(&[there.clone(), there.clone(), new()]), None);
    }
}

//! Disks of machines: images of the formats `raw` and `qcow2`, brought to a
//! storage pool of the host once, and over them for each machine a disk of its
//! own that holds only what it has changed.
//!
//! What is in an image is somebody's. One that names another file, which the
//! host would read, is refused.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};

use super::brought::{Brought, Part, copy};
use super::volumes::{New, Volumes};
use crate::driver::{Definition, Error, Image, Result};
use crate::files::told;
use crate::images::{self, QCOW2, RAW, source};

/// What folders are called in which images are looked at.
pub(super) const ASIDE: &str = "rm-image-";

/// An image of a disk on the host.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    path: String,
    format: &'static str,
    /// As large as a machine sees it.
    bytes: u64,
}

impl Disk {
    /// How large a machine's own disk is to be, where it says so.
    fn wanted(&self, new: &Definition) -> Result<Option<u64>> {
        let wanted = new.disk_mib.map(|mib| mib << 20);
        if wanted.is_some_and(|bytes| bytes < self.bytes) {
            return Err(Error::invalid(format!(
                "the disk of the image {:?} has {} MiB; ask for no less",
                new.image.name,
                self.bytes.div_ceil(1 << 20)
            )));
        }
        Ok(wanted)
    }
}

/// The images of disks that were brought to a host, by checksum.
#[derive(Debug, Default)]
pub(super) struct Disks {
    brought: Brought<Disk>,
}

/// What a machine's own disk is called.
fn own(domain: &str) -> String {
    format!("{domain}-disk")
}

impl Disks {
    /// Whether an image is one of a disk.
    pub(super) fn are_of(image: &Image) -> bool {
        [RAW, QCOW2].contains(&image.format.as_str())
    }

    pub(super) async fn bring(
        &self,
        volumes: &Volumes,
        image: &Image,
        most_mib: u64,
    ) -> Result<()> {
        let bring = async {
            let here = source::here(image, &std::env::temp_dir(), ASIDE, most_mib).await?;
            let wanted = here.image.clone();
            let checked = tokio::task::spawn_blocking(move || check(&wanted, most_mib)).await;
            let checked = checked.map_err(|_| {
                Error::Failed("an image was cut off by a defect of this program".to_owned())
            })??;
            let part = Part {
                what: "image",
                new: New {
                    format: checked.format,
                    ..New::raw(checked.bytes)
                },
                bytes: tokio::fs::File::from_std(checked.file),
            };
            let placed = copy(volumes, image, vec![part]).await?;
            let first = placed.first().map(|part| part.path.clone());
            let disk = Disk {
                path: first.unwrap_or_default(),
                format: checked.format,
                bytes: checked.bytes,
            };
            Ok::<_, Error>((placed, disk))
        };
        self.brought.bring(volumes, image, bring).await
    }

    /// Refuses a disk that is smaller than its image, where that was brought.
    pub(super) fn check(&self, new: &Definition) -> Result<()> {
        match self.brought.of(&new.image) {
            Ok(image) => image.wanted(new).map(drop),
            Err(_) => Ok(()),
        }
    }

    /// Makes the disk of a machine, of an image that was brought, and answers
    /// where it is. What was left under its name goes.
    pub(super) async fn make(&self, volumes: &Volumes, new: &Definition) -> Result<String> {
        let image = self.brought.of(&new.image)?;
        let wanted = image.wanted(new)?;
        let disk = New {
            format: QCOW2,
            bytes: wanted.unwrap_or(image.bytes),
            over: Some((&image.path, image.format)),
        };
        volumes.make(&own(&new.name), disk).await
    }

    /// Whether a machine has a disk of its own.
    pub(super) async fn is_there(volumes: &Volumes, domain: &str) -> Result<bool> {
        Ok(volumes.place(&own(domain)).await?.is_some())
    }

    /// Removes a machine's own disk, if it has one.
    pub(super) async fn remove(volumes: &Volumes, domain: &str) -> Result<()> {
        volumes.remove(&own(domain)).await
    }
}

/// An image that was looked at here.
struct Checked {
    /// What was looked at, whatever is at its path by now; at its beginning.
    file: File,
    format: &'static str,
    bytes: u64,
}

/// Reads all of it: its checksum, and what it says of itself. Blocks.
fn check(image: &Image, most_mib: u64) -> Result<Checked> {
    let wrong = |why: String| {
        Err(Error::Image {
            name: image.name.clone(),
            why,
        })
    };
    let (path, mut file) = images::summed(image)?;
    let length = file.metadata().map_err(|e| told(&path, &e))?.len();
    let mut head = [0; 104];
    let unread = |e: io::Error| told(&path, &e);
    let read = fill(&mut file, &mut head).map_err(unread)?;
    let is_qcow2 = head.starts_with(b"QFI\xfb");
    let (format, bytes) = match (image.format.as_str(), is_qcow2) {
        (QCOW2, false) => return wrong("is not of the format qcow2".to_owned()),
        // Who boots it could make its host read it as one.
        (RAW, true) => return wrong("is of the format qcow2, and not raw".to_owned()),
        (RAW, false) => (RAW, length.next_multiple_of(512)),
        _ => match virtual_size(&head[..read]) {
            Ok(bytes) => (QCOW2, bytes),
            Err(why) => return wrong(why.to_owned()),
        },
    };
    if bytes == 0 || length > most_mib.saturating_mul(1 << 20) || bytes >> 20 > most_mib * 64 {
        return wrong(format!(
            "has a disk of {} MiB, in {} MiB: more than an image may have, or nothing",
            bytes >> 20,
            length >> 20
        ));
    }
    file.rewind().map_err(unread)?;
    Ok(Checked {
        file,
        format,
        bytes,
    })
}

fn fill(file: &mut File, into: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < into.len() {
        match file.read(&mut into[read..])? {
            0 => break,
            n => read += n,
        }
    }
    Ok(read)
}

/// As large as a machine would see it: the header as the format's own
/// description has it.
fn virtual_size(head: &[u8]) -> Result<u64, &'static str> {
    let number = |at: usize| -> Option<u64> {
        let bytes = head.get(at..at + 8)?;
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    };
    let short = "ends in its header";
    let version = number(0).ok_or(short)? & 0xffff_ffff;
    if !(2..=3).contains(&version) {
        return Err("is of a version of qcow2 that is not known");
    }
    if number(8).ok_or(short)? != 0 {
        return Err("names another file that belongs to it; make one file of both");
    }
    // Whether its data is in another file is a bit of what must be understood.
    if version == 3 && number(72).ok_or(short)? & 0b100 != 0 {
        return Err("keeps its data in another file; make one file of both");
    }
    if number(32).ok_or(short)? & 0xffff_ffff_0000_0000 != 0 {
        return Err("is encrypted, and nobody has the key");
    }
    number(24).ok_or(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: u32, edit: impl Fn(&mut [u8])) -> Vec<u8> {
        let mut head = vec![0; 104];
        head[..4].copy_from_slice(b"QFI\xfb");
        head[4..8].copy_from_slice(&version.to_be_bytes());
        head[24..32].copy_from_slice(&(5_u64 << 20).to_be_bytes());
        edit(&mut head);
        head
    }

    #[test]
    fn an_image_that_names_another_file_is_refused() {
        assert_eq!(virtual_size(&header(3, |_| {})), Ok(5 << 20));
        assert_eq!(virtual_size(&header(2, |_| {})), Ok(5 << 20));
        type Edit = fn(&mut [u8]);
        let wrong: [(u32, Edit, &str); 4] = [
            (3, |h| h[15] = 200, "another file"),
            (3, |h| h[79] = 4, "in another file"),
            (2, |h| h[35] = 1, "encrypted"),
            (4, |_| {}, "version"),
        ];
        for (version, edit, words) in wrong {
            let why = virtual_size(&header(version, edit)).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
        for end in 0..40 {
            assert!(virtual_size(&header(3, |_| {})[..end]).is_err(), "{end}");
        }
    }
}

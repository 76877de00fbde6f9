//! The file systems of containers, in folders of this machine.
//!
//! A container's folder is made aside and put in its place before the container
//! is defined, and removed before it is undefined: what is there without a
//! container is half-made or half-removed, and nobody's. Each bears the URI of
//! its libvirt, so that only that one's are swept.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::driver::{Definition, Error, Result};
use crate::files::{self, Aside, told};
use crate::images::Images;
use crate::seed;

/// What folders that are begun aside are called.
const ASIDE: &str = ".new-";
/// For so long a container may come whose define was not answered.
const LATE: Duration = Duration::from_secs(600);
/// The file that says of which libvirt a container is.
const URI: &str = "libvirt";

/// Where images and containers are kept.
#[derive(Debug)]
pub(super) struct Roots {
    folder: PathBuf,
    /// Of the libvirt.
    uri: String,
    images: Images,
}

/// A root that is made and not in its place yet.
#[derive(Debug)]
pub(super) struct Prepared {
    aside: Aside,
    /// The program that is the container's first process.
    pub(super) init: &'static str,
}

impl Roots {
    pub(super) fn at(folder: &Path, uri: &str, image_mib: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            uri: uri.to_owned(),
            images: Images::at(&folder.join(".images"), image_mib),
        }
    }

    pub(super) fn images(&self) -> &Images {
        &self.images
    }

    /// Nobody else puts roots in their places until this is dropped. Blocks.
    pub(super) fn lock(&self) -> Result<Option<File>> {
        files::lock(&self.folder)
    }

    /// Makes the root of a container: a copy of the image with the seed in it.
    /// Blocks.
    pub(super) fn prepare(&self, new: &Definition) -> Result<Prepared> {
        let image = self.images.root(&new.image)?;
        files::sweep(&self.folder, ASIDE).map_err(|e| told(&self.folder, &e))?;
        // A guest's programs are not for the users of this machine: one of its
        // root's would run as this machine's.
        let aside = Aside::closed(&self.folder, ASIDE)?;
        let root = aside.path().join("rootfs");
        let bears = aside.path().join(URI);
        fs::write(&bears, &self.uri).map_err(|e| told(&bears, &e))?;
        copy(&image, &root)?;
        let guest = seed::plant(&image, &root, &new.name, &new.seed)?;
        Ok(Prepared {
            aside,
            init: guest.init.unwrap_or("/sbin/init"),
        })
    }

    /// Where a container's root is.
    pub(super) fn root(&self, name: &str) -> PathBuf {
        self.folder.join(name).join("rootfs")
    }

    /// Puts a root in its place, and what is there away: what was left by one
    /// who was cut off, or what shall be made anew. Blocks.
    pub(super) fn place(&self, prepared: Prepared, name: &str) -> Result<()> {
        self.remove(name)?;
        match prepared.aside.place(&self.folder.join(name))? {
            true => Ok(()),
            false => Err(Error::Exists(name.to_owned())),
        }
    }

    /// Removes a container's root, if there is one. Blocks.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let place = self.folder.join(name);
        files::remove(&place, &[URI], ASIDE)
    }

    /// The same, and what was begun aside, where nothing else may ever be made.
    /// Only with the lock. Blocks.
    pub(super) fn sweep_up(&self, containers: &BTreeSet<String>) -> Result<()> {
        files::sweep(&self.folder, ASIDE).map_err(|e| told(&self.folder, &e))?;
        self.images.sweep_up()?;
        // Now is the last time that something was begun here.
        drop(Aside::closed(&self.folder, ASIDE)?);
        self.sweep(containers)
    }

    /// Removes what was left by those who were cut off: the roots of this
    /// libvirt whose containers are not among these. Only with the lock, so
    /// that none is there whose container is about to be; and young ones stay,
    /// for a libvirt of which nobody heard any more may define theirs yet.
    /// Blocks.
    pub(super) fn sweep(&self, containers: &BTreeSet<String>) -> Result<()> {
        // By the clock of the files: the last that was begun or ended here.
        let unread = |e| told(&self.folder, &e);
        let folder = fs::metadata(&self.folder).map_err(unread)?;
        let last = folder.modified().map_err(unread)?;
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let bears = fs::read_to_string(entry.path().join(URI));
            let ours = bears.is_ok_and(|uri| uri == self.uri);
            let begun = fs::metadata(entry.path().join(URI)).and_then(|uri| uri.modified());
            let old = begun.is_ok_and(|begun| last.duration_since(begun).is_ok_and(|d| d > LATE));
            if ours
                // Those of earlier versions of this program were open.
                && let Err(e) = files::close(&entry.path())
                // It goes at this moment.
                && e.kind() != io::ErrorKind::NotFound
            {
                return Err(told(&entry.path(), &e));
            }
            if ours && old && !name.starts_with('.') && !containers.contains(&name) {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    /// The room that is left.
    pub(super) fn free_mib(&self) -> Option<u64> {
        let there = self.folder.ancestors().find(|path| path.exists())?;
        let facts = rustix::fs::statvfs(there).ok()?;
        Some(facts.f_bavail.checked_mul(facts.f_frsize)? >> 20)
    }
}

/// Copies a folder with owners, rights and links; links are not followed.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let there = fs::symlink_metadata(from).map_err(|e| told(from, &e))?;
    let here = |e| told(to, &e);
    if there.is_symlink() {
        let target = fs::read_link(from).map_err(|e| told(from, &e))?;
        symlink(target, to).map_err(here)?;
        return lchown(to, Some(there.uid()), Some(there.gid())).map_err(here);
    }
    if there.is_dir() {
        fs::create_dir(to).map_err(here)?;
        for entry in fs::read_dir(from).map_err(|e| told(from, &e))? {
            let entry = entry.map_err(|e| told(from, &e))?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else if there.is_file() {
        fs::copy(from, to).map_err(here)?;
    } else {
        // Devices and pipes are the host's to give.
        return Ok(());
    }
    lchown(to, Some(there.uid()), Some(there.gid())).map_err(here)?;
    // After the owner, which takes away what lets a program be another's.
    fs::set_permissions(to, there.permissions()).map_err(here)
}

//! What containers write to: an overlay each over its image, and what is kept of
//! it. Everything here blocks.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::config::{self, Place};
use super::container::{CONFIG, Containers, OVERLAY, read};
use super::tools;
use crate::driver::{Definition, Error, Result, State};
use crate::files::{self, Aside, told};
use crate::seed;

const SNAPSHOTS: &str = "snapshots";
/// What folders that are begun aside are called.
const ASIDE: &str = ".new-";

impl Containers {
    /// A disk with its seed, and the configuration that goes with it.
    pub(super) fn disk(
        &self,
        overlay: &Path,
        folder: &Path,
        lower: &Path,
        new: &Definition,
    ) -> Result<String> {
        let delta = overlay.join("delta");
        for path in [overlay, &delta, &overlay.join("work")] {
            fs::create_dir(path).map_err(|e| told(path, &e))?;
        }
        let guest = seed::plant(lower, &delta, &new.name, &new.seed)?;
        let place = Place {
            lower,
            folder,
            init: guest.init,
            halt: guest.halt,
        };
        Ok(config::write(new, &place, self.cgroups))
    }

    pub(super) fn snapshots(&self, name: &str) -> Result<Vec<String>> {
        let folder = self.folder(name)?.join(SNAPSHOTS);
        let mut snapshots = Vec::new();
        let mut begun = false;
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().ok();
            begun |= name.as_ref().is_some_and(|name| name.starts_with(ASIDE));
            snapshots.extend(name.filter(|name| crate::driver::name(name).is_ok()));
        }
        // What was begun and cut off is as large as the disk, and nobody may ever
        // make another one.
        if begun && let Err(e) = files::sweep(&folder, ASIDE) {
            tracing::warn!(%name, error = %e, "a copy of a disk that was cut off is left");
        }
        snapshots.sort_unstable();
        Ok(snapshots)
    }

    pub(super) fn snapshot(&self, name: &str, snapshot: &str) -> Result<()> {
        let (folder, _lock) = self.locked(name)?;
        let (all, at) = (
            folder.join(SNAPSHOTS),
            folder.join(SNAPSHOTS).join(snapshot),
        );
        fs::create_dir_all(&all).map_err(|e| told(&all, &e))?;
        // What was begun and cut off.
        files::sweep(&all, ASIDE).map_err(|e| told(&all, &e))?;
        if at.exists() {
            return Ok(());
        }
        let state = tools::info(self.path(), name)?.state;
        let aside = Aside::make(&all, ASIDE)?;
        // While it is copied nothing is written.
        let frozen = state == State::Running;
        if frozen && let Err(words) = tools::freeze(self.path(), name, true)? {
            // It may stand still in part.
            let _ = tools::freeze(self.path(), name, false)?;
            return Err(Error::Failed(format!(
                "{name:?} does not stand still to be copied: {words}"
            )));
        }
        let copied = copy(&folder.join(OVERLAY).join("delta"), aside.path());
        if frozen {
            let _ = tools::freeze(self.path(), name, false)?;
        }
        copied?;
        let config = fs::copy(folder.join(CONFIG), aside.path().join(CONFIG));
        config.map_err(|e| told(&folder, &e))?;
        aside.place(&at).map(|_| ())
    }

    pub(super) fn restore(&self, name: &str, snapshot: &str) -> Result<()> {
        let (folder, _lock) = self.locked(name)?;
        self.still(name, "restored")?;
        let from = folder.join(SNAPSHOTS).join(snapshot);
        let born = read(&from.join(CONFIG))?;
        let born =
            born.ok_or_else(|| Error::invalid(format!("{name:?} has no snapshot {snapshot:?}")))?;
        files::sweep(&folder, ASIDE).map_err(|e| told(&folder, &e))?;
        let aside = Aside::make(&folder, ASIDE)?;
        copy(&from.join("delta"), aside.path())?;
        fs::create_dir(aside.path().join("work")).map_err(|e| told(&folder, &e))?;
        let now = read(&folder.join(CONFIG))?.unwrap_or_default();
        self.swap(&folder, aside, &config::reborn(&now, &born))
    }

    pub(super) fn reimage(&self, new: &Definition) -> Result<()> {
        let (folder, _lock) = self.locked(&new.name)?;
        self.still(&new.name, "made anew")?;
        let lower = self.images().root(&new.image)?;
        files::sweep(&folder, ASIDE).map_err(|e| told(&folder, &e))?;
        let aside = Aside::make(&folder, ASIDE)?;
        let disk = aside.path().join(OVERLAY);
        let text = self.disk(&disk, &folder, &lower, new)?;
        let fresh = Aside::make(&folder, ASIDE)?;
        for part in ["delta", "work"] {
            fs::rename(disk.join(part), fresh.path().join(part)).map_err(|e| told(&folder, &e))?;
        }
        self.swap(&folder, fresh, &text)
    }

    /// Puts another disk in the place of the old one. A crash in between leaves
    /// a container without a disk, for which this is done once more.
    fn swap(&self, folder: &Path, disk: Aside, config: &str) -> Result<()> {
        let failed = |e: io::Error| Error::Unclear(format!("{}: {e}", folder.display()));
        files::away(&folder.join(OVERLAY), true).map_err(failed)?;
        files::replace(&folder.join(CONFIG), config.as_bytes()).map_err(failed)?;
        disk.place(&folder.join(OVERLAY)).map(|_| ())
    }
}

/// Removes the copies of a container's disk that were begun and cut off. What is
/// no container's folder is left alone.
pub(super) fn sweep_up(folder: &Path) -> Result<()> {
    if !folder.join(CONFIG).is_file() {
        return Ok(());
    }
    for of in [folder.to_owned(), folder.join(SNAPSHOTS)] {
        if of.is_dir() {
            files::sweep(&of, ASIDE).map_err(|e| told(&of, &e))?;
        }
    }
    Ok(())
}

/// Copies a folder into another one with everything that an overlay keeps:
/// owners, devices that stand for what was removed, attributes.
fn copy(from: &Path, into: &Path) -> Result<()> {
    let done = Command::new("cp")
        .arg("-a")
        .arg("--")
        .arg(from)
        .arg(into)
        .output();
    let done = done.map_err(|e| told(from, &e))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(Error::NoRoom(format!(
            "a disk cannot be copied: {}",
            tools::words(&done.stderr)
        ))),
    }
}

//! An archive into a folder, and nowhere else. What is in the archive is
//! somebody's: every path, link and size in it may be meant to do harm.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Entry, EntryType};

/// More entries than any root file system has.
const ENTRIES: u64 = 5_000_000;

/// Why an archive was not unpacked.
#[derive(Debug)]
pub(super) enum Wrong {
    /// It is not what it should be.
    Archive(String),
    /// The machine could not write this.
    Host(PathBuf, io::Error),
}

impl From<io::Error> for Wrong {
    fn from(e: io::Error) -> Self {
        Self::Archive(format!("cannot be unpacked: {e}"))
    }
}

fn wrong<T>(why: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong::Archive(why.into()))
}

/// Unpacks what is read into a folder that is empty and nobody else's, at most
/// so many bytes.
pub(super) fn archive(bytes: &mut impl Read, root: &Path, most: u64) -> Result<(), Wrong> {
    // The archive around the files counts, too: headers can be endless.
    let mut limited = bytes.take(most.saturating_add(1));
    let done = entries(&mut limited, root);
    match limited.limit() {
        0 => wrong(format!(
            "unpacks to more than the {} MiB that an image may have",
            most >> 20
        )),
        _ => done,
    }
}

fn entries(bytes: &mut impl Read, root: &Path) -> Result<(), Wrong> {
    let mut count = 0;
    for entry in Archive::new(bytes).entries()? {
        count += 1;
        if count > ENTRIES {
            return wrong(format!("has more than {ENTRIES} entries"));
        }
        place(entry?, root)?;
    }
    match count {
        0 => wrong("is no archive, or an empty one"),
        _ => Ok(()),
    }
}

fn place(mut entry: Entry<'_, impl Read>, root: &Path) -> Result<(), Wrong> {
    let header = entry.header().clone();
    let Some(path) = inside(root, &entry.path()?)? else {
        // The root itself.
        return Ok(());
    };
    let host = |e| Wrong::Host(path.clone(), e);
    let mode = header.mode()? & 0o7777;
    let kind = header.entry_type();
    let there = fs::symlink_metadata(&path).ok();
    match (kind, &there) {
        (EntryType::Directory, Some(old)) if old.is_dir() => {}
        (_, Some(old)) if old.is_dir() => {
            return wrong("has one path twice, as a folder and as something else");
        }
        (_, Some(_)) => fs::remove_file(&path).map_err(host)?,
        _ => {}
    }
    match kind {
        EntryType::Directory => {
            if !there.is_some_and(|old| old.is_dir()) {
                fs::create_dir(&path).map_err(host)?;
            }
        }
        // A file with holes is greater than what there is of it in the archive:
        // the limit on what is read would not hold for it.
        EntryType::GNUSparse => return wrong("has a file with holes; pack it without --sparse"),
        EntryType::Regular | EntryType::Continuous => {
            let mut file = File::create_new(&path).map_err(host)?;
            io::copy(&mut entry, &mut file).map_err(|e| match e.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => host(e),
                _ => Wrong::from(e),
            })?;
            if let Ok(seconds) = header.mtime() {
                let time =
                    std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds.min(1 << 40));
                file.set_modified(time).map_err(host)?;
            }
        }
        EntryType::Symlink => {
            // Where it leads is the guest's affair: nothing here follows it.
            let Some(target) = entry.link_name()? else {
                return wrong("has a link that leads nowhere");
            };
            symlink(&target, &path).map_err(host)?;
        }
        EntryType::Link => {
            let Some(target) = entry.link_name()? else {
                return wrong("has a link that leads nowhere");
            };
            let target = inside(root, &target)?;
            let is_file = |p: &PathBuf| fs::symlink_metadata(p).is_ok_and(|m| m.is_file());
            let Some(target) = target.filter(is_file) else {
                return wrong("has a hard link to what is not a file in it");
            };
            return fs::hard_link(target, &path).map_err(host);
        }
        // Devices are the host's to give.
        _ => return Ok(()),
    }
    let id = |id: io::Result<u64>| id.ok().and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
    lchown(&path, Some(id(header.uid())), Some(id(header.gid()))).map_err(host)?;
    if kind != EntryType::Symlink {
        // After the owner, which takes away what lets a program be another's.
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(host)?;
    }
    Ok(())
}

/// Where a path of the archive is in the folder; nothing for the folder itself.
/// On the way there is no link, so that it is nowhere else.
fn inside(root: &Path, path: &Path) -> Result<Option<PathBuf>, Wrong> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            _ => return wrong("has a path that leads out of it"),
        }
    }
    let Some(last) = names.pop() else {
        return Ok(None);
    };
    let mut at = root.to_owned();
    for name in names {
        at.push(name);
        match fs::symlink_metadata(&at) {
            Ok(there) if there.is_dir() => {}
            Ok(_) => return wrong("has a path that leads through a link or a file"),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&at).map_err(|e| Wrong::Host(at.clone(), e))?;
            }
            Err(e) => return Err(Wrong::Host(at, e)),
        }
    }
    at.push(last);
    Ok(Some(at))
}

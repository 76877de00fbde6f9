//! Files and folders of containers: put in place in one step, locked while
//! something is done with them, removed with their mark last.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::driver::{Error, Result};

/// Writes a file aside and puts it in its place in one step.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&aside, path)
}

/// A folder that nobody else does anything with, in whatever process, until
/// this is dropped. Nothing where there is no such folder.
pub(crate) fn lock(folder: &Path) -> Result<Option<File>> {
    loop {
        let lock = match File::open(folder) {
            Ok(lock) => lock,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(told(folder, &e)),
        };
        lock.lock().map_err(|e| told(folder, &e))?;
        // While we waited it may have been removed, and another made.
        let (ours, there) = (lock.metadata(), fs::symlink_metadata(folder));
        match (ours, there) {
            (Ok(ours), Ok(there)) if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) => {
                return Ok(Some(lock));
            }
            (_, Err(e)) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            (Err(e), _) | (_, Err(e)) => return Err(told(folder, &e)),
            _ => {}
        }
    }
}

/// Lets nobody else look into a folder.
pub(crate) fn close(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

/// Removes a folder with what is in it. What tells whose it is stays until all
/// else is gone, and then goes with the folder in one step: aside, where a sweep
/// finds what is left by who is cut off.
pub(crate) fn remove(folder: &Path, marks: &[&str], prefix: &str) -> Result<()> {
    let failed = |e: &io::Error| told(folder, e);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(&e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| failed(&e))?;
        if !marks.iter().any(|name| entry.file_name() == *name) {
            let is_dir = entry.file_type().map_err(|e| failed(&e))?.is_dir();
            away(&entry.path(), is_dir).map_err(|e| failed(&e))?;
        }
    }
    let parent = folder.parent().unwrap_or(folder);
    let aside = Aside::closed(parent, prefix)?;
    match fs::rename(folder, aside.path().join("gone")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|e| failed(&e)),
    }
}

/// How many bytes of the disk the files below a folder have; links are not
/// followed, and what cannot be read counts nothing.
pub(crate) fn bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let each = entries.map(|entry| match entry.metadata() {
        Ok(facts) if facts.is_dir() => bytes(&entry.path()),
        // Of a file with holes, what is in it.
        Ok(facts) if facts.is_file() => facts.len().min(facts.blocks().saturating_mul(512)),
        _ => 0,
    });
    each.fold(0, u64::saturating_add)
}

/// Removes one entry, whatever it is; links are not followed.
pub(crate) fn away(path: &Path, is_dir: bool) -> io::Result<()> {
    let gone = match is_dir {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    match gone {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Removes what was begun aside and whose maker is gone: it holds the lock as
/// long as it works.
pub(crate) fn sweep(parent: &Path, prefix: &str) -> io::Result<()> {
    sweep_of(parent, prefix, |_| true)
}

/// The same of what looks like ours, which is told before it is opened.
fn sweep_of(
    parent: &Path,
    prefix: &str,
    is_ours: impl Fn(&fs::Metadata) -> bool,
) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let left = entry.file_name().to_string_lossy().starts_with(prefix);
        if left
            && let Ok(facts) = entry.metadata()
            && is_ours(&facts)
            && let Ok(lock) = File::open(entry.path())
            && lock.try_lock().is_ok()
        {
            away(&entry.path(), facts.is_dir())?;
        }
    }
    Ok(())
}

/// A folder of our own, aside; it is locked, and goes with this unless it was
/// put in its place.
#[derive(Debug)]
pub(crate) struct Aside {
    path: PathBuf,
    _lock: File,
    placed: bool,
}

impl Aside {
    /// A new one below `parent`, whose name begins with this.
    pub(crate) fn make(parent: &Path, prefix: &str) -> Result<Self> {
        Self::of_mode(parent, prefix, 0o777)
    }

    /// The same for what nobody else may look into.
    pub(crate) fn closed(parent: &Path, prefix: &str) -> Result<Self> {
        Self::of_mode(parent, prefix, 0o700)
    }

    /// The same for what nobody else may look at, in a folder that may be
    /// everybody's, as that of temporary files is. What we have left there by
    /// a crash goes.
    pub(crate) fn private(parent: &Path, prefix: &str) -> Result<Self> {
        let aside = Self::of_mode(parent, prefix, 0o700)?;
        // Others can put what they like under such a name; who opens a pipe
        // waits for its other end.
        let swept = fs::symlink_metadata(&aside.path).and_then(|own| {
            let is_ours = |found: &fs::Metadata| found.is_dir() && found.uid() == own.uid();
            sweep_of(parent, prefix, is_ours)
        });
        if let Err(e) = swept {
            tracing::warn!(folder = %parent.display(), error = %e, "what a crash left cannot be removed");
        }
        Ok(aside)
    }

    fn of_mode(parent: &Path, prefix: &str, mode: u32) -> Result<Self> {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let path = parent.join(format!("{prefix}{}-{count}", std::process::id()));
            if let Some(lock) = locked(&path, mode).map_err(|e| told(&path, &e))? {
                return Ok(Self {
                    path,
                    _lock: lock,
                    placed: false,
                });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it where it belongs, in one step; false where that is taken.
    pub(crate) fn place(mut self, at: &Path) -> Result<bool> {
        match fs::rename(&self.path, at) {
            Ok(()) => {
                self.placed = true;
                Ok(true)
            }
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::AlreadyExists
                        | io::ErrorKind::DirectoryNotEmpty
                        | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(false)
            }
            Err(e) => Err(told(at, &e)),
        }
    }
}

/// Makes a folder and locks it; nothing where there is something of this name,
/// for numbers of processes come again, and where somebody swept it away before
/// it was locked, for until then it looks as if its maker were gone.
fn locked(path: &Path, mode: u32) -> io::Result<Option<File>> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        made => made?,
    }
    let lock = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        lock => lock?,
    };
    lock.lock()?;
    Ok(path.exists().then_some(lock))
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.placed {
            // What cannot be removed now is found by the next sweep.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// What the machine says of a path.
pub(crate) fn told(path: &Path, e: &io::Error) -> Error {
    let what = format!("{}: {e}", path.display());
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::NoRoom(what),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::Denied(what),
        _ => Error::Unavailable(what),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// What a process of our number, which was killed, would have left.
    fn left(parent: &Path, upto: u64) -> Vec<PathBuf> {
        let of = |n| parent.join(format!("rm-x-{}-{n}", std::process::id()));
        let all: Vec<PathBuf> = (0..upto).map(of).collect();
        for folder in &all {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("image"), "bytes").unwrap();
        }
        all
    }

    #[test]
    fn what_a_crash_left_is_in_nobodys_way_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let old = left(folder.path(), 1000);
        let others = folder.path().join("rm-y-1");
        fs::create_dir(&others).unwrap();
        let first = Aside::private(folder.path(), "rm-x-").unwrap();
        let second = Aside::private(folder.path(), "rm-x-").unwrap();
        assert!(old.iter().all(|folder| !folder.exists()));
        assert!(first.path().exists() && second.path().exists() && others.exists());
        drop((first, second));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_removed_is_never_there_without_its_mark() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("rm-1");
        let mark = folder.join("mark");
        for _ in 0..200 {
            fs::create_dir_all(folder.join("rest/of/it")).unwrap();
            fs::write(&mark, "ours").unwrap();
            std::thread::scope(|both| {
                let seen = both.spawn(|| {
                    let end = Instant::now() + Duration::from_secs(10);
                    while mark.exists() && Instant::now() < end {}
                    folder.exists()
                });
                remove(&folder, &["mark"], ".new-").unwrap();
                assert!(!seen.join().unwrap(), "nobody could tell whose it is");
            });
            assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn nobody_else_looks_into_what_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let aside = Aside::private(folder.path(), "rm-x-").unwrap();
        let mode = fs::metadata(aside.path()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn what_only_looks_like_ours_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("rm-x-link");
        let aim = folder.path().join("aim");
        fs::create_dir(&aim).unwrap();
        std::os::unix::fs::symlink(&aim, &link).unwrap();
        let file = folder.path().join("rm-x-file");
        fs::write(&file, "theirs").unwrap();
        let _aside = Aside::private(folder.path(), "rm-x-").unwrap();
        assert!(fs::symlink_metadata(&link).is_ok() && aim.exists() && file.exists());
    }
}

//! One locked file for each engine that lives, beside the store's own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rm_core::id::InstanceId;

/// The locks of this store: those that it holds, and where those of others are.
#[derive(Debug, Clone)]
pub(super) struct Locks {
    folder: PathBuf,
    /// `STORE.lock-`; the engine's id follows.
    prefix: OsString,
    held: Arc<Mutex<BTreeMap<InstanceId, File>>>,
}

/// An engine that has ended. Its lock is kept until its claims are given back,
/// so that nobody else does the same meanwhile.
#[derive(Debug)]
pub(super) struct Dead {
    pub(super) owner: InstanceId,
    path: PathBuf,
    _lock: File,
}

impl Dead {
    /// Removes its file, after its claims were given back.
    pub(super) fn bury(&self) {
        remove(&self.path);
    }
}

impl Locks {
    pub(super) fn beside(store: &Path) -> Self {
        let mut prefix = store.file_name().unwrap_or_default().to_owned();
        prefix.push(".lock-");
        Self {
            folder: store.parent().unwrap_or(Path::new(".")).to_owned(),
            prefix,
            held: Arc::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<InstanceId, File>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, owner: InstanceId) -> PathBuf {
        let mut name = self.prefix.clone();
        name.push(owner.to_string());
        self.folder.join(name)
    }

    /// Shows that an engine of this process lives, before it claims anything.
    ///
    /// Where that cannot be shown, its claims end by their leases only.
    pub(super) fn hold(&self, owner: InstanceId) {
        let mut held = self.held();
        if held.contains_key(&owner) {
            return;
        }
        match lock_new(&self.path(owner)) {
            Ok(file) => {
                held.insert(owner, file);
            }
            Err(e) => {
                tracing::warn!(
                    error = %e,
                    "no lock file can be made beside the store; \
                     if this process dies, its work waits for its leases"
                );
            }
        }
    }

    /// The engines of this process.
    pub(super) fn mine(&self) -> Vec<InstanceId> {
        self.held().keys().copied().collect()
    }

    /// Ends the lock of an engine of this process.
    pub(super) fn leave(&self, owner: InstanceId) {
        if let Some(lock) = self.held().remove(&owner) {
            // Removed while it is locked: nobody takes it for a dead one's.
            remove(&self.path(owner));
            drop(lock);
        }
    }

    /// The engine, where it has certainly ended: its file is there and nobody
    /// holds it.
    pub(super) fn dead(&self, owner: InstanceId) -> Option<Dead> {
        let path = self.path(owner);
        let file = File::open(&path).ok()?;
        match file.try_lock() {
            Ok(()) => Some(Dead {
                owner,
                path,
                _lock: file,
            }),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
        }
    }

    /// Every engine that left a file behind and has ended.
    pub(super) fn all_dead(&self) -> Vec<Dead> {
        let prefix = self.prefix.to_string_lossy();
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                let owner = name.to_str()?.strip_prefix(&*prefix)?.parse().ok()?;
                self.dead(owner)
            })
            .collect()
    }
}

/// Makes a locked file. It gets its name only when it is locked already, so
/// that nobody ever finds it unlocked while its engine lives.
fn lock_new(path: &Path) -> io::Result<File> {
    let mut unborn = path.as_os_str().to_owned();
    unborn.push(".new");
    let file = File::create(&unborn)?;
    file.try_lock().map_err(io::Error::from)?;
    fs::rename(&unborn, path)?;
    Ok(file)
}

fn remove(path: &Path) {
    if let Err(e) = fs::remove_file(path)
        && e.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(error = %e, "a lock file beside the store cannot be removed");
    }
}

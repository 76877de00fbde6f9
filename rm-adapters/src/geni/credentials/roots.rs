//! Whom we trust: a folder of certificates, read again when it changes.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rm_core::env::Timestamp;
use rm_core::{Error, ErrorKind, Result};

use super::certificate::{Anchors, Certificate};

/// How long a look at the folder is good for.
const FRESH: Duration = Duration::from_secs(1);
/// How large a file of certificates may be, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// What a file was like: its name, size, time of change, number.
type Mark = (PathBuf, u64, i64, i64, u64);

/// A folder of trusted certificates: every file `*.pem`, `*.crt` or `*.cer` in
/// it, each with one or more in PEM.
#[derive(Debug)]
pub struct Roots {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    looked: Option<Timestamp>,
    marks: Vec<Mark>,
    anchors: Arc<Anchors>,
}

impl Roots {
    /// The certificates in this folder, read when they are first asked for.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            state: Mutex::default(),
        }
    }

    /// Those that are trusted now. The folder is looked at once a second at
    /// the most; a file that is gone is not trusted any more. A file that
    /// cannot be read is told in the log and trusted with nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] where the folder cannot be read.
    pub fn now(&self, now: Timestamp) -> Result<Arc<Anchors>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = state
            .looked
            .is_some_and(|at| now >= at && now.since(at) < FRESH);
        if !fresh {
            let marks = self.marks()?;
            if state.looked.is_none() || marks != state.marks {
                state.anchors = Arc::new(read(&marks));
                state.marks = marks;
                tracing::info!(
                    folder = %self.folder.display(),
                    certificates = state.anchors.len(),
                    "trusted certificates were read"
                );
            }
            state.looked = Some(now);
        }
        Ok(Arc::clone(&state.anchors))
    }

    fn marks(&self) -> Result<Vec<Mark>> {
        let cannot = |e: std::io::Error| {
            Error::new(
                ErrorKind::Unavailable,
                "the folder of trusted certificates cannot be read",
            )
            .advice("the operator should look at its place and permissions")
            .because(e)
        };
        let mut marks = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            let wanted = path
                .extension()
                .and_then(|e| e.to_str())
                .is_some_and(|e| matches!(e, "pem" | "crt" | "cer"));
            // A file that goes away meanwhile is not there.
            if let (true, Ok(found)) = (wanted, std::fs::metadata(&path))
                && found.is_file()
            {
                let (seconds, nanoseconds) = (found.mtime(), found.mtime_nsec());
                marks.push((path, found.len(), seconds, nanoseconds, found.ino()));
            }
        }
        marks.sort_unstable();
        Ok(marks)
    }
}

fn read(marks: &[Mark]) -> Anchors {
    let mut certificates = Vec::new();
    for (path, length, ..) in marks {
        match certificates_in(path, *length) {
            Ok(found) => certificates.extend(found),
            Err(e) => tracing::warn!(
                file = %path.display(),
                error = %e,
                "a file of trusted certificates was left out"
            ),
        }
    }
    Anchors::new(certificates)
}

fn certificates_in(path: &Path, length: u64) -> Result<Vec<Certificate>> {
    if length > LARGEST {
        return Err(Error::invalid("the file is larger than certificates are"));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::invalid(format!("the file cannot be read: {e}")))?;
    Certificate::from_pem(&text)
}

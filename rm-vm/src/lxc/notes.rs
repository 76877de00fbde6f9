//! What containers say of themselves, as it was read before: to make one does
//! not take reading the files of all others.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::container::read;
use crate::driver::Result;
use crate::files::told;

/// By the names of containers.
#[derive(Debug, Default)]
pub(super) struct Notes(Mutex<BTreeMap<String, (Stamp, String)>>);

/// Of a file: another one is put in its place whenever it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp([u64; 3], [i64; 4]);

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self(
            [file.dev(), file.ino(), file.size()],
            [
                file.mtime(),
                file.mtime_nsec(),
                file.ctime(),
                file.ctime_nsec(),
            ],
        )
    }
}

impl Notes {
    /// What these files say, of which some may not be there. What others were
    /// asked for before is forgotten.
    pub(super) fn of(
        &self,
        files: impl Iterator<Item = (String, PathBuf)>,
    ) -> Result<Vec<(String, String)>> {
        // Who asks at the same moment finds it read.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *known);
        let (mut now, mut notes) = (BTreeMap::new(), Vec::new());
        for (name, file) in files {
            let Some(stamp) = stamp(&file)? else { continue };
            let same = before.remove(&name).filter(|(of, _)| *of == stamp);
            let text = match same {
                Some((_, text)) => Some(text),
                None => read(&file)?,
            };
            if let Some(text) = text {
                notes.push((name.clone(), text.clone()));
                now.insert(name, (stamp, text));
            }
        }
        *known = now;
        Ok(notes)
    }
}

fn stamp(file: &Path) -> Result<Option<Stamp>> {
    match std::fs::metadata(file) {
        Ok(facts) => Ok(Some(Stamp::of(&facts))),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(told(file, &e)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::files::replace;

    #[test]
    fn what_was_read_is_not_read_again_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| (name.to_owned(), folder.path().join(name));
        let say = |name: &str, text: &str| replace(&file(name).1, text.as_bytes()).unwrap();
        let notes = Notes::default();
        let all = || notes.of(["a", "b", "c"].map(file).into_iter()).unwrap();
        let said = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        say("a", "1");
        say("b", "1");
        assert_eq!(all(), [said("a", "1"), said("b", "1")]);
        // Of the same length, and within the same moment.
        say("a", "2");
        fs::remove_file(file("b").1).unwrap();
        assert_eq!(all(), [said("a", "2")]);
        assert_eq!(all(), [said("a", "2")]);
        say("b", "3");
        assert_eq!(all(), [said("a", "2"), said("b", "3")]);
        let kept = notes.0.lock().unwrap().len();
        assert_eq!(kept, 2);
    }
}

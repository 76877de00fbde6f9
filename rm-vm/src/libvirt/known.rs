//! What the domains of a host take, as it is known from one call to the next:
//! to make one does not cost a look at all the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rm_libvirt::{Domain as Handle, Uuid};

use crate::driver::Share;

/// For so long the size of a domain may have been changed by somebody else.
const AGE: Duration = Duration::from_secs(60);

/// What must be true now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// What of the metadata never changes.
    Notes,
    /// The size, too.
    Sizes,
}

/// What a domain takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) share: Share,
    /// The networks of links that it is defined on, which never change.
    pub(super) links: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Shares>);

#[derive(Debug, Default)]
struct Shares {
    /// By UUID, for a name may come again with other interfaces.
    of: BTreeMap<Uuid, (Taken, Instant)>,
    /// Counts what was forgotten.
    forgotten: u64,
}

/// What had been changed by then. What was read from then on is not kept where
/// there is more by now: it may be older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AsOf(u64);

impl Known {
    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be asked before anything is read.
    pub(super) fn as_of(&self) -> AsOf {
        AsOf(self.lock().forgotten)
    }

    /// What is known of all domains there are, and those of which it is not
    /// known. What is not among them is forgotten.
    pub(super) fn sort(&self, all: Vec<Handle>, want: Want) -> (Vec<Taken>, Vec<Handle>) {
        self.sort_at(Instant::now(), all, want)
    }

    fn sort_at(&self, now: Instant, all: Vec<Handle>, want: Want) -> (Vec<Taken>, Vec<Handle>) {
        let mut known = self.lock();
        let mut before = std::mem::take(&mut known.of);
        let (mut all_taken, mut unknown) = (Vec::with_capacity(all.len()), Vec::new());
        for handle in all {
            let found = before.remove(&handle.uuid).filter(|(taken, read)| {
                let share = &taken.share;
                // Who bears no mark may be given one.
                let is_noted = want == Want::Notes && share.metadata.is_some();
                share.name == handle.name && (is_noted || now.duration_since(*read) < AGE)
            });
            match found {
                Some((taken, read)) => {
                    all_taken.push(taken.clone());
                    known.of.insert(handle.uuid, (taken, read));
                }
                None => unknown.push(handle),
            }
        }
        (all_taken, unknown)
    }

    /// What was read just now, and not before this.
    pub(super) fn keep(&self, as_of: AsOf, uuid: Uuid, taken: Taken) {
        let mut known = self.lock();
        if as_of.0 == known.forgotten {
            known.of.insert(uuid, (taken, Instant::now()));
        }
    }

    /// It was changed.
    pub(super) fn forget(&self, name: &str) {
        let mut known = self.lock();
        known.forgotten += 1;
        known.of.retain(|_, (taken, _)| taken.share.name != name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Size;

    fn handle(name: &str, number: u8) -> Handle {
        Handle::new(name, Uuid([number; 16]))
    }

    fn taken(name: &str, metadata: Option<&str>) -> Taken {
        let share = Share {
            name: name.to_owned(),
            size: Size {
                vcpus: 1,
                memory_mib: 64,
            },
            metadata: metadata.map(str::to_owned),
        };
        Taken {
            share,
            links: BTreeSet::new(),
        }
    }

    /// The names of those that are to be asked for, so much later.
    fn later(known: &Known, after: Duration, all: &[Handle], want: Want) -> Vec<String> {
        let (_, unknown) = known.sort_at(Instant::now() + after, all.to_vec(), want);
        unknown.into_iter().map(|handle| handle.name).collect()
    }

    fn names(known: &Known, all: &[Handle], want: Want) -> Vec<String> {
        later(known, Duration::ZERO, all, want)
    }

    #[test]
    fn only_what_is_new_is_asked_for() {
        let known = Known::default();
        let mut all: Vec<Handle> = (0..200).map(|n| handle(&format!("n{n}"), n)).collect();
        assert_eq!(names(&known, &all, Want::Sizes).len(), 200);
        for of in &all {
            known.keep(known.as_of(), of.uuid, taken(&of.name, Some("{}")));
        }
        all.push(handle("new", 200));
        let (all_taken, unknown) = known.sort(all.clone(), Want::Sizes);
        assert_eq!((all_taken.len(), unknown), (200, vec![handle("new", 200)]));
        // A name that came again is another domain.
        all[7] = handle("n7", 201);
        assert_eq!(names(&known, &all, Want::Notes), ["n7", "new"]);
        known.forget("n8");
        assert_eq!(names(&known, &all, Want::Sizes), ["n7", "n8", "new"]);
        // What is gone is not kept.
        assert_eq!(names(&known, &[], Want::Sizes), [""; 0]);
        assert_eq!(names(&known, &all, Want::Sizes).len(), 201);
    }

    #[test]
    fn what_was_read_before_we_changed_something_is_not_kept() {
        let known = Known::default();
        let all = [handle("ours", 1)];
        let before = known.as_of();
        known.forget("ours");
        known.keep(before, all[0].uuid, taken("ours", Some("{}")));
        assert_eq!(names(&known, &all, Want::Sizes), ["ours"]);
        known.keep(known.as_of(), all[0].uuid, taken("ours", Some("{}")));
        assert_eq!(names(&known, &all, Want::Sizes), [""; 0]);
    }

    #[test]
    fn what_others_may_have_changed_is_asked_for_again() {
        let known = Known::default();
        let all = [handle("ours", 1), handle("theirs", 2)];
        known.keep(known.as_of(), all[0].uuid, taken("ours", Some("{}")));
        known.keep(known.as_of(), all[1].uuid, taken("theirs", None));
        assert_eq!(later(&known, AGE / 2, &all, Want::Sizes), [""; 0]);
        assert_eq!(later(&known, AGE * 2, &all, Want::Notes), ["theirs"]);
        let both = ["ours", "theirs"];
        assert_eq!(later(&known, AGE * 2, &all, Want::Sizes), both);
    }
}

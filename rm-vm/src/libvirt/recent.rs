//! The domains that were defined or started here last, by their names: to ask
//! libvirt for each once more, before each call, takes as long as the call.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rm_libvirt::Domain as Handle;

/// More than are on their way at once.
const KEPT: usize = 64;

/// What libvirt knows them by. It asks for the UUID: one that is gone it does
/// not take for another one of the same name.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<One>>);

#[derive(Debug)]
struct One {
    handle: Handle,
    /// The links that it is defined on, where that is known.
    links: Option<BTreeSet<String>>,
}

impl Recent {
    fn lock(&self) -> MutexGuard<'_, VecDeque<One>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, name: &str) -> Option<Handle> {
        let known = self.lock();
        let found = known.iter().find(|one| one.handle.name == name);
        found.map(|one| one.handle.clone())
    }

    /// The links that this one is defined on, where that is known.
    pub(super) fn links_of(&self, handle: &Handle) -> Option<BTreeSet<String>> {
        let known = self.lock();
        let found = known.iter().find(|one| one.handle.uuid == handle.uuid);
        found.and_then(|one| one.links.clone())
    }

    /// It was started just now.
    pub(super) fn keep(&self, handle: Handle) {
        let links = self.links_of(&handle);
        self.put(One { handle, links });
    }

    /// It is defined on these links.
    pub(super) fn keep_on(&self, handle: Handle, links: BTreeSet<String>) {
        let links = Some(links);
        self.put(One { handle, links });
    }

    fn put(&self, one: One) {
        let mut known = self.lock();
        known.retain(|known| known.handle.name != one.handle.name);
        known.truncate(KEPT - 1);
        known.push_front(one);
    }

    /// It is gone, or not what it was.
    pub(super) fn forget(&self, name: &str) {
        self.lock().retain(|known| known.handle.name != name);
    }
}

#[cfg(test)]
mod tests {
    use rm_libvirt::Uuid;

    use super::*;

    #[test]
    fn the_last_ones_are_known_until_they_are_gone() {
        let recent = Recent::default();
        for n in 0..=100 {
            recent.keep(Handle::new(format!("n{n}"), Uuid([n; 16])));
        }
        assert_eq!(recent.of("n36"), None);
        assert_eq!(
            recent.of("n37").map(|known| known.uuid),
            Some(Uuid([37; 16]))
        );
        // Of one name the last one counts.
        recent.keep(Handle::new("n50", Uuid([200; 16])));
        assert_eq!(
            recent.of("n50").map(|known| known.uuid),
            Some(Uuid([200; 16]))
        );
        recent.forget("n50");
        assert_eq!(recent.of("n50"), None);
        assert!(recent.of("n37").is_some());
    }

    #[test]
    fn what_one_is_on_is_known_until_it_is_another_one() {
        let recent = Recent::default();
        let [one, other] = [1, 2].map(|n| Handle::new("a", Uuid([n; 16])));
        assert_eq!(recent.links_of(&one), None);
        let links = BTreeSet::from(["rml000000000000".to_owned()]);
        recent.keep_on(one.clone(), links.clone());
        recent.keep(one.clone());
        assert_eq!(recent.links_of(&one), Some(links));
        recent.keep(other.clone());
        assert_eq!(recent.links_of(&other), None);
    }
}

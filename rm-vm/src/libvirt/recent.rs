//! The domains that were defined or started here last, by their names: to ask
//! libvirt for each once more, before each call, takes as long as the call.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rm_libvirt::Domain as Handle;

/// More than are on their way at once.
const KEPT: usize = 64;

/// What libvirt knows them by. It asks for the UUID: one that is gone it does
/// not take for another one of the same name.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<Handle>>);

impl Recent {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Handle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, name: &str) -> Option<Handle> {
        let known = self.lock();
        known.iter().find(|handle| handle.name == name).cloned()
    }

    /// It was defined or started just now.
    pub(super) fn keep(&self, handle: Handle) {
        let mut known = self.lock();
        known.retain(|known| known.name != handle.name);
        known.truncate(KEPT - 1);
        known.push_front(handle);
    }

    /// It is gone, or not what it was.
    pub(super) fn forget(&self, name: &str) {
        self.lock().retain(|known| known.name != name);
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
}

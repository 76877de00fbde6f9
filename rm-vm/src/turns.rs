//! One after the other, of what bears the same name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Turns by name. Those of different names do not wait for each other.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<BTreeMap<String, Weak<Turn<()>>>>);

impl Turns {
    /// Waits until nobody else has the turn of this name; what is answered
    /// keeps it.
    pub(crate) async fn of(&self, name: &str) -> OwnedMutexGuard<()> {
        self.turn(name).lock_owned().await
    }

    /// The turn of this name, where nobody has it.
    pub(crate) fn now_of(&self, name: &str) -> Option<OwnedMutexGuard<()>> {
        self.turn(name).try_lock_owned().ok()
    }

    fn turn(&self, name: &str) -> Arc<Turn<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        match turns.get(name).and_then(Weak::upgrade) {
            Some(turn) => turn,
            None => {
                let turn = Arc::new(Turn::default());
                turns.insert(name.to_owned(), Arc::downgrade(&turn));
                turn
            }
        }
    }
}

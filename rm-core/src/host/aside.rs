//! Resources that the engine leaves alone for a while.

use futures_util::{StreamExt, stream};

use super::Host;
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::ResourceId;
use crate::store::{Batch, Due, Expect, Key, Outcome, Store};

/// So many are written at once, which is one commit for a store that writes in
/// groups.
const AT_ONCE: usize = 64;
/// How often one is tried that somebody else writes meanwhile.
const TRIES: u32 = 5;

impl Host {
    /// Lets the engine begin nothing with these resources before then, for who
    /// writes many of them in one commit and finds the engine faster every time.
    /// Nothing else becomes of them. What it has in hand it still writes; that can
    /// be set aside once more.
    ///
    /// It ends with the next write that says when work is wanted, as every verb
    /// does, and by itself at that moment, whatever became of who wanted it.
    ///
    /// # Errors
    ///
    /// Where the store cannot be asked.
    pub async fn set_aside(&self, resources: &[ResourceId], until: Timestamp) -> Result<()> {
        let store = self.store();
        let ids = resources.iter().copied();
        let mut aside = stream::iter(ids)
            .map(|id| one(&**store, id, until))
            .buffer_unordered(AT_ONCE);
        while let Some(done) = aside.next().await {
            done?;
        }
        Ok(())
    }
}

/// Sets one aside; one that is written all the time stays as it is.
async fn one(store: &dyn Store, id: ResourceId, until: Timestamp) -> Result<()> {
    for _ in 0..TRIES {
        let Some(row) = store.resource(id).await? else {
            return Ok(());
        };
        let batch = Batch {
            expect: vec![Expect::Version(Key::Resource(id), row.version)],
            resources: vec![(row.record, Due::At(until))],
            ..Batch::default()
        };
        // Nobody is woken: there is nothing to do.
        if let Outcome::Done(_) = store.commit(batch).await? {
            return Ok(());
        }
    }
    Ok(())
}

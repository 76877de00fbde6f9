//! The reaper: ends the holds whose time is over, exactly once, whoever works
//! on the resource meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;

use super::Engine;
use crate::accounts;
use crate::env::Timestamp;
use crate::error::Result;
use crate::record::ResourceRecord;
use crate::resource;
use crate::store::{Batch, Due, Expect, Key, Outcome, Versioned};

/// So many are ended at once, which share a commit of the disk.
const TOGETHER: usize = 64;

impl Engine {
    /// Ends what is over, and answers when to come again.
    pub(super) async fn reap(&self) -> Timestamp {
        /// A lease that somebody gives in another process is not heard of.
        const AT_MOST: Duration = Duration::from_millis(500);
        let later = |e| {
            tracing::warn!(error = %e, "leases that are over could not be ended");
            None
        };
        let next = self.end_all().await.unwrap_or_else(later);
        let latest = self.core.env.now().plus(AT_MOST);
        next.map_or(latest, |next| next.min(latest))
    }

    async fn end_all(&self) -> Result<Option<Timestamp>> {
        const AT_ONCE: u32 = 100;
        let store = &self.core.store;
        loop {
            let next = store.next_end().await?;
            let now = self.core.env.now();
            if next.is_none_or(|end| end > now) {
                return Ok(next);
            }
            let ended = store.ended(now, AT_ONCE).await?;
            if ended.is_empty() {
                return Ok(None);
            }
            let ends = ended.into_iter().map(|row| self.end(row));
            let mut ends = stream::iter(ends).buffer_unordered(TOGETHER);
            while let Some(done) = ends.next().await {
                done?;
            }
        }
    }

    /// Ends what is over of one resource. The version that is expected makes
    /// one of several reapers the one who does it, and lets a renewal that
    /// came first win.
    async fn end(&self, mut row: Versioned<ResourceRecord>) -> Result<()> {
        let core = &*self.core;
        loop {
            let now = core.env.now();
            if row.record.first_end().is_none_or(|end| end > now) {
                return Ok(());
            }
            let mut r = (*row.record).clone();
            let mut batch = Batch::default();
            let (ended, left): (Vec<_>, Vec<_>) = std::mem::take(&mut r.holds)
                .into_iter()
                .partition(|h| h.until.is_some_and(|t| t <= now));
            r.holds = left;
            r.updated = now;
            for hold in ended {
                batch.events.push(core.event(
                    &r,
                    "expired",
                    json!({"hold": hold.id, "of": hold.user, "left": r.holds.len()}),
                ));
                accounts::forget(&r, &hold.user, &mut batch);
            }
            if r.holds.is_empty() {
                resource::want_absent(&*core.env, &mut r, &mut batch, "its last lease is over");
            }
            let key = Key::Resource(r.id);
            batch.expect.push(Expect::Version(key, row.version));
            // Where holds are left there is nothing to do for the engine.
            let due = match r.holds.is_empty() {
                true => Due::At(now),
                false => Due::Keep,
            };
            batch.resources.push((Arc::new(r), due));
            if let Outcome::Done(_) = core.commit(batch).await? {
                return Ok(());
            }
            match core.store.resource(row.record.id).await? {
                Some(newer) => row = newer,
                None => return Ok(()),
            }
        }
    }
}

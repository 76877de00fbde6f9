//! Housekeeping: what nobody will ask for again is removed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Engine;
use crate::clusters::{IDEMPOTENCY, day};
use crate::env::Timestamp;
use crate::error::Result;
use crate::event::{self, Event};
use crate::id::ResourceId;
use crate::outbox::GIVE_UP;
use crate::store::{Batch, Expect, Key, Outcome};

/// How often, where there is little to do.
const EVERY: Duration = Duration::from_secs(3600);

/// How soon again, where there is more.
const SOON: Duration = Duration::from_secs(1);

/// Days after which an idempotency key is forgotten, and how far back it is
/// looked for old ones after a pause of the whole installation.
const KEPT: i64 = 2;
const BACK: i64 = 60;

/// How many events one commit forgets at the most, and how many such steps are
/// made while the engine waits.
const BATCH: u32 = 500;
const STEPS: u32 = 4;

/// So many events of one resource are kept however old they are.
const HISTORY: u32 = 1000;

/// Whoever is behind with the events, as a callback may be that does not
/// answer, finds them for at least so long.
const LEAST: Duration = GIVE_UP.saturating_add(Duration::from_secs(24 * 3600));

impl Engine {
    /// Forgets old idempotency keys and old events, and answers when to come
    /// again.
    pub(super) async fn tidy(&self) -> Timestamp {
        let pause = match self.tidy_some().await {
            Ok(true) => SOON,
            Ok(false) => EVERY,
            Err(e) => {
                tracing::warn!(error = %e, "what is old could not be removed");
                EVERY
            }
        };
        self.core.env.now().plus(pause)
    }

    /// Whether there is more to do.
    async fn tidy_some(&self) -> Result<bool> {
        self.forget_keys().await?;
        for _ in 0..STEPS {
            if !self.trim_events().await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn forget_keys(&self) -> Result<()> {
        let core = &*self.core;
        let any = core.store.documents(IDEMPOTENCY, None, None, 1).await?;
        if any.items.is_empty() {
            return Ok(());
        }
        let today = day(core.env.now());
        for old in today - BACK..today - KEPT {
            let value = old.to_string();
            loop {
                let index = Some(("day", value.as_str()));
                let page = core.store.documents(IDEMPOTENCY, index, None, 500).await?;
                if page.items.is_empty() {
                    break;
                }
                let mut batch = Batch::default();
                for found in page.items {
                    let id = found.record.id.clone();
                    batch.delete.push(Key::Document(IDEMPOTENCY.to_owned(), id));
                }
                core.store.commit(batch).await?;
            }
        }
        Ok(())
    }

    /// Passes once over the events that have become old: those of no resource
    /// go; those of a resource go with the one that says that it is gone, and
    /// until then only where it has very many. The histories of what is still
    /// there stay behind. True where there is more to pass.
    async fn trim_events(&self) -> Result<bool> {
        let store = &self.core.store;
        let now = self.core.env.now();
        let keep = self.core.policy.keep_events.max(LEAST);
        let (horizon, version) = event::horizon(&self.core).await?;
        let mut events = store.since(horizon, None, BATCH).await?;
        let full = events.len() == usize::try_from(BATCH).unwrap_or(usize::MAX);
        // The newest is never forgotten, so it is not passed either.
        let newest = store.newest().await?;
        let young = |e: &Event| now.since(e.event.at) <= keep || e.seq == newest;
        let old = events.iter().position(young).unwrap_or(events.len());
        let more = full && old == events.len();
        events.truncate(old);
        let Some(last) = events.last().map(|e| e.seq) else {
            return Ok(false);
        };
        let mut batch = Batch::default();
        let mut histories = BTreeMap::new();
        for event in &events {
            match event.event.resource {
                None => batch.forget.push(event.seq),
                Some(id) if event.is_end() => self.forget_history(id, event.seq).await?,
                Some(id) => {
                    if self.is_crowded(id, event.seq, &mut histories).await? {
                        batch.forget.push(event.seq);
                    }
                }
            }
        }
        let note = event::horizon_document(last)?;
        let key = Key::Document(note.space.clone(), note.id.clone());
        batch.expect.push(match version {
            Some(version) => Expect::Version(key, version),
            None => Expect::Absent(key),
        });
        batch.documents.push(note);
        // Where another engine was faster, it is the one that goes on.
        let done = store.commit(batch).await?;
        Ok(more && matches!(done, Outcome::Done(_)))
    }

    /// Forgets what happened to a resource, the oldest first, so that the one
    /// that says that it is gone goes last.
    async fn forget_history(&self, id: ResourceId, until: u64) -> Result<()> {
        let store = &self.core.store;
        loop {
            let events = store.since(0, Some(id), BATCH).await?;
            let seqs = events.iter().map(|e| e.seq).filter(|seq| *seq <= until);
            let batch = Batch {
                forget: seqs.collect(),
                ..Batch::default()
            };
            if batch.forget.is_empty() {
                return Ok(());
            }
            store.commit(batch).await?;
        }
    }

    /// Whether a resource has [`HISTORY`] events that are newer than this one.
    /// `later` remembers from one event to the next how many there are.
    async fn is_crowded(
        &self,
        id: ResourceId,
        seq: u64,
        later: &mut BTreeMap<ResourceId, usize>,
    ) -> Result<bool> {
        let left = match later.get(&id) {
            Some(before) => before.saturating_sub(1),
            None => {
                let most = HISTORY + BATCH;
                self.core.store.since(seq, Some(id), most).await?.len()
            }
        };
        later.insert(id, left);
        Ok(left >= usize::try_from(HISTORY).unwrap_or(usize::MAX))
    }
}

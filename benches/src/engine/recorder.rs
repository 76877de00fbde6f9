//! A store that writes down what an engine asks of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rm_core::env::Timestamp;
use rm_core::event::Event;
use rm_core::id::InstanceId;
use rm_core::record::{Document, ResourceRecord};
use rm_core::store::{
    Account, Batch, By, Claim, Cursor, Due, Key, Outcome, Page, Store, Versioned,
};
use rm_core::{ResourceId, Result};

/// Around another store.
#[derive(Debug)]
pub(super) struct Recorder {
    inner: Arc<dyn Store>,
    written: Mutex<Written>,
}

/// What was written down.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Every batch that was not refused, in commit order.
    pub(super) batches: Vec<Batch>,
    /// Everything that engines did, each from claiming a resource to giving it
    /// back.
    pub(super) steps: Vec<Step>,
    open: BTreeMap<ResourceId, Step>,
}

/// What an engine did under one claim.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Step {
    /// How many commits that took.
    pub(super) commits: u32,
    /// Whether an effect was written down before it was begun.
    pub(super) has_effect: bool,
}

impl Recorder {
    pub(super) fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        let written = Mutex::default();
        Arc::new(Self { inner, written })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was written down since this was last asked.
    pub(super) fn take(&self) -> Written {
        std::mem::take(&mut *self.written())
    }
}

impl Written {
    fn add(&mut self, batch: Batch) {
        for fence in &batch.fence {
            let step = self.open.entry(fence.resource).or_default();
            step.commits += 1;
            step.has_effect |= batch.resources.iter().any(|(r, due)| begins(r, *due));
        }
        let given_back = batch
            .resources
            .iter()
            .filter(|(_, due)| matches!(due, Due::Release(_) | Due::Rest))
            .map(|(r, _)| r.id);
        let deleted = batch.delete.iter().filter_map(|key| match key {
            Key::Resource(id) => Some(*id),
            Key::Document(..) => None,
        });
        for id in given_back.chain(deleted) {
            self.steps.extend(self.open.remove(&id));
        }
        self.batches.push(batch);
    }
}

/// Whether this is the intent of an effect.
fn begins(r: &ResourceRecord, due: Due) -> bool {
    due == Due::Keep && r.attempt.as_ref().is_some_and(|a| !a.accepted)
}

#[async_trait]
impl Store for Recorder {
    fn is_durable(&self) -> bool {
        self.inner.is_durable()
    }

    async fn resource(&self, id: ResourceId) -> Result<Option<Versioned<ResourceRecord>>> {
        self.inner.resource(id).await
    }

    async fn resources(
        &self,
        by: &By,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<ResourceRecord>>> {
        self.inner.resources(by, after, limit).await
    }

    async fn document(&self, space: &str, id: &str) -> Result<Option<Versioned<Document>>> {
        self.inner.document(space, id).await
    }

    async fn documents(
        &self,
        space: &str,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<Document>>> {
        self.inner.documents(space, index, after, limit).await
    }

    async fn counter(&self, counter: &str) -> Result<u64> {
        self.inner.counter(counter).await
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome> {
        let outcome = self.inner.commit(batch.clone()).await?;
        if let Outcome::Done(_) = outcome {
            self.written().add(batch);
        }
        Ok(outcome)
    }

    async fn claim(
        &self,
        owner: InstanceId,
        ttl: Duration,
        max: u32,
        except: &[Account],
    ) -> Result<Vec<Claim>> {
        let claims = self.inner.claim(owner, ttl, max, except).await?;
        let mut written = self.written();
        for claim in &claims {
            let open = written.open.insert(claim.row.record.id, Step::default());
            written.steps.extend(open);
        }
        Ok(claims)
    }

    async fn is_claimed(&self, id: ResourceId) -> Result<bool> {
        self.inner.is_claimed(id).await
    }

    async fn next_due(&self, except: &[Account]) -> Result<Option<Timestamp>> {
        self.inner.next_due(except).await
    }

    async fn ended(&self, now: Timestamp, limit: u32) -> Result<Vec<Versioned<ResourceRecord>>> {
        self.inner.ended(now, limit).await
    }

    async fn next_end(&self) -> Result<Option<Timestamp>> {
        self.inner.next_end().await
    }

    async fn since(&self, seq: u64, of: Option<ResourceId>, limit: u32) -> Result<Vec<Event>> {
        self.inner.since(seq, of, limit).await
    }

    async fn newest(&self) -> Result<u64> {
        self.inner.newest().await
    }
}

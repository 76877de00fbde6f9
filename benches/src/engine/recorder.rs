//! A store that writes down what an engine asks of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rm_core::id::InstanceId;
use rm_core::record::ResourceRecord;
use rm_core::store::{Account, Batch, Claim, Due, Key, Outcome, Queue, Store};
use rm_core::{ResourceId, Result};
use rm_testkit::{Around, Between};

/// Comes between an engine and its store.
#[derive(Debug, Default)]
pub(super) struct Recorder {
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
    /// This store, and what is written into it.
    pub(super) fn around(store: Arc<dyn Store>) -> Arc<Around<Self>> {
        Around::new(store, Self::default())
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
            .filter(|(_, due)| matches!(due, Due::Release(_) | Due::Sweep(_) | Due::Rest))
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
    matches!(due, Due::Keep | Due::At(_)) && r.attempt.as_ref().is_some_and(|a| !a.accepted)
}

#[async_trait]
impl Between for Recorder {
    async fn commit(&self, store: &dyn Store, batch: Batch) -> Result<Outcome> {
        let outcome = store.commit(batch.clone()).await?;
        if let Outcome::Done(_) = outcome {
            self.written().add(batch);
        }
        Ok(outcome)
    }

    async fn claim(
        &self,
        store: &dyn Store,
        owner: InstanceId,
        ttl: Duration,
        queue: Queue,
        max: u32,
        except: &[Account],
    ) -> Result<Vec<Claim>> {
        let claims = store.claim(owner, ttl, queue, max, except).await?;
        let mut written = self.written();
        for claim in &claims {
            let open = written.open.insert(claim.row.record.id, Step::default());
            written.steps.extend(open);
        }
        Ok(claims)
    }
}

//! A store that can be told to misbehave, around any other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rm_core::env::Timestamp;
use rm_core::id::InstanceId;
use rm_core::record::{Document, ResourceRecord};
use rm_core::store::{Batch, By, Claim, Cursor, Outcome, Page, Store, Versioned};
use rm_core::{Error, ErrorKind, ResourceId, Result};

use crate::rng::Rng;
use crate::world::Points;

/// What goes wrong with a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreFault {
    /// Nothing is written, and the writer is told so.
    Unavailable,
    /// It is written, and the writer does not hear of it.
    OutcomeLost,
}

/// One process's way to a store. Every call passes a point before and after.
#[derive(Debug)]
pub struct SimStore {
    inner: Arc<dyn Store>,
    points: Points,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    commits: u64,
    faults: Vec<(u64, StoreFault)>,
    chaos: Option<(Rng, u64)>,
    away: bool,
    suffered: u64,
}

impl SimStore {
    /// Around this store.
    pub fn new(inner: Arc<dyn Store>, points: Points) -> Arc<Self> {
        Arc::new(Self {
            inner,
            points,
            plan: Mutex::default(),
        })
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes commit number `n` from now on, counted from 1, go wrong.
    pub fn fail(&self, n: u64, fault: StoreFault) {
        let mut plan = self.plan();
        let at = plan.commits + n;
        plan.faults.push((at, fault));
    }

    /// Makes so many of a thousand commits go wrong; none where 0.
    pub fn chaos(&self, seed: u64, per_mille: u64) {
        self.plan().chaos = (per_mille > 0).then(|| (Rng::new(seed), per_mille));
    }

    /// Makes the store answer nothing at all, or answer again.
    pub fn away(&self, away: bool) {
        self.plan().away = away;
    }

    /// How many commits were asked for.
    pub fn commits(&self) -> u64 {
        self.plan().commits
    }

    /// How many commits went wrong.
    pub fn suffered(&self) -> u64 {
        self.plan().suffered
    }

    fn reach(&self) -> Result<()> {
        if self.plan().away {
            return Err(unavailable());
        }
        Ok(())
    }

    fn next_fault(&self) -> Option<StoreFault> {
        let mut plan = self.plan();
        plan.commits += 1;
        let now = plan.commits;
        let mut fault = plan
            .faults
            .iter()
            .find(|(at, _)| *at == now)
            .map(|(_, fault)| *fault);
        if fault.is_none()
            && let Some((rng, per_mille)) = &mut plan.chaos
            && rng.chance(*per_mille)
        {
            fault = Some(if rng.chance(500) {
                StoreFault::Unavailable
            } else {
                StoreFault::OutcomeLost
            });
        }
        plan.suffered += u64::from(fault.is_some());
        fault
    }
}

fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "the store cannot be reached")
}

#[async_trait]
impl Store for SimStore {
    fn is_durable(&self) -> bool {
        self.inner.is_durable()
    }

    async fn resource(&self, id: ResourceId) -> Result<Option<Versioned<ResourceRecord>>> {
        self.points.pass("before read").await;
        self.reach()?;
        let found = self.inner.resource(id).await;
        self.points.pass("after read").await;
        found
    }

    async fn resources(
        &self,
        by: &By,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<ResourceRecord>>> {
        self.points.pass("before read").await;
        self.reach()?;
        let found = self.inner.resources(by, after, limit).await;
        self.points.pass("after read").await;
        found
    }

    async fn document(&self, space: &str, id: &str) -> Result<Option<Versioned<Document>>> {
        self.points.pass("before read").await;
        self.reach()?;
        let found = self.inner.document(space, id).await;
        self.points.pass("after read").await;
        found
    }

    async fn documents(
        &self,
        space: &str,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<Document>>> {
        self.points.pass("before read").await;
        self.reach()?;
        let found = self.inner.documents(space, index, after, limit).await;
        self.points.pass("after read").await;
        found
    }

    async fn counter(&self, counter: &str) -> Result<u64> {
        self.points.pass("before read").await;
        self.reach()?;
        let found = self.inner.counter(counter).await;
        self.points.pass("after read").await;
        found
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome> {
        self.points.pass("before commit").await;
        self.reach()?;
        let fault = self.next_fault();
        if fault == Some(StoreFault::Unavailable) {
            return Err(unavailable());
        }
        let done = self.inner.commit(batch).await;
        self.points.pass("after commit").await;
        match fault {
            Some(StoreFault::OutcomeLost) => Err(unavailable().effect_unknown()),
            _ => done,
        }
    }

    async fn claim(&self, owner: InstanceId, ttl: Duration, max: u32) -> Result<Vec<Claim>> {
        self.points.pass("before claim").await;
        self.reach()?;
        let claims = self.inner.claim(owner, ttl, max).await;
        self.points.pass("after claim").await;
        claims
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.points.pass("before due").await;
        self.reach()?;
        self.inner.next_due().await
    }

    async fn since(
        &self,
        seq: u64,
        of: Option<ResourceId>,
        limit: u32,
    ) -> Result<Vec<rm_core::event::Event>> {
        self.reach()?;
        self.inner.since(seq, of, limit).await
    }

    async fn newest(&self) -> Result<u64> {
        self.reach()?;
        self.inner.newest().await
    }
}

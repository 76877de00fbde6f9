//! A store that can be told to misbehave, around any other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rm_core::env::Timestamp;
use rm_core::event::Event;
use rm_core::id::InstanceId;
use rm_core::record::{Document, ResourceRecord};
use rm_core::store::{
    Account, Batch, By, Claim, Cursor, Due, Key, Outcome, Page, Queue, Store, Versioned,
};
use rm_core::{Error, ErrorKind, ResourceId, Result};

use crate::rng::Rng;
use crate::world::{Points, Trouble};

/// What goes wrong with a call of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreFault {
    /// Nothing is read or written, and the caller is told so.
    Unavailable,
    /// It is written, and the writer does not hear of it.
    OutcomeLost,
    /// Nothing more can be written; what is there can be read.
    Full,
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
    full: bool,
    slow: Duration,
    suffered: u64,
    refused: u64,
}

/// The names of the points before and after a call.
type Around = (&'static str, &'static str);

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

    /// Fills the disk under the store, or makes room again.
    pub fn full(&self, full: bool) {
        self.plan().full = full;
    }

    /// Makes every commit from now on take so long.
    pub fn slow(&self, each: Duration) {
        self.plan().slow = each;
    }

    /// How many commits were asked for.
    pub fn commits(&self) -> u64 {
        self.plan().commits
    }

    /// How many commits went wrong.
    pub fn suffered(&self) -> u64 {
        self.plan().suffered
    }

    /// How many calls were refused because the store was away or full.
    pub fn refused(&self) -> u64 {
        self.plan().refused
    }

    /// Passes the point before a call, and answers what goes wrong with it.
    async fn arrive(&self, name: &'static str, writes: bool) -> Result<()> {
        let trouble = match writes {
            true => self.points.meet(name).await,
            false => self.points.meet_reading(name).await,
        };
        let mut plan = self.plan();
        let e = match trouble {
            Some(Trouble::Store(StoreFault::Unavailable)) => unavailable(),
            Some(Trouble::Store(StoreFault::Full)) => full(),
            _ if plan.away => unavailable(),
            _ if plan.full && writes => full(),
            _ => return Ok(()),
        };
        plan.refused += 1;
        Err(e)
    }

    /// Passes the point after a call; the answer may be lost there.
    async fn leave<T>(&self, name: &'static str, answer: Result<T>) -> Result<T> {
        lost(self.points.meet(name).await, answer)
    }

    async fn read<T>(
        &self,
        (before, after): Around,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.arrive(before, false).await?;
        let answer = call.await;
        lost(self.points.meet_reading(after).await, answer)
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

fn lost<T>(trouble: Option<Trouble>, answer: Result<T>) -> Result<T> {
    match trouble {
        Some(Trouble::Store(_)) => Err(unavailable().effect_unknown()),
        _ => answer,
    }
}

fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "the store cannot be reached")
}

fn full() -> Error {
    Error::new(ErrorKind::Unavailable, "the disk is full under the store")
        .advice("make room; the store goes on by itself")
}

/// What a commit is for, as the points around it are called.
fn purpose(batch: &Batch) -> Around {
    let removes = |key: &Key| matches!(key, Key::Resource(_));
    let begins = |(record, due): &(Arc<ResourceRecord>, Due)| {
        matches!(due, Due::Keep | Due::At(_))
            && record.attempt.as_ref().is_some_and(|a| !a.accepted)
    };
    if batch.delete.iter().any(removes) {
        ("before commit: gone", "after commit: gone")
    } else if !batch.fence.is_empty() && batch.resources.iter().any(begins) {
        ("before commit: intent", "after commit: intent")
    } else {
        ("before commit: outcome", "after commit: outcome")
    }
}

#[async_trait]
impl Store for SimStore {
    fn is_durable(&self) -> bool {
        self.inner.is_durable()
    }

    async fn resource(&self, id: ResourceId) -> Result<Option<Versioned<ResourceRecord>>> {
        let around = ("before resource", "after resource");
        self.read(around, self.inner.resource(id)).await
    }

    async fn resources(
        &self,
        by: &By,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<ResourceRecord>>> {
        let around = ("before resources", "after resources");
        self.read(around, self.inner.resources(by, after, limit))
            .await
    }

    async fn document(&self, space: &str, id: &str) -> Result<Option<Versioned<Document>>> {
        let around = ("before document", "after document");
        self.read(around, self.inner.document(space, id)).await
    }

    async fn documents(
        &self,
        space: &str,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<Document>>> {
        let around = ("before documents", "after documents");
        self.read(around, self.inner.documents(space, index, after, limit))
            .await
    }

    async fn counter(&self, counter: &str) -> Result<u64> {
        let around = ("before counter", "after counter");
        self.read(around, self.inner.counter(counter)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome> {
        let (before, after) = purpose(&batch);
        self.arrive(before, true).await?;
        let slow = self.plan().slow;
        if !slow.is_zero() {
            self.points.sleep(slow).await;
        }
        let fault = self.next_fault();
        match fault {
            Some(StoreFault::Unavailable) => return Err(unavailable()),
            Some(StoreFault::Full) => return Err(full()),
            _ => {}
        }
        let done = self.inner.commit(batch).await;
        let done = match fault {
            Some(StoreFault::OutcomeLost) => Err(unavailable().effect_unknown()),
            _ => done,
        };
        self.leave(after, done).await
    }

    async fn claim(
        &self,
        owner: InstanceId,
        ttl: Duration,
        queue: Queue,
        max: u32,
        except: &[Account],
    ) -> Result<Vec<Claim>> {
        self.arrive("before claim", true).await?;
        let claims = self.inner.claim(owner, ttl, queue, max, except).await;
        self.leave("after claim", claims).await
    }

    async fn is_claimed(&self, id: ResourceId) -> Result<bool> {
        let around = ("before is claimed", "after is claimed");
        self.read(around, self.inner.is_claimed(id)).await
    }

    async fn next_due(&self, queue: Queue, except: &[Account]) -> Result<Option<Timestamp>> {
        let around = ("before next due", "after next due");
        self.read(around, self.inner.next_due(queue, except)).await
    }

    async fn ended(&self, now: Timestamp, limit: u32) -> Result<Vec<Versioned<ResourceRecord>>> {
        let around = ("before ended", "after ended");
        self.read(around, self.inner.ended(now, limit)).await
    }

    async fn next_end(&self) -> Result<Option<Timestamp>> {
        let around = ("before next end", "after next end");
        self.read(around, self.inner.next_end()).await
    }

    async fn since(&self, seq: u64, of: Option<ResourceId>, limit: u32) -> Result<Vec<Event>> {
        let around = ("before since", "after since");
        self.read(around, self.inner.since(seq, of, limit)).await
    }

    async fn newest(&self) -> Result<u64> {
        let around = ("before newest", "after newest");
        self.read(around, self.inner.newest()).await
    }
}

//! The store that lives in memory: for tests, the simulated world, and hosts
//! that need no durability.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Account, Batch, By, Claim, Cursor, Due, Expect, Key, Outcome, Page, Queue, Refusal, Store,
    Version, Versioned,
};
use crate::env::{Env, Timestamp};
use crate::error::Result;
use crate::event::{Event, NewEvent, Revision};
use crate::id::{CatalogId, InstanceId, ResourceId};
use crate::record::{Document, ResourceRecord};

mod pages;
mod queues;

use queues::{Line, Turn};

/// Everything in maps behind one lock; a batch is applied in one go.
pub struct MemoryStore {
    env: Arc<dyn Env>,
    inner: Mutex<Inner>,
}

/// Not what it holds: credentials are in there, and whoever holds a store is
/// printed with it.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("env", &self.env)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Inner {
    revision: u64,
    resources: BTreeMap<ResourceId, Row>,
    tenants: BTreeSet<(String, ResourceId)>,
    /// User, tenant, resource.
    parties: BTreeSet<(String, String, ResourceId)>,
    accounts: BTreeSet<(CatalogId, CatalogId, ResourceId)>,
    /// In quarantine: of everybody, and once more by tenant.
    held: BTreeSet<(Option<String>, ResourceId)>,
    /// When something can next be claimed, by its queue and account: however
    /// much an account has that is due, it is passed over in one step.
    due: BTreeMap<Line, BTreeSet<Turn>>,
    ends: BTreeSet<(Timestamp, ResourceId)>,
    /// By space, then by id.
    documents: BTreeMap<String, BTreeMap<String, Versioned<Document>>>,
    indexes: BTreeSet<(String, String, String, String)>,
    counters: BTreeMap<String, u64>,
    events: BTreeMap<u64, Event>,
    histories: BTreeSet<(ResourceId, u64)>,
}

#[derive(Debug)]
struct Row {
    version: Version,
    record: Arc<ResourceRecord>,
    due: Option<Timestamp>,
    queue: Queue,
    epoch: u64,
    leased: Option<Timestamp>,
}

impl MemoryStore {
    /// An empty one.
    pub fn new(env: Arc<dyn Env>) -> Self {
        Self {
            env,
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that runs under the lock can leave it half written.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn version(&self, key: &Key) -> Option<Version> {
        match key {
            Key::Resource(id) => self.resources.get(id).map(|row| row.version),
            Key::Document(space, id) => self.document(space, id).map(|found| found.version),
        }
    }

    fn check(&self, batch: &Batch) -> Option<Refusal> {
        for fence in batch.fence.iter().chain(batch.prolong.iter().map(|p| &p.0)) {
            if self.resources.get(&fence.resource).map(|r| r.epoch) != Some(fence.epoch) {
                return Some(Refusal::Fenced(fence.resource));
            }
        }
        for expect in &batch.expect {
            let stale = match expect {
                Expect::Absent(key) => self.version(key).is_some().then(|| key.clone()),
                Expect::Version(key, version) => {
                    (self.version(key) != Some(*version)).then(|| key.clone())
                }
                Expect::NoDocument {
                    space,
                    index,
                    value,
                } => self
                    .documents(space, Some((index, value)), None, 1)
                    .items
                    .first()
                    .map(|found| Key::Document(space.clone(), found.record.id.clone())),
                Expect::NoResource(by) => self
                    .resources(by, None, 1)
                    .items
                    .first()
                    .map(|found| Key::Resource(found.record.id)),
            };
            if let Some(key) = stale {
                return Some(Refusal::Stale(key));
            }
        }
        for (at, count) in batch.counts.iter().enumerate() {
            let value = self.counters.get(&count.counter).copied().unwrap_or(0);
            // What the same batch counts before it counts too.
            let before = batch.counts[..at]
                .iter()
                .filter(|c| c.counter == count.counter)
                .fold(value, |sum, c| sum.saturating_add_signed(c.by));
            if let (true, Some(at_most)) = (count.by > 0, count.at_most)
                && before.saturating_add_signed(count.by) > at_most
            {
                return Some(Refusal::Limit {
                    counter: count.counter.clone(),
                    value,
                    at_most,
                });
            }
        }
        None
    }

    fn unindex(&mut self, record: &ResourceRecord) {
        if let Some(end) = record.first_end() {
            self.ends.remove(&(end, record.id));
        }
        self.tenants.remove(&(record.tenant.0.clone(), record.id));
        self.accounts
            .remove(&(record.place.site, record.place.credential, record.id));
        for party in parties(record) {
            self.parties.remove(&party);
        }
        for held in held(record) {
            self.held.remove(&held);
        }
    }

    fn index(&mut self, record: &ResourceRecord) {
        if let Some(end) = record.first_end() {
            self.ends.insert((end, record.id));
        }
        self.tenants.insert((record.tenant.0.clone(), record.id));
        self.accounts
            .insert((record.place.site, record.place.credential, record.id));
        self.parties.extend(parties(record));
        self.held.extend(held(record));
    }

    fn put_resource(&mut self, record: Arc<ResourceRecord>, due: Due) {
        let id = record.id;
        let old = self.resources.get(&id).map(|row| Arc::clone(&row.record));
        if !old.as_ref().is_some_and(|old| found_alike(old, &record)) {
            if let Some(old) = old {
                self.unindex(&old);
            }
            self.index(&record);
        }
        let row = self.resources.entry(id).or_insert_with(|| Row {
            version: Version(0),
            record: Arc::clone(&record),
            due: None,
            queue: Queue::default(),
            epoch: 0,
            leased: None,
        });
        let before = row.turn();
        row.version.0 += 1;
        row.record = record;
        match due {
            Due::Keep => {}
            Due::At(at) => row.due = Some(at),
            Due::Release(at) | Due::Sweep(at) => (row.due, row.leased) = (Some(at), None),
            Due::Rest => (row.due, row.leased) = (None, None),
        }
        match due {
            Due::Keep => {}
            Due::Sweep(_) => row.queue = Queue::Sweep,
            Due::At(_) | Due::Release(_) | Due::Rest => row.queue = Queue::Awaited,
        }
        let after = row.turn();
        self.schedule(before, after);
    }

    fn put_document(&mut self, document: Arc<Document>) {
        let old = self.take_document(&document.space, &document.id);
        let version = Version(old.map_or(0, |old| old.0) + 1);
        for (name, value) in &document.indexes {
            self.indexes.insert((
                document.space.clone(),
                name.clone(),
                value.clone(),
                document.id.clone(),
            ));
        }
        let space = self.documents.entry(document.space.clone()).or_default();
        let id = document.id.clone();
        let record = document;
        space.insert(id, Versioned { version, record });
    }

    /// Removes it, and answers which version it had.
    fn take_document(&mut self, space: &str, id: &str) -> Option<Version> {
        let old = self.documents.get_mut(space)?.remove(id)?;
        for (name, value) in &old.record.indexes {
            let (space, id) = (space.to_owned(), id.to_owned());
            self.indexes
                .remove(&(space, name.clone(), value.clone(), id));
        }
        Some(old.version)
    }

    fn delete(&mut self, key: &Key) {
        match key {
            Key::Resource(id) => {
                if let Some(row) = self.resources.remove(id) {
                    self.unindex(&row.record);
                    self.schedule(row.turn(), None);
                }
            }
            Key::Document(space, id) => {
                self.take_document(space, id);
            }
        }
    }

    fn newest(&self) -> u64 {
        self.events.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    fn announce(&mut self, event: NewEvent) {
        let seq = self.newest() + 1;
        if let Some(id) = event.resource {
            self.histories.insert((id, seq));
        }
        self.events.insert(seq, Event { seq, event });
    }

    fn forget(&mut self, events: &[u64]) {
        let newest = self.newest();
        for seq in events.iter().filter(|seq| **seq != newest) {
            if let Some(event) = self.events.remove(seq)
                && let Some(id) = event.event.resource
            {
                self.histories.remove(&(id, *seq));
            }
        }
    }

    fn document(&self, space: &str, id: &str) -> Option<Versioned<Document>> {
        self.documents.get(space)?.get(id).cloned()
    }

    fn versioned(&self, id: ResourceId) -> Option<Versioned<ResourceRecord>> {
        self.resources.get(&id).map(|row| Versioned {
            version: row.version,
            record: Arc::clone(&row.record),
        })
    }
}

/// Whether two records of one resource are found by the same.
fn found_alike(one: &ResourceRecord, other: &ResourceRecord) -> bool {
    let account = |r: &ResourceRecord| (r.place.site, r.place.credential);
    one.tenant == other.tenant
        && account(one) == account(other)
        && one.first_end() == other.first_end()
        && one.holds == other.holds
        && one.grants == other.grants
        && one.is_held() == other.is_held()
}

/// By whom a record is found beside its tenant.
fn parties(r: &ResourceRecord) -> impl Iterator<Item = (String, String, ResourceId)> {
    let of = |user: &str| (user.to_owned(), r.tenant.0.clone(), r.id);
    r.parties().into_iter().map(of)
}

/// By what a record is found while it is in quarantine.
fn held(r: &ResourceRecord) -> impl Iterator<Item = (Option<String>, ResourceId)> {
    let both = || [None, Some(r.tenant.0.clone())].map(|of| (of, r.id));
    r.is_held().then(both).into_iter().flatten()
}

#[async_trait]
impl Store for MemoryStore {
    fn is_durable(&self) -> bool {
        false
    }

    async fn resource(&self, id: ResourceId) -> Result<Option<Versioned<ResourceRecord>>> {
        Ok(self.lock().versioned(id))
    }

    async fn resources(
        &self,
        by: &By,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<ResourceRecord>>> {
        let after = after.map(Cursor::resource).transpose()?;
        Ok(self.lock().resources(by, after, limit))
    }

    async fn document(&self, space: &str, id: &str) -> Result<Option<Versioned<Document>>> {
        Ok(self.lock().document(space, id))
    }

    async fn documents(
        &self,
        space: &str,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<Document>>> {
        Ok(self.lock().documents(space, index, after, limit))
    }

    async fn counter(&self, counter: &str) -> Result<u64> {
        Ok(self.lock().counters.get(counter).copied().unwrap_or(0))
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome> {
        let now = self.env.now();
        let mut inner = self.lock();
        if let Some(refusal) = inner.check(&batch) {
            return Ok(Outcome::Refused(refusal));
        }
        for (record, due) in batch.resources {
            inner.put_resource(record, due);
        }
        for document in batch.documents {
            inner.put_document(document);
        }
        for key in &batch.delete {
            inner.delete(key);
        }
        for count in batch.counts {
            let value = inner.counters.entry(count.counter).or_default();
            *value = value.saturating_add_signed(count.by);
        }
        for (fence, ttl) in batch.prolong {
            inner.lease(fence.resource, now.plus(ttl), false);
        }
        inner.forget(&batch.forget);
        for event in batch.events {
            inner.announce(event);
        }
        inner.revision += 1;
        Ok(Outcome::Done(Revision(inner.revision)))
    }

    async fn claim(
        &self,
        _owner: InstanceId,
        ttl: Duration,
        queue: Queue,
        max: u32,
        except: &[Account],
    ) -> Result<Vec<Claim>> {
        let now = self.env.now();
        let mut inner = self.lock();
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let due = inner.due(queue, now, max, except);
        let until = now.plus(ttl);
        Ok(due
            .into_iter()
            .filter_map(|id| {
                let epoch = inner.lease(id, until, true)?;
                let row = inner.versioned(id)?;
                Some(Claim {
                    row,
                    queue,
                    epoch,
                    until,
                })
            })
            .collect())
    }

    async fn is_claimed(&self, id: ResourceId) -> Result<bool> {
        let inner = self.lock();
        Ok(inner.resources.get(&id).is_some_and(|r| r.leased.is_some()))
    }

    async fn next_due(&self, queue: Queue, except: &[Account]) -> Result<Option<Timestamp>> {
        let inner = self.lock();
        let firsts = inner.turns(queue, except).filter_map(BTreeSet::first);
        Ok(firsts.map(|(at, _)| *at).min())
    }

    async fn ended(&self, now: Timestamp, limit: u32) -> Result<Vec<Versioned<ResourceRecord>>> {
        let inner = self.lock();
        Ok(inner
            .ends
            .iter()
            .take_while(|(at, _)| *at <= now)
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .filter_map(|(_, id)| inner.versioned(*id))
            .collect())
    }

    async fn next_end(&self) -> Result<Option<Timestamp>> {
        Ok(self.lock().ends.first().map(|(at, _)| *at))
    }

    async fn since(&self, seq: u64, of: Option<ResourceId>, limit: u32) -> Result<Vec<Event>> {
        let inner = self.lock();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(match of {
            None => inner
                .events
                .range((Excluded(seq), Unbounded))
                .take(limit)
                .map(|(_, event)| event.clone())
                .collect(),
            Some(id) => inner
                .histories
                .range((Excluded((id, seq)), Included((id, u64::MAX))))
                .take(limit)
                .filter_map(|(_, seq)| inner.events.get(seq).cloned())
                .collect(),
        })
    }

    async fn newest(&self) -> Result<u64> {
        Ok(self.lock().newest())
    }
}

#[cfg(test)]
mod tests;

//! Durable state: reads return versions, and the only write is one commit.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::env::Timestamp;
use crate::error::Result;
use crate::event::{Event, NewEvent, Revision};
use crate::id::{CatalogId, InstanceId, ResourceId};
use crate::record::{Document, ResourceRecord};

mod memory;

pub use memory::MemoryStore;

/// How a row is found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// A resource.
    Resource(ResourceId),
    /// A document: its space and id.
    Document(String, String),
}

/// Counts how often a row was written; the first time is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// A record with the version that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<T> {
    /// The version.
    pub version: Version,
    /// The record.
    pub record: Arc<T>,
}

/// What a resource can be searched by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// All there are.
    All,
    /// Those of one tenant.
    Tenant(String),
    /// Those that a user holds or was granted, but for the user's own tenant's;
    /// tenant by tenant.
    Guest {
        /// The user.
        user: String,
        /// Whose are left out.
        but: String,
    },
    /// Those made by one credential at one site.
    Account(CatalogId, CatalogId),
    /// Those in quarantine ([`ResourceRecord::is_held`]): everybody's, or one
    /// tenant's. They are few among many, and asked for often.
    Held(Option<String>),
}

/// One credential at one site: site, then credential.
pub type Account = (CatalogId, CatalogId);

/// Some of what was asked for, and where to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// In the order of their ids.
    pub items: Vec<T>,
    /// Where the next page begins; absent at the end.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// The same with other items.
    pub fn map<U>(self, to: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(to).collect(),
            next: self.next,
        }
    }
}

impl<T> Default for Page<T> {
    /// The end of a list.
    fn default() -> Self {
        Self {
            items: Vec::new(),
            next: None,
        }
    }
}

/// Where a page ended; only the one who made it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

impl Cursor {
    /// Behind a resource that was found so: for whoever implements a store.
    pub fn behind(by: &By, r: &ResourceRecord) -> Self {
        Self(match by {
            By::Guest { .. } => format!("{}/{}", r.id, r.tenant),
            _ => r.id.to_string(),
        })
    }

    /// The same read back: the resource, and whose it was where
    /// [`Cursor::behind`] says so.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::Invalid`] for what nobody gave out.
    pub fn resource(&self) -> Result<(ResourceId, &str)> {
        let (id, tenant) = self.0.split_once('/').unwrap_or((&self.0, ""));
        Ok((id.parse()?, tenant))
    }
}

/// What the writer believes about a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// It is not there.
    Absent(Key),
    /// It has this version.
    Version(Key, Version),
    /// No document of the space has this value in the index. Who removes what
    /// others refer to expects this; who adds such a reference expects the
    /// version of what it refers to.
    NoDocument {
        /// The space.
        space: String,
        /// The index.
        index: String,
        /// The value.
        value: String,
    },
    /// No resource is found by this.
    NoResource(By),
}

/// In which order work is given out: each queue has its own, and what waits in
/// one does not wait for what is in the other.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Queue {
    /// Somebody waits for it: something was asked for, is under way, or was told
    /// by a site; also where whoever had it in hand is no more.
    #[default]
    Awaited,
    /// Nothing is left to do but to look again.
    Sweep,
}

impl Queue {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Awaited, Self::Sweep];
}

/// What becomes of the claim when a resource is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Due {
    /// Leave it as it is, in the queue in which it is.
    Keep,
    /// Work is wanted at this moment, and awaited. Who holds the claim keeps it.
    At(Timestamp),
    /// The writer holds the claim, gives it back, and wants it again then:
    /// something is under way.
    Release(Timestamp),
    /// The writer holds the claim, gives it back, and nothing is left to do but
    /// to look again then: [`Queue::Sweep`].
    Sweep(Timestamp),
    /// The writer holds the claim, gives it back, and nothing is left to do.
    Rest,
}

/// A claim on a resource: nobody else works on it while the lease lasts, and
/// no write with an older epoch goes through afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// What is claimed, as it was then.
    pub row: Versioned<ResourceRecord>,
    /// The queue it was taken from.
    pub queue: Queue,
    /// The fencing epoch.
    pub epoch: u64,
    /// Until when.
    pub until: Timestamp,
}

/// Refuses the batch unless the claim is still the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// Of which resource.
    pub resource: ResourceId,
    /// The epoch of the claim.
    pub epoch: u64,
}

/// What the names of counters begin with that only say whether something was
/// counted meanwhile. One that cannot be read begins again at zero, in commits
/// as well, while every other is an error: nothing rests on where it stands but
/// what was read of it a moment ago.
pub const HINT: &str = "room/";

/// Adds to a counter and refuses the batch where that would pass a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Which counter; the name is the writer's (`quota/TENANT/nodes`).
    pub counter: String,
    /// How much is added or taken away; a counter never goes below zero.
    pub by: i64,
    /// What it may be at the most afterwards; checked only where it grows.
    pub at_most: Option<u64>,
}

/// All or nothing: what is expected, what is written, what is announced.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// What must be true.
    pub expect: Vec<Expect>,
    /// Claims that must still be ours.
    pub fence: Vec<Fence>,
    /// Resources to write, and when work is wanted on them.
    pub resources: Vec<(Arc<ResourceRecord>, Due)>,
    /// Documents to write.
    pub documents: Vec<Arc<Document>>,
    /// Rows to remove.
    pub delete: Vec<Key>,
    /// Counters to move.
    pub counts: Vec<Count>,
    /// Claims to prolong from now on.
    pub prolong: Vec<(Fence, Duration)>,
    /// Events to forget, by their numbers. The newest one there is stays, so
    /// that no number is given twice.
    pub forget: Vec<u64>,
    /// What is announced, in this order.
    pub events: Vec<NewEvent>,
}

impl Batch {
    /// The resources that come to rest by it: as wanted, failed, held or gone.
    pub(crate) fn settles(&self) -> Vec<ResourceId> {
        let settled = |r: &&Arc<ResourceRecord>| r.seen.is_settled();
        let written = self.resources.iter().map(|(r, _)| r);
        let written = written.filter(settled).map(|r| r.id);
        let removed = self.delete.iter().filter_map(|key| match key {
            Key::Resource(id) => Some(*id),
            Key::Document(..) => None,
        });
        written.chain(removed).collect()
    }

    /// Whether there is work to be claimed by this time because of it.
    pub(crate) fn wants_work(&self, by: Timestamp) -> bool {
        self.resources.iter().any(|(_, due)| match due {
            Due::At(at) | Due::Release(at) | Due::Sweep(at) => *at <= by,
            Due::Keep | Due::Rest => false,
        })
    }
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was written.
    Done(Revision),
    /// Nothing was written.
    Refused(Refusal),
}

/// Why nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A row is not as expected; of rows that should not be there, one that
    /// is.
    Stale(Key),
    /// A claim has gone to somebody else, or has lapsed and been taken.
    Fenced(ResourceId),
    /// A counter would pass its limit.
    Limit {
        /// Which counter.
        counter: String,
        /// What it stands at.
        value: u64,
        /// What it may be at the most.
        at_most: u64,
    },
}

/// Where everything durable is kept.
///
/// # Contract
///
/// *Writers*: nobody holds a transaction across an await; a batch is complete
/// when it is handed over. *Implementors*: [`Store::commit`] is atomic and
/// durable when it returns; revisions and event numbers grow in commit order;
/// a dropped `commit` future is either wholly written or not at all. Times are
/// the store's own clock.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Whether what is written outlives the program. Into a store that does
    /// not, secrets may be written as they are.
    fn is_durable(&self) -> bool {
        true
    }

    /// One resource.
    async fn resource(&self, id: ResourceId) -> Result<Option<Versioned<ResourceRecord>>>;

    /// Resources in the order of their ids ([`By::Guest`] says otherwise), at
    /// most `limit` of them.
    async fn resources(
        &self,
        by: &By,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<ResourceRecord>>>;

    /// One document.
    async fn document(&self, space: &str, id: &str) -> Result<Option<Versioned<Document>>>;

    /// Documents of a space in the order of their ids: all of them, or those
    /// whose index has that value.
    async fn documents(
        &self,
        space: &str,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<Document>>>;

    /// What a counter stands at; zero where nobody ever counted, and where one
    /// that begins with [`HINT`] cannot be read.
    async fn counter(&self, counter: &str) -> Result<u64>;

    /// Writes a batch, or nothing of it.
    async fn commit(&self, batch: Batch) -> Result<Outcome>;

    /// Claims up to `max` resources of a queue on which work is due and which
    /// nobody else holds, oldest first; none of the accounts in `except`. A
    /// claim that lapses is due in the queue in which the resource is by then.
    async fn claim(
        &self,
        owner: InstanceId,
        ttl: Duration,
        queue: Queue,
        max: u32,
        except: &[Account],
    ) -> Result<Vec<Claim>>;

    /// Whether somebody may be at work on a resource: has claimed it and not
    /// given it back, whatever has become of the lease. True where the store
    /// cannot tell.
    async fn is_claimed(&self, _id: ResourceId) -> Result<bool> {
        Ok(true)
    }

    /// When the next work of a queue is due: the earliest moment at which
    /// [`Store::claim`] with the same `except` may find something.
    async fn next_due(&self, queue: Queue, except: &[Account]) -> Result<Option<Timestamp>>;

    /// Resources of which a hold ends at `now` or before
    /// ([`ResourceRecord::first_end`]), the first to end first, whoever has
    /// claimed them.
    async fn ended(&self, now: Timestamp, limit: u32) -> Result<Vec<Versioned<ResourceRecord>>>;

    /// When the next hold ends.
    async fn next_end(&self) -> Result<Option<Timestamp>>;

    /// Events after a cursor, in commit order: of everything, or of one
    /// resource. In the place of one that cannot be read stands
    /// [`NewEvent::unreadable`]: everybody passes over the whole log.
    async fn since(&self, seq: u64, of: Option<ResourceId>, limit: u32) -> Result<Vec<Event>>;

    /// The number of the newest event.
    async fn newest(&self) -> Result<u64>;
}

//! Events: every transition, in commit order; who hears of them, and what is
//! said where some are no longer kept.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::caller::{Caller, Role, Tenant};
use crate::env::{Env, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::ResourceId;
use crate::model::Json;
use crate::record::{Document, ResourceRecord};
use crate::store::Version;
use crate::visible::{may_hear, may_see};

mod data;

pub use data::Data;

/// How many events are read at once.
const BATCH: u32 = 256;

/// The number of a commit; grows in commit order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// What is told of one that cannot be read any more.
const UNREADABLE: &str = "event.unreadable";

/// What happened, before the store has numbered it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewEvent {
    /// When.
    pub at: Timestamp,
    /// What, as `noun.verb`: `cluster.building`, `catalog.site.added`.
    pub what: String,
    /// To whose resource; absent for the catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    /// Users who may hear of it whatever their tenant: those who held the
    /// resource or were granted it when it happened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// To which resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceId>,
    /// More, for people and programs.
    #[serde(default, skip_serializing_if = "Data::is_nothing")]
    pub data: Data,
}

impl NewEvent {
    /// One about a resource.
    pub(crate) fn of(env: &dyn Env, r: &ResourceRecord, verb: &str, data: impl Serialize) -> Self {
        Self {
            at: env.now(),
            what: format!("{}.{verb}", r.kind),
            // Of a copy of an image hear those for whom it was brought.
            tenant: Some(r.holds.first().map_or(&r.tenant, |h| &h.tenant).clone()),
            audience: r.parties().into_iter().map(str::to_owned).collect(),
            resource: Some(r.id),
            data: Data::of(&data),
        }
    }

    /// What a store tells in the place of one that it cannot read any more: it
    /// keeps its number, so that whoever reads the log goes on behind it, and is
    /// of no tenant and of no time.
    pub fn unreadable(resource: Option<ResourceId>) -> Self {
        Self {
            at: Timestamp::from_millis(0),
            what: UNREADABLE.to_owned(),
            tenant: None,
            audience: Vec::new(),
            resource,
            data: Data::default(),
        }
    }
}

/// What happened. `seq` grows in commit order and is the cursor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The cursor.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: NewEvent,
}

impl Event {
    /// Whether its resource ended with it: no event of that one comes later.
    pub fn is_end(&self) -> bool {
        self.event.resource.is_some()
            && matches!(
                self.event.what.rsplit_once('.'),
                Some((_, "gone" | "abandoned"))
            )
    }

    /// Whether it only says that there was one, which cannot be read any more.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.event.what == UNREADABLE
    }

    /// Whether its resource began with it.
    pub(crate) fn is_beginning(&self) -> bool {
        matches!(self.event.what.rsplit_once('.'), Some((_, "requested")))
    }
}

/// Some events behind a cursor are no longer kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The cursor.
    pub after: u64,
    /// Where to go on: everything behind this is kept.
    pub until: u64,
}

impl Lost {
    /// The same, as a refusal.
    pub fn error(&self) -> Error {
        Error::new(
            ErrorKind::Gone,
            format!(
                "events behind number {} are no longer kept, up to number {}",
                self.after, self.until
            ),
        )
        .code("events-lost")
        .advice(format!(
            "look at the resources as they are now, and go on behind number {}",
            self.until
        ))
    }
}

/// What a caller hears.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// What has happened, in commit order.
    pub events: Vec<Event>,
    /// Where to go on.
    pub next: u64,
    /// Whether there was more than was asked for.
    pub more: bool,
    /// Set where some of what the caller should have heard is no longer kept.
    pub lost: Option<Lost>,
}

/// The log of events, for callers.
#[derive(Debug)]
pub struct Events<'a> {
    core: &'a Core,
}

impl<'a> Events<'a> {
    pub(crate) fn new(core: &'a Arc<Core>) -> Self {
        Self { core }
    }

    /// The number of the newest event.
    pub async fn newest(&self) -> Result<u64> {
        self.core.store.newest().await
    }

    /// What comes after a cursor, of everything or of one resource, as far as
    /// the caller may hear of it: an operator of all, a user of the tenant's
    /// resources and, while they are granted, of others. The history of one
    /// resource is told whole to whoever may see it now.
    ///
    /// Everything there is now, or `limit` of it. The cursor 0 stands before
    /// the oldest event that is kept.
    pub async fn after(
        &self,
        who: &Caller,
        of: Option<ResourceId>,
        cursor: u64,
        limit: usize,
    ) -> Result<Heard> {
        let mut heard = Heard {
            next: cursor,
            ..Heard::default()
        };
        loop {
            let (mut events, lost) = tail(self.core, of, heard.next, BATCH).await?;
            heard.lost = heard.lost.or(lost);
            heard.next = lost.map_or(heard.next, |l| l.until);
            let Some(last) = events.last().map(|e| e.seq) else {
                return Ok(heard);
            };
            self.keep_audible(who, of, &mut events).await?;
            for event in events {
                if heard.events.len() >= limit {
                    heard.more = true;
                    return Ok(heard);
                }
                heard.next = event.seq;
                heard.events.push(event);
            }
            heard.next = last;
        }
    }

    async fn keep_audible(
        &self,
        who: &Caller,
        of: Option<ResourceId>,
        events: &mut Vec<Event>,
    ) -> Result<()> {
        if who.is(Role::Operator) {
            return Ok(());
        }
        if let Some(id) = of
            && let Some(row) = self.core.store.resource(id).await?
            && may_see(who, &row.record)
        {
            return Ok(());
        }
        events.retain(|e| may_hear(who, &e.event));
        Ok(())
    }
}

/// The space of what is known of the log itself.
const SPACE: &str = "engine.events";
const HORIZON: &str = "horizon";

/// Up to which event the log was trimmed, and the version of that note. What
/// is left before it is the histories of resources that are still there.
pub(crate) async fn horizon(core: &Core) -> Result<(u64, Option<Version>)> {
    match core.store.document(SPACE, HORIZON).await? {
        Some(found) => Ok((found.record.body.read()?, Some(found.version))),
        None => Ok((0, None)),
    }
}

/// The note that the log was trimmed up to this event.
pub(crate) fn horizon_document(seq: u64) -> Result<Arc<Document>> {
    Ok(Arc::new(Document {
        space: SPACE.to_owned(),
        id: HORIZON.to_owned(),
        indexes: Vec::new(),
        body: Json::of(&seq)?,
    }))
}

/// Events after a cursor, and what is missing between. Empty only at the end
/// of the log.
pub(crate) async fn tail(
    core: &Core,
    of: Option<ResourceId>,
    cursor: u64,
    limit: u32,
) -> Result<(Vec<Event>, Option<Lost>)> {
    let events = core.store.since(cursor, of, limit).await?;
    if events.is_empty() {
        return Ok((events, None));
    }
    // Asked after the events were read, so that what was forgotten in between
    // counts as missing.
    let (horizon, _) = self::horizon(core).await?;
    if cursor >= horizon {
        return Ok((events, None));
    }
    let missing = |until: u64| {
        (cursor > 0).then_some(Lost {
            after: cursor,
            until,
        })
    };
    if let Some(id) = of {
        let oldest = core.store.since(0, Some(id), 1).await?;
        let cut = oldest
            .first()
            .filter(|e| !e.is_beginning() && cursor + 1 < e.seq);
        return Ok((events, cut.and_then(|e| missing(e.seq - 1))));
    }
    Ok((
        core.store.since(horizon, None, limit).await?,
        missing(horizon),
    ))
}

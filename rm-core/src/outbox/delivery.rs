//! Delivering: who listens to the log, what is tried when, and how many calls
//! are under way.
//!
//! The log is read once for all callbacks. An event wakes those callbacks of
//! its tenant that want it, found by their index; one that is awake stays so
//! until it has everything. Who is awake is remembered in memory only: what is
//! durable is each callback's own cursor, and a floor below which every
//! callback has everything, from which the log is read again after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::FuturesUnordered;
use serde_json::json;

use super::{CALLBACKS, Callback, Deliver, GIVE_UP, Outbox, read};
use crate::caller::Tenant;
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, NewEvent};
use crate::id::CatalogId;
use crate::model::Json;
use crate::record::Document;
use crate::store::{Batch, Version};

/// How long one delivery may take.
const DELIVERY: Duration = Duration::from_secs(10);

/// How many deliveries are under way at once: in all, and to one host. A host
/// that does not answer must not hold up the others.
const AT_ONCE: usize = 64;
const PER_HOST: usize = 4;

/// The longest pause before a callback that fails is tried again.
const LONGEST: u64 = 600;

/// Time alone does not give a callback up: nobody may have tried.
const LEAST_TRIES: u32 = 20;

/// How many events are read at once.
const BATCH: u32 = 256;

/// The floor is written down whenever it has risen by so many events.
const FLOOR_STEP: u64 = 1000;

/// The space and the id of the floor.
const SPACE: &str = "engine.outbox";
const FLOOR: &str = "floor";

/// A callback that does not have everything yet.
#[derive(Debug)]
struct Awake {
    host: String,
    /// It has everything it wants up to this event.
    from: u64,
    /// The newest event that is known to be wanted by it.
    wanted: u64,
    /// When it is tried next; none while it is.
    at: Option<Timestamp>,
}

/// What came of one try.
#[derive(Debug)]
enum Came {
    /// It has everything up to this event, and may want more.
    Has(u64),
    /// It has everything up to this event, which was the newest.
    HasAll(u64),
    /// Not before this.
    Later(Timestamp),
    /// It is no more, or has ended.
    Over,
}

#[derive(Debug, Default)]
struct Desk {
    /// Up to which event the log was heard.
    heard: u64,
    /// The floor as it was written down last.
    floor: u64,
    awake: BTreeMap<CatalogId, Awake>,
    /// Who is awake and not being tried, by the time of the next try.
    queue: BTreeSet<(Timestamp, CatalogId)>,
    /// How many calls each host has under way.
    busy: BTreeMap<String, usize>,
}

impl Desk {
    fn wake(&mut self, callback: &Callback, from: u64, wanted: u64, now: Timestamp) {
        if let Some(awake) = self.awake.get_mut(&callback.id) {
            awake.wanted = awake.wanted.max(wanted);
            return;
        }
        let at = callback.not_before.max(now);
        self.queue.insert((at, callback.id));
        let awake = Awake {
            host: callback.host(),
            from,
            wanted,
            at: Some(at),
        };
        self.awake.insert(callback.id, awake);
    }

    /// Who is to be tried now: those that have waited longest, as far as their
    /// hosts have room.
    fn take(&mut self, now: Timestamp, room: usize) -> Vec<(CatalogId, u64)> {
        let mut taken = Vec::new();
        for (at, id) in &self.queue {
            if *at > now || taken.len() == room {
                break;
            }
            let Some(awake) = self.awake.get_mut(id) else {
                continue;
            };
            let busy = self.busy.entry(awake.host.clone()).or_default();
            if *busy < PER_HOST {
                *busy += 1;
                awake.at = None;
                taken.push((*at, *id, awake.from));
            }
        }
        taken
            .into_iter()
            .map(|(at, id, from)| {
                self.queue.remove(&(at, id));
                (id, from)
            })
            .collect()
    }

    fn settle(&mut self, id: CatalogId, came: Came, now: Timestamp) {
        let Some(awake) = self.awake.get_mut(&id) else {
            return;
        };
        if let Some(busy) = self.busy.get_mut(&awake.host) {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(&awake.host);
            }
        }
        let at = match came {
            Came::Has(seq) => {
                awake.from = seq;
                now
            }
            // Something may have come after it had looked.
            Came::HasAll(seq) if awake.wanted > seq => {
                awake.from = seq;
                now
            }
            Came::HasAll(_) | Came::Over => {
                self.awake.remove(&id);
                return;
            }
            Came::Later(at) => at,
        };
        awake.at = Some(at);
        self.queue.insert((at, id));
    }

    /// Every callback has everything up to here.
    fn lowest(&self) -> u64 {
        let behind = self.awake.values().map(|a| a.from).min();
        behind.map_or(self.heard, |from| from.min(self.heard))
    }
}

impl Outbox {
    /// Delivers until `stop` ends. What is under way then is dropped, and
    /// delivered again by whoever goes on.
    pub async fn run(&self, deliver: &dyn Deliver, stop: impl Future<Output = ()>) {
        let work = std::pin::pin!(self.work(deliver));
        select(std::pin::pin!(stop), work).await;
    }

    async fn work(&self, deliver: &dyn Deliver) {
        const PAUSE: Duration = Duration::from_secs(1);
        let core = &*self.core;
        let mut desk = self.begin().await;
        let mut running: FuturesUnordered<BoxFuture<'_, (CatalogId, Came)>> =
            FuturesUnordered::new();
        loop {
            let rung = core.bell.rung();
            let more = match self.listen(&mut desk).await {
                Ok(more) => more,
                Err(e) => {
                    tracing::warn!(error = %e, "the outbox cannot read the store");
                    false
                }
            };
            let now = core.env.now();
            for (id, from) in desk.take(now, AT_ONCE - running.len()) {
                running.push(Box::pin(async move {
                    (id, self.attempt(deliver, id, from).await)
                }));
            }
            self.keep_floor(&mut desk).await;
            let pause = match desk.queue.first() {
                // Due already: it waits for room, which ends a call.
                Some((at, _)) if *at > now => at.since(now).min(PAUSE),
                _ => PAUSE,
            };
            let news = async {
                if more {
                    ready(()).await;
                } else {
                    core.news(rung, pause).await;
                }
            };
            let done = if running.is_empty() {
                news.await;
                None
            } else {
                match select(running.next(), std::pin::pin!(news)).await {
                    Either::Left((done, _)) => done,
                    Either::Right(_) => None,
                }
            };
            if let Some((id, came)) = done {
                desk.settle(id, came, core.env.now());
            }
        }
    }

    /// From where the log is to be heard.
    async fn begin(&self) -> Desk {
        loop {
            let found = self.core.store.document(SPACE, FLOOR).await;
            let floor = found.and_then(|found| match found {
                Some(found) => found.record.body.read(),
                None => Ok(0),
            });
            match floor {
                Ok(floor) => {
                    return Desk {
                        heard: floor,
                        floor,
                        ..Desk::default()
                    };
                }
                Err(e) => {
                    tracing::warn!(error = %e, "the outbox cannot read the store");
                    self.core.env.sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Writes down what need not be heard again. Any process's floor is right,
    /// so that the last one to write it counts.
    async fn keep_floor(&self, desk: &mut Desk) {
        let floor = desk.lowest();
        if floor < desk.floor.saturating_add(FLOOR_STEP) {
            return;
        }
        let written = async {
            let document = Document {
                space: SPACE.to_owned(),
                id: FLOOR.to_owned(),
                indexes: Vec::new(),
                body: Json::of(&floor)?,
            };
            let batch = Batch {
                documents: vec![Arc::new(document)],
                ..Batch::default()
            };
            self.core.store.commit(batch).await
        };
        match written.await {
            Ok(_) => desk.floor = floor,
            Err(e) => tracing::warn!(error = %e, "the outbox cannot write to the store"),
        }
    }

    /// Hears what has happened, and wakes who wants it. True where there is
    /// more to hear.
    async fn listen(&self, desk: &mut Desk) -> Result<bool> {
        let events = self.core.store.since(desk.heard, None, BATCH).await?;
        let Some(last) = events.last().map(|e| e.seq) else {
            return Ok(false);
        };
        let mut tenants: BTreeMap<&Tenant, Vec<&Event>> = BTreeMap::new();
        for event in &events {
            if let Some(tenant) = &event.event.tenant {
                tenants.entry(tenant).or_default().push(event);
            }
        }
        for (tenant, events) in tenants {
            match self.wake_those_of(desk, tenant, &events).await {
                Err(e) if e.kind() == ErrorKind::Corrupt => {
                    tracing::error!(%tenant, error = %e, "its callbacks cannot be read");
                }
                done => done?,
            }
        }
        desk.heard = last;
        Ok(events.len() == usize::try_from(BATCH).unwrap_or(usize::MAX))
    }

    async fn wake_those_of(
        &self,
        desk: &mut Desk,
        tenant: &Tenant,
        events: &[&Event],
    ) -> Result<()> {
        let now = self.core.env.now();
        let mut after = None;
        loop {
            let page = self.of(tenant, after.as_ref()).await?;
            for callback in page.items.iter().filter_map(read) {
                let new = |e: &&&Event| e.seq > callback.after;
                let wanted = |e: &&&Event| new(e) && callback.wants(e);
                let first = events.iter().find(wanted).map(|e| e.seq);
                let last = events.iter().rfind(wanted).map(|e| e.seq);
                // What happened between the cursor of a new one and its own
                // commit was heard before it was there.
                let id = json!(callback.id);
                let begins = |e: &&&Event| {
                    new(e) && e.event.what == "callback.added" && e.event.data["callback"] == id
                };
                let begins = events.iter().any(|e| begins(&e));
                let from = match (begins, first) {
                    _ if callback.ended.is_some() => continue,
                    (true, _) => callback.after,
                    (false, Some(first)) => first - 1,
                    (false, None) => continue,
                };
                desk.wake(&callback, from, last.unwrap_or_default(), now);
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Brings the next event that a callback wants.
    async fn attempt(&self, deliver: &dyn Deliver, id: CatalogId, from: u64) -> Came {
        match self.bring(deliver, id, from).await {
            Ok(came) => came,
            Err(e) => {
                tracing::warn!(callback = %id, error = %e, "the outbox cannot use the store");
                Came::Later(self.core.env.now().plus(Duration::from_secs(1)))
            }
        }
    }

    async fn bring(&self, deliver: &dyn Deliver, id: CatalogId, from: u64) -> Result<Came> {
        let core = &*self.core;
        // Another process may have been here since.
        let found = core.store.document(CALLBACKS, &id.to_string()).await?;
        let Some((found, mut callback)) = found.and_then(|f| read(&f).map(|c| (f, c))) else {
            return Ok(Came::Over);
        };
        if callback.ended.is_some() {
            return Ok(Came::Over);
        }
        let now = core.env.now();
        if callback.not_before > now {
            return Ok(Came::Later(callback.not_before));
        }
        let event = match self.next_for(&callback, from.max(callback.after)).await? {
            Ok(event) => event,
            Err(end) => return Ok(Came::HasAll(end)),
        };
        // Taken first, so that another process on this store leaves it alone
        // meanwhile.
        callback.not_before = now.plus(DELIVERY * 2);
        if !self.keep(&callback, found.version, None).await? {
            return Ok(Came::Has(from));
        }
        let version = Version(found.version.0 + 1);
        let call = deliver.deliver(&callback.url, &event);
        let done = core.timed("deliver", DELIVERY, call).await;
        let now = core.env.now();
        let Err(e) = done else {
            callback.after = event.seq;
            callback.failures = 0;
            callback.failing_since = None;
            callback.last_error = None;
            callback.not_before = now;
            self.keep(&callback, version, None).await?;
            return Ok(Came::Has(event.seq));
        };
        let tell = self.failed(&mut callback, &e, now);
        self.keep(&callback, version, tell).await?;
        Ok(match callback.ended {
            Some(_) => Came::Over,
            None => Came::Later(callback.not_before),
        })
    }

    /// Notes a failure, or that it was the last, which is told.
    fn failed(&self, callback: &mut Callback, e: &Error, now: Timestamp) -> Option<NewEvent> {
        let why = match e.kind() {
            ErrorKind::Timeout => "the receiver did not answer in time".to_owned(),
            _ => e.to_string(),
        };
        let since = *callback.failing_since.get_or_insert(now);
        let wait = Duration::from_secs((1u64 << callback.failures.min(10)).min(LONGEST));
        callback.failures = callback.failures.saturating_add(1);
        callback.not_before = now.plus(wait);
        callback.last_error = Some(why.clone());
        if now.since(since) <= GIVE_UP || callback.failures < LEAST_TRIES {
            tracing::info!(callback = %callback.id, error = why, "a callback does not answer");
            return None;
        }
        callback.ended = Some(now);
        tracing::warn!(
            callback = %callback.id, tenant = %callback.tenant, error = why,
            "a callback is given up"
        );
        let data = json!({"callback": callback.id, "by": callback.user, "reason": why});
        Some(self.event(&callback.tenant, "ended", data))
    }

    /// The first event behind the cursor that it wants; else how far the log
    /// was read.
    async fn next_for(
        &self,
        callback: &Callback,
        mut cursor: u64,
    ) -> Result<std::result::Result<Event, u64>> {
        loop {
            let mut events = self.core.store.since(cursor, None, BATCH).await?;
            let Some(last) = events.last().map(|e| e.seq) else {
                return Ok(Err(cursor));
            };
            if let Some(at) = events.iter().position(|e| callback.wants(e)) {
                return Ok(Ok(events.swap_remove(at)));
            }
            cursor = last;
        }
    }
}

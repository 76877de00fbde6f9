//! Signals: what happened, typed, for whoever listens in the process; and the
//! outbox, which brings the same events to callbacks outside, durably.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::caller::{Caller, Role, Tenant};
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::host::Core;
use crate::id::{CatalogId, Kind};
use crate::life::State;
use crate::model::Json;
use crate::record::Document;
use crate::store::{Batch, Expect, Key, Outcome, Page, Version};

/// The space of callbacks.
const CALLBACKS: &str = "engine.callback";

/// How long one delivery may take.
const DELIVERY: Duration = Duration::from_secs(10);

/// How long a callback that does not answer is tried before it is given up.
const GIVE_UP: Duration = Duration::from_secs(3 * 24 * 3600);

/// What an event says, for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// A resource of this kind is seen in another state, or for another reason.
    Seen(Kind, State),
    /// A resource was asked for.
    Requested(Kind),
    /// Another spec was asked for.
    ChangeRequested(Kind),
    /// The site refused another spec; what was there stays.
    ChangeRefused(Kind),
    /// One more caller holds it.
    Joined(Kind),
    /// A hold was given up.
    Released(Kind),
    /// A hold's lease is over.
    Expired(Kind),
    /// It is seen to be gone.
    Gone(Kind),
    /// An operator gave it up, whatever is left at the site.
    Abandoned(Kind),
    /// It is made at another place than the first.
    Moved(Kind),
    /// Somebody changed it at the site.
    Drifted(Kind),
    /// A long call is so far.
    Progress(Kind),
    /// An entry of the catalog came, changed or went; the word is the event's.
    Catalog(String),
    /// Something else; the word is the event's.
    Other(String),
}

impl Signal {
    /// What an event says.
    pub fn of(event: &Event) -> Self {
        let what = event.event.what.as_str();
        if what.starts_with("catalog.") {
            return Self::Catalog(what.to_owned());
        }
        let Some((kind, verb)) = what.rsplit_once('.') else {
            return Self::Other(what.to_owned());
        };
        let kind = Kind::new(kind);
        if let Some(state) = State::ALL.into_iter().find(|s| s.as_str() == verb) {
            return Self::Seen(kind, state);
        }
        match verb {
            "requested" => Self::Requested(kind),
            "change-requested" => Self::ChangeRequested(kind),
            "change-refused" => Self::ChangeRefused(kind),
            "joined" => Self::Joined(kind),
            "released" => Self::Released(kind),
            "expired" => Self::Expired(kind),
            "gone" => Self::Gone(kind),
            "abandoned" => Self::Abandoned(kind),
            "moved" => Self::Moved(kind),
            "drifted" => Self::Drifted(kind),
            "progress" => Self::Progress(kind),
            _ => Self::Other(what.to_owned()),
        }
    }
}

/// Events as they are committed, in commit order, from a cursor on. None is
/// lost and none comes twice, also of what other processes commit.
#[derive(Debug)]
pub struct Subscription {
    core: Arc<Core>,
    after: u64,
}

impl Subscription {
    pub(crate) fn new(core: Arc<Core>, after: u64) -> Self {
        Self { core, after }
    }

    /// The next events, at least one; waits until there is one.
    pub async fn next(&mut self) -> Result<Vec<Event>> {
        loop {
            let heard = self.core.bell.rung();
            let events = self.core.store.since(self.after, None, 256).await?;
            if let Some(last) = events.last() {
                self.after = last.seq;
                return Ok(events);
            }
            self.core.news(heard, Duration::from_secs(1)).await;
        }
    }
}

/// Where events of a tenant are brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// Its id.
    pub id: CatalogId,
    /// Whose events.
    pub tenant: Tenant,
    /// Who asked for it.
    pub user: String,
    /// Where to: an HTTP address.
    pub url: String,
    /// Only events whose name begins with this; all where empty.
    #[serde(default)]
    pub prefix: String,
    /// The last event that was delivered or passed over.
    pub after: u64,
    /// Deliveries in a row that failed.
    pub failures: u32,
    /// Since when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// Not tried again before this. While a delivery is under way, this is
    /// when another process may take it over.
    pub not_before: Timestamp,
}

/// Brings one event to an address; a door's business.
#[async_trait]
pub trait Deliver: std::fmt::Debug + Send + Sync + 'static {
    /// Done when the receiver has said that it has it.
    async fn deliver(&self, url: &str, event: &Event) -> Result<()>;
}

/// Callbacks: events brought outside in commit order, each at least once, with
/// retries for days, across restarts.
#[derive(Debug, Clone)]
pub struct Outbox {
    core: Arc<Core>,
}

impl Outbox {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Asks for the events of the caller's tenant from now on.
    pub async fn add(&self, who: &Caller, url: &str, prefix: &str) -> Result<Callback> {
        who.need(Role::User)?;
        let good = ["http://", "https://"].iter().any(|s| url.starts_with(s));
        if !good || url.len() > 2000 || url.contains('@') || url.contains(char::is_whitespace) {
            return Err(Error::invalid("a callback needs an HTTP address")
                .advice("write http://host:port/path, without a user or password in it"));
        }
        let core = &*self.core;
        let callback = Callback {
            id: CatalogId::new(&*core.env),
            tenant: who.tenant.clone(),
            user: who.user.clone(),
            url: url.to_owned(),
            prefix: prefix.to_owned(),
            after: core.store.newest().await?,
            failures: 0,
            failing_since: None,
            not_before: core.env.now(),
        };
        let mut batch = Batch::default();
        batch.documents.push(document(&callback)?);
        core.commit(batch).await?;
        Ok(callback)
    }

    /// The callbacks of the caller's tenant.
    pub async fn list(&self, who: &Caller) -> Result<Vec<Callback>> {
        who.need(Role::User)?;
        let index = Some(("tenant", who.tenant.0.as_str()));
        let page: Page<_> = self
            .core
            .store
            .documents(CALLBACKS, index, None, 1000)
            .await?;
        page.items.iter().map(|d| d.record.body.read()).collect()
    }

    /// Ends one.
    pub async fn remove(&self, who: &Caller, id: CatalogId) -> Result<()> {
        if !self.list(who).await?.iter().any(|c| c.id == id) {
            return Err(Error::not_found(format!("there is no callback {id}")));
        }
        let mut batch = Batch::default();
        batch
            .delete
            .push(Key::Document(CALLBACKS.to_owned(), id.to_string()));
        self.core.commit(batch).await?;
        Ok(())
    }

    /// Delivers until `stop` ends.
    pub async fn run(&self, deliver: &dyn Deliver, stop: impl Future<Output = ()>) {
        let work = std::pin::pin!(async {
            loop {
                let heard = self.core.bell.rung();
                let worked = self.round(deliver).await.unwrap_or_else(|e| {
                    tracing::warn!(error = %e, "the outbox cannot read the store");
                    false
                });
                if !worked {
                    self.core.news(heard, Duration::from_secs(1)).await;
                }
            }
        });
        futures_util::future::select(std::pin::pin!(stop), work).await;
    }

    /// One delivery for each callback that is due; whether there was any.
    async fn round(&self, deliver: &dyn Deliver) -> Result<bool> {
        let core = &*self.core;
        let mut worked = false;
        let page = core.store.documents(CALLBACKS, None, None, 1000).await?;
        for found in page.items {
            let callback: Callback = found.record.body.read()?;
            if callback.not_before > core.env.now() {
                continue;
            }
            worked |= self.one(deliver, callback, found.version).await?;
        }
        Ok(worked)
    }

    async fn one(
        &self,
        deliver: &dyn Deliver,
        mut callback: Callback,
        version: Version,
    ) -> Result<bool> {
        let core = &*self.core;
        let events = core.store.since(callback.after, None, 256).await?;
        let Some(last) = events.last().map(|e| e.seq) else {
            return Ok(false);
        };
        let wanted = |e: &&Event| {
            e.event.tenant.as_ref() == Some(&callback.tenant)
                && e.event.what.starts_with(&callback.prefix)
        };
        let Some(event) = events.iter().find(wanted) else {
            callback.after = last;
            return self.keep(&callback, version).await;
        };
        // Taken first, so that another process on this store leaves it alone
        // meanwhile.
        callback.not_before = core.env.now().plus(DELIVERY * 2);
        if !self.keep(&callback, version).await? {
            return Ok(true);
        }
        let version = Version(version.0 + 1);
        let call = deliver.deliver(&callback.url, event);
        match core.timed("deliver", DELIVERY, call).await {
            Ok(()) => {
                callback.after = event.seq;
                callback.failures = 0;
                callback.failing_since = None;
                callback.not_before = core.env.now();
            }
            Err(e) => {
                let now = core.env.now();
                let since = *callback.failing_since.get_or_insert(now);
                tracing::info!(callback = %callback.id, error = %e, "a callback does not answer");
                if now.since(since) > GIVE_UP {
                    let mut batch = Batch::default();
                    batch
                        .delete
                        .push(Key::Document(CALLBACKS.to_owned(), callback.id.to_string()));
                    core.commit(batch).await?;
                    return Ok(true);
                }
                let wait = Duration::from_secs((1u64 << callback.failures.min(10)).min(600));
                callback.failures = callback.failures.saturating_add(1);
                callback.not_before = now.plus(wait);
            }
        }
        self.keep(&callback, version).await?;
        Ok(true)
    }

    /// Whether it was still in that version.
    async fn keep(&self, callback: &Callback, version: Version) -> Result<bool> {
        let mut batch = Batch::default();
        let key = Key::Document(CALLBACKS.to_owned(), callback.id.to_string());
        batch.expect.push(Expect::Version(key, version));
        batch.documents.push(document(callback)?);
        // Not through the bell: who waits for news of resources would wake for
        // each delivery.
        match self.core.store.commit(batch).await? {
            Outcome::Done(_) => Ok(true),
            Outcome::Refused(_) => Ok(false),
        }
    }
}

fn document(callback: &Callback) -> Result<Arc<Document>> {
    Ok(Arc::new(Document {
        space: CALLBACKS.to_owned(),
        id: callback.id.to_string(),
        indexes: vec![("tenant".to_owned(), callback.tenant.0.clone())],
        body: Json::of(callback)?,
    }))
}

/// What a receiver that says no is told as.
pub fn not_delivered(status: u16) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("the receiver answered with status {status}"),
    )
}

//! The outbox: events of a tenant, brought to callbacks outside, durably.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::caller::{Caller, Role, Tenant};
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, NewEvent};
use crate::host::Core;
use crate::id::CatalogId;
use crate::model::Json;
use crate::record::Document;
use crate::store::{Batch, Count, Cursor, Expect, Key, Outcome, Page, Refusal, Version, Versioned};

mod delivery;

/// The space of callbacks, and the index by their tenant.
const CALLBACKS: &str = "engine.callback";
const TENANT: &str = "tenant";

/// How long a callback that does not answer is tried before it is given up.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(3 * 24 * 3600);

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
    /// The last event that was delivered; at first the newest one before it
    /// was asked for.
    pub after: u64,
    /// Deliveries in a row that failed.
    pub failures: u32,
    /// Since when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// Why the last delivery failed; absent while they succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Not tried again before this. While a delivery is under way, this is
    /// when another process may take it over.
    pub not_before: Timestamp,
}

/// How a callback fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackState {
    /// It takes what comes.
    Active,
    /// It does not answer, and is tried again.
    Failing,
    /// It did not answer for too long: nothing is brought to it any more.
    Ended,
}

impl CallbackState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Failing, Self::Ended];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Failing => "failing",
            Self::Ended => "ended",
        }
    }
}

impl Callback {
    /// How it fares.
    pub fn state(&self) -> CallbackState {
        match (self.ended, self.failures) {
            (Some(_), _) => CallbackState::Ended,
            (None, 0) => CallbackState::Active,
            (None, _) => CallbackState::Failing,
        }
    }

    fn wants(&self, event: &Event) -> bool {
        event.event.tenant.as_ref() == Some(&self.tenant)
            && event.event.what.starts_with(&self.prefix)
    }

    /// The host that it calls, without the port.
    fn host(&self) -> String {
        let rest = self
            .url
            .split_once("://")
            .map_or(&*self.url, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => host,
            _ => authority,
        };
        host.to_ascii_lowercase()
    }
}

/// Brings one event to an address; a door's business. Whether a tenant may
/// have that address called is its business, too.
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

    /// Asks for the events of the caller's tenant from now on. That it was
    /// asked for is the first of them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for what is no HTTP address,
    /// [`ErrorKind::Quota`] where the tenant has as many as it may have.
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
            last_error: None,
            ended: None,
            not_before: core.env.now(),
        };
        let mut batch = Batch::default();
        batch
            .counts
            .push(count(&who.tenant, 1, Some(core.policy.callbacks)));
        batch.documents.push(document(&callback)?);
        batch.events.push(self.event(
            &who.tenant,
            "added",
            json!({"callback": callback.id, "by": who.user}),
        ));
        match core.commit(batch).await? {
            Outcome::Refused(Refusal::Limit { at_most, .. }) => Err(Error::new(
                ErrorKind::Quota,
                format!("{} may have {at_most} callbacks at once", who.tenant),
            )
            .code("too-many-callbacks")
            .advice("remove one that is not needed, or one that has ended")),
            Outcome::Refused(_) => Err(Error::new(ErrorKind::Internal, "nothing was expected")),
            Outcome::Done(_) => Ok(callback),
        }
    }

    /// The callbacks of the caller's tenant, those that have ended, too.
    pub async fn list(&self, who: &Caller) -> Result<Vec<Callback>> {
        who.need(Role::User)?;
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = self.of(&who.tenant, after.as_ref()).await?;
            all.extend(page.items.iter().filter_map(read));
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// Removes one.
    pub async fn remove(&self, who: &Caller, id: CatalogId) -> Result<()> {
        who.need(Role::User)?;
        // By the index, so that one that cannot be read can be removed, too.
        let own = (TENANT.to_owned(), who.tenant.0.clone());
        let missing = || Error::not_found(format!("there is no callback {id}"));
        let core = &*self.core;
        loop {
            let found = core.store.document(CALLBACKS, &id.to_string()).await?;
            let found = found
                .filter(|found| found.record.indexes.contains(&own))
                .ok_or_else(missing)?;
            let key = key(id);
            let mut batch = Batch::default();
            batch
                .expect
                .push(Expect::Version(key.clone(), found.version));
            batch.delete.push(key);
            batch.counts.push(count(&who.tenant, -1, None));
            batch.events.push(self.event(
                &who.tenant,
                "removed",
                json!({"callback": id, "by": who.user}),
            ));
            if let Outcome::Done(_) = core.commit(batch).await? {
                return Ok(());
            }
        }
    }

    async fn of(
        &self,
        tenant: &Tenant,
        after: Option<&Cursor>,
    ) -> Result<Page<Versioned<Document>>> {
        let index = Some((TENANT, tenant.0.as_str()));
        let store = &self.core.store;
        store.documents(CALLBACKS, index, after, 100).await
    }

    /// About a callback, heard by its tenant. Its address may hold a secret
    /// and is not told.
    fn event(&self, tenant: &Tenant, verb: &str, data: serde_json::Value) -> NewEvent {
        NewEvent {
            at: self.core.env.now(),
            what: format!("callback.{verb}"),
            tenant: Some(tenant.clone()),
            audience: Vec::new(),
            resource: None,
            data: data.into(),
        }
    }

    /// Writes it down, with an event where there is something to tell. Whether
    /// it was still in that version.
    async fn keep(
        &self,
        callback: &Callback,
        version: Version,
        tell: Option<NewEvent>,
    ) -> Result<bool> {
        let mut batch = Batch::default();
        batch
            .expect
            .push(Expect::Version(key(callback.id), version));
        batch.documents.push(document(callback)?);
        // Through the bell only where there is something to hear: who waits
        // for news of resources would wake for each delivery.
        let done = if tell.is_some() {
            batch.events.extend(tell);
            self.core.commit(batch).await?
        } else {
            self.core.store.commit(batch).await?
        };
        Ok(matches!(done, Outcome::Done(_)))
    }
}

fn key(id: CatalogId) -> Key {
    Key::Document(CALLBACKS.to_owned(), id.to_string())
}

fn count(tenant: &Tenant, by: i64, at_most: Option<u64>) -> Count {
    Count {
        counter: format!("quota/{tenant}/callbacks"),
        by,
        at_most,
    }
}

/// One that cannot be read is passed over, so that the others go on.
fn read(found: &Versioned<Document>) -> Option<Callback> {
    let callback = found.record.body.read();
    callback
        .inspect_err(|e| {
            tracing::error!(callback = found.record.id, error = %e, "a callback cannot be read");
        })
        .ok()
}

fn document(callback: &Callback) -> Result<Arc<Document>> {
    Ok(Arc::new(Document {
        space: CALLBACKS.to_owned(),
        id: callback.id.to_string(),
        indexes: vec![(TENANT.to_owned(), callback.tenant.0.clone())],
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

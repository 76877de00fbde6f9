//! Accounts on clusters: one for each user of each, made by the cluster's
//! agent, kept with the password sealed.
//!
//! An account is one of the real thing that it was made on: where that was made
//! anew, the agent is asked again. It is forgotten when its user lets go of the
//! cluster. Before an agent is asked, that is written down, so that requests at
//! the same moment ask once. What the agent made is known only to whom it told
//! it: where a host dies between its answer and the commit, or the answer is
//! lost, an account stays on the cluster of which nobody knows, and the agent is
//! asked for another. Its protocol has no key by which it could tell the two
//! apart.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::caller::{Caller, Role};
use crate::env::Timestamp;
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::{HoldId, Kind, ResourceId};
use crate::model::{Cluster, Json};
use crate::nodes;
use crate::record::{Document, ResourceRecord};
use crate::resource::Resource;
use crate::secret::Secret;
use crate::store::{Batch, Expect, Key, Outcome, Version};

const SPACE: &str = "engine.account";

/// Who asks an agent has so long. After that it is taken to have died, and
/// somebody else asks.
const ASKING: Duration = Duration::from_secs(60);

/// So long somebody waits for what another request of the same user asked for.
const WAITING: Duration = Duration::from_secs(20);

/// So long lists do not ask an agent again that could not be asked.
const RESTING: Duration = Duration::from_secs(60);

/// So long they do not where it may have made an account all the same: each
/// time it could be one more.
const DOUBTED: Duration = Duration::from_secs(3600);

/// What an agent made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// The user's name on the cluster.
    pub username: String,
    /// Its password.
    pub password: Secret,
}

/// Asks a cluster for an account.
#[async_trait]
pub trait Agent: fmt::Debug + Send + Sync + 'static {
    /// Asks the master at this address for an account of its own, within half a
    /// minute: after a minute somebody else asks.
    async fn new_account(&self, address: &str) -> Result<NewAccount>;
}

/// One user's account on one cluster.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user's name on the cluster.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// Since when.
    pub created: Timestamp,
}

/// What is kept for a user of a cluster.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The real thing that it is about; nothing where that was not written down
    /// yet, so that nobody knows.
    #[serde(default)]
    thing: Option<Thing>,
    #[serde(flatten)]
    account: Option<Sealed>,
    /// Somebody asks for an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asking: Option<Asking>,
    /// The agent was asked in vain; until then no list asks it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resting: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    username: String,
    sealed: String,
    created: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Asking {
    /// Which request.
    by: HoldId,
    /// Until when it may.
    until: Timestamp,
}

/// Which of the real things that were made one after the other, and where its
/// master was.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Thing {
    incarnation: u32,
    remote: String,
    address: Option<String>,
    /// Of a cluster of nodes, which machine that is: one that was made anew may have
    /// the address of the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    master: Option<(ResourceId, u32)>,
}

impl Thing {
    /// The one that there is now, if there is one.
    async fn of(core: &Core, cluster: &Resource<Cluster>) -> Result<Option<Self>> {
        let r = cluster.record();
        let Some(remote) = &r.remote else {
            return Ok(None);
        };
        Ok(Some(Self {
            incarnation: r.incarnation,
            remote: remote.0.clone(),
            address: cluster.view()?.address,
            master: nodes::master(&*core.store, remote).await?,
        }))
    }

    /// Whether this one is still there. While nobody has seen where its master
    /// is, that has not moved.
    fn is(&self, now: Option<&Self>) -> bool {
        now.is_some_and(|now| {
            (self.incarnation, &self.remote) == (now.incarnation, &now.remote)
                && self.master == now.master
                && (now.address.is_none() || self.address == now.address)
        })
    }
}

/// The accounts of callers.
#[derive(Debug)]
pub struct Accounts<'a> {
    core: &'a Arc<Core>,
}

impl<'a> Accounts<'a> {
    pub(crate) fn new(core: &'a Arc<Core>) -> Self {
        Self { core }
    }

    /// The caller's account on a cluster, where there is one.
    pub async fn find(&self, who: &Caller, cluster: &Resource<Cluster>) -> Result<Option<Account>> {
        let id = id_of(cluster.id(), &who.user);
        let Some(found) = self.core.store.document(SPACE, &id).await? else {
            return Ok(None);
        };
        self.open(&id, found.record.body.read()?, cluster).await
    }

    /// What is kept, where it is of the thing that there is.
    async fn open(
        &self,
        id: &str,
        kept: Kept,
        cluster: &Resource<Cluster>,
    ) -> Result<Option<Account>> {
        let now = Thing::of(self.core, cluster).await?;
        match (kept.thing, kept.account) {
            (Some(thing), Some(account)) if thing.is(now.as_ref()) => Ok(Some(Account {
                username: account.username,
                password: self.core.catalog.sealer().open(&account.sealed, id)?,
                created: account.created,
            })),
            _ => Ok(None),
        }
    }

    /// The caller's account on a cluster; the agent makes one where there is
    /// none. True where it did.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] for who neither holds the cluster nor was
    /// granted it; [`ErrorKind::Busy`] where it is not ready, or where another
    /// request of the same user is still asking; what the agent says.
    pub async fn find_or_make(
        &self,
        who: &Caller,
        agent: Option<&dyn Agent>,
        cluster: &Resource<Cluster>,
    ) -> Result<(Account, bool)> {
        self.obtain(who, agent, cluster, true).await
    }

    /// The same for who reads a list, again and again: it waits for no other
    /// request, and an agent that was asked in vain is left alone for a while.
    ///
    /// # Errors
    ///
    /// As [`Self::find_or_make`], and [`ErrorKind::Busy`] in that while.
    pub async fn find_or_try(
        &self,
        who: &Caller,
        agent: Option<&dyn Agent>,
        cluster: &Resource<Cluster>,
    ) -> Result<Account> {
        Ok(self.obtain(who, agent, cluster, false).await?.0)
    }

    async fn obtain(
        &self,
        who: &Caller,
        agent: Option<&dyn Agent>,
        cluster: &Resource<Cluster>,
        patient: bool,
    ) -> Result<(Account, bool)> {
        let (env, of) = (&self.core.env, cluster.id());
        if !cluster.record().parties().contains(&who.user.as_str()) {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!("{} neither holds this cluster nor was granted it", who.user),
            )
            .advice("ask one of its holders for a grant")
            .resource(of));
        }
        let id = id_of(of, &who.user);
        let by = HoldId::new(&**env);
        let begun = env.now();
        loop {
            let found = self.core.store.document(SPACE, &id).await?;
            let mut expect = Expect::Absent(key(&id));
            if let Some(found) = found {
                expect = Expect::Version(key(&id), found.version);
                let mut kept: Kept = found.record.body.read()?;
                let asking = kept.asking.take().filter(|a| a.until > env.now());
                let mut resting = kept.resting.take().filter(|until| *until > env.now());
                if resting.is_some() && !patient {
                    let now = Thing::of(self.core, cluster).await?;
                    let same = kept.thing.as_ref().is_some_and(|t| t.is(now.as_ref()));
                    resting = resting.filter(|_| same);
                }
                if let Some(account) = self.open(&id, kept, cluster).await? {
                    return Ok((account, false));
                }
                match asking {
                    Some(asking) if asking.by == by => {
                        return self.ask(agent, cluster, &id, found.version).await;
                    }
                    Some(_) if patient && env.now() < begun.plus(WAITING) => {
                        env.sleep(Duration::from_millis(200)).await;
                        continue;
                    }
                    Some(_) => {
                        return Err(Error::new(
                            ErrorKind::Busy,
                            "another request asks the cluster for this account",
                        )
                        .advice("ask again in a minute")
                        .resource(of));
                    }
                    None => {}
                }
                if let Some(until) = resting.filter(|_| !patient) {
                    return Err(Error::new(
                        ErrorKind::Busy,
                        format!(
                            "its agent was asked for this account in vain, and rests until {until}"
                        ),
                    )
                    .advice("ask for the account itself to ask at once")
                    .resource(of));
                }
            }
            self.can_ask(agent, cluster)?;
            let kept = Kept {
                thing: Thing::of(self.core, cluster).await?,
                account: None,
                asking: Some(Asking {
                    by,
                    until: env.now().plus(ASKING),
                }),
                resting: None,
            };
            // Whoever is faster asks: what is there now is read anew.
            self.write(&id, of, &kept, expect).await?;
        }
    }

    /// Whom to ask, and where.
    fn can_ask<'b>(
        &self,
        agent: Option<&'b dyn Agent>,
        cluster: &Resource<Cluster>,
    ) -> Result<(&'b dyn Agent, String)> {
        let agent = agent.ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "this host does not ask clusters for accounts",
            )
            .advice("an operator can configure the agent")
        })?;
        let address = cluster.view()?.address.filter(|_| cluster.is_ready());
        let address = address.ok_or_else(|| {
            Error::new(
                ErrorKind::Busy,
                "the cluster is not ready, and cannot make accounts",
            )
            .advice("wait until it is ready")
            .resource(cluster.id())
        })?;
        Ok((agent, address))
    }

    /// Asks, as was written down in that version.
    async fn ask(
        &self,
        agent: Option<&dyn Agent>,
        cluster: &Resource<Cluster>,
        id: &str,
        version: Version,
    ) -> Result<(Account, bool)> {
        let expect = Expect::Version(key(id), version);
        let (agent, address) = self.can_ask(agent, cluster)?;
        let made = match agent.new_account(&address).await {
            Ok(made) => made,
            Err(e) => {
                let rest = match e.effect() {
                    Effect::Unknown => DOUBTED,
                    _ => RESTING,
                };
                let kept = Kept {
                    thing: Thing::of(self.core, cluster).await.unwrap_or_default(),
                    account: None,
                    asking: None,
                    resting: Some(self.core.env.now().plus(rest)),
                };
                // Where that does not work its time runs out.
                if let Err(e) = self.write(id, cluster.id(), &kept, expect).await {
                    tracing::debug!(error = %e, "nobody can ask for this account for a while");
                }
                return Err(e.resource(cluster.id()));
            }
        };
        let account = Account {
            username: made.username,
            password: made.password,
            created: self.core.env.now(),
        };
        let kept = Kept {
            thing: Thing::of(self.core, cluster).await?,
            account: Some(Sealed {
                username: account.username.clone(),
                sealed: self.core.catalog.sealer().seal(&account.password, id)?,
                created: account.created,
            }),
            asking: None,
            resting: None,
        };
        if self.write(id, cluster.id(), &kept, expect).await? {
            return Ok((account, true));
        }
        Err(Error::new(
            ErrorKind::Busy,
            "the cluster was let go of while it made the account",
        )
        .advice("ask again")
        .resource(cluster.id()))
    }

    /// False where something else is there.
    async fn write(
        &self,
        id: &str,
        cluster: ResourceId,
        kept: &Kept,
        expect: Expect,
    ) -> Result<bool> {
        let mut batch = Batch::default();
        batch.expect.push(expect);
        batch.documents.push(Arc::new(Document {
            space: SPACE.to_owned(),
            id: id.to_owned(),
            indexes: vec![("cluster".to_owned(), cluster.to_string())],
            body: Json::of(kept)?,
        }));
        let done = self.core.store.commit(batch).await?;
        Ok(matches!(done, Outcome::Done(_)))
    }

    /// Forgets the accounts of clusters that are gone or were made anew, and of
    /// who has let go of them, and answers how many there were. A host calls it
    /// now and then.
    pub async fn tidy(&self) -> Result<u64> {
        let store = &self.core.store;
        let mut forgotten = 0;
        let mut after = None;
        loop {
            let page = store.documents(SPACE, None, after.as_ref(), 200).await?;
            let mut batch = Batch::default();
            for found in &page.items {
                if !self.is_of_use(&found.record).await? {
                    let key = key(&found.record.id);
                    let version = found.version;
                    batch.expect.push(Expect::Version(key.clone(), version));
                    batch.delete.push(key);
                }
            }
            if !batch.delete.is_empty() {
                let these = batch.delete.len() as u64;
                // Where one was asked for anew meanwhile it is the next time's.
                if let Outcome::Done(_) = store.commit(batch).await? {
                    forgotten += these;
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(forgotten);
            }
        }
    }

    /// Whether somebody can still be told what is kept.
    async fn is_of_use(&self, document: &Document) -> Result<bool> {
        let Some((cluster, user)) = document.id.split_once('/') else {
            return Ok(false);
        };
        let Ok(cluster) = cluster.parse() else {
            return Ok(false);
        };
        let Some(row) = self.core.store.resource(cluster).await? else {
            return Ok(false);
        };
        let cluster = Resource::<Cluster>::new(self.core, row);
        let kept: Kept = document.body.read()?;
        let now = Thing::of(self.core, &cluster).await?;
        let is_held = cluster.record().parties().contains(&user);
        let of_this = kept.thing.is_some_and(|thing| thing.is(now.as_ref()));
        Ok(is_held && of_this)
    }

    /// Seals every password anew with the sealer's current key, and answers
    /// how many there were: belongs to [`crate::catalog::Catalog::reseal`].
    pub async fn reseal(&self, who: &Caller) -> Result<u64> {
        who.need(Role::Operator)?;
        let store = &self.core.store;
        let sealer = self.core.catalog.sealer();
        let mut count = 0;
        let mut after = None;
        loop {
            let page = store.documents(SPACE, None, after.as_ref(), 200).await?;
            for found in page.items {
                let id = found.record.id.clone();
                let mut kept: Kept = found.record.body.read()?;
                let Some(account) = &mut kept.account else {
                    continue;
                };
                account.sealed = sealer.seal(&sealer.open(&account.sealed, &id)?, &id)?;
                let key = Key::Document(SPACE.to_owned(), id);
                let mut batch = Batch::default();
                batch.expect.push(Expect::Version(key, found.version));
                batch.documents.push(Arc::new(Document {
                    body: Json::of(&kept)?,
                    ..(*found.record).clone()
                }));
                // Where it changed meanwhile it was sealed with the current
                // key.
                store.commit(batch).await?;
                count += 1;
            }
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }
}

/// What a user who is nothing to a cluster any more has there is forgotten in the
/// same commit.
pub(crate) fn forget(r: &ResourceRecord, user: &str, batch: &mut Batch) {
    if r.kind == Kind::CLUSTER && !r.parties().contains(&user) {
        batch.delete.push(key(&id_of(r.id, user)));
    }
}

fn key(id: &str) -> Key {
    Key::Document(SPACE.to_owned(), id.to_owned())
}

fn id_of(cluster: ResourceId, user: &str) -> String {
    format!("{cluster}/{user}")
}

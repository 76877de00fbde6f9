//! Accounts on clusters: one for each user of each, made by the cluster's
//! agent, kept with the password sealed.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::caller::{Caller, Role};
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::ResourceId;
use crate::model::{Cluster, Json};
use crate::record::Document;
use crate::resource::Resource;
use crate::secret::Secret;
use crate::store::{Batch, Expect, Key, Outcome};

const SPACE: &str = "engine.account";

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
    /// Asks the master at this address for an account of its own.
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

#[derive(Serialize, Deserialize)]
struct Kept {
    username: String,
    sealed: String,
    created: Timestamp,
}

/// The accounts of callers.
#[derive(Debug)]
pub struct Accounts<'a> {
    core: &'a Core,
}

impl<'a> Accounts<'a> {
    pub(crate) fn new(core: &'a Arc<Core>) -> Self {
        Self { core }
    }

    /// The caller's account on a cluster, where there is one.
    pub async fn find(&self, who: &Caller, cluster: ResourceId) -> Result<Option<Account>> {
        let id = id_of(cluster, &who.user);
        match self.core.store.document(SPACE, &id).await? {
            Some(found) => Ok(Some(self.open(&id, &found.record)?)),
            None => Ok(None),
        }
    }

    fn open(&self, id: &str, document: &Document) -> Result<Account> {
        let kept: Kept = document.body.read()?;
        Ok(Account {
            username: kept.username,
            password: self.core.catalog.sealer().open(&kept.sealed, id)?,
            created: kept.created,
        })
    }

    /// The caller's account on a cluster; the agent makes one where there is
    /// none. True where it did.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] for who neither holds the cluster nor was
    /// granted it; [`ErrorKind::Busy`] where it is not ready; what the agent
    /// says.
    pub async fn find_or_make(
        &self,
        who: &Caller,
        agent: Option<&dyn Agent>,
        cluster: &Resource<Cluster>,
    ) -> Result<(Account, bool)> {
        let id = cluster.id();
        if !cluster.record().parties().contains(&who.user.as_str()) {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!("{} neither holds this cluster nor was granted it", who.user),
            )
            .advice("ask one of its holders for a grant")
            .resource(id));
        }
        if let Some(account) = self.find(who, id).await? {
            return Ok((account, false));
        }
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
            .resource(id)
        })?;
        let made = agent
            .new_account(&address)
            .await
            .map_err(|e| e.resource(id))?;
        let account = Account {
            username: made.username,
            password: made.password,
            created: self.core.env.now(),
        };
        if self.keep(who, id, &account).await? {
            return Ok((account, true));
        }
        // Another request of the same user was faster: theirs counts.
        match self.find(who, id).await? {
            Some(account) => Ok((account, false)),
            None => Err(Error::new(
                ErrorKind::Busy,
                "the account was removed meanwhile",
            )),
        }
    }

    /// False where there is one already.
    async fn keep(&self, who: &Caller, cluster: ResourceId, account: &Account) -> Result<bool> {
        let id = id_of(cluster, &who.user);
        let kept = Kept {
            username: account.username.clone(),
            sealed: self.core.catalog.sealer().seal(&account.password, &id)?,
            created: account.created,
        };
        let mut batch = Batch::default();
        batch
            .expect
            .push(Expect::Absent(Key::Document(SPACE.to_owned(), id.clone())));
        batch.documents.push(Arc::new(Document {
            space: SPACE.to_owned(),
            id,
            indexes: vec![("cluster".to_owned(), cluster.to_string())],
            body: Json::of(&kept)?,
        }));
        let done = self.core.store.commit(batch).await?;
        Ok(matches!(done, Outcome::Done(_)))
    }

    /// Forgets the accounts of clusters that are gone, and answers how many
    /// there were. A host calls it now and then.
    pub async fn tidy(&self) -> Result<u64> {
        let store = &self.core.store;
        let mut forgotten = 0;
        let mut after = None;
        loop {
            let page = store.documents(SPACE, None, after.as_ref(), 200).await?;
            let mut batch = Batch::default();
            for found in &page.items {
                let cluster = found.record.id.split('/').next().unwrap_or_default();
                let there = match cluster.parse() {
                    Ok(id) => store.resource(id).await?.is_some(),
                    Err(_) => false,
                };
                if !there {
                    let id = found.record.id.clone();
                    batch.delete.push(Key::Document(SPACE.to_owned(), id));
                }
            }
            if !batch.delete.is_empty() {
                forgotten += batch.delete.len() as u64;
                store.commit(batch).await?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(forgotten);
            }
        }
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
                kept.sealed = sealer.seal(&sealer.open(&kept.sealed, &id)?, &id)?;
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

fn id_of(cluster: ResourceId, user: &str) -> String {
    format!("{cluster}/{user}")
}

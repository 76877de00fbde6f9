//! Accounts on clusters: one for each user of each, made by the cluster's
//! agent, kept with the password sealed.

use std::sync::Arc;

use rm_core::env::Timestamp;
use rm_core::model::{Cluster, Json};
use rm_core::record::Document;
use rm_core::resource::Resource;
use rm_core::secret::Secret;
use rm_core::store::{Batch, Expect, Key, Outcome};
use rm_core::{Call, Caller, Error, ErrorKind, Host, ResourceId, Result, Role};
use serde::{Deserialize, Serialize};

use crate::agent::Agent;

const SPACE: &str = "rest.account";

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

fn id_of(cluster: ResourceId, user: &str) -> String {
    format!("{cluster}/{user}")
}

/// The caller's account on a cluster, where there is one.
pub async fn find(call: &Call<'_>, cluster: ResourceId) -> Result<Option<Account>> {
    let id = id_of(cluster, &call.who.user);
    match call.host.store().document(SPACE, &id).await? {
        Some(found) => Ok(Some(open(call.host, &id, &found.record)?)),
        None => Ok(None),
    }
}

fn open(host: &Host, id: &str, document: &Document) -> Result<Account> {
    let kept: Kept = document.body.read()?;
    Ok(Account {
        username: kept.username,
        password: host.catalog().sealer().open(&kept.sealed, id)?,
        created: kept.created,
    })
}

/// The caller's account on a cluster; the agent makes one where there is
/// none. True where it did.
///
/// # Errors
///
/// [`ErrorKind::Forbidden`] for who neither holds the cluster nor was granted
/// it; [`ErrorKind::Busy`] where it is not ready; what the agent says.
pub async fn find_or_make(
    call: &Call<'_>,
    agent: Option<&Arc<dyn Agent>>,
    cluster: &Resource<Cluster>,
) -> Result<(Account, bool)> {
    let Call { who, host } = *call;
    let id = cluster.id();
    if !cluster.record().parties().contains(&who.user.as_str()) {
        return Err(Error::new(
            ErrorKind::Forbidden,
            format!("{} neither holds this cluster nor was granted it", who.user),
        )
        .advice("ask one of its holders for a grant")
        .resource(id));
    }
    if let Some(account) = find(call, id).await? {
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
    let key = id_of(id, &who.user);
    let account = Account {
        username: made.username,
        password: made.password,
        created: host.env().now(),
    };
    let kept = Kept {
        username: account.username.clone(),
        sealed: host.catalog().sealer().seal(&account.password, &key)?,
        created: account.created,
    };
    let mut batch = Batch::default();
    batch
        .expect
        .push(Expect::Absent(Key::Document(SPACE.to_owned(), key.clone())));
    batch.documents.push(document(key, id, &kept)?);
    match host.store().commit(batch).await? {
        Outcome::Done(_) => Ok((account, true)),
        // Another request of the same user was faster: theirs counts.
        Outcome::Refused(_) => match find(call, id).await? {
            Some(account) => Ok((account, false)),
            None => Err(Error::new(
                ErrorKind::Busy,
                "the account was removed meanwhile",
            )),
        },
    }
}

fn document(id: String, cluster: ResourceId, kept: &Kept) -> Result<Arc<Document>> {
    Ok(Arc::new(Document {
        space: SPACE.to_owned(),
        id,
        indexes: vec![("cluster".to_owned(), cluster.to_string())],
        body: Json::of(kept)?,
    }))
}

/// Forgets the accounts of clusters that are gone, and answers how many there
/// were. A host calls it now and then.
pub async fn tidy(host: &Host) -> Result<u64> {
    let mut forgotten = 0;
    let mut after = None;
    loop {
        let page = host
            .store()
            .documents(SPACE, None, after.as_ref(), 200)
            .await?;
        let mut batch = Batch::default();
        for found in &page.items {
            let cluster = found.record.id.split('/').next().unwrap_or_default();
            let there = match cluster.parse() {
                Ok(id) => host.store().resource(id).await?.is_some(),
                Err(_) => false,
            };
            if !there {
                batch
                    .delete
                    .push(Key::Document(SPACE.to_owned(), found.record.id.clone()));
            }
        }
        if !batch.delete.is_empty() {
            forgotten += batch.delete.len() as u64;
            host.store().commit(batch).await?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(forgotten);
        }
    }
}

/// Seals every password anew with the sealer's current key, and answers how
/// many there were: belongs to [`rm_core::catalog::Catalog::reseal`].
pub async fn reseal(host: &Host, who: &Caller) -> Result<u64> {
    who.need(Role::Operator)?;
    let sealer = host.catalog().sealer();
    let mut count = 0;
    let mut after = None;
    loop {
        let page = host
            .store()
            .documents(SPACE, None, after.as_ref(), 200)
            .await?;
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
            // Where it changed meanwhile it was sealed with the current key.
            host.store().commit(batch).await?;
            count += 1;
        }
        after = page.next;
        if after.is_none() {
            return Ok(count);
        }
    }
}

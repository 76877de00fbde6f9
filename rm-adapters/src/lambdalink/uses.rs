//! The original's resources: one user's use of a cluster each, and the account
//! that comes with it.
//!
//! A use is a hold with a record of its own. Both are written, and end, in one
//! commit; where the hold has ended otherwise, the use has ended, too.

use std::sync::Arc;

use axum::http::StatusCode;
use futures_util::future::join_all;
use rm_core::accounts::Account;
use rm_core::clusters::Reuse;
use rm_core::model::{Cluster, Json};
use rm_core::record::{Document, ResourceRecord};
use rm_core::resource::Resource;
use rm_core::store::{Batch, Expect, Key, Version};
use rm_core::{Call, CatalogId, ErrorKind, HoldId, Host, ResourceId, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::nothing;
use super::resources::wanted;
use crate::agent::Agent;
use crate::door::{Reply, Request};

/// Where they are kept.
const SPACE: &str = "lambdalink.resource";

/// One user's use of a cluster, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Use {
    id: String,
    user: String,
    cluster: ResourceId,
    hold: HoldId,
    hints: Value,
}

impl Use {
    fn key(&self) -> Key {
        Key::Document(SPACE.to_owned(), self.id.clone())
    }

    fn is_held(&self, cluster: &ResourceRecord) -> bool {
        cluster.holds.iter().any(|hold| hold.id == self.hold)
    }
}

/// So many clusters are asked for an account at once.
const ASKED_AT_ONCE: usize = 16;

/// All of the caller's, with their accounts, which the clusters are asked for
/// as soon as they can be.
pub(super) async fn list(call: &Call<'_>, agent: Option<&Arc<dyn Agent>>) -> Result<Reply> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = call
            .host
            .store()
            .documents(SPACE, Some(("user", &call.who.user)), after.as_ref(), 200)
            .await?;
        let mut held = Vec::new();
        for found in &page.items {
            let used: Use = found.record.body.read()?;
            if let Some(cluster) = cluster(call, &used).await? {
                held.push((used, cluster));
            }
        }
        for some in held.chunks(ASKED_AT_ONCE) {
            let shown = some.iter().map(|one| with_account(call, agent, one));
            all.extend(join_all(shown).await);
        }
        after = page.next;
        if after.is_none() {
            return Ok(Reply::ok(Value::Array(all)));
        }
    }
}

/// With the account, where there is one or the cluster makes one now.
async fn with_account(
    call: &Call<'_>,
    agent: Option<&Arc<dyn Agent>>,
    (used, cluster): &(Use, Resource<Cluster>),
) -> Value {
    if !cluster.is_ready() {
        return show(used, None);
    }
    let agent = agent.map(|agent| &**agent);
    let accounts = call.host.accounts();
    match accounts.find_or_try(call.who, agent, cluster).await {
        Ok(account) => show(used, Some(&account)),
        Err(e) => {
            // As in the original, it is filled in later.
            tracing::info!(cluster = %used.cluster, error = %e, "no account yet");
            show(used, None)
        }
    }
}

/// Finds or makes a cluster that the caller got this way before, and holds it.
pub(super) async fn add(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let hints = &request.body()["hints"];
    let (Some(credential), Some(implementation)) = (
        hints["credentials"].as_str(),
        hints["implementation"].as_str(),
    ) else {
        return Ok(Reply::json(
            StatusCode::BAD_REQUEST,
            json!({"error": "hints must have the members implementation and credentials"}),
        ));
    };
    let wanted = wanted(
        call,
        ("credentials", credential),
        ("implementation", implementation),
    )
    .await?;
    let mut wanted = match wanted {
        Ok(wanted) => wanted,
        Err(reply) => return Ok(reply),
    };
    wanted.reuse = Reuse::Own;
    let id = CatalogId::new(&**call.host.env()).to_string();
    let used = |cluster, hold| Use {
        id: id.clone(),
        user: call.who.user.clone(),
        cluster,
        hold,
        hints: json!({"credentials": credential, "implementation": implementation}),
    };
    let keep = |cluster, hold, batch: &mut Batch| {
        let used = used(cluster, hold);
        batch.expect.push(Expect::Absent(used.key()));
        batch.documents.push(Arc::new(Document {
            space: SPACE.to_owned(),
            indexes: vec![("user".to_owned(), used.user.clone())],
            body: Json::of(&used)?,
            id: used.id,
        }));
        Ok(())
    };
    let created = call
        .host
        .clusters()
        .create_and(call.who, &wanted, keep)
        .await?;
    let used = used(created.cluster.id(), created.hold);
    let accounts = call.host.accounts();
    let account = accounts.find(call.who, &created.cluster).await?;
    Ok(Reply::created(show(&used, account.as_ref())))
}

/// One of the caller's, with its account, which the cluster is asked for as
/// soon as it can be.
pub(super) async fn get(
    call: &Call<'_>,
    agent: Option<&Arc<dyn Agent>>,
    id: &str,
) -> Result<Reply> {
    let (used, _, cluster) = own(call, id).await?;
    Ok(Reply::ok(with_account(call, agent, &(used, cluster)).await))
}

/// `PUT` and `PATCH`: every member of it is read-only.
pub(super) async fn set(call: &Call<'_>, id: &str) -> Result<Reply> {
    let (used, _, cluster) = own(call, id).await?;
    let account = call.host.accounts().find(call.who, &cluster).await?;
    Ok(Reply::ok(show(&used, account.as_ref())))
}

/// Ends one of the caller's, and with the last hold the cluster.
pub(super) async fn remove(call: &Call<'_>, id: &str) -> Result<Reply> {
    let (used, version, cluster) = own(call, id).await?;
    let key = used.key();
    cluster
        .release_and(call.who, Some(used.hold), |batch| {
            batch.expect.push(Expect::Version(key.clone(), version));
            batch.delete.push(key.clone());
            Ok(())
        })
        .await?;
    Ok(Reply::Empty)
}

/// Forgets uses whose hold has ended, and answers how many there were. A host
/// calls it now and then.
pub async fn tidy(host: &Host) -> Result<u64> {
    let store = host.store();
    let mut forgotten = 0;
    let mut after = None;
    loop {
        let page = store.documents(SPACE, None, after.as_ref(), 200).await?;
        let mut batch = Batch::default();
        for found in &page.items {
            let used: Use = found.record.body.read()?;
            let cluster = store.resource(used.cluster).await?;
            if !cluster.is_some_and(|row| used.is_held(&row.record)) {
                batch.delete.push(used.key());
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

fn show(used: &Use, account: Option<&Account>) -> Value {
    json!({
        "id": used.id, "user": used.user, "cluster": used.cluster, "hints": used.hints,
        "username": account.map(|a| a.username.as_str()),
        "password": account.map(|a| a.password.expose()),
    })
}

/// The caller's own, with its version and its cluster.
async fn own(call: &Call<'_>, id: &str) -> Result<(Use, Version, Resource<Cluster>)> {
    let found = call.host.store().document(SPACE, id).await?;
    let found = found.ok_or_else(nothing)?;
    let used: Use = found.record.body.read()?;
    if used.user != call.who.user {
        return Err(nothing());
    }
    let cluster = cluster(call, &used).await?.ok_or_else(nothing)?;
    Ok((used, found.version, cluster))
}

/// The cluster that is used, while it is held.
async fn cluster(call: &Call<'_>, used: &Use) -> Result<Option<Resource<Cluster>>> {
    match call.host.clusters().get(call.who, used.cluster).await {
        Ok(cluster) => Ok(used.is_held(cluster.record()).then_some(cluster)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

//! A repeated request is recognised by its key, and answered as before.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ClusterRequest, Clusters, Created};
use crate::caller::Caller;
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{HoldId, ResourceId};
use crate::model::Json;
use crate::record::Document;
use crate::store::{Batch, Expect, Key};

/// The space of idempotency keys.
pub(crate) const IDEMPOTENCY: &str = "engine.idempotency";

/// The day a key belongs to; old days are forgotten as a whole.
pub(crate) fn day(at: Timestamp) -> i64 {
    at.millis().div_euclid(24 * 3600 * 1000)
}

/// What a request got.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Got {
    pub(super) resource: ResourceId,
    pub(super) hold: HoldId,
    /// The generation that was asked for.
    pub(super) generation: u64,
    pub(super) reused: bool,
}

/// What is remembered under an idempotency key.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    digest: String,
    #[serde(flatten)]
    got: Got,
}

impl Clusters<'_> {
    /// The answer to a request that was served before. A key names one
    /// request: once what that got is gone, it gets nothing else.
    pub(super) async fn remembered(
        &self,
        who: &Caller,
        request: &ClusterRequest,
    ) -> Result<Option<Created>> {
        let Some((key, digest)) = &request.idempotency else {
            return Ok(None);
        };
        let Some(found) = self
            .core
            .store
            .document(IDEMPOTENCY, &place(who, key))
            .await?
        else {
            return Ok(None);
        };
        let Remembered {
            digest: before,
            got,
        } = found.record.body.read()?;
        if before != *digest {
            return Err(Error::new(
                ErrorKind::Conflict,
                "this idempotency key was used for another request",
            )
            .code("idempotency-key-reused")
            .advice("use a new key for a new request"));
        }
        let held = match self.get(who, got.resource).await {
            Ok(cluster) => {
                let is_held = cluster.record().holds.iter().any(|h| h.id == got.hold);
                is_held.then_some(cluster)
            }
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        match held {
            Some(cluster) => Ok(Some(Created {
                cluster,
                hold: got.hold,
                generation: got.generation,
                reused: got.reused,
                considered: Vec::new(),
            })),
            None => Err(Error::new(
                ErrorKind::Gone,
                "the request of this idempotency key was served, and its hold has ended since",
            )
            .code("idempotency-key-spent")
            .advice("use a new key to get another cluster")
            .resource(got.resource)),
        }
    }

    /// Puts what was answered into the commit that makes it true.
    pub(super) fn remember(
        &self,
        who: &Caller,
        request: &ClusterRequest,
        got: Got,
        into: &mut Batch,
    ) -> Result<()> {
        let Some((key, digest)) = &request.idempotency else {
            return Ok(());
        };
        let id = place(who, key);
        into.expect.push(Expect::Absent(Key::Document(
            IDEMPOTENCY.to_owned(),
            id.clone(),
        )));
        into.documents.push(Arc::new(Document {
            space: IDEMPOTENCY.to_owned(),
            id,
            indexes: vec![("day".to_owned(), day(self.core.env.now()).to_string())],
            body: Json::of(&Remembered {
                digest: digest.clone(),
                got,
            })?,
        }));
        Ok(())
    }
}

/// Where a caller's key is kept: keys of different callers never meet, whatever
/// characters are in them.
pub(super) fn place(who: &Caller, key: &str) -> String {
    let (tenant, user) = (&who.tenant.0, &who.user);
    format!("{}:{tenant}/{}:{user}/{key}", tenant.len(), user.len())
}

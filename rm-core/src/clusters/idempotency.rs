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

/// What is remembered under an idempotency key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) digest: String,
    pub(super) resource: ResourceId,
    pub(super) hold: HoldId,
    pub(super) reused: bool,
}

impl Clusters<'_> {
    pub(super) async fn remembered(
        &self,
        who: &Caller,
        request: &ClusterRequest,
    ) -> Result<Option<Created>> {
        let Some((key, digest)) = &request.idempotency else {
            return Ok(None);
        };
        let id = place_of(who, key);
        let Some(found) = self.core.store.document(IDEMPOTENCY, &id).await? else {
            return Ok(None);
        };
        let before: Remembered = found.record.body.read()?;
        if before.digest != *digest {
            return Err(Error::new(
                ErrorKind::Conflict,
                "this idempotency key was used for another request",
            )
            .code("idempotency-key-reused")
            .advice("use a new key for a new request"));
        }
        Ok(Some(Created {
            cluster: self.get(who, before.resource).await?,
            hold: before.hold,
            reused: before.reused,
            considered: Vec::new(),
        }))
    }

    /// Puts what was answered into the commit that makes it true.
    pub(super) fn remember(
        &self,
        who: &Caller,
        request: &ClusterRequest,
        (resource, hold, reused): (ResourceId, HoldId, bool),
        into: &mut Batch,
    ) -> Result<()> {
        let Some((key, digest)) = &request.idempotency else {
            return Ok(());
        };
        let (expect, document) = self.idempotency_document(
            who,
            key,
            &Remembered {
                digest: digest.clone(),
                resource,
                hold,
                reused,
            },
        )?;
        into.expect.push(expect);
        into.documents.push(document);
        Ok(())
    }

    pub(super) fn idempotency_document(
        &self,
        who: &Caller,
        key: &str,
        what: &Remembered,
    ) -> Result<(Expect, Arc<Document>)> {
        let id = place_of(who, key);
        Ok((
            Expect::Absent(Key::Document(IDEMPOTENCY.to_owned(), id.clone())),
            Arc::new(Document {
                space: IDEMPOTENCY.to_owned(),
                id,
                indexes: vec![("day".to_owned(), day(self.core.env.now()).to_string())],
                body: Json::of(what)?,
            }),
        ))
    }
}

/// Where a caller's key is kept: keys of different callers never meet, whatever
/// characters are in them.
fn place_of(who: &Caller, key: &str) -> String {
    let (tenant, user) = (&who.tenant.0, &who.user);
    format!("{}:{tenant}/{}:{user}/{key}", tenant.len(), user.len())
}

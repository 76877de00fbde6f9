//! Slices that were shut down, for operators: which they are, and how one is
//! opened again.

use std::sync::Arc;

use rm_core::env::Timestamp;
use rm_core::store::{Batch, Expect, Outcome};
use rm_core::{Caller, Error, Host, Result, Role};
use serde::{Deserialize, Serialize};

use super::book::Tries;
use super::{Kept, SPACE};
use crate::geni::Urn;

/// Documents with this index and value were shut down.
pub(super) const SHUT: (&str, &str) = ("shut", "yes");

/// By whom a slice was shut down, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::geni) struct Shut {
    pub(in crate::geni) by: String,
    pub(in crate::geni) at: Timestamp,
}

/// A slice that was shut down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutDown {
    /// Its URN.
    pub slice: String,
    /// The URN of who did it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How many slivers it had when it was last written.
    pub slivers: usize,
}

/// Slices that were shut down, for an operator.
///
/// # Errors
///
/// [`rm_core::ErrorKind::Forbidden`] for anybody else, and where the store
/// cannot be asked.
pub async fn shut_down(host: &Host, who: &Caller) -> Result<Vec<ShutDown>> {
    who.need(Role::Operator)?;
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let store = host.store();
        let page = store
            .documents(SPACE, Some(SHUT), after.as_ref(), 10)
            .await?;
        for document in page.items {
            let kept: Kept = document.record.body.read()?;
            let slivers = kept.requests.iter().map(|r| r.slivers.len()).sum();
            all.extend(kept.shut.map(|shut| ShutDown {
                slice: kept.urn,
                by: shut.by,
                at: shut.at,
                slivers,
            }));
        }
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// Opens a slice again that was shut down, for an operator: its members can do
/// with it what they could before. What was stopped stays stopped.
///
/// # Errors
///
/// [`rm_core::ErrorKind::NotFound`] for one that was not shut down,
/// [`rm_core::ErrorKind::Forbidden`] for who is no operator.
pub async fn lift_shutdown(host: &Host, who: &Caller, slice: &Urn) -> Result<()> {
    who.need(Role::Operator)?;
    let mut tries = Tries::default();
    loop {
        let found = host.store().document(SPACE, &slice.spelling()).await?;
        let missing = || {
            Error::not_found(format!("{slice} is not shut down"))
                .code("not-shut-down")
                .advice("\"geni shut list\" tells which slices are")
        };
        let found = found.ok_or_else(missing)?;
        let mut kept: Kept = found.record.body.read()?;
        if kept.shut.take().is_none() {
            return Err(missing());
        }
        let key = Kept::key(slice);
        let mut batch = Batch::default();
        batch
            .expect
            .push(Expect::Version(key.clone(), found.version));
        if kept.requests.is_empty() {
            batch.delete.push(key);
        } else {
            batch.documents.push(Arc::new(kept.document(slice)?));
        }
        if let Outcome::Done(_) = host.commit(batch).await? {
            tracing::warn!(%slice, by = who.user.as_str(), "a shutdown was lifted");
            return Ok(());
        }
        tries.again(&**host.env()).await?;
    }
}

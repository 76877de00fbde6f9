//! Slices that were shut down, for operators: which they are, and how one is
//! opened again.

use rm_core::env::Timestamp;
use rm_core::store::{Batch, Outcome};
use rm_core::{Caller, Error, Host, Result, Role};
use serde::{Deserialize, Deserializer, Serialize};

use super::book::{Tries, busy};
use super::kept::{Kept, SPACE};
use crate::geni::Urn;

/// How many documents are read at once.
const PAGE: u32 = 50;
/// Documents with this index and value were shut down.
pub(super) const SHUT: (&str, &str) = ("shut", "yes");

/// By whom a slice was shut down, and when. It stays until an operator takes it
/// away, also of a slice that has nothing here: whoever holds a newer credential
/// for the slice would open it else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shut {
    by: String,
    at: Timestamp,
}

/// In stores of earlier days it is said whether, and not by whom.
pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Shut>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Whether(bool),
        How(Shut),
    }
    let said: Option<Said> = Deserialize::deserialize(from)?;
    Ok(match said {
        None | Some(Said::Whether(false)) => None,
        Some(Said::Whether(true)) => Some(Shut {
            by: String::new(),
            at: Timestamp::from_millis(0),
        }),
        Some(Said::How(shut)) => Some(shut),
    })
}

/// Marks a slice as shut down by somebody; false where it was before. Its document
/// alone is read for that: however much its members do with it, one of some
/// hundred tries is between two of their calls.
///
/// # Errors
///
/// [`rm_core::ErrorKind::Busy`] where none was.
pub(in crate::geni) async fn mark(host: &Host, slice: &Urn, by: &str) -> Result<bool> {
    const MOST: u32 = 300;
    for _ in 0..MOST {
        let (version, mut kept) = Kept::find(host, slice).await?;
        if kept.shut.is_some() {
            return Ok(false);
        }
        kept.shut = Some(Shut {
            by: by.to_owned(),
            at: host.env().now(),
        });
        let mut batch = Batch::default();
        kept.put(slice, version, &mut batch)?;
        if let Outcome::Done(_) = host.commit(batch).await? {
            return Ok(true);
        }
    }
    Err(busy())
}

/// A slice that was shut down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutDown {
    /// Its URN.
    pub slice: String,
    /// The URN of who did it; empty where an earlier version did not write it
    /// down.
    pub by: String,
    /// When; the beginning of 1970 where that is not known.
    pub at: Timestamp,
    /// How many slivers it had when it was last written.
    pub slivers: usize,
}

/// The slices that were shut down, for an operator. One whose document cannot
/// be read is told of in the log.
///
/// # Errors
///
/// [`rm_core::ErrorKind::Forbidden`] for anybody else, and where the store
/// cannot be asked.
pub async fn shut_slices(host: &Host, who: &Caller) -> Result<Vec<ShutDown>> {
    who.need(Role::Operator)?;
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let store = host.store();
        let page = store
            .documents(SPACE, Some(SHUT), after.as_ref(), PAGE)
            .await?;
        for document in page.items {
            let kept: Kept = match document.record.body.read() {
                Ok(kept) => kept,
                Err(e) => {
                    let slice = &document.record.id;
                    tracing::warn!(slice, error = %e, "what is kept of a slice cannot be used");
                    continue;
                }
            };
            let slivers = kept.listed().count();
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
        let mut batch = Batch::default();
        kept.put(slice, Some(found.version), &mut batch)?;
        if let Outcome::Done(_) = host.commit(batch).await? {
            tracing::warn!(%slice, by = who.user.as_str(), "a shutdown was lifted");
            return Ok(());
        }
        tries.again(&**host.env()).await?;
    }
}

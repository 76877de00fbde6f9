//! Housekeeping: what nobody will ask for again is removed.

use std::time::Duration;

use super::Engine;
use crate::clusters::{IDEMPOTENCY, day};
use crate::error::Result;
use crate::store::{Batch, Key};

/// How often.
pub(super) const EVERY: Duration = Duration::from_secs(3600);

/// Days after which an idempotency key is forgotten, and how far back it is
/// looked for old ones after a pause of the whole installation.
const KEPT: i64 = 2;
const BACK: i64 = 60;

impl Engine {
    /// Forgets old idempotency keys.
    pub(super) async fn tidy(&self) -> Result<()> {
        let core = &*self.core;
        let today = day(core.env.now());
        for old in today - BACK..today - KEPT {
            let value = old.to_string();
            loop {
                let index = Some(("day", value.as_str()));
                let page = core.store.documents(IDEMPOTENCY, index, None, 500).await?;
                if page.items.is_empty() {
                    break;
                }
                let mut batch = Batch::default();
                for found in page.items {
                    let id = found.record.id.clone();
                    batch.delete.push(Key::Document(IDEMPOTENCY.to_owned(), id));
                }
                core.store.commit(batch).await?;
            }
        }
        Ok(())
    }
}

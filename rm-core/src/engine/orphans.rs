//! The search for orphans, now and then: what is found is told once, and
//! reclaimed where the policy says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Done, Engine};
use crate::env::Timestamp;
use crate::error::Result;
use crate::host::Core;
use crate::id::CatalogId;
use crate::model::Json;
use crate::orphans::{self, Orphan, Report, Verdict};
use crate::record::Document;
use crate::store::{Batch, Expect, Key, Outcome, Versioned};

/// What was found before, and the turn that was searched last.
const FOUND: &str = "engine.orphan";
const TURN: &str = "engine.orphan.turn";
const LAST: &str = "last";

/// What is remembered of an orphan.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    since: Timestamp,
    manager: String,
    site: CatalogId,
    credential: CatalogId,
}

impl Engine {
    /// When the next search is due. All engines have the same turns, and one
    /// of them searches.
    pub(super) fn next_scan(&self) -> Option<Timestamp> {
        let every = self.core.policy.orphan_scan?;
        Some(turn(self.core.env.now(), every, 1))
    }

    pub(super) async fn scan(&self) -> Done {
        if let Err(e) = self.search().await {
            tracing::warn!(error = %e, "orphans could not be searched for");
        }
        Done::Scanned
    }

    async fn search(&self) -> Result<()> {
        let core = &*self.core;
        let Some(every) = core.policy.orphan_scan else {
            return Ok(());
        };
        if !self.take(turn(core.env.now(), every, 0)).await? {
            return Ok(());
        }
        let report = orphans::report(core).await?;
        for skipped in &report.skipped {
            tracing::debug!(
                site = skipped.site_name,
                why = skipped.why,
                "not searched for orphans"
            );
        }
        let known = known(core).await?;
        self.forget(&known, &report).await?;
        for (name, orphan) in orphans::by_name(&report.orphans) {
            let before = known.iter().find(|found| found.record.id == name);
            match before {
                Some(found) => self.reclaim(found, orphan).await,
                None => self.tell(name, orphan).await?,
            }
        }
        Ok(())
    }

    /// Whether this engine is the one that searches in this turn.
    async fn take(&self, turn: Timestamp) -> Result<bool> {
        let core = &*self.core;
        let key = Key::Document(TURN.to_owned(), LAST.to_owned());
        let expect = match core.store.document(TURN, LAST).await? {
            Some(found) if found.record.body.read::<Timestamp>()? >= turn => return Ok(false),
            Some(found) => Expect::Version(key, found.version),
            None => Expect::Absent(key),
        };
        let batch = Batch {
            expect: vec![expect],
            documents: vec![document(TURN, LAST.to_owned(), &turn)?],
            ..Batch::default()
        };
        Ok(matches!(core.store.commit(batch).await?, Outcome::Done(_)))
    }

    /// Forgets what was looked for and is no orphan any more.
    async fn forget(&self, known: &[Versioned<Document>], report: &Report) -> Result<()> {
        let there = orphans::by_name(&report.orphans);
        for document in known {
            let found: Found = document.record.body.read()?;
            let skipped = report.skipped.iter().any(|s| {
                s.manager == found.manager
                    && s.site == found.site
                    && s.credential == found.credential
            });
            if skipped || there.contains_key(&document.record.id) {
                continue;
            }
            let key = Key::Document(FOUND.to_owned(), document.record.id.clone());
            let batch = Batch {
                expect: vec![Expect::Version(key.clone(), document.version)],
                delete: vec![key],
                ..Batch::default()
            };
            self.core.store.commit(batch).await?;
        }
        Ok(())
    }

    /// Tells of an orphan that is new.
    async fn tell(&self, name: String, orphan: &Orphan) -> Result<()> {
        if !matches!(orphan.verdict, Verdict::Orphan | Verdict::Unheard) {
            return Ok(());
        }
        let core = &*self.core;
        let found = Found {
            since: core.env.now(),
            manager: orphan.thing.manager.clone(),
            site: orphan.thing.site,
            credential: orphan.thing.credential,
        };
        let key = Key::Document(FOUND.to_owned(), name.clone());
        let mut event = orphans::event(core, "found", &orphan.thing, "engine");
        event.data["verdict"] = json!(orphan.verdict.as_str());
        event.data["why"] = json!(orphan.why);
        core.commit(Batch {
            expect: vec![Expect::Absent(key)],
            documents: vec![document(FOUND, name, &found)?],
            events: vec![event],
            ..Batch::default()
        })
        .await?;
        Ok(())
    }

    /// Reclaims what has been an orphan for long enough, where the policy says
    /// so. What the store never heard of is left to a person.
    async fn reclaim(&self, found: &Versioned<Document>, orphan: &Orphan) {
        let core = &*self.core;
        let since = found.record.body.read::<Found>().map(|found| found.since);
        let (Some(after), Ok(since)) = (core.policy.reclaim_orphans_after, since) else {
            return;
        };
        if orphan.verdict != Verdict::Orphan || core.env.now() < since.plus(after) {
            return;
        }
        if let Err(e) = orphans::reclaim(core, "policy", &orphan.thing, false).await {
            tracing::warn!(thing = %orphan.thing.remote, error = %e, "an orphan stays");
        }
    }
}

/// When each orphan that is known was found first, by its name.
pub(crate) async fn found_before(core: &Core) -> Result<BTreeMap<String, Timestamp>> {
    let known = known(core).await?;
    let since = known.iter().map(|document| {
        let found: Found = document.record.body.read()?;
        Ok((document.record.id.clone(), found.since))
    });
    since.collect()
}

async fn known(core: &Core) -> Result<Vec<Versioned<Document>>> {
    let mut known = Vec::new();
    let mut after = None;
    loop {
        let page = core.store.documents(FOUND, None, after.as_ref(), 200);
        let page = page.await?;
        known.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(known);
        }
    }
}

/// The beginning of this turn, or of a later one.
fn turn(now: Timestamp, every: Duration, later: i64) -> Timestamp {
    let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
    let turn = now.millis().div_euclid(every).saturating_add(later);
    Timestamp::from_millis(turn.saturating_mul(every))
}

fn document<T: Serialize>(space: &str, id: String, body: &T) -> Result<Arc<Document>> {
    Ok(Arc::new(Document {
        space: space.to_owned(),
        id,
        indexes: Vec::new(),
        body: Json::of(body)?,
    }))
}

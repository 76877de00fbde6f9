//! Where a resource goes that its first place will not make.

use serde::Deserialize;
use serde_json::json;

use super::Engine;
use super::write::see;
use crate::copies::{Needed, needed_at, needed_no_more};
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id::CatalogId;
use crate::life::{State, Wanted};
use crate::manager::{KEYS, key_document};
use crate::model::Json;
use crate::quota::recharge;
use crate::record::{Effect, Place, ResourceRecord};
use crate::store::{Batch, Claim, Due, Expect, Key, Version};

/// What a spec says of what makes it.
#[derive(Deserialize)]
struct MadeBy {
    #[serde(default)]
    implementation: Option<CatalogId>,
}

/// What is known of the next place when the resource moves there.
struct There {
    /// The version of the key it has now, and whether that of the place is
    /// free.
    keys: (Option<Version>, bool),
    needed: Needed,
    still: Vec<Expect>,
}

impl Engine {
    /// Nothing was made here: the next best place.
    pub(super) async fn fall_back(&self, mut claim: Claim, e: &Error) {
        let now = self.core.env.now();
        if claim.row.record.fallbacks.is_empty() {
            return self.failed(claim, Effect::Create, None, e).await;
        }
        // Somebody may take the next place's key between the look and the write.
        for _ in 0..3 {
            let keys = match self.keys(&claim.row.record).await {
                Ok(keys) => keys,
                Err(e) => return self.cannot_ask(claim, &e).await,
            };
            let Some(place) = claim.row.record.fallbacks.first() else {
                return;
            };
            let still = match self.still(place).await {
                Ok(Some(still)) => still,
                Ok(None) => {
                    let why = Error::new(ErrorKind::NotFound, "it is in the catalog no more");
                    return self.pass_over(claim, now, &why).await;
                }
                Err(e) => return self.cannot_ask(claim, &e).await,
            };
            let tenant = &claim.row.record.tenant;
            let needed = match needed_at(&self.core, tenant, place, &Batch::default()).await {
                Ok(needed) => needed,
                Err(why) => return self.pass_over(claim, now, &why).await,
            };
            let there = There {
                keys,
                needed,
                still,
            };
            if self.move_on(&mut claim, &there, now, e).await {
                return;
            }
        }
    }

    /// What must be in the catalog yet when the resource goes to this place:
    /// whatever only a place to fall back to uses can be removed meanwhile.
    async fn still(&self, place: &Place) -> Result<Option<Vec<Expect>>> {
        let made: MadeBy = place.spec.read()?;
        let catalog = &self.core.catalog;
        catalog.still(made.implementation, place.credential).await
    }

    /// In which version the resource has its key, if it has it, and whether
    /// that of its next place is free.
    async fn keys(&self, r: &ResourceRecord) -> Result<(Option<Version>, bool)> {
        let store = &self.core.store;
        let own = match &r.place.key {
            Some(key) => store.document(KEYS, key).await?,
            None => None,
        };
        let id = Json::of(&r.id)?;
        let own = own.filter(|d| d.record.body == id).map(|d| d.version);
        let free = match r.fallbacks.first().and_then(|p| p.key.as_ref()) {
            Some(key) => store.document(KEYS, key).await?.is_none(),
            None => false,
        };
        Ok((own, free))
    }

    /// The next place cannot have the images that are needed there, or what
    /// would make it there was removed: it is no place to go to.
    async fn pass_over(&self, mut claim: Claim, now: Timestamp, why: &Error) {
        tracing::info!(resource = %claim.row.record.id, error = %why, "a place is passed over");
        self.write(&mut claim, Due::Release(now), |r, _| {
            // Nothing was begun here either.
            r.attempt = None;
            r.incarnation = 0;
            if !r.fallbacks.is_empty() {
                r.fallbacks.remove(0);
            }
        })
        .await;
    }

    async fn move_on(&self, claim: &mut Claim, there: &There, now: Timestamp, e: &Error) -> bool {
        let core = &*self.core;
        let There {
            keys,
            needed,
            still,
        } = there;
        let (own, free) = *keys;
        self.write(claim, Due::Release(now), |r, batch| {
            if r.fallbacks.is_empty() || r.wanted == Wanted::Absent {
                // Nothing was begun, and nobody wants it any more.
                r.attempt = None;
                r.incarnation = 0;
                return;
            }
            let mut next = r.fallbacks.remove(0);
            if let (Some(key), Some(version)) = (&r.place.key, own) {
                let key = Key::Document(KEYS.to_owned(), key.clone());
                batch.expect.push(Expect::Version(key.clone(), version));
                batch.delete.push(key);
            }
            // Where somebody has the key of that place, this one goes without.
            if !free {
                next.key = None;
            }
            if let Some(key) = &next.key
                && let Ok(document) = key_document(key, r.id)
            {
                let place = Key::Document(KEYS.to_owned(), key.clone());
                batch.expect.push(Expect::Absent(place));
                batch.documents.push(document);
            }
            batch.events.push(core.event(
                r,
                "moved",
                json!({"from": r.place.site_name, "to": next.site_name, "reason": e.to_string()}),
            ));
            // Another implementation may make another number of nodes where
            // nobody asked for one. The place was ranked with it; what is
            // charged follows.
            let nodes = core
                .driver(&next.manager)
                .and_then(|driver| driver.nodes(&next.spec))
                .unwrap_or(r.nodes);
            batch.counts.push(recharge(r, nodes, None));
            r.place = next;
            batch.counts.extend(needed_no_more(&r.needs));
            needed.put(batch);
            batch.expect.extend(still.iter().cloned());
            r.needs.clone_from(&needed.ids);
            r.attempt = None;
            r.incarnation = 0;
            r.tries = 0;
            r.deadline = None;
            see(r, State::Nothing, &format!("moved: {e}"));
        })
        .await
    }
}

/// Whether another place may do what this one will not.
pub(super) fn elsewhere(e: &Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::NoCapacity | ErrorKind::Unavailable | ErrorKind::Credential | ErrorKind::Quota
    )
}

//! What must be ready before something is made: whether it is, and what is
//! written down while it is not.

use std::collections::BTreeMap;

use super::Engine;
use super::act::Reach;
use super::write::{charged, see, settle};
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::RemoteId;
use crate::life::{State, Wanted};
use crate::quota::recharge;
use crate::record::ResourceRecord;
use crate::store::{Claim, Due};

/// What is said of the resources that another one needs.
pub(super) enum Needs {
    /// All are ready: how the site names each, by its name.
    Met(BTreeMap<String, RemoteId>),
    /// One is on its way, which ends by itself.
    NotYet(String),
    /// Of one nobody can tell where it is, perhaps for ever.
    Unknown(String),
    /// One will not be ready.
    Never(String),
}

impl Engine {
    /// What it needs is not ready yet; where nobody can tell where that is, it
    /// waits until `end` at the latest.
    pub(super) async fn wait(&self, mut claim: Claim, end: Option<Timestamp>, reason: &str) {
        let pause = self.pace(claim.row.record.looks);
        let due = Due::Release(self.core.env.now().plus(pause));
        self.write(&mut claim, due, |r, _| {
            r.looks = r.looks.saturating_add(1);
            r.unheard = end;
            // What there was is known to be gone. Of what is being built that
            // would be news.
            let again = r.seen == State::Nothing && r.remote.is_some();
            let state = if again { r.seen } else { State::Building };
            see(r, state, reason);
        })
        .await;
    }

    /// What it needs will not be ready, and nothing was begun.
    pub(super) async fn in_vain(&self, reach: &Reach, mut claim: Claim, reason: &str) {
        self.write(&mut claim, Due::Rest, |r, batch| {
            r.unheard = None;
            if r.is_replaced() {
                // The old one is gone and counts no more.
                let nodes = charged(&*reach.driver, r, &r.place.spec);
                batch.counts.push(recharge(r, nodes, None));
            }
            settle(r, State::Failed, None, reason);
        })
        .await;
    }

    /// Whether what must be ready first is.
    pub(super) async fn needs(&self, r: &ResourceRecord) -> Result<Needs> {
        let mut met = BTreeMap::new();
        for id in &r.needs {
            match self.core.store.resource(*id).await? {
                Some(row) if row.record.seen == State::Ready => {
                    let remote = row.record.remote.clone();
                    met.extend(remote.map(|remote| (row.record.name.clone(), remote)));
                }
                Some(row)
                    if matches!(row.record.seen, State::Failed | State::Quarantined)
                        || row.record.wanted == Wanted::Absent =>
                {
                    return Ok(Needs::Never(format!(
                        "the {} {:?} that it needs is {} at {:?}: {}",
                        row.record.kind,
                        row.record.name,
                        row.record.seen,
                        row.record.place.site_name,
                        row.record.reason
                    )));
                }
                Some(row) => {
                    let reason = format!(
                        "waits for the {} {:?}: {} {}",
                        row.record.kind, row.record.name, row.record.seen, row.record.reason
                    );
                    return Ok(match row.record.seen {
                        State::Unknown => Needs::Unknown(reason),
                        _ => Needs::NotYet(reason),
                    });
                }
                None => {
                    return Ok(Needs::Never(format!(
                        "what it needs is gone ({id}); ask for another cluster"
                    )));
                }
            }
        }
        Ok(Needs::Met(met))
    }
}

//! One look at everything of an account that waits for one.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::decide::{Glance, Next, decide};
use super::note::owes_note;
use super::{Account, Call, Done, Engine, Job};
use crate::backend::{Cx, Look, Mark, Phase, Target};
use crate::driver::Sight;
use crate::error::Result;
use crate::id::{RemoteId, ResourceId};
use crate::life::State;
use crate::record::ResourceRecord;
use crate::store::Claim;

impl Engine {
    /// Looks once and writes down what needs no further call; `told` where the
    /// site has told that there is something to see.
    pub(super) async fn look(&self, account: Account, claims: Vec<Claim>, told: bool) -> Done {
        let mut jobs = Vec::new();
        let mut waiting = 0;
        // What is not in the answer was not there when it was asked for, and
        // an answer may take its time.
        let now = self.core.env.now();
        match self.glance(&account, &claims).await {
            Err(e) => {
                // All of them are written in one go, so that they can share
                // one disk commit.
                let mut notes: FuturesUnordered<_> = claims
                    .into_iter()
                    .map(|claim| self.cannot_ask(claim, &e))
                    .collect();
                while notes.next().await.is_some() {
                    waiting += 1;
                }
            }
            Ok((sights, cap)) => {
                let mut notes = FuturesUnordered::new();
                for claim in claims {
                    let r = &*claim.row.record;
                    let glance = sights.of(r, || self.mark(r).name());
                    let next = decide(r, &cap, &glance, now, &self.own());
                    let sight = match glance {
                        Glance::Found(sight) => Some(sight),
                        _ => None,
                    };
                    match next {
                        Next::Act(effect) => jobs.push(Job {
                            claim,
                            call: Call::Act(effect, sight),
                        }),
                        Next::LookClosely => match sight {
                            Some(sight) if unchanged(r, &sight) && owes_note(r, &cap) => {
                                jobs.push(Job {
                                    claim,
                                    call: Call::Note(sight),
                                });
                            }
                            Some(sight) if unchanged(r, &sight) => {
                                notes.push(self.note_owned(claim, Next::Rest, None));
                            }
                            Some(sight) => jobs.push(Job {
                                claim,
                                call: Call::LookClosely(sight),
                            }),
                            None => {}
                        },
                        next => {
                            if matches!(next, Next::Wait(..)) {
                                waiting += 1;
                            }
                            notes.push(self.note_owned(claim, next, sight));
                        }
                    }
                }
                while notes.next().await.is_some() {}
            }
        }
        Done::Looked {
            account,
            jobs,
            waiting,
            told,
        }
    }

    async fn note_owned(&self, claim: Claim, next: Next, sight: Option<Box<Sight>>) {
        self.note(claim, next, sight.as_deref()).await;
    }

    async fn glance(
        &self,
        (manager, site, credential): &Account,
        claims: &[Claim],
    ) -> Result<(Sights, crate::backend::Capability)> {
        let core = &*self.core;
        let driver = core.driver(manager)?;
        let (site, credential, secret) = core.catalog.open(*site, *credential).await?;
        let cap = driver.capability(&site);
        let cx = Cx {
            env: &core.env,
            site: &site,
            credential: &credential,
            secret: &secret,
            catalog: &core.catalog,
            quick: false,
            asking: None,
            needs: &BTreeMap::new(),
            owner: None,
            progress: &std::sync::Arc::default(),
            timeout: cap.call_timeout,
        };
        let targets: Vec<Target> = claims
            .iter()
            .map(|claim| self.target(&claim.row.record))
            .collect();
        let mut sights = Sights::of_own(&core.installation);
        let page = usize::try_from(cap.page).unwrap_or(1).max(1);
        for targets in targets.chunks(page) {
            let call = driver.observe(&cx, Look::These(targets));
            for sight in core.timed("observe", cap.call_timeout, call).await?.items {
                sights.add(sight);
            }
        }
        Ok((sights, cap))
    }

    pub(super) fn target(&self, r: &ResourceRecord) -> Target {
        Target {
            mark: self.mark(r),
            remote: r.remote.clone(),
        }
    }
}

/// Nothing has happened to it since it was settled.
fn unchanged(r: &ResourceRecord, sight: &Sight) -> bool {
    sight.phase == Phase::Ready
        && r.seen == State::Ready
        && r.seen_generation == r.generation
        && r.attempt.is_none()
        // A site that was silent has left its words in the record.
        && r.looks == 0
        && r.stamp == sight.stamp
}

/// What one look has shown.
#[derive(Debug, Default)]
struct Sights {
    installation: String,
    by_id: BTreeMap<RemoteId, Sight>,
    by_mark: BTreeMap<ResourceId, RemoteId>,
    by_name: BTreeMap<String, RemoteId>,
}

impl Sights {
    fn of_own(installation: &str) -> Self {
        Self {
            installation: installation.to_owned(),
            ..Self::default()
        }
    }

    fn add(&mut self, sight: Sight) {
        let ours = |m: &&Mark| m.installation == self.installation;
        // Of several of one mark or one name, what is ours counts, then the
        // living, then the younger.
        let rank = |s: &Sight| {
            let mark = s.mark.as_ref().filter(ours);
            let incarnation = mark.map_or(0, |m| m.incarnation);
            (mark.is_some(), s.phase != Phase::Gone, incarnation)
        };
        let better = |known: Option<&RemoteId>| {
            known
                .and_then(|id| self.by_id.get(id))
                .is_none_or(|known| rank(known) <= rank(&sight))
        };
        if let Some(mark) = &sight.mark
            && better(self.by_mark.get(&mark.resource))
        {
            self.by_mark.insert(mark.resource, sight.id.clone());
        }
        if better(self.by_name.get(&sight.name)) {
            self.by_name.insert(sight.name.clone(), sight.id.clone());
        }
        self.by_id.insert(sight.id.clone(), sight);
    }

    /// What it shows of a record: by the site's immutable id where that is
    /// known, else by the mark, else by the name that the mark would have
    /// given it: what has our name and not our mark must be noticed.
    fn of(&self, r: &ResourceRecord, name: impl FnOnce() -> String) -> Glance {
        let id = r
            .remote
            .as_ref()
            .or_else(|| self.by_mark.get(&r.id))
            .or_else(|| self.by_name.get(&name()));
        let found = id.and_then(|id| self.by_id.get(id));
        match found {
            Some(sight) => Glance::Found(Box::new(sight.clone())),
            None => Glance::Absent,
        }
    }
}

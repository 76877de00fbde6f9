//! Calls on the real thing: journal, act, write down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::moved::elsewhere;
use super::needs::Needs;
use super::write::{adopt, charged, see, settle};
use super::{Account, Call, Done, Engine, Job};
use crate::backend::{Capability, Cx, Phase, Progress};
use crate::catalog::{Credential, Site};
use crate::driver::{Driver, Sight};
use crate::env::Timestamp;
use crate::error::{self, Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::life::State;
use crate::owner::Owner;
use crate::quota::recharge;
use crate::record::{Attempt, Effect, ResourceRecord};
use crate::secret::Secret;
use crate::store::{Claim, Due};

/// What a call on a place needs.
pub(super) struct Reach {
    pub(super) driver: Arc<dyn Driver>,
    pub(super) cap: Capability,
    pub(super) site: Arc<Site>,
    pub(super) credential: Arc<Credential>,
    pub(super) secret: Secret,
    pub(super) needs: BTreeMap<String, RemoteId>,
    /// Whose it is, where the thing keeps that.
    pub(super) owner: Option<Owner>,
    pub(super) progress: Arc<Progress>,
}

impl Engine {
    pub(super) async fn call(&self, account: Account, job: Job) -> Done {
        let Job { claim, call } = job;
        let queue = claim.queue;
        match self.reach(&claim.row.record).await {
            Err(e) => self.cannot_ask(claim, &e).await,
            Ok(reach) => match call {
                Call::Act(Effect::Create, _) => self.create(reach, claim).await,
                Call::Act(Effect::Change, Some(sight)) => {
                    self.change(&reach, claim, *sight).await;
                }
                Call::Act(Effect::Replace, Some(sight)) => {
                    self.replace(&reach, claim, *sight).await;
                }
                Call::Act(Effect::Change | Effect::Replace, None) => {
                    self.note(claim, super::decide::Next::Rest, None).await;
                }
                Call::Act(Effect::Destroy, sight) => {
                    self.destroy(&reach, claim, sight.map(|s| *s)).await;
                }
                Call::LookClosely(sight) => self.look_closely(&reach, claim, *sight).await,
                Call::Note(sight) => self.note_owner(&reach, claim, *sight).await,
            },
        }
        Done::Acted { account, queue }
    }

    async fn reach(&self, r: &ResourceRecord) -> Result<Reach> {
        let driver = Arc::clone(self.core.driver(&r.place.manager)?);
        let (site, credential, secret) = self
            .core
            .catalog
            .open(r.place.site, r.place.credential)
            .await?;
        let cap = driver.capability(&site);
        Ok(Reach {
            owner: cap.keeps_owner.then(|| Owner::of(r)),
            cap,
            driver,
            site,
            credential,
            secret,
            needs: BTreeMap::new(),
            progress: Arc::default(),
        })
    }

    pub(super) fn cx<'a>(&'a self, reach: &'a Reach) -> Cx<'a> {
        Cx {
            env: &self.core.env,
            site: &reach.site,
            credential: &reach.credential,
            secret: &reach.secret,
            catalog: &self.core.catalog,
            quick: false,
            asking: None,
            needs: &reach.needs,
            owner: reach.owner.as_ref(),
            progress: &reach.progress,
            timeout: reach.cap.call_timeout,
        }
    }

    /// Writes down that an effect begins, which was decided on for this
    /// generation. False where the claim is not ours any more, or somebody
    /// wants something else by now: then it must not begin.
    pub(super) async fn journal(
        &self,
        reach: &Reach,
        claim: &mut Claim,
        effect: Effect,
        generation: u64,
    ) -> bool {
        let now = self.core.env.now();
        let patience = now.plus(reach.cap.patience);
        // Writing under the fence prolongs the claim from now on, so that it
        // cannot lapse within the call's own limit.
        let ttl = self
            .core
            .policy
            .lease
            .max(limit(reach, effect) + Duration::from_secs(30));
        let written = self
            // From now on it is under way, whatever it was claimed for.
            .write_for(claim, Due::At(now), ttl, |r, batch| {
                if r.generation != generation {
                    return;
                }
                if r.is_replaced() && effect == Effect::Create {
                    // The old one is gone and counts no more; the new one has
                    // its own time.
                    let nodes = charged(&*reach.driver, r, &r.place.spec);
                    batch.counts.push(recharge(r, nodes, None));
                    r.deadline = None;
                    r.tries = 0;
                }
                if effect == Effect::Create {
                    // What was there before is gone: from here on only the
                    // new thing is looked for, under a name of its own.
                    if r.attempt.is_none() || r.remote.is_some() {
                        r.incarnation += 1;
                    }
                    r.remote = None;
                    r.changed = false;
                    r.made = None;
                    r.stamp = None;
                    r.view = None;
                }
                r.earlier
                    .take_if(|a| effect != Effect::Change || a.at.plus(reach.cap.late) <= now);
                if effect == Effect::Change {
                    // It is tried again, or something else is wanted.
                    r.put_by();
                }
                r.doubted = false;
                r.unheard = None;
                r.attempt = Some(Attempt {
                    effect,
                    generation,
                    at: now.plus(ttl),
                    accepted: false,
                    spec: (effect == Effect::Change).then(|| r.place.spec.clone()),
                });
                if r.seen == State::Quarantined {
                    // It goes on; what was too long ago is over.
                    r.deadline = None;
                }
                // Whoever only waited for it had no limit of the site's.
                let earlier = r.deadline.filter(|d| *d < patience);
                r.deadline = Some(earlier.unwrap_or(patience));
                let state = match effect {
                    Effect::Create => State::Building,
                    Effect::Change | Effect::Replace => State::Changing,
                    Effect::Destroy => State::Releasing,
                };
                if r.seen != state {
                    see(r, state, "");
                }
            })
            .await;
        if !written {
            return false;
        }
        if claim.row.record.generation != generation {
            self.write(claim, Due::Release(now), |_, _| {}).await;
            return false;
        }
        // A process that was stopped between the commit and here must not act
        // on a claim that may have gone to somebody else.
        self.core.env.now().plus(limit(reach, effect)) < claim.until
    }

    /// Carries out an effect while the claim lasts. A process that was stopped
    /// in the middle of it must not go on with it when it wakes up: somebody
    /// else has taken over.
    pub(super) async fn ours<T>(
        &self,
        until: Timestamp,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut call = std::pin::pin!(call);
        std::future::poll_fn(|cx| {
            if self.core.env.now() < until {
                return call.as_mut().poll(cx);
            }
            Poll::Ready(Err(Error::new(
                ErrorKind::Fenced,
                "the claim lapsed while the site was being asked",
            )
            .effect_unknown()))
        })
        .await
    }

    async fn create(&self, mut reach: Reach, mut claim: Claim) {
        let decided = claim.row.record.generation;
        // An earlier create may have had an effect: then another place would
        // make a second thing.
        let pending = claim.row.record.attempt.clone();
        let pending = pending.filter(|a| a.effect == Effect::Create);
        let first = pending.is_none() && claim.row.record.incarnation == 0;
        match self.needs(&claim.row.record).await {
            Ok(Needs::Met(needs)) => reach.needs = needs,
            Ok(Needs::NotYet(reason)) => return self.wait(claim, None, &reason).await,
            Ok(Needs::Unknown(reason)) => {
                let now = self.core.env.now();
                let end = claim.row.record.unheard;
                let end = end.unwrap_or_else(|| now.plus(reach.cap.patience));
                if end <= now {
                    let reason = format!("it could not be made in time: {reason}");
                    return self.in_vain(&reach, claim, &reason).await;
                }
                return self.wait(claim, Some(end), &reason).await;
            }
            Ok(Needs::Never(reason)) if first && !claim.row.record.fallbacks.is_empty() => {
                let e = Error::new(ErrorKind::Failed, reason);
                return self.fall_back(claim, &e).await;
            }
            Ok(Needs::Never(reason)) => return self.in_vain(&reach, claim, &reason).await,
            Err(e) => return self.cannot_ask(claim, &e).await,
        }
        let reach = &reach;
        if !self
            .journal(reach, &mut claim, Effect::Create, decided)
            .await
        {
            return;
        }
        let r = &*claim.row.record;
        let mark = self.mark(r);
        let cx = self.cx(reach);
        let call = reach.driver.create(&cx, &mark, &r.place.spec);
        let call = self.ours(claim.until, call);
        let made = self
            .core
            .timed("create", reach.cap.call_timeout, call)
            .await;
        let now = self.core.env.now();
        match made {
            Ok(id) => {
                let due = Due::Release(now.plus(self.pace(0)));
                let spec = r.place.spec.clone();
                self.write(&mut claim, due, |r, _| {
                    r.remote = Some(id.clone());
                    r.made = Some(now);
                    r.seen_spec = Some(spec.clone());
                    r.seen_mark = mark.generation;
                    r.noted.clone_from(&reach.owner);
                    // Until it is seen, this tells since when it must be there.
                    if let Some(attempt) = &mut r.attempt {
                        attempt.accepted = true;
                        attempt.at = now;
                    }
                    r.looks = 1;
                    r.tries = 0;
                    r.told += u32::from(reach.cap.events);
                    see(r, State::Building, "");
                })
                .await;
            }
            // Something of our name is there: perhaps ours. Look.
            Err(e) if e.kind() == ErrorKind::Exists => {
                let pause = self.pace(claim.row.record.looks);
                self.write(&mut claim, Due::Release(now.plus(pause)), |r, _| {
                    r.looks = r.looks.saturating_add(1);
                    if let Some(attempt) = &mut r.attempt {
                        attempt.at = now;
                    }
                    see(r, State::Building, e.what());
                })
                .await;
            }
            Err(e) if e.effect() == error::Effect::None && first && elsewhere(&e) => {
                self.fall_back(claim, &e).await;
            }
            Err(e) => self.failed(claim, Effect::Create, pending, &e).await,
        }
    }

    async fn destroy(&self, reach: &Reach, mut claim: Claim, sight: Option<Sight>) {
        let decided = claim.row.record.generation;
        if let (Some(sight), None) = (&sight, &claim.row.record.remote)
            && !self
                .write(&mut claim, Due::Keep, |r, _| adopt(r, Some(sight)))
                .await
        {
            return;
        }
        // A destroy that has no effect does not make it older than it is.
        let made = claim
            .row
            .record
            .attempt
            .clone()
            .filter(|a| a.effect == Effect::Create);
        if !self
            .journal(reach, &mut claim, Effect::Destroy, decided)
            .await
        {
            return;
        }
        let r = &*claim.row.record;
        let Some(seen) = sight.or_else(|| {
            r.remote.clone().map(|id| Sight {
                id,
                name: self.mark(r).name(),
                mark: Some(self.mark(r)),
                phase: Phase::Ready,
                reason: String::new(),
                stamp: None,
                view: None,
                probe: None,
            })
        }) else {
            return;
        };
        let cx = self.cx(reach);
        let call = reach.driver.destroy(&cx, seen);
        let call = self.ours(claim.until, call);
        let done = self
            .core
            .timed("destroy", reach.cap.call_timeout, call)
            .await;
        match done {
            Ok(()) => self.accepted(claim, State::Releasing).await,
            Err(e) => self.failed(claim, Effect::Destroy, made, &e).await,
        }
    }

    /// The site said yes; whether it is done is still to be seen.
    pub(super) async fn accepted(&self, mut claim: Claim, state: State) {
        let cap = self.capability(&claim.row.record).await;
        let tells = cap.is_ok_and(|cap| cap.events);
        let now = self.core.env.now();
        let due = Due::Release(now.plus(self.pace(0)));
        self.write(&mut claim, due, |r, _| {
            if let Some(attempt) = &mut r.attempt {
                attempt.accepted = true;
                attempt.at = now;
                r.changed |= attempt.effect == Effect::Change;
            }
            r.looks = 1;
            // What was told while the call was under way was left for now.
            r.told += u32::from(tells);
            // Counts the destroys that were accepted and led to nothing, too.
            if state == State::Releasing || r.is_replaced() {
                r.tries = r.tries.saturating_add(1);
            } else {
                r.tries = 0;
            }
            see(r, state, "");
        })
        .await;
    }

    /// An effect failed. What certainly had none may be tried again; what may
    /// have had one is looked up. `pending` is an earlier one of which nobody
    /// knows what came.
    pub(super) async fn failed(
        &self,
        mut claim: Claim,
        effect: Effect,
        pending: Option<Attempt>,
        e: &Error,
    ) {
        let now = self.core.env.now();
        let unknown = e.effect() == error::Effect::Unknown;
        // A site that is away refuses nothing: only refusals are counted.
        let refused = !unknown && !e.is_temporary();
        let r = &claim.row.record;
        let late = r.deadline.is_some_and(|d| d <= now);
        let tries = r.tries + u32::from(refused);
        let held = effect == Effect::Destroy
            && (late || (refused && tries >= self.core.policy.destroy_tries));
        let makes = matches!(effect, Effect::Create | Effect::Change);
        // What is there is changed in part at most: it can be given up, and what
        // comes of the last try is still seen.
        let told = !unknown || effect == Effect::Change;
        let give_up = makes && (refused || (late && told));
        let wait = self.pause_after(e, r.looks);
        let reason = e.to_string();
        tracing::info!(resource = %r.id, ?effect, error = %e, give_up, held, "a call failed");
        let due = match (give_up, &r.remote, &pending) {
            (true, None, None) => Due::Rest,
            (true, ..) => self.next_sweep(),
            (false, ..) => Due::Release(now.plus(wait)),
        };
        self.write(&mut claim, due, |r, _| {
            r.tries = tries;
            r.looks = r.looks.saturating_add(1);
            if !unknown {
                if effect == Effect::Create && pending.is_none() {
                    // Nothing was begun after all.
                    r.incarnation = r.incarnation.saturating_sub(1);
                }
                r.attempt.clone_from(&pending);
            } else if let Some(attempt) = &mut r.attempt {
                attempt.at = now;
            }
            if held {
                let why = format!("it will not go, after {tries} refusals: {reason}");
                see(r, State::Quarantined, &why);
            } else if give_up {
                settle(r, State::Failed, None, &reason);
            } else {
                let seen = r.seen;
                see(r, seen, &reason);
            }
        })
        .await;
    }
}

/// How long a call of this effect may take.
fn limit(reach: &Reach, effect: Effect) -> Duration {
    match effect {
        Effect::Change => reach.cap.change_limit(),
        Effect::Create | Effect::Replace | Effect::Destroy => reach.cap.call_timeout,
    }
}

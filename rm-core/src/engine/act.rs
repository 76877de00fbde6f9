//! Calls on the real thing: journal, act, write down.

use std::time::Duration;

use futures_util::future::{Either, select};
use serde_json::json;

use super::write::{adopt, see, settle};
use super::{Account, Call, Done, Engine, Job};
use crate::backend::{Capability, Cx, Look, Phase, Progress};
use crate::catalog::{Credential, Site};
use crate::driver::{Driver, Sight};
use crate::error::{self, Error, ErrorKind, Result};
use crate::life::{State, Wanted};
use crate::manager::{KEYS, counts, key_document};
use crate::model::Json;
use crate::record::{Attempt, Effect, ResourceRecord};
use crate::secret::Secret;
use crate::store::{Batch, Claim, Due, Key};

/// What a call on a place needs.
struct Reach {
    driver: std::sync::Arc<dyn Driver>,
    cap: Capability,
    site: Site,
    credential: Credential,
    secret: Secret,
    progress: std::sync::Arc<Progress>,
}

impl Engine {
    pub(super) async fn call(&self, account: Account, job: Job) -> Done {
        let Job { claim, call } = job;
        match self.reach(&claim.row.record).await {
            Err(e) => self.cannot_ask(claim, &e).await,
            Ok(reach) => match call {
                Call::Act(Effect::Create, _) => self.create(&reach, claim).await,
                Call::Act(Effect::Change, Some(sight)) => {
                    self.change(&reach, claim, *sight).await;
                }
                Call::Act(Effect::Change, None) => {
                    self.note(claim, super::decide::Next::Rest, None).await;
                }
                Call::Act(Effect::Destroy, sight) => {
                    self.destroy(&reach, claim, sight.map(|s| *s)).await;
                }
                Call::LookClosely(sight) => self.look_closely(&reach, claim, *sight).await,
            },
        }
        Done::Acted { account }
    }

    async fn reach(&self, r: &ResourceRecord) -> Result<Reach> {
        let driver = std::sync::Arc::clone(self.core.driver(&r.place.manager)?);
        let (site, credential, secret) = self
            .core
            .catalog
            .open(r.place.site, r.place.credential)
            .await?;
        Ok(Reach {
            cap: driver.capability(&site),
            driver,
            site,
            credential,
            secret,
            progress: std::sync::Arc::default(),
        })
    }

    fn cx<'a>(&'a self, reach: &'a Reach) -> Cx<'a> {
        Cx {
            env: &self.core.env,
            site: &reach.site,
            credential: &reach.credential,
            secret: &reach.secret,
            catalog: &self.core.catalog,
            progress: &reach.progress,
            timeout: reach.cap.call_timeout,
        }
    }

    /// Writes down that an effect begins. False where the claim is not ours
    /// any more, or somebody wants something else by now: then it must not
    /// begin.
    async fn journal(&self, reach: &Reach, claim: &mut Claim, effect: Effect) -> bool {
        let generation = claim.row.record.generation;
        let now = self.core.env.now();
        let patience = now.plus(reach.cap.patience);
        // Writing under the fence prolongs the claim from now on, so that it
        // cannot lapse within the call's own limit.
        let ttl = self
            .core
            .policy
            .lease
            .max(reach.cap.call_timeout + Duration::from_secs(30));
        let written = self
            .write_for(claim, Due::Keep, ttl, |r, _| {
                if r.generation != generation {
                    return;
                }
                if effect == Effect::Create && r.attempt.is_none() {
                    r.incarnation += 1;
                }
                r.attempt = Some(Attempt {
                    effect,
                    generation,
                    at: now,
                    accepted: false,
                    spec: (effect == Effect::Change).then(|| r.place.spec.clone()),
                });
                r.deadline.get_or_insert(patience);
                let state = match effect {
                    Effect::Create => State::Building,
                    Effect::Change => State::Changing,
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
        self.core.env.now().plus(reach.cap.call_timeout) < claim.until
    }

    async fn create(&self, reach: &Reach, mut claim: Claim) {
        match self.needs(&claim.row.record).await {
            Ok(None) => {}
            Ok(Some((state, reason))) => {
                let pause = self.pace(claim.row.record.looks);
                let due = match state {
                    State::Failed => Due::Rest,
                    _ => Due::Release(self.core.env.now().plus(pause)),
                };
                self.write(&mut claim, due, |r, _| {
                    r.looks = r.looks.saturating_add(1);
                    if state == State::Failed {
                        settle(r, state, None, &reason);
                    } else {
                        see(r, state, &reason);
                    }
                })
                .await;
                return;
            }
            Err(e) => return self.cannot_ask(claim, &e).await,
        }
        // An earlier create may have had an effect: then another place would
        // make a second thing.
        let pending = claim.row.record.attempt.clone();
        let first = pending.is_none() && claim.row.record.incarnation == 0;
        if !self.journal(reach, &mut claim, Effect::Create).await {
            return;
        }
        let r = &*claim.row.record;
        let mark = self.mark(r);
        let cx = self.cx(reach);
        let call = reach.driver.create(&cx, &mark, &r.place.spec);
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
                    r.seen_spec = Some(spec.clone());
                    // Until it is seen, this tells since when it must be there.
                    if let Some(attempt) = &mut r.attempt {
                        attempt.accepted = true;
                    }
                    r.looks = 1;
                    r.tries = 0;
                    see(r, State::Building, "");
                })
                .await;
            }
            // Something of our name is there: perhaps ours. Look.
            Err(e) if e.kind() == ErrorKind::Exists => {
                let pause = self.pace(claim.row.record.looks);
                self.write(&mut claim, Due::Release(now.plus(pause)), |r, _| {
                    r.looks = r.looks.saturating_add(1);
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

    /// What must be ready first and is not.
    async fn needs(&self, r: &ResourceRecord) -> Result<Option<(State, String)>> {
        for id in &r.needs {
            match self.core.store.resource(*id).await? {
                Some(row) if row.record.seen == State::Ready => {}
                Some(row) if row.record.seen == State::Failed => {
                    return Ok(Some((
                        State::Failed,
                        format!(
                            "the {} {:?} that it needs has failed: {}",
                            row.record.kind, row.record.name, row.record.reason
                        ),
                    )));
                }
                Some(row) => {
                    return Ok(Some((
                        State::Building,
                        format!(
                            "waits for the {} {:?}: {} {}",
                            row.record.kind, row.record.name, row.record.seen, row.record.reason
                        ),
                    )));
                }
                None => {
                    return Ok(Some((
                        State::Building,
                        format!("waits for {id}, which is gone"),
                    )));
                }
            }
        }
        Ok(None)
    }

    /// Nothing was made here: the next best place.
    async fn fall_back(&self, mut claim: Claim, e: &Error) {
        let now = self.core.env.now();
        if claim.row.record.fallbacks.is_empty() {
            return self.failed(claim, Effect::Create, None, e).await;
        }
        // The key of the next place may have been taken meanwhile; then this
        // one goes without.
        let next_key = claim.row.record.fallbacks[0].key.clone();
        let taken = match &next_key {
            Some(key) => match self.core.store.document(KEYS, key).await {
                Ok(found) => found.is_some(),
                Err(e) => return self.cannot_ask(claim, &e).await,
            },
            None => false,
        };
        let core = &*self.core;
        self.write(&mut claim, Due::Release(now), |r, batch| {
            if r.fallbacks.is_empty() || r.wanted == Wanted::Absent {
                // Nothing was begun, and nobody wants it any more.
                r.attempt = None;
                r.incarnation = 0;
                return;
            }
            let mut next = r.fallbacks.remove(0);
            if let Some(key) = &r.place.key {
                batch
                    .delete
                    .push(Key::Document(KEYS.to_owned(), key.clone()));
            }
            if taken {
                next.key = None;
            }
            if let Some(key) = &next.key
                && let Ok(document) = key_document(key, r.id)
            {
                batch.documents.push(document);
            }
            batch.events.push(core.event(
                r,
                "moved",
                json!({"from": r.place.site_name, "to": next.site_name, "reason": e.to_string()}),
            ));
            r.place = next;
            r.attempt = None;
            r.incarnation = 0;
            r.tries = 0;
            r.deadline = None;
            see(r, State::Nothing, &format!("moved: {e}"));
        })
        .await;
    }

    async fn change(&self, reach: &Reach, mut claim: Claim, sight: Sight) {
        let before = &claim.row.record;
        let marked = sight.mark.as_ref().map(|m| m.generation);
        let there = (marked.unwrap_or(before.seen_generation), sight.phase);
        // An earlier change of which nobody knew what came: it is seen now, or
        // it may still take effect.
        let earlier = before
            .attempt
            .clone()
            .filter(|a| a.effect == Effect::Change && !a.accepted);
        let seen_spec = match &earlier {
            Some(a) if a.generation == there.0 => a.spec.clone(),
            _ => before.seen_spec.clone(),
        };
        let now = self.core.env.now();
        let pending =
            earlier.filter(|a| a.generation > there.0 && now < a.at.plus(reach.cap.late));
        if before.remote.is_none() {
            // Adopted just now: its name must not be lost to a crash.
            if !self
                .write(&mut claim, Due::Keep, |r, _| adopt(r, Some(&sight)))
                .await
            {
                return;
            }
        }
        if !self.journal(reach, &mut claim, Effect::Change).await {
            return;
        }
        let r = &*claim.row.record;
        let mark = self.mark(r);
        let cx = self.cx(reach);
        let call = reach.driver.change(&cx, &mark, sight, &r.place.spec);
        let call = self.core.timed("change", reach.cap.call_timeout, call);
        let done = self.told(reach, r, call).await;
        match done {
            Ok(()) => self.accepted(claim, State::Changing).await,
            // Only when nothing can come any more is it known what remains.
            Err(e) if e.effect() == error::Effect::None && pending.is_some() => {
                let e = e.temporary();
                self.failed(claim, Effect::Change, pending, &e).await;
            }
            Err(e) if e.effect() == error::Effect::None && !e.is_temporary() => match seen_spec {
                Some(spec) => self.change_refused(reach, claim, there, &spec, &e).await,
                None => self.failed(claim, Effect::Change, None, &e).await,
            },
            Err(e) => self.failed(claim, Effect::Change, None, &e).await,
        }
    }

    /// Carries out a long call, and makes events of what it tells.
    async fn told<T>(&self, reach: &Reach, r: &ResourceRecord, call: impl Future<Output = T>) -> T {
        let core = &*self.core;
        let mut call = std::pin::pin!(call);
        loop {
            match select(call.as_mut(), core.env.sleep(Duration::from_secs(1))).await {
                Either::Left((done, _)) => return done,
                Either::Right(_) => {
                    if let Some((done, total)) = reach.progress.take() {
                        let mut batch = Batch::default();
                        let data = json!({"done": done, "total": total});
                        batch.events.push(core.event(r, "progress", data));
                        // It is only told: nothing depends on it.
                        let _ = core.commit(batch).await;
                    }
                }
            }
        }
    }

    /// The site will never do this: what is there stays, and stays wanted.
    async fn change_refused(
        &self,
        reach: &Reach,
        mut claim: Claim,
        (there, phase): (u64, Phase),
        spec: &Json,
        e: &Error,
    ) {
        let core = &*self.core;
        let generation = claim.row.record.generation;
        let nodes = reach.driver.nodes(spec).unwrap_or(claim.row.record.nodes);
        let due = Due::Release(core.env.now());
        self.write(&mut claim, due, |r, batch| {
            r.attempt = None;
            r.deadline = None;
            if r.generation != generation {
                return;
            }
            let less = i64::try_from(nodes).unwrap_or(0) - i64::try_from(r.nodes).unwrap_or(0);
            batch
                .counts
                .extend(counts(&r.tenant.0, 0, less, None, None));
            r.nodes = nodes;
            r.place.spec = spec.clone();
            // The thing bears the mark of the old generation and is as wanted
            // again.
            r.generation = there;
            r.seen_generation = there;
            batch
                .events
                .push(core.event(r, "change-refused", json!({"reason": e.to_string()})));
            let state = match (phase, &r.view) {
                (Phase::Ready, Some(_)) => State::Ready,
                (Phase::Ready, None) => State::Building,
                _ => State::Failed,
            };
            see(r, state, &format!("the change was refused: {e}"));
        })
        .await;
    }

    async fn destroy(&self, reach: &Reach, mut claim: Claim, sight: Option<Sight>) {
        if let (Some(sight), None) = (&sight, &claim.row.record.remote)
            && !self
                .write(&mut claim, Due::Keep, |r, _| adopt(r, Some(sight)))
                .await
        {
            return;
        }
        if !self.journal(reach, &mut claim, Effect::Destroy).await {
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
            })
        }) else {
            return;
        };
        let cx = self.cx(reach);
        let call = reach.driver.destroy(&cx, seen);
        let done = self
            .core
            .timed("destroy", reach.cap.call_timeout, call)
            .await;
        match done {
            Ok(()) => self.accepted(claim, State::Releasing).await,
            Err(e) => self.failed(claim, Effect::Destroy, None, &e).await,
        }
    }

    /// The site said yes; whether it is done is still to be seen.
    async fn accepted(&self, mut claim: Claim, state: State) {
        let due = Due::Release(self.core.env.now().plus(self.pace(0)));
        let spec = claim.row.record.place.spec.clone();
        self.write(&mut claim, due, |r, _| {
            if let Some(attempt) = &mut r.attempt {
                attempt.accepted = true;
            }
            if state == State::Changing {
                r.seen_spec = Some(spec.clone());
            }
            r.looks = 1;
            // Counts the destroys that were accepted and led to nothing, too.
            if state == State::Releasing {
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
    async fn failed(&self, mut claim: Claim, effect: Effect, pending: Option<Attempt>, e: &Error) {
        let now = self.core.env.now();
        let unknown = e.effect() == error::Effect::Unknown;
        // A site that is away refuses nothing: only refusals are counted.
        let refused = !unknown && !e.is_temporary();
        let r = &claim.row.record;
        let late = r.deadline.is_some_and(|d| d <= now);
        let tries = r.tries + u32::from(refused);
        let held = effect == Effect::Destroy
            && (late || (refused && tries >= self.core.policy.destroy_tries));
        let give_up = effect != Effect::Destroy && (refused || (late && !unknown));
        let wait = e.wait().unwrap_or_else(|| self.backoff(r.looks));
        let reason = e.to_string();
        tracing::info!(resource = %r.id, ?effect, error = %e, give_up, held, "a call failed");
        let due = match (give_up, &r.remote, &pending) {
            (true, None, None) => Due::Rest,
            (true, ..) => Due::Release(now.plus(self.core.policy.sweep)),
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

    /// It works: read what there is to see of it, once.
    async fn look_closely(&self, reach: &Reach, mut claim: Claim, sight: Sight) {
        let core = &*self.core;
        let r = &*claim.row.record;
        let mut target = self.target(r);
        target.remote = Some(sight.id.clone());
        let cx = self.cx(reach);
        let call = reach
            .driver
            .observe(&cx, Look::Closely(&target, &r.place.spec));
        let seen = match core.timed("observe", reach.cap.call_timeout, call).await {
            Ok(page) => page.items.into_iter().find(|s| s.id == sight.id),
            Err(e) if e.is_temporary() || e.effect() == error::Effect::Unknown => {
                return self.cannot_ask(claim, &e).await;
            }
            Err(e) => {
                let due = Due::Release(core.env.now().plus(core.policy.sweep));
                self.write(&mut claim, due, |r, _| {
                    adopt(r, Some(&sight));
                    settle(r, State::Failed, Some(&sight), &e.to_string());
                })
                .await;
                return;
            }
        };
        let Some(view) = seen.and_then(|s| s.view) else {
            // It changed between the two looks.
            let due = Due::Release(core.env.now().plus(self.pace(1)));
            self.write(&mut claim, due, |_, _| {}).await;
            return;
        };
        match reach.driver.probe(&r.place.spec, &view) {
            Ok(Some((address, port))) if !core.env.reaches(&address, port).await => {
                let late = r.deadline.is_some_and(|d| d <= core.env.now());
                let due = Due::Release(core.env.now().plus(self.pace(r.looks)));
                let reason = format!("port {port} of {address} does not answer yet");
                self.write(&mut claim, due, |r, _| {
                    adopt(r, Some(&sight));
                    r.looks = r.looks.saturating_add(1);
                    r.view = Some(view.clone());
                    if late {
                        settle(r, State::Failed, Some(&sight), &reason);
                    } else {
                        let state = if r.seen == State::Changing {
                            State::Changing
                        } else {
                            State::Building
                        };
                        see(r, state, &reason);
                    }
                })
                .await;
                return;
            }
            _ => {}
        }
        let behind_our_back = r.seen == State::Ready
            && r.seen_generation == r.generation
            && r.stamp.is_some()
            && r.stamp != sight.stamp;
        let generation = sight
            .mark
            .as_ref()
            .map_or(r.generation, |m| m.generation.min(r.generation));
        let spec = r.place.spec.clone();
        let due = Due::Release(core.env.now().plus(core.policy.sweep));
        self.write(&mut claim, due, |r, batch| {
            adopt(r, Some(&sight));
            r.view = Some(view.clone());
            r.seen_generation = generation;
            if generation == r.generation {
                r.seen_spec = Some(spec.clone());
            }
            // A change that was refused stays told until the next one.
            let told = if r.reason.starts_with("the change was refused") {
                r.reason.clone()
            } else if behind_our_back {
                batch.events.push(core.event(
                    r,
                    "drifted",
                    json!({"reason": "somebody changed it at the site"}),
                ));
                "somebody changed it at the site".to_owned()
            } else {
                String::new()
            };
            settle(r, State::Ready, Some(&sight), &told);
        })
        .await;
    }
}

/// Whether another place may do what this one will not.
fn elsewhere(e: &Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::NoCapacity | ErrorKind::Unavailable | ErrorKind::Credential | ErrorKind::Quota
    )
}

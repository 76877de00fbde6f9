//! Writing down what was seen and done.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::Engine;
use super::decide::Next;
use super::restore::restore;
use crate::backend::{Capability, Mark};
use crate::driver::{Driver, Sight};
use crate::env::Timestamp;
use crate::error::{Error, Result};
use crate::event::NewEvent;
use crate::host::Core;
use crate::id::{RemoteId, ResourceId};
use crate::life::{State, Wanted};
use crate::model::Json;
use crate::record::{Effect, ResourceRecord};
use crate::resource;
use crate::store::{Batch, Claim, Due, Expect, Fence, Key, Outcome, Refusal, Version, Versioned};

/// How long something may take of which no call has said how long.
const PATIENCE: Duration = Duration::from_secs(3600);

impl Engine {
    /// What the backend guarantees for a record.
    pub(super) async fn capability(&self, r: &ResourceRecord) -> Result<Capability> {
        let driver = self.core.driver(&r.place.manager)?;
        let site = self.core.catalog.site_of(r.place.site).await?;
        Ok(driver.capability(&site))
    }

    pub(super) fn mark(&self, r: &ResourceRecord) -> Mark {
        Mark {
            installation: self.core.installation.clone(),
            resource: r.id,
            incarnation: r.incarnation,
            generation: r.generation,
        }
    }

    /// Writes under the claim's fence, merging with what callers have written
    /// since: `edit` is applied to the newest record. True where it was
    /// written and the claim is still ours.
    ///
    /// Where somebody wanted something else in the meantime, or the site has told
    /// of it, a release becomes due at once.
    pub(super) async fn write(
        &self,
        claim: &mut Claim,
        due: Due,
        edit: impl Fn(&mut ResourceRecord, &mut Batch) + Send + Sync,
    ) -> bool {
        self.write_for(claim, due, self.core.policy.lease, edit)
            .await
    }

    /// The same, and where the claim is kept, for so long.
    pub(super) async fn write_for(
        &self,
        claim: &mut Claim,
        due: Due,
        ttl: Duration,
        edit: impl Fn(&mut ResourceRecord, &mut Batch) + Send + Sync,
    ) -> bool {
        let decided_for = Arc::clone(&claim.row.record);
        loop {
            let mut batch = Batch::default();
            let mut record = (*claim.row.record).clone();
            let wanted_since = record.generation != decided_for.generation;
            edit(&mut record, &mut batch);
            if wanted_since {
                // What was seen before is no answer to it.
                record.seen_generation = record.seen_generation.min(decided_for.generation);
                if is_retried(&decided_for, &claim.row.record) && record.seen == State::Failed {
                    // Nor is it to whoever asked to try again: what was gone
                    // is made anew, which a record that has failed is not. What
                    // was put into quarantine stays there: that the thing is not
                    // ours is as true as before, and a person is to look.
                    record.seen = claim.row.record.seen;
                    record.reason.clone_from(&claim.row.record.reason);
                }
            }
            let now = self.core.env.now();
            record.updated = now;
            batch
                .events
                .extend(told(&self.core, &claim.row.record, &record));
            let due = match due {
                Due::Keep | Due::At(_) => due,
                _ if is_news(&decided_for, &record) => Due::Release(now),
                Due::Release(_) | Due::Sweep(_) | Due::Rest => {
                    record.told = 0;
                    due
                }
            };
            let fence = fence(claim);
            batch.fence.push(fence);
            if matches!(due, Due::Keep | Due::At(_)) {
                batch.prolong.push((fence, ttl));
            }
            batch
                .expect
                .push(Expect::Version(Key::Resource(record.id), claim.row.version));
            let record = Arc::new(record);
            batch.resources.push((Arc::clone(&record), due));
            match self.core.commit(batch).await {
                Ok(Outcome::Done(_)) => {
                    let before = claim.row.record.seen;
                    claim.row = Versioned {
                        version: Version(claim.row.version.0 + 1),
                        record,
                    };
                    claim.until = now.plus(ttl);
                    if claim.row.record.seen != before {
                        self.wake(claim.row.record.part_of).await;
                    }
                    return true;
                }
                // What the edit expects beside the resource is for the caller
                // to look at again.
                Ok(Outcome::Refused(Refusal::Stale(key))) if key != Key::Resource(record.id) => {
                    return false;
                }
                Ok(Outcome::Refused(Refusal::Stale(_))) => {
                    match self.core.store.resource(record.id).await {
                        Ok(Some(row)) => claim.row = row,
                        Ok(None) => return false,
                        Err(e) => return self.lost(&record, &e),
                    }
                }
                Ok(Outcome::Refused(_)) => return false,
                Err(e) => return self.lost(&record, &e),
            }
        }
    }

    /// What something is a part of is looked at now. Where that is refused
    /// somebody else works on it, and sees the part at the next look.
    async fn wake(&self, whole: Option<ResourceId>) {
        let core = &*self.core;
        let Some(whole) = whole else { return };
        if let Ok(Some(row)) = core.store.resource(whole).await {
            let batch = Batch {
                expect: vec![Expect::Version(Key::Resource(whole), row.version)],
                resources: vec![(row.record, Due::At(core.env.now()))],
                ..Batch::default()
            };
            let _ = core.commit(batch).await;
        }
    }

    /// The store does not take it. The claim lapses, and whoever has it next
    /// finds the attempt in the record and looks.
    fn lost(&self, r: &ResourceRecord, e: &Error) -> bool {
        tracing::warn!(resource = %r.id, error = %e, "the store does not take what was done");
        false
    }

    /// The site could not be asked. Nothing is concluded from that; a settled
    /// resource of which nobody hears anything becomes unknown.
    pub(super) async fn cannot_ask(&self, mut claim: Claim, e: &Error) {
        const SILENT: u32 = 3;
        let now = self.core.env.now();
        let wait = self.pause_after(e, claim.row.record.looks);
        let reason = format!("the site cannot be asked: {e}");
        let due = match is_at_rest(&claim.row.record) {
            true => Due::Sweep(now.plus(wait)),
            false => Due::Release(now.plus(wait)),
        };
        self.write(&mut claim, due, |r, _| {
            if r.seen == State::Quarantined {
                // Why it is there says more than that nobody answers now.
                return;
            }
            r.looks = r.looks.saturating_add(1);
            if r.wanted == Wanted::Absent || !r.seen.is_settled() && r.seen != State::Unknown {
                r.deadline.get_or_insert(now.plus(PATIENCE));
            }
            let late = r.deadline.is_some_and(|d| d <= now);
            let state = match (r.wanted, r.seen) {
                (Wanted::Absent, _) if late => State::Quarantined,
                (Wanted::Absent, seen) => seen,
                (_, State::Nothing | State::Building | State::Changing) if late => State::Failed,
                (_, State::Ready) if r.looks >= SILENT => State::Unknown,
                (_, seen) => seen,
            };
            see(r, state, &reason);
        })
        .await;
    }

    /// Writes down a decision that needs no call.
    pub(super) async fn note(&self, mut claim: Claim, next: Next, sight: Option<&Sight>) {
        let core = &*self.core;
        let now = core.env.now();
        let sweep = self.next_sweep();
        match next {
            Next::Look | Next::Act(_) | Next::LookClosely => {
                // Calls are queued by who decided; here is nothing to write.
            }
            Next::Rest => {
                let r = &claim.row.record;
                // What will not go may go one day, or the site may answer
                // again; of what is wanted a person decides.
                let due = match (r.seen, r.wanted, &r.remote) {
                    (State::Quarantined, Wanted::Absent, _) => sweep,
                    (State::Quarantined, ..) | (_, _, None) => Due::Rest,
                    _ => sweep,
                };
                self.write(&mut claim, due, |_, _| {}).await;
            }
            Next::Wait(state, reason) => {
                let due = Due::Release(self.next_slow_look(&claim.row.record));
                self.write(&mut claim, due, |r, _| {
                    adopt(r, sight);
                    r.looks = r.looks.saturating_add(1);
                    let ends = matches!(state, State::Building | State::Changing);
                    if ends || r.wanted == Wanted::Absent {
                        // Also where it was never tried to destroy it, and where
                        // somebody wants something else since it began.
                        r.deadline.get_or_insert(now.plus(PATIENCE));
                    }
                    see(r, state, &reason);
                })
                .await;
            }
            Next::NotBefore(at, reason) => {
                self.write(&mut claim, Due::Release(at), |r, _| {
                    let seen = r.seen;
                    see(r, seen, &reason);
                })
                .await;
            }
            Next::Restore(meanwhile, reason) => {
                let decided = claim.row.record.generation;
                self.write(&mut claim, Due::Release(now), |r, batch| {
                    // Somebody may want something else since.
                    if r.generation == decided {
                        adopt(r, sight);
                        restore(core, r, batch, meanwhile, &reason);
                    }
                })
                .await;
            }
            Next::Failed(reason) => {
                // Its name is kept although it seems to be gone: a list that
                // was wrong once must not make us forget what is there.
                self.write(&mut claim, sweep, |r, _| {
                    adopt(r, sight);
                    settle(r, State::Failed, sight, &reason);
                })
                .await;
            }
            Next::Quarantine(reason) => {
                let due = match claim.row.record.wanted {
                    Wanted::Absent => sweep,
                    _ => Due::Rest,
                };
                self.write(&mut claim, due, |r, _| {
                    see(r, State::Quarantined, &reason);
                })
                .await;
            }
            Next::Gone => {
                let fence = fence(&claim);
                let data =
                    json!({"reason": claim.row.record.reason, "remote": claim.row.record.remote});
                loop {
                    match resource::remove(core, &claim.row, Some(fence), "gone", data.clone())
                        .await
                    {
                        Ok(true) => return self.wake(claim.row.record.part_of).await,
                        Ok(false) => match core.store.resource(claim.row.record.id).await {
                            Ok(Some(row)) if row.version != claim.row.version => claim.row = row,
                            _ => return,
                        },
                        Err(e) => {
                            self.lost(&claim.row.record, &e);
                            return;
                        }
                    }
                }
            }
        }
    }

    /// When settled resources are looked at next. All of them have their turn
    /// at the same moments, so that one look serves many.
    pub(super) fn next_sweep(&self) -> Due {
        let every = i64::try_from(self.core.policy.sweep.as_millis()).unwrap_or(i64::MAX);
        let every = every.max(1);
        let turn = self.core.env.now().millis().div_euclid(every);
        Due::Sweep(Timestamp::from_millis(
            turn.saturating_add(1).saturating_mul(every),
        ))
    }

    /// The pause before look number `looks` at what is under way.
    pub(super) fn pace(&self, looks: u32) -> Duration {
        let policy = &self.core.policy;
        let grown =
            policy.first_look.as_millis() * 3u128.pow(looks.min(20)) / 2u128.pow(looks.min(20));
        Duration::from_millis(u64::try_from(grown).unwrap_or(u64::MAX)).min(policy.slowest_look)
    }

    /// When something that is still under way is looked at again. What takes
    /// long is looked at at the same moments as whatever else of its account
    /// does, whenever each was begun, so that they share their looks.
    fn next_slow_look(&self, r: &ResourceRecord) -> Timestamp {
        let pause = self.pace(r.looks);
        let at = self.core.env.now().plus(pause);
        if pause < self.core.policy.slowest_look {
            return at;
        }
        let every = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX).max(1);
        // Accounts come one after the other.
        let own = r.place.credential.0.as_u64_pair().1 % every.unsigned_abs();
        let own = i64::try_from(own).unwrap_or(0);
        let past = (at.millis() - own).rem_euclid(every);
        let nearest = if past > every / 2 {
            every - past
        } else {
            -past
        };
        Timestamp::from_millis(at.millis().saturating_add(nearest))
    }

    /// The pause that the site asked for, within reason, or that after so many
    /// failures.
    pub(super) fn pause_after(&self, e: &Error, failures: u32) -> Duration {
        const LONGEST: Duration = Duration::from_secs(600);
        e.wait()
            .map_or_else(|| self.backoff(failures), |asked| asked.min(LONGEST))
    }

    /// The pause after so many failures, spread so that what failed together
    /// does not come again together.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let base = 500u64 << failures.min(7);
        let spread = self.core.env.random() % (base / 2);
        Duration::from_millis((base + spread).min(60_000))
    }
}

/// Whether there is something to do that was not there before: something else
/// is wanted, the site has told of it, or whose it is must be noted anew.
fn is_news(before: &ResourceRecord, after: &ResourceRecord) -> bool {
    let held = (&before.holds, &before.grants) != (&after.holds, &after.grants);
    before.generation != after.generation
        || before.told != after.told
        || (held && after.noted.is_some())
}

/// Nobody waits for what comes of it: what was wanted is there, or will not be.
fn is_at_rest(r: &ResourceRecord) -> bool {
    let as_wanted = r.wanted != Wanted::Absent && r.seen_generation == r.generation;
    match r.seen {
        State::Quarantined => true,
        State::Ready | State::Failed | State::Unknown => as_wanted,
        _ => false,
    }
}

/// Somebody asked to try again since.
fn is_retried(before: &ResourceRecord, after: &ResourceRecord) -> bool {
    before.seen != State::Nothing && after.seen == State::Nothing
}

pub(super) fn fence(claim: &Claim) -> Fence {
    Fence {
        resource: claim.row.record.id,
        epoch: claim.epoch,
    }
}

/// What something of this spec takes of its tenant's quota. What is a part is
/// charged with the whole.
pub(super) fn charged(driver: &dyn Driver, r: &ResourceRecord, spec: &Json) -> u64 {
    match r.part_of {
        Some(_) => r.nodes,
        None => driver.nodes(spec).unwrap_or(r.nodes),
    }
}

/// Sets what is seen. What is wanted no more stays on its way out, whatever it
/// does meanwhile.
pub(super) fn see(r: &mut ResourceRecord, state: State, reason: &str) {
    let going = r.wanted == Wanted::Absent && state != State::Quarantined;
    r.seen = if going { State::Releasing } else { state };
    reason.clone_into(&mut r.reason);
}

/// Takes over the site's name for it.
pub(super) fn adopt(r: &mut ResourceRecord, sight: Option<&Sight>) {
    let Some(sight) = sight else { return };
    let created = r.attempt.take_if(|a| a.effect == Effect::Create);
    if r.remote.is_none() {
        r.remote = Some(sight.id.clone());
        r.made = created.map(|a| a.at);
        r.incarnation = r.incarnation.max(1);
    }
}

/// It is where it will stay.
pub(super) fn settle(r: &mut ResourceRecord, state: State, sight: Option<&Sight>, reason: &str) {
    see(r, state, reason);
    r.looks = 0;
    r.tries = 0;
    r.deadline = None;
    if state == State::Failed {
        // It stays as it is until somebody wants something else.
        r.seen_generation = r.generation;
    }
    if let Some(sight) = sight {
        r.stamp.clone_from(&sight.stamp);
        let shown = sight.mark.as_ref().map(|m| m.generation);
        if r.earlier.is_none() && r.attempt.as_ref().map(|a| a.generation) == shown {
            // Nothing else was begun that could have made it so.
            r.attempt = None;
        }
        r.put_by();
    }
}

/// What an event of the engine's says.
#[derive(Serialize)]
struct Told<'a> {
    from: State,
    to: State,
    wanted: Wanted,
    generation: u64,
    site: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    incarnation: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote: Option<&'a RemoteId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<Effect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// What is told of a write: that it is seen otherwise, or that an effect was
/// begun or accepted.
fn told(core: &Core, before: &ResourceRecord, after: &ResourceRecord) -> Option<NewEvent> {
    let step = step(core.env.now(), before, after);
    let what = match &step {
        _ if before.seen != after.seen || before.reason != after.reason => after.seen.as_str(),
        Some(_) => "step",
        None => return None,
    };
    let told = Told {
        from: before.seen,
        to: after.seen,
        wanted: after.wanted,
        generation: after.generation,
        site: &after.place.site_name,
        incarnation: Some(after.incarnation).filter(|n| *n > 0),
        remote: after.remote.as_ref(),
        effect: step.map(|(effect, _)| effect),
        outcome: step.map(|(_, outcome)| outcome),
        reason: Some(after.reason.as_str()).filter(|r| !r.is_empty()),
    };
    Some(core.event(after, what, told))
}

/// What became of an effect with this write.
fn step(
    now: Timestamp,
    before: &ResourceRecord,
    after: &ResourceRecord,
) -> Option<(Effect, &'static str)> {
    let refused = after.tries > before.tries;
    let after = after.attempt.as_ref()?;
    let before = before.attempt.as_ref();
    if before == Some(after) {
        return None;
    }
    // Until it is over, it bears the moment at which it will be.
    if after.at > now {
        return Some((after.effect, "begun"));
    }
    let before = before.filter(|before| before.effect == after.effect)?;
    match (before.accepted, after.accepted) {
        (false, true) => Some((after.effect, "accepted")),
        // It stays in the record where a site may do what it refused.
        (false, false) if refused => Some((after.effect, "refused")),
        (false, false) => Some((after.effect, "unknown")),
        (true, _) => None,
    }
}

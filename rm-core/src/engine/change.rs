//! Giving a real thing another spec.

use std::time::Duration;

use futures_util::future::{Either, select};
use serde_json::json;

use super::Engine;
use super::act::Reach;
use super::write::{adopt, charged, see, settle};
use crate::backend::{Cx, Phase, Resize};
use crate::driver::Sight;
use crate::error::{self, Error, ErrorKind};
use crate::life::{State, Wanted};
use crate::model::Json;
use crate::quota::recharge;
use crate::record::{Effect, ResourceRecord};
use crate::store::{Batch, Claim, Due};

impl Engine {
    pub(super) async fn change(&self, reach: &Reach, mut claim: Claim, sight: Sight) {
        if reach.cap.resize == Resize::None {
            let e = Error::new(
                ErrorKind::Unsupported,
                "this backend cannot change what it has made",
            );
            return self.keep(reach, claim, &sight, &e).await;
        }
        let decided = claim.row.record.generation;
        let before = &claim.row.record;
        let marked = sight.mark.as_ref().map(|m| m.generation);
        let there = (marked.unwrap_or(before.seen_generation), sight.phase);
        // An earlier change is done when it is seen, and not when the site says
        // yes.
        let landed = before
            .attempt
            .as_ref()
            .filter(|a| a.effect == Effect::Change && a.generation == there.0)
            .and_then(|a| a.spec.clone());
        let learns = before.remote.is_none() || landed.is_some();
        let (seen_spec, seen_mark) = match landed {
            Some(spec) => (Some(spec), there.0),
            None => (before.seen_spec.clone(), before.seen_mark),
        };
        let pending = before
            .open_changes(reach.cap.late, self.core.env.now())
            .find(|a| a.generation > there.0)
            .cloned();
        if learns {
            // Learnt just now: it must not be lost to a crash.
            let learnt = |r: &mut ResourceRecord, _: &mut Batch| {
                adopt(r, Some(&sight));
                r.seen_spec.clone_from(&seen_spec);
                r.seen_mark = seen_mark;
            };
            if !self.write(&mut claim, Due::Keep, learnt).await {
                return;
            }
        }
        if !self
            .journal(reach, &mut claim, Effect::Change, decided)
            .await
        {
            return;
        }
        let r = &*claim.row.record;
        let mark = self.mark(r);
        let limit = reach.cap.change_limit();
        let cx = Cx {
            timeout: limit,
            ..self.cx(reach)
        };
        let call = reach.driver.change(&cx, &mark, sight, &r.place.spec);
        let call = self.ours(claim.until, call);
        let call = self.core.timed("change", limit, call);
        let done = self.told(reach, r, call).await;
        let late = r.deadline.is_some_and(|d| d <= self.core.env.now());
        match done {
            Ok(()) => self.accepted(claim, State::Changing).await,
            // Only when nothing can come any more is it known what remains.
            Err(e) if e.effect() == error::Effect::None && pending.is_some() => {
                let e = e.temporary();
                self.failed(claim, Effect::Change, pending, &e).await;
            }
            Err(e)
                if e.effect() == error::Effect::None && (late || full(&e) || !e.is_temporary()) =>
            {
                match seen_spec {
                    // What has no generation yet is a shell and nothing to
                    // go back to; and of what bears an older one, for the
                    // network had it changed once more, nobody knows the spec.
                    Some(spec) if there.0 > 0 && marked.is_none_or(|m| m == seen_mark) => {
                        self.change_refused(reach, claim, there, &spec, &e).await
                    }
                    _ => self.failed(claim, Effect::Change, None, &e).await,
                }
            }
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

    /// What was asked for will not be done, and nothing was begun: what is there
    /// stays, and stays wanted where it is known of what spec it is.
    pub(super) async fn keep(&self, reach: &Reach, mut claim: Claim, sight: &Sight, e: &Error) {
        let adopted = |r: &mut ResourceRecord, _: &mut _| adopt(r, Some(sight));
        let known = claim.row.record.remote.is_some();
        if !known && !self.write(&mut claim, Due::Keep, adopted).await {
            return;
        }
        let r = &claim.row.record;
        let marked = sight.mark.as_ref().map(|m| m.generation);
        let there = (marked.unwrap_or(r.seen_generation), sight.phase);
        match r.seen_spec.clone() {
            Some(spec) if there.0 > 0 && marked.is_none_or(|m| m == r.seen_mark) => {
                self.change_refused(reach, claim, there, &spec, e).await;
            }
            _ => {
                let due = self.next_sweep();
                self.write(&mut claim, due, |r, _| {
                    adopt(r, Some(sight));
                    settle(r, State::Failed, Some(sight), &e.to_string());
                })
                .await;
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
        let nodes = charged(&*reach.driver, &claim.row.record, spec);
        let wanted = reach.driver.wanted(spec).unwrap_or(Wanted::Running);
        let due = Due::Release(core.env.now());
        self.write(&mut claim, due, |r, batch| {
            r.attempt = None;
            r.deadline = None;
            if r.generation != generation {
                return;
            }
            batch.counts.push(recharge(r, nodes, None));
            r.place.spec = spec.clone();
            r.wanted = wanted;
            batch.events.push(core.event(
                r,
                "change-refused",
                json!({"wanted": wanted, "generation": generation, "reason": e.to_string()}),
            ));
            r.take_back(there, e.to_string());
            let state = match (phase, &r.view) {
                (Phase::Ready, Some(_)) => State::Ready,
                (Phase::Ready, None) => State::Building,
                _ => State::Failed,
            };
            see(r, state, &refusal(&e.to_string()));
        })
        .await;
    }
}

/// What is told of a change that was refused, until the next one.
pub(super) fn refusal(reason: &str) -> String {
    format!("the change was refused: {reason}")
}

/// There is no room. Room may come, but whoever asked for another size wants
/// to know now, and what it would take counts in the quota while we wait.
pub(super) fn full(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::NoCapacity | ErrorKind::Quota)
}

//! The close look at what works: its view, its port, and whether it is still
//! what we made of it.

use serde_json::json;

use super::Engine;
use super::act::Reach;
use super::change::refusal;
use super::restore::{Turn, restore};
use super::write::{adopt, charged, see, settle};
use crate::backend::Look;
use crate::driver::Sight;
use crate::error;
use crate::life::State;
use crate::quota::recharge;
use crate::store::{Claim, Due};

impl Engine {
    /// It works: read what there is to see of it, once.
    pub(super) async fn look_closely(&self, reach: &Reach, mut claim: Claim, sight: Sight) {
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
                let due = self.next_sweep();
                self.write(&mut claim, due, |r, _| {
                    adopt(r, Some(&sight));
                    settle(r, State::Failed, Some(&sight), &e.to_string());
                })
                .await;
                return;
            }
        };
        let (view, probe) = seen.map_or((None, None), |s| (s.view, s.probe));
        let Some(view) = view else {
            // It changed between the two looks.
            let due = Due::Release(core.env.now().plus(self.pace(1)));
            self.write(&mut claim, due, |_, _| {}).await;
            return;
        };
        match probe {
            Some((address, port)) if !core.env.reaches(&address, port).await => {
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
        // No change of ours was under way since it was last seen whole, and none
        // was late.
        let before_last = reach.cap.late + core.policy.sweep;
        let open = r.open_changes(before_last, core.env.now()).next().is_some();
        let behind_our_back = r.seen_generation == r.generation
            && r.attempt.is_none()
            && !open
            && r.stamp.is_some()
            && r.stamp != sight.stamp;
        let decided = r.generation;
        let mending = match behind_our_back {
            true => self.own().mending(r, &reach.cap, core.env.now()),
            false => Turn::Never,
        };
        let generation = match &sight.mark {
            Some(mark) if !r.fits(mark.generation) => mark.generation,
            _ => r.generation,
        };
        let spec = r.place.spec.clone();
        let nodes = charged(&*reach.driver, r, &spec);
        let due = match mending {
            Turn::Now => Due::Release(core.env.now()),
            Turn::At(_) | Turn::Never => self.next_sweep(),
        };
        self.write(&mut claim, due, |r, batch| {
            adopt(r, Some(&sight));
            r.view = Some(view.clone());
            r.seen_generation = generation;
            if generation == r.generation {
                r.seen_spec = Some(spec.clone());
                r.seen_mark = sight.mark.as_ref().map_or(generation, |m| m.generation);
                if nodes != r.nodes {
                    // It is smaller now: the rest is given back.
                    batch.counts.push(recharge(r, nodes, None));
                }
            }
            // A change that was refused stays told until the next one.
            let told = if let Some(reason) = r.taken_back() {
                refusal(reason)
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
            match mending {
                Turn::Now if r.generation == decided => {
                    restore(core, r, batch, State::Changing, &told);
                }
                Turn::At(at) => {
                    if let Some(repairs) = &mut r.repairs {
                        repairs.waits = true;
                    }
                    r.reason = format!("{told}; it is not changed back before {at}");
                }
                Turn::Now | Turn::Never => {}
            }
        })
        .await;
    }
}

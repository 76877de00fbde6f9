//! Another one in the stead of what there is, where a thing cannot be given
//! another spec in place.
//!
//! What there is must be seen to be gone before the new one is made: at no
//! moment are there two of one resource. Until it begins to go, nothing is
//! lost: whatever can be known to stand in the way of the new one is asked
//! first, and what refuses to go is kept.

use super::Engine;
use super::act::Reach;
use super::change::full;
use super::decide::gives_up;
use super::needs::Needs;
use super::write::{adopt, see};
use crate::backend::{Absence, Cx, Phase};
use crate::driver::Sight;
use crate::error::{Error, ErrorKind, Result};
use crate::life::State;
use crate::record::{Attempt, Effect, ResourceRecord};
use crate::store::{Claim, Due};

impl Engine {
    /// Lets go of what there is, or keeps it where that is refused.
    pub(super) async fn replace(&self, reach: &Reach, mut claim: Claim, sight: Sight) {
        let now = self.core.env.now();
        let decided = claim.row.record.generation;
        let before = &claim.row.record;
        if is_as_wanted(before, &sight) {
            return self.let_be(claim, &sight).await;
        }
        if !before.is_replaced() {
            match self.replaceable(reach, before).await {
                Ok(()) => {}
                Err(e) if e.is_temporary() && !full(&e) && !over(before.deadline, now) => {
                    return self.replace_later(reach, claim, &e).await;
                }
                Err(e) => return self.keep(reach, claim, &sight, &e).await,
            }
        } else if gives_up(before, now, self.core.policy.destroy_tries) {
            let last = before.attempt.as_ref().map(|a| a.at.plus(reach.cap.late));
            let e = Error::new(ErrorKind::Failed, before.reason.clone());
            if over(last, now) {
                return self.keep(reach, claim, &sight, &e).await;
            }
            // One of the tries may have an effect yet.
            return self.replace_later(reach, claim, &e).await;
        }
        let adopted = |r: &mut ResourceRecord, _: &mut _| adopt(r, Some(&sight));
        if before.remote.is_none() && !self.write(&mut claim, Due::Keep, adopted).await {
            return;
        }
        if !self
            .journal(reach, &mut claim, Effect::Replace, decided)
            .await
        {
            return;
        }
        let cx = self.cx(reach);
        let call = self.ours(claim.until, reach.driver.destroy(&cx, sight));
        let limit = reach.cap.call_timeout;
        match self.core.timed("destroy", limit, call).await {
            Ok(()) => self.accepted(claim, State::Changing).await,
            Err(e) => {
                // A site may refuse and do it all the same: that it was tried
                // is remembered.
                let tried = Attempt {
                    effect: Effect::Replace,
                    generation: claim.row.record.generation,
                    at: self.core.env.now(),
                    accepted: false,
                    spec: None,
                };
                self.failed(claim, Effect::Replace, Some(tried), &e).await;
            }
        }
    }

    /// Whether, as far as anybody can tell, the new one can be made once the
    /// old one is gone.
    async fn replaceable(&self, reach: &Reach, r: &ResourceRecord) -> Result<()> {
        let refused = |why: &str| Err(Error::new(ErrorKind::Unsupported, why));
        if reach.cap.billing_commit {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "it can only be replaced, and that would buy another one",
            )
            .code("a-purchase")
            .advice("delete it and ask for one of that size, if you want to pay for both"));
        }
        if reach.cap.absence == Absence::None {
            return refused(
                "it can only be replaced, and nothing at this site would show that the old one is gone",
            );
        }
        let (driver, spec) = (&reach.driver, &r.place.spec);
        if let Some(old) = &r.seen_spec
            && driver.wanted(old)? != driver.wanted(spec)?
        {
            return refused("it can only be replaced, and so neither be stopped nor started");
        }
        match self.needs(r).await? {
            Needs::Met(_) => {}
            Needs::NotYet(why) | Needs::Unknown(why) => {
                return Err(Error::new(ErrorKind::Unavailable, why).temporary());
            }
            Needs::Never(why) => return Err(Error::new(ErrorKind::Failed, why)),
        }
        let cx = Cx {
            quick: true,
            asking: None,
            ..self.cx(reach)
        };
        let offers = driver.offers(&cx, spec);
        let limit = reach.cap.call_timeout;
        self.core.timed("offers", limit, offers).await.map(drop)
    }

    /// It was only tried again, and what there is works: it keeps.
    async fn let_be(&self, mut claim: Claim, sight: &Sight) {
        let generation = claim.row.record.generation;
        let there = shown(&claim.row.record, sight);
        let due = Due::Release(self.core.env.now());
        self.write(&mut claim, due, |r, _| {
            adopt(r, Some(sight));
            if r.generation == generation {
                r.fits_from = there;
            }
        })
        .await;
    }

    /// Tries again later, while there is time.
    async fn replace_later(&self, reach: &Reach, mut claim: Claim, e: &Error) {
        let now = self.core.env.now();
        let wait = self.pause_after(e, claim.row.record.looks);
        self.write(&mut claim, Due::Release(now.plus(wait)), |r, _| {
            r.looks = r.looks.saturating_add(1);
            r.deadline.get_or_insert(now.plus(reach.cap.patience));
            see(r, State::Changing, &e.to_string());
        })
        .await;
    }
}

/// The generation of what there is.
fn shown(r: &ResourceRecord, sight: &Sight) -> u64 {
    sight
        .mark
        .as_ref()
        .map_or(r.seen_generation, |m| m.generation)
}

/// Whether what there is works and has the very spec that is wanted, although
/// it bears an older generation. What was begun to go does not count.
fn is_as_wanted(r: &ResourceRecord, sight: &Sight) -> bool {
    let there = shown(r, sight);
    sight.phase == Phase::Ready
        && !r.is_replaced()
        && r.seen_spec.as_ref() == Some(&r.place.spec)
        && (sight.mark.is_none() || there == r.seen_mark)
        && r.refusal(there).is_none()
}

/// Whether this moment has come, if there is one.
fn over(at: Option<crate::env::Timestamp>, now: crate::env::Timestamp) -> bool {
    at.is_some_and(|at| at <= now)
}

//! What to do next: a pure function of what is wanted, what is written down,
//! what was seen just now, and what the backend guarantees.
//!
//! The same function creates, resumes after a crash, repairs, resizes and
//! destroys, because it starts from what is.

use std::time::Duration;

use crate::backend::{Absence, Capability, CreateKey, Phase, Resize};
use crate::driver::Sight;
use crate::env::Timestamp;
use crate::life::{State, Wanted};
use crate::policy::Repair;
use crate::record::{Attempt, Effect, ResourceRecord};

/// How long what has no mark yet is left alone.
const BARE: Duration = Duration::from_secs(1);

/// What the site said about one resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Glance {
    /// Nobody asked yet.
    NotLooked,
    /// A complete answer in which it is not.
    Absent,
    /// It is there.
    Found(Box<Sight>),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    /// Ask the site first.
    Look,
    /// Do it.
    Act(Effect),
    /// It is there and works: read what there is to see of it.
    LookClosely,
    /// It is on its way; look again in a while.
    Wait(State, String),
    /// Not before this moment.
    NotBefore(Timestamp, String),
    /// It is not as it was, and not by our doing: it is brought back.
    Restore(State, String),
    /// It is broken, or gone without our doing.
    Failed(String),
    /// Seen to be gone, as wanted.
    Gone,
    /// A person must decide.
    Quarantine(String),
    /// Nothing to do until somebody wants something else.
    Rest,
}

/// What the installation says for all of its resources.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own<'a> {
    /// Its name, which is part of every mark.
    pub(crate) installation: &'a str,
    /// After how many tries to destroy something a person must decide.
    pub(crate) destroy_tries: u32,
    /// What is done about what is gone, and not by our doing.
    pub(crate) repair: Repair,
}

impl Own<'_> {
    /// Whether it is made again when it is gone. Only what worked before is:
    /// what breaks again and again is not made for ever. To make a purchase
    /// again is to buy it twice, which nobody has asked for.
    fn makes_again(&self, r: &ResourceRecord, cap: &Capability) -> bool {
        self.repair == Repair::Recreate
            && !cap.billing_commit
            && cap.absence != Absence::None
            && matches!(r.seen, State::Ready | State::Unknown)
    }
}

pub(crate) fn decide(
    r: &ResourceRecord,
    cap: &Capability,
    glance: &Glance,
    now: Timestamp,
    own: &Own<'_>,
) -> Next {
    if r.seen == State::Quarantined {
        return quarantined(r, cap, glance, now, own);
    }
    match glance {
        Glance::NotLooked => unseen(r, now),
        Glance::Absent => absent(r, cap, now, own),
        Glance::Found(sight) => found(r, cap, sight, now, own),
    }
}

/// What a person must decide about is left alone, but for what is to go: it is
/// looked at, for it may be gone one day; and where the site did not refuse
/// but was away for too long, it goes on when the site is back.
fn quarantined(
    r: &ResourceRecord,
    cap: &Capability,
    glance: &Glance,
    now: Timestamp,
    own: &Own<'_>,
) -> Next {
    if r.wanted != Wanted::Absent {
        return Next::Rest;
    }
    let next = match glance {
        Glance::NotLooked => return Next::Look,
        Glance::Absent => absent(r, cap, now, own),
        Glance::Found(sight) => found(r, cap, sight, now, own),
    };
    match next {
        Next::Gone | Next::Act(Effect::Destroy) => next,
        _ => Next::Rest,
    }
}

fn unseen(r: &ResourceRecord, now: Timestamp) -> Next {
    if r.remote.is_some() || r.attempt.is_some() {
        // What was made but never tried to be destroyed can be destroyed
        // without a look: its id is immutable.
        let known = r.attempt.as_ref().is_none_or(|a| a.accepted);
        let clean = known && r.remote.is_some();
        return match r.wanted {
            Wanted::Absent if clean && r.tries == 0 && !r.doubted => Next::Act(Effect::Destroy),
            _ => Next::Look,
        };
    }
    match r.wanted {
        Wanted::Absent => Next::Gone,
        Wanted::Reserved => Next::Rest,
        // What failed stays as it is until somebody asks to try again.
        _ if r.seen == State::Failed && r.seen_generation == r.generation => Next::Rest,
        _ if r.deadline.is_some_and(|d| d <= now) => {
            Next::Failed(format!("it could not be made in time: {}", r.reason))
        }
        _ => Next::Act(Effect::Create),
    }
}

fn absent(r: &ResourceRecord, cap: &Capability, now: Timestamp, own: &Own<'_>) -> Next {
    if r.remote.is_some() {
        // What is young may be there although it is not listed.
        let young = r
            .made
            .map(|at| at.plus(cap.visibility))
            .filter(|until| now < *until);
        return match (going(r), cap.absence, young) {
            (_, _, Some(until)) => Next::NotBefore(until, "it is not listed yet".to_owned()),
            (Some(_), Absence::None, _) => Next::Quarantine(
                "it is not listed any more, which at this site proves nothing".to_owned(),
            ),
            // Not to be shown is not to be dead where the dead are shown.
            (Some(out), Absence::Tombstone, _) => {
                let reason = "it is not listed, and not shown as dead either".to_owned();
                match r.deadline {
                    // Nobody has tried yet to destroy it.
                    // To replace it would take more than its id.
                    None if out.by == Effect::Destroy => Next::Act(out.by),
                    Some(end) if end <= now => Next::Quarantine(reason),
                    _ => Next::Wait(out.meanwhile, reason),
                }
            }
            (Some(out), ..) => out.then,
            // Somebody asked to try again: what there was is gone for good.
            _ if r.seen == State::Nothing => Next::Act(Effect::Create),
            _ if own.makes_again(r, cap) => Next::Wait(
                State::Nothing,
                "it is gone from the site, and not by our doing; it is made again".to_owned(),
            ),
            _ if own.remakes(r, cap, now) => Next::Restore(
                State::Nothing,
                "it is gone from the site, and not by our doing; it is made again".to_owned(),
            ),
            _ if cap.billing_commit => Next::Failed(
                "it is gone from the site, and not by our doing; it is paid for, and bought again \
                 only when somebody asks to try again"
                    .to_owned(),
            ),
            _ => Next::Failed("it is gone from the site, and not by our doing".to_owned()),
        };
    }
    let Some(attempt) = &r.attempt else {
        return unseen(r, now);
    };
    // A create was begun and nobody knows what came of it. It may still be on
    // its way through the site, and a site that refuses a second thing of one
    // name may not do so for two requests that it works on at once (measured
    // with Heat): so the name alone does not make a second create harmless.
    let late = comes_until(attempt, cap);
    let may_come = "an earlier create may still take effect".to_owned();
    // Where nothing is found without its id, not to find it proves nothing.
    let findable = cap.list_by_owner
        || matches!(
            cap.create_key,
            CreateKey::UniqueName | CreateKey::ClientUuid
        );
    match (r.wanted, cap.create_key) {
        (Wanted::Absent, _) if now < late => Next::Wait(State::Releasing, may_come),
        (Wanted::Absent, _) if cap.absence == Absence::None || !findable => {
            Next::Quarantine("nobody can tell whether the last create took effect".to_owned())
        }
        (Wanted::Absent, _) => Next::Gone,
        // What failed stays as it is until somebody asks to try again, but
        // what comes late is noticed.
        _ if r.seen == State::Failed && r.seen_generation == r.generation => {
            if now < late {
                Next::NotBefore(late, r.reason.clone())
            } else {
                Next::Rest
            }
        }
        (_, key) if key == CreateKey::None || (key == CreateKey::TagOnly && !findable) => {
            Next::Quarantine("nobody can tell whether the last create took effect".to_owned())
        }
        // A second one would be paid for, too.
        (_, CreateKey::TagOnly) if cap.billing_commit && late <= now => Next::Quarantine(
            "nobody can tell whether the last create took effect, and another one may be paid for \
             twice"
                .to_owned(),
        ),
        _ if r.deadline.is_some_and(|d| d <= now) => {
            Next::Failed(format!("it could not be made in time: {}", r.reason))
        }
        (_, CreateKey::UniqueName | CreateKey::ClientUuid | CreateKey::TagOnly) if now < late => {
            Next::Wait(State::Building, may_come)
        }
        _ => Next::Act(Effect::Create),
    }
}

fn found(r: &ResourceRecord, cap: &Capability, s: &Sight, now: Timestamp, own: &Own<'_>) -> Next {
    let ours = match &s.mark {
        Some(mark) => mark.resource == r.id && mark.installation == own.installation,
        // Somebody dropped the mark; the immutable id still tells.
        None => r.remote.as_ref() == Some(&s.id),
    };
    if !ours {
        // A site may write a thing down before its mark (measured with Heat: a
        // stack first, its tags after it), and somebody may look in between.
        // It is taken for ours when the mark is there, and not before.
        let bare = s.mark.is_none() && r.remote.is_none() && s.phase == Phase::Building;
        let begun = r.attempt.as_ref().filter(|a| a.effect == Effect::Create);
        if bare && begun.is_some_and(|a| now < comes_until(a, cap)) {
            let reason = "what bears its name at the site has no mark yet";
            return Next::NotBefore(now.plus(BARE), reason.to_owned());
        }
        return Next::Quarantine(format!(
            "{} at the site bears our name and not our mark",
            s.id
        ));
    }
    if let Some(out) = going(r) {
        return match s.phase {
            Phase::Gone => out.then,
            Phase::Deleting if r.deadline.is_some_and(|d| d <= now) => {
                Next::Quarantine("it is being destroyed and does not go in time".to_owned())
            }
            Phase::Deleting => Next::Wait(out.meanwhile, s.reason.clone()),
            // Accepted a moment ago and not shown yet.
            phase if phase != Phase::DeleteFailed && accepted(r, cap, out.by, now) => {
                Next::Wait(out.meanwhile, s.reason.clone())
            }
            // What works and will not go is kept, once nothing can come of the
            // tries any more.
            Phase::Ready | Phase::Failed if out.is_given_up(r, now, own) => match &r.attempt {
                Some(a) if now < a.at.plus(cap.late) => Next::Wait(out.meanwhile, r.reason.clone()),
                _ => Next::Act(out.by),
            },
            _ if r.tries >= own.destroy_tries => Next::Quarantine(format!(
                "it will not go after {} tries: {}",
                r.tries, s.reason
            )),
            Phase::DeleteFailed => match &r.attempt {
                Some(a) if now < a.at.plus(again(r.tries)) => {
                    Next::NotBefore(a.at.plus(again(r.tries)), s.reason.clone())
                }
                _ => Next::Act(out.by),
            },
            _ => Next::Act(out.by),
        };
    }
    let generation = s.mark.as_ref().map_or(r.seen_generation, |m| m.generation);
    // What has failed once stays so until it works or something else is wanted.
    let settled_failed = r.seen == State::Failed && r.seen_generation == r.generation;
    let late = r.deadline.map_or(settled_failed, |d| d <= now);
    match s.phase {
        Phase::Gone if r.seen == State::Nothing => absent(r, cap, now, own),
        Phase::Deleting if r.seen == State::Nothing => Next::Wait(
            State::Nothing,
            "what there was is still being deleted at the site".to_owned(),
        ),
        Phase::Gone | Phase::Deleting if own.makes_again(r, cap) => Next::Wait(
            State::Nothing,
            "it is being deleted at the site, and not by our doing; it is made again then"
                .to_owned(),
        ),
        Phase::Gone | Phase::Deleting if own.remakes(r, cap, now) => Next::Restore(
            State::Nothing,
            "it is being deleted at the site, and not by our doing; it is made again then"
                .to_owned(),
        ),
        Phase::Gone | Phase::Deleting => {
            Next::Failed("it is being deleted at the site, and not by our doing".to_owned())
        }
        Phase::Building if late => Next::Failed(format!("not ready in time: {}", s.reason)),
        Phase::Building => Next::Wait(State::Building, s.reason.clone()),
        Phase::Changing if late => Next::Failed(format!("not changed in time: {}", s.reason)),
        Phase::Changing => Next::Wait(State::Changing, s.reason.clone()),
        Phase::Ready | Phase::Failed | Phase::DeleteFailed if !r.fits(generation) => {
            if settled_failed {
                Next::Failed(r.reason.clone())
            } else if accepted(r, cap, Effect::Change, now) {
                Next::Wait(State::Changing, s.reason.clone())
            } else if may_become_another(r, cap, now) {
                Next::Wait(
                    State::Changing,
                    "an earlier change may still take effect".to_owned(),
                )
            } else if cap.resize == Resize::Replace {
                Next::Act(Effect::Replace)
            } else {
                Next::Act(Effect::Change)
            }
        }
        Phase::Ready if r.repairs.is_some_and(|r| r.waits) && own.mends(r, cap, now) => {
            Next::Restore(State::Changing, r.reason.clone())
        }
        Phase::Ready => Next::LookClosely,
        // A part is tried again by the whole, which counts how often.
        Phase::Failed if r.part_of.is_none() && own.mends(r, cap, now) => {
            Next::Restore(State::Changing, format!("it is brought back: {}", s.reason))
        }
        // A site may know more of a failure at one look than at the next.
        Phase::Failed | Phase::DeleteFailed
            if settled_failed && r.reason.starts_with(&s.reason) =>
        {
            Next::Failed(r.reason.clone())
        }
        Phase::Failed | Phase::DeleteFailed => Next::Failed(s.reason.clone()),
    }
}

/// How long a create that was begun may still take effect, or be half written.
fn comes_until(attempt: &Attempt, cap: &Capability) -> Timestamp {
    attempt.at.plus(cap.late.max(cap.visibility))
}

/// What is there is to go.
struct Out {
    by: Effect,
    meanwhile: State,
    /// What is done when it is gone.
    then: Next,
}

/// How, where it is to go: for good, or for another one in its stead.
fn going(r: &ResourceRecord) -> Option<Out> {
    match r.wanted {
        Wanted::Absent => Some(Out {
            by: Effect::Destroy,
            meanwhile: State::Releasing,
            then: Next::Gone,
        }),
        _ => r.is_replaced().then_some(Out {
            by: Effect::Replace,
            meanwhile: State::Changing,
            then: Next::Act(Effect::Create),
        }),
    }
}

impl Out {
    /// To replace it has been tried often or long enough.
    fn is_given_up(&self, r: &ResourceRecord, now: Timestamp, own: &Own<'_>) -> bool {
        self.by == Effect::Replace && gives_up(r, now, own.destroy_tries)
    }
}

/// Whether what will not go is not tried again: after so many refusals, or
/// when the time is over.
pub(crate) fn gives_up(r: &ResourceRecord, now: Timestamp, tries: u32) -> bool {
    r.tries >= tries || r.deadline.is_some_and(|d| d <= now)
}

/// How long a destroy that failed is left alone: 1 s, doubled up to a minute.
fn again(tries: u32) -> Duration {
    Duration::from_secs((1u64 << tries.min(6)).min(60))
}

/// Nobody knows what came of a change to something else than is wanted now. To
/// repeat a change is harmless; two different ones must not overtake each
/// other, even where the first was repeated and is done: the late one would
/// undo what is done now, and may take more than is charged.
fn may_become_another(r: &ResourceRecord, cap: &Capability, now: Timestamp) -> bool {
    let another = |a: &Attempt| a.spec.as_ref().is_some_and(|spec| *spec != r.place.spec);
    r.open_changes(cap.late, now).any(another)
}

/// The site said yes to this effect so shortly ago that it may not show yet.
fn accepted(r: &ResourceRecord, cap: &Capability, effect: Effect, now: Timestamp) -> bool {
    const GRACE: Duration = Duration::from_secs(5);
    let grace = cap.visibility.max(GRACE);
    r.attempt.as_ref().is_some_and(|a| {
        a.effect == effect && a.accepted && a.generation == r.generation && now < a.at.plus(grace)
    })
}

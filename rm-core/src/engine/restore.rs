//! Bringing back what somebody stopped, changed or deleted behind our back,
//! where the policy says so, and not for ever.

use std::time::Duration;

use serde_json::json;

use super::decide::Own;
use super::write::see;
use crate::backend::{Absence, Capability, Resize};
use crate::env::Timestamp;
use crate::host::Core;
use crate::life::{State, Wanted};
use crate::policy::Repair;
use crate::record::{Repairs, ResourceRecord};
use crate::store::Batch;

/// After so many times somebody means it.
const TIMES: u32 = 5;

/// What works for so long after the last time is brought back as if for the
/// first time.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// How long after the first time the second one is; the next ones are four
/// times later each.
const PAUSE: Duration = Duration::from_secs(60);

/// Whether something is brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Not at all, or no more.
    Never,
    /// Not before this moment.
    At(Timestamp),
    /// Now.
    Now,
}

impl Own<'_> {
    /// Whether what is gone is made again. What is a part is tried again by the
    /// whole, which counts how often.
    pub(super) fn remakes(&self, r: &ResourceRecord, cap: &Capability, now: Timestamp) -> bool {
        r.part_of.is_none() && cap.absence != Absence::None && self.turn(r, cap, now) == Turn::Now
    }

    /// Whether what is there is changed to what is wanted.
    pub(super) fn mends(&self, r: &ResourceRecord, cap: &Capability, now: Timestamp) -> bool {
        self.mending(r, cap, now) == Turn::Now
    }

    /// When it is.
    pub(super) fn mending(&self, r: &ResourceRecord, cap: &Capability, now: Timestamp) -> Turn {
        match cap.resize {
            Resize::InPlace => self.turn(r, cap, now),
            // Another one in its stead would not have what is on it.
            Resize::Replace | Resize::None => Turn::Never,
        }
    }

    fn turn(&self, r: &ResourceRecord, cap: &Capability, now: Timestamp) -> Turn {
        match self.repair {
            Repair::Restore => turn(r, cap, now),
            Repair::Never | Repair::Recreate => Turn::Never,
        }
    }
}

/// When something that is not as it was is brought back, where that is the
/// policy: what worked, and what was to be brought back before.
fn turn(r: &ResourceRecord, cap: &Capability, now: Timestamp) -> Turn {
    let worked = match r.seen {
        State::Ready | State::Unknown => true,
        State::Failed => r.repairs.is_some(),
        _ => false,
    };
    if !worked || cap.billing_commit || matches!(r.wanted, Wanted::Absent | Wanted::Reserved) {
        return Turn::Never;
    }
    let Some(repairs) = counted(r, now) else {
        return Turn::Now;
    };
    if repairs.times >= TIMES {
        return Turn::Never;
    }
    let pause = PAUSE * 4u32.pow(repairs.times.saturating_sub(1).min(TIMES));
    match repairs.last.plus(pause) {
        at if at <= now => Turn::Now,
        at => Turn::At(at),
    }
}

/// What counts yet of what was brought back before.
fn counted(r: &ResourceRecord, now: Timestamp) -> Option<Repairs> {
    let works = |repairs: &Repairs| r.seen != State::Failed && !repairs.waits;
    r.repairs
        .filter(|repairs| !works(repairs) || now < repairs.last.plus(FORGOTTEN))
}

/// The intent to have it as it is wanted once more. Until that is seen to be so
/// it is in this state: nothing, where it is gone.
pub(super) fn restore(
    core: &Core,
    r: &mut ResourceRecord,
    batch: &mut Batch,
    meanwhile: State,
    reason: &str,
) {
    let now = core.env.now();
    let times = counted(r, now).map_or(0, |repairs| repairs.times) + 1;
    r.renew_intent();
    r.repairs = Some(Repairs {
        times,
        last: now,
        waits: false,
    });
    r.tries = 0;
    r.looks = 0;
    r.deadline = None;
    batch.events.push(core.event(
        r,
        "repairing",
        json!({"generation": r.generation, "times": times, "reason": reason}),
    ));
    see(r, meanwhile, reason);
}

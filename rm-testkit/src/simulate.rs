//! The engine under faults: random schedules, and every fault and pair of
//! faults at every boundary.
//!
//! Everything runs in simulated worlds, one for each schedule, on every core;
//! a seed decides all of it, and the same seed gives the same run.
//!
//! | to know | read |
//! |---|---|
//! | what goes wrong | [`Kind`] |
//! | what must never come of it | [`Harm`] |
//! | many schedules by chance | [`random`], [`replay`] |
//! | all there are, for one cluster | [`exhaustive`], [`replay_trial`] |

mod again;
mod exhaustive;
mod harm;
mod judge;
mod kind;
mod lasted;
mod many;
mod mischief;
mod others;
mod report;
mod schedule;
mod setting;
mod sibling;
mod trial;

pub use again::replay_trial;
pub use exhaustive::{Class, Exhaustive, exhaustive};
pub use harm::{Found, Harm};
pub use kind::{KINDS, Kind, Suffered};
pub use many::{Random, random, replay};
pub use trial::Part;

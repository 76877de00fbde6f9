//! The life of a resource: what is wanted, what is seen, and which verbs are
//! legal when.
//!
//! *Wanted* changes by verbs only, *seen* by looking only. What is seen is
//! never refused: reality moves as it likes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// What the owner wants of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// It shall not be.
    Absent,
    /// Its place is kept, nothing is made yet.
    Reserved,
    /// It exists and does not run.
    Stopped,
    /// It runs.
    Running,
}

impl Wanted {
    /// Every value, for tables and tests.
    pub const ALL: [Self; 4] = [Self::Absent, Self::Reserved, Self::Stopped, Self::Running];
}

/// What is seen of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing is there, and nothing was begun.
    Nothing,
    /// It is being made.
    Building,
    /// It is as wanted.
    Ready,
    /// It is being changed.
    Changing,
    /// It is on its way to a stop.
    Stopping,
    /// It is there and broken, or it was there and is no more.
    Failed,
    /// It is being destroyed.
    Releasing,
    /// It will not go, or it cannot be told whose it is: a person must decide.
    Quarantined,
    /// The site does not say.
    Unknown,
}

impl State {
    /// Every value, for tables and tests.
    pub const ALL: [Self; 9] = [
        Self::Nothing,
        Self::Building,
        Self::Ready,
        Self::Changing,
        Self::Stopping,
        Self::Failed,
        Self::Releasing,
        Self::Quarantined,
        Self::Unknown,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Building => "building",
            Self::Ready => "ready",
            Self::Changing => "changing",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
            Self::Releasing => "releasing",
            Self::Quarantined => "quarantined",
            Self::Unknown => "unknown",
        }
    }

    /// Whether nothing more will happen by itself, apart from drift.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Ready | Self::Failed | Self::Quarantined)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What can be asked of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Run it.
    Start,
    /// Stop it.
    Stop,
    /// Give it another spec.
    Change,
    /// One more caller holds it.
    Join,
    /// Give a hold another end.
    Renew,
    /// Give up a hold; the last one releases the resource.
    Release,
    /// Try again what failed.
    Retry,
    /// Take what is at the site for its own.
    Adopt,
    /// Forget it, whatever is left of it at the site.
    Abandon,
}

impl Verb {
    /// Every value, for tables and tests.
    pub const ALL: [Self; 9] = [
        Self::Start,
        Self::Stop,
        Self::Change,
        Self::Join,
        Self::Renew,
        Self::Release,
        Self::Retry,
        Self::Adopt,
        Self::Abandon,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Change => "change",
            Self::Join => "join",
            Self::Renew => "renew",
            Self::Release => "delete",
            Self::Retry => "retry",
            Self::Adopt => "adopt",
            Self::Abandon => "abandon",
        }
    }

    /// Whether the verb is legal, and if not, why.
    ///
    /// This is the table of verbs; every door takes its answers from here.
    pub fn check(self, wanted: Wanted, seen: State) -> Result<()> {
        use State as S;
        use Wanted as W;
        let going = "it is being deleted";
        let held = "it is in quarantine";
        let refusal = match (self, wanted, seen) {
            (Self::Retry, _, S::Failed | S::Quarantined) => None,
            (Self::Retry, ..) => Some("there is nothing to try again"),
            (Self::Adopt | Self::Abandon, _, S::Quarantined) => None,
            (Self::Adopt, ..) => Some("only what is in quarantine can be adopted"),
            (Self::Abandon, ..) => Some("only what is in quarantine can be abandoned"),
            (Self::Release, W::Absent, _) => Some("it is being deleted already"),
            (Self::Release, ..) => None,
            (_, W::Absent, _) => Some(going),
            (Self::Renew, ..) => None,
            (_, _, S::Quarantined) => Some(held),
            (Self::Join, _, S::Failed) => Some("it has failed"),
            (Self::Start, W::Running, _) => Some("it is running or on its way"),
            (Self::Stop, W::Stopped | W::Reserved, _) => Some("it is not running"),
            (Self::Start | Self::Stop | Self::Change | Self::Join, ..) => None,
        };
        match refusal {
            None => Ok(()),
            Some(why) => Err(Error::new(
                ErrorKind::Busy,
                format!("\"{}\" is not possible now: {why}", self.as_str()),
            )
            .advice(match (wanted, seen) {
                (W::Absent, _) => "look at it again in a while, or ask for a new one",
                (_, S::Quarantined) => "an operator can retry, adopt or abandon it",
                _ => "look at its state first",
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_deleted_takes_no_verb_but_the_ways_out_of_quarantine() {
        for seen in State::ALL {
            for verb in [
                Verb::Start,
                Verb::Stop,
                Verb::Change,
                Verb::Join,
                Verb::Renew,
                Verb::Release,
            ] {
                assert!(verb.check(Wanted::Absent, seen).is_err(), "{verb:?} {seen}");
            }
        }
    }

    #[test]
    fn whatever_is_wanted_and_seen_the_owner_can_let_go() {
        for wanted in [Wanted::Reserved, Wanted::Stopped, Wanted::Running] {
            for seen in State::ALL {
                assert!(Verb::Release.check(wanted, seen).is_ok());
            }
        }
    }

    #[test]
    fn every_refusal_says_why_and_what_to_do() {
        for wanted in Wanted::ALL {
            for seen in State::ALL {
                for verb in Verb::ALL {
                    if let Err(e) = verb.check(wanted, seen) {
                        assert_eq!(e.kind(), ErrorKind::Busy);
                        assert!(e.next().is_some());
                    }
                }
            }
        }
    }
}

//! Signals: what happened, typed, for whoever listens in the process.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::event::{self, Event};
use crate::host::Core;
use crate::id::Kind;
use crate::life::State;

/// What an event says, for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// A resource of this kind is seen in another state, or for another reason.
    Seen(Kind, State),
    /// A resource was asked for.
    Requested(Kind),
    /// Another spec was asked for.
    ChangeRequested(Kind),
    /// The site refused another spec; what was there stays.
    ChangeRefused(Kind),
    /// What is only reserved is to be made.
    MakeRequested(Kind),
    /// What is stopped or only reserved is to run.
    StartRequested(Kind),
    /// What failed or is in quarantine is tried again.
    Retried(Kind),
    /// An operator said what at the site is its thing.
    Adopted(Kind),
    /// An effect was begun or accepted, and it is seen as before.
    Step(Kind),
    /// One more caller holds it.
    Joined(Kind),
    /// A hold has another end.
    Renewed(Kind),
    /// Somebody else may see and use it.
    Granted(Kind),
    /// Somebody else may see and use it no more.
    Revoked(Kind),
    /// A hold was given up.
    Released(Kind),
    /// A hold's lease is over.
    Expired(Kind),
    /// It is seen to be gone.
    Gone(Kind),
    /// An operator gave it up, whatever is left at the site.
    Abandoned(Kind),
    /// It is made at another place than the first.
    Moved(Kind),
    /// Its record was made anew from what is at the site.
    Restored(Kind),
    /// Somebody changed it at the site.
    Drifted(Kind),
    /// A long call is so far.
    Progress(Kind),
    /// An entry of the catalog came, changed or went; the word is the event's.
    Catalog(String),
    /// A callback began, changed or ended; the word is the event's.
    Callback(String),
    /// Something at a site that bears our mark and is no record's; the word is
    /// the event's.
    Orphan(String),
    /// Something else; the word is the event's.
    Other(String),
}

impl Signal {
    /// What an event says.
    pub fn of(event: &Event) -> Self {
        let what = event.event.what.as_str();
        if what.starts_with("catalog.") {
            return Self::Catalog(what.to_owned());
        }
        if what.starts_with("callback.") {
            return Self::Callback(what.to_owned());
        }
        if what.starts_with("orphan.") {
            return Self::Orphan(what.to_owned());
        }
        let Some((kind, verb)) = what.rsplit_once('.') else {
            return Self::Other(what.to_owned());
        };
        let kind = Kind::new(kind);
        if let Some(state) = State::ALL.into_iter().find(|s| s.as_str() == verb) {
            return Self::Seen(kind, state);
        }
        match verb {
            "requested" => Self::Requested(kind),
            "change-requested" => Self::ChangeRequested(kind),
            "change-refused" => Self::ChangeRefused(kind),
            "make-requested" => Self::MakeRequested(kind),
            "start-requested" => Self::StartRequested(kind),
            "retried" => Self::Retried(kind),
            "adopted" => Self::Adopted(kind),
            "step" => Self::Step(kind),
            "joined" => Self::Joined(kind),
            "renewed" => Self::Renewed(kind),
            "granted" => Self::Granted(kind),
            "revoked" => Self::Revoked(kind),
            "released" => Self::Released(kind),
            "expired" => Self::Expired(kind),
            "gone" => Self::Gone(kind),
            "abandoned" => Self::Abandoned(kind),
            "moved" => Self::Moved(kind),
            "restored" => Self::Restored(kind),
            "drifted" => Self::Drifted(kind),
            "progress" => Self::Progress(kind),
            _ => Self::Other(what.to_owned()),
        }
    }
}

/// Events as they are committed, in commit order, from a cursor on. None is
/// lost and none comes twice, also of what other processes commit.
#[derive(Debug)]
pub struct Subscription {
    core: Arc<Core>,
    after: u64,
}

impl Subscription {
    pub(crate) fn new(core: Arc<Core>, after: u64) -> Self {
        Self { core, after }
    }

    /// The next events, at least one; waits until there is one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) with the code `events-lost`
    /// where some of the next are no longer kept: said once, and the call
    /// after it goes on with the oldest that is.
    pub async fn next(&mut self) -> Result<Vec<Event>> {
        loop {
            let heard = self.core.bell.rung();
            let (events, lost) = event::tail(&self.core, None, self.after, 256).await?;
            if let Some(lost) = lost {
                self.after = lost.until;
                return Err(lost.error());
            }
            if let Some(last) = events.last() {
                self.after = last.seq;
                return Ok(events);
            }
            self.core.news(heard, Duration::from_secs(1)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Timestamp;
    use crate::event::NewEvent;

    fn of(what: &str) -> Signal {
        Signal::of(&Event {
            seq: 1,
            event: NewEvent {
                at: Timestamp::from_millis(0),
                what: what.to_owned(),
                tenant: None,
                resource: None,
                audience: Vec::new(),
                data: serde_json::Value::Null.into(),
            },
        })
    }

    #[test]
    fn every_event_of_a_resource_has_a_signal_of_its_own() {
        type Made = fn(Kind) -> Signal;
        let verbs: [(&str, Made); 21] = [
            ("requested", Signal::Requested),
            ("change-requested", Signal::ChangeRequested),
            ("change-refused", Signal::ChangeRefused),
            ("make-requested", Signal::MakeRequested),
            ("start-requested", Signal::StartRequested),
            ("retried", Signal::Retried),
            ("adopted", Signal::Adopted),
            ("step", Signal::Step),
            ("joined", Signal::Joined),
            ("renewed", Signal::Renewed),
            ("granted", Signal::Granted),
            ("revoked", Signal::Revoked),
            ("released", Signal::Released),
            ("expired", Signal::Expired),
            ("gone", Signal::Gone),
            ("abandoned", Signal::Abandoned),
            ("moved", Signal::Moved),
            ("restored", Signal::Restored),
            ("drifted", Signal::Drifted),
            ("progress", Signal::Progress),
            ("quarantined", |kind| Signal::Seen(kind, State::Quarantined)),
        ];
        for (verb, signal) in verbs {
            // The name of a kind may have dots itself.
            for kind in [Kind::CLUSTER, Kind::new("vm.lxc")] {
                assert_eq!(of(&format!("{kind}.{verb}")), signal(kind), "{verb}");
            }
        }
        for state in State::ALL {
            let seen = Signal::Seen(Kind::CLUSTER, state);
            assert_eq!(of(&format!("cluster.{state}")), seen);
        }
    }

    #[test]
    fn events_of_other_things_keep_their_word() {
        for (what, signal) in [
            ("catalog.site.added", Signal::Catalog as fn(String) -> _),
            ("callback.ended", Signal::Callback),
            ("orphan.reclaimed", Signal::Orphan),
            ("toy.made", Signal::Other),
            ("toy", Signal::Other),
        ] {
            assert_eq!(of(what), signal(what.to_owned()));
        }
    }
}

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
    /// One more caller holds it.
    Joined(Kind),
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
    /// Somebody changed it at the site.
    Drifted(Kind),
    /// A long call is so far.
    Progress(Kind),
    /// An entry of the catalog came, changed or went; the word is the event's.
    Catalog(String),
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
            "joined" => Self::Joined(kind),
            "released" => Self::Released(kind),
            "expired" => Self::Expired(kind),
            "gone" => Self::Gone(kind),
            "abandoned" => Self::Abandoned(kind),
            "moved" => Self::Moved(kind),
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

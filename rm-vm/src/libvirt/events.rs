//! What libvirt tells, as a driver tells it.

use futures_util::stream::{self, BoxStream, StreamExt};
use rm_libvirt::{Change, Event as Told, Events};

use crate::driver::{Event, State};

/// It outlives connections: whatever may have been overheard is told.
pub(super) fn stream(events: Events) -> BoxStream<'static, Event> {
    let next = |mut events: Events| async move {
        loop {
            let event = match events.next().await? {
                Told::Lifecycle(life) => Event::Domain {
                    state: state(life.change),
                    name: life.domain.name,
                },
                Told::Connected | Told::Missed(_) => Event::Listening,
                // There is nobody to be looked at; the next connection tells.
                _ => continue,
            };
            return Some((event, events));
        }
    };
    stream::unfold(events, next).boxed()
}

fn state(change: Change) -> Option<State> {
    match change {
        Change::Started | Change::Resumed => Some(State::Running),
        Change::Suspended | Change::PmSuspended => Some(State::Suspended),
        Change::Stopped => Some(State::Stopped),
        Change::Shutdown => Some(State::Moving),
        Change::Crashed => Some(State::Crashed),
        _ => None,
    }
}

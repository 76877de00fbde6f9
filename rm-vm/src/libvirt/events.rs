//! What libvirt tells, as a driver tells it.

use futures_util::stream::{self, BoxStream, StreamExt};
use rm_libvirt::{Change, Event as Told, Events};

use crate::driver::{Event, State};

/// It ends where something may have been overheard.
pub(super) fn stream(events: Events) -> BoxStream<'static, Event> {
    let next = |mut events: Events| async move {
        loop {
            match events.next().await? {
                Told::Lifecycle(life) => {
                    let event = Event {
                        state: state(life.change),
                        name: life.domain.name,
                    };
                    return Some((event, events));
                }
                // That it begins is no loss.
                Told::Connected => {}
                _ => return None,
            }
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

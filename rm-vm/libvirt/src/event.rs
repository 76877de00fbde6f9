//! What happens to domains, told by the server.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::domain::Domain;
use crate::error::{Down, Malformed};
use crate::xdr::Reader;

/// What a subscriber hears.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A connection is there, and events come from now on. What was known of
    /// domains before may be wrong: list them now.
    Connected,
    /// The connection ended. What happens until the next
    /// [`Connected`](Self::Connected) is not told.
    Disconnected(Arc<Down>),
    /// The subscriber is too slow, and this many events were dropped: list
    /// the domains again.
    Missed(u64),
    /// Something happened to a domain.
    Lifecycle(Lifecycle),
}

/// Something happened to a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifecycle {
    /// The domain. Its id is the one it had before or after, by the driver's habit.
    pub domain: Domain,
    /// What happened.
    pub change: Change,
    /// Why, as a number of libvirt's for this change; [`Stopped`] for a domain
    /// that stopped.
    pub detail: i32,
}

impl Lifecycle {
    /// Why a domain stopped.
    pub fn stopped(&self) -> Option<Stopped> {
        if self.change != Change::Stopped {
            return None;
        }
        Some(match self.detail {
            0 => Stopped::Shutdown,
            1 => Stopped::Destroyed,
            2 => Stopped::Crashed,
            3 => Stopped::Migrated,
            4 => Stopped::Saved,
            5 => Stopped::Failed,
            6 => Stopped::FromSnapshot,
            other => Stopped::Other(other),
        })
    }
}

/// What happened to a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// Its definition was made or changed.
    Defined,
    /// Its definition is gone.
    Undefined,
    /// It runs.
    Started,
    /// It is paused.
    Suspended,
    /// It runs again.
    Resumed,
    /// It does not run any more.
    Stopped,
    /// The guest has shut down, and will stop.
    Shutdown,
    /// The guest has put itself to sleep.
    PmSuspended,
    /// The guest has crashed.
    Crashed,
    /// Something that is not known here.
    Other(i32),
}

/// Why a domain stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stopped {
    /// The guest shut down.
    Shutdown,
    /// It was destroyed.
    Destroyed,
    /// It crashed.
    Crashed,
    /// It moved to another host.
    Migrated,
    /// Its state was saved.
    Saved,
    /// The host could not run it.
    Failed,
    /// A snapshot of a stopped domain was gone back to.
    FromSnapshot,
    /// Something that is not known here.
    Other(i32),
}

pub(crate) fn decode(payload: &[u8]) -> Result<Event, Malformed> {
    let mut reader = Reader::new(payload);
    // There is one registration in a connection, so its number says nothing.
    let _registration = reader.i32()?;
    let domain = Domain::decode(&mut reader)?;
    let change = match reader.i32()? {
        0 => Change::Defined,
        1 => Change::Undefined,
        2 => Change::Started,
        3 => Change::Suspended,
        4 => Change::Resumed,
        5 => Change::Stopped,
        6 => Change::Shutdown,
        7 => Change::PmSuspended,
        8 => Change::Crashed,
        other => Change::Other(other),
    };
    let detail = reader.i32()?;
    reader.end()?;
    Ok(Event::Lifecycle(Lifecycle {
        domain,
        change,
        detail,
    }))
}

/// A subscription. It keeps the connection alive.
#[derive(Debug)]
pub struct Events {
    /// Whether it is still to be told that there is a connection.
    pub(crate) connected: bool,
    /// Whether that was told, and the connection has not ended since.
    pub(crate) begun: bool,
    pub(crate) heard: Receiver<Event>,
    pub(crate) _client: crate::Client,
}

impl Events {
    /// The next event; first of all [`Event::Connected`] if there is a
    /// connection. `None` once nobody runs the connection any more. May be
    /// cancelled without losing anything.
    pub async fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.connected) {
            self.begun = true;
            return Some(Event::Connected);
        }
        loop {
            let event = match self.heard.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(count)) => Event::Missed(count),
                Err(RecvError::Closed) => return None,
            };
            match event {
                Event::Connected => self.begun = true,
                Event::Disconnected(_) => self.begun = false,
                // A connection tells before it is known to be ready: that is
                // among what was there when it began.
                Event::Lifecycle(_) if !self.begun => continue,
                _ => {}
            }
            return Some(event);
        }
    }
}

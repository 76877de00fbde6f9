//! How a client behaves.

use std::time::Duration;

use crate::uri::Uri;

/// What a client is made of; [`Config::new`] has values for everything but the URI.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Which libvirt, and by which way.
    pub uri: Uri,
    /// How long a call may take, the wait for a connection included: 30 s.
    /// [`Client::within`](crate::Client::within) changes it for single calls.
    pub call_timeout: Duration,
    /// How long it may take until a connection is ready: 10 s.
    pub connect_timeout: Duration,
    /// How many calls the server works on at the same time: 4.
    ///
    /// A server stops reading after its `max_client_requests` (5 unless
    /// configured otherwise). One place is left, or it would not even answer
    /// whether it is alive.
    pub in_flight: usize,
    /// When to ask a silent server whether it is alive; `None`: never.
    pub keepalive: Option<Keepalive>,
    /// How long to wait after a failed attempt to connect, doubled with each
    /// failure: from 50 ms...
    pub retry_first: Duration,
    /// ...to 2 s.
    pub retry_most: Duration,
    /// How many events are kept for a subscriber that does not read: 4096.
    /// One that is slower than that is told so with
    /// [`Event::Missed`](crate::Event::Missed).
    pub events_kept: usize,
}

/// When to ask a silent server whether it is alive, and when to give it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// After how long a silence to ask: 5 s.
    pub interval: Duration,
    /// After how many questions without an answer the connection is given up: 5.
    pub count: u32,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            count: 5,
        }
    }
}

impl Config {
    /// A client of this libvirt.
    pub fn new(uri: Uri) -> Self {
        Self {
            uri,
            call_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            in_flight: 4,
            keepalive: Some(Keepalive::default()),
            retry_first: Duration::from_millis(50),
            retry_most: Duration::from_secs(2),
            events_kept: 4096,
        }
    }
}

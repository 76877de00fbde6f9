//! The life of a client's connection: made, made ready, lost, made again.

use std::sync::Arc;

use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep, timeout_at};

use crate::client::{Line, decode};
use crate::config::Config;
use crate::error::{Down, Error, Malformed, Result};
use crate::event::Event;
use crate::procedure::{AUTH_LIST, AUTH_POLKIT, EVENT_REGISTER, OPEN, Procedure, SUPPORTS_FEATURE};
use crate::session::Session;
use crate::xdr::{Reader, Writer};
use crate::{Code, transport};

/// Ways to authenticate.
const AUTH_NONE: u32 = 0;
const AUTH_BY_POLKIT: u32 = 2;
/// Asked for, it makes the server look after us as we look after it.
const FEATURE_KEEPALIVE: i32 = 10;
/// The kind of events that [`Event::Lifecycle`] tells.
const EVENTS_OF_LIFE: i32 = 0;

/// The connection of a [`Client`](crate::Client). Somebody must run it.
#[derive(Debug)]
#[must_use = "a client has a connection only while this is run"]
pub struct Connection {
    pub(crate) config: Config,
    line: watch::Sender<Line>,
    events: broadcast::Sender<Event>,
}

impl Connection {
    pub(crate) fn new(
        config: Config,
    ) -> (Self, watch::Receiver<Line>, broadcast::WeakSender<Event>) {
        let (line, watched) = watch::channel(Line::Connecting);
        let events = broadcast::Sender::new(config.events_kept.max(1));
        let weak = events.downgrade();
        let connection = Self {
            config,
            line,
            events,
        };
        (connection, watched, weak)
    }

    /// Keep a connection until the last client and the last subscription are
    /// gone. It never gives up: while the server is away, calls fail at once
    /// and it is tried again and again.
    pub async fn run(self) {
        let mut pause = self.config.retry_first;
        loop {
            let (was_up, why) = tokio::select! {
                biased;
                () = self.line.closed() => return,
                end = self.once() => end,
            };
            if was_up {
                // The next attempt comes soon, and calls may wait for it.
                self.line.send_replace(Line::Connecting);
                let _ = self.events.send(Event::Disconnected(why));
                pause = self.config.retry_first;
            } else {
                self.line.send_replace(Line::Down(why));
            }
            tokio::select! {
                biased;
                () = self.line.closed() => return,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(self.config.retry_most);
        }
    }

    /// One connection: whether it was ready for calls, and how it ended.
    async fn once(&self) -> (bool, Arc<Down>) {
        let deadline = Instant::now() + self.config.connect_timeout;
        let slow = || Down::Slow(self.config.connect_timeout);
        let connected = timeout_at(deadline, transport::connect(&self.config.uri.transport));
        let stream = match connected.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(down)) => return (false, Arc::new(down)),
            Err(_) => return (false, Arc::new(slow())),
        };
        let session = Session::new(&self.config, self.events.downgrade());
        let mut was_up = false;
        let made_ready = async {
            match timeout_at(deadline, self.make_ready(&session)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return refused(error),
                Err(_) => return Arc::new(slow()),
            }
            was_up = true;
            self.line.send_replace(Line::Up(Arc::clone(&session)));
            let _ = self.events.send(Event::Connected);
            std::future::pending().await
        };
        let why = tokio::select! {
            biased;
            why = session.pump(stream) => why,
            why = made_ready => why,
        };
        (was_up, why)
    }

    async fn make_ready(&self, session: &Arc<Session>) -> Result<()> {
        let ways = ask(session, AUTH_LIST, Writer::new(), |answer| {
            let count = answer.count(4)?;
            (0..count)
                .map(|_| answer.u32())
                .collect::<Result<Vec<_>, _>>()
        });
        let ways = ways.await?;
        if ways.contains(&AUTH_BY_POLKIT) {
            ask(session, AUTH_POLKIT, Writer::new(), |answer| answer.i32()).await?;
        } else if !ways.is_empty() && !ways.contains(&AUTH_NONE) {
            return Err(Error::Config(
                "the server wants authentication by SASL, which this client does not have; \
                 let it accept certificates alone"
                    .to_owned(),
            ));
        }
        let mut open = Writer::new();
        open.optional(Some(&self.config.uri.remote_name())).u32(0);
        ask(session, OPEN, open, |_| Ok(())).await?;
        let mut events = Writer::new();
        events.i32(EVENTS_OF_LIFE).u32(0);
        match ask(session, EVENT_REGISTER, events, |answer| answer.i32()).await {
            // A driver without events is used without.
            Err(error) if error.code() == Some(Code::NO_SUPPORT) => {}
            registered => drop(registered?),
        }
        if self.config.keepalive.is_some() {
            let mut feature = Writer::new();
            feature.i32(FEATURE_KEEPALIVE);
            ask(session, SUPPORTS_FEATURE, feature, |answer| answer.i32()).await?;
        }
        Ok(())
    }
}

async fn ask<T>(
    session: &Arc<Session>,
    procedure: Procedure,
    arguments: Writer,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<T> {
    let mut answer = session.call(procedure, arguments, None).await?;
    let bytes = answer.arrives().await?;
    decode(procedure, &bytes, read)
}

fn refused(error: Error) -> Arc<Down> {
    match error {
        Error::Lost { why, .. } | Error::Unreachable(why) => why,
        Error::Unreadable { why, .. } => Arc::new(why.into()),
        other => Arc::new(Down::Refused(other.to_string())),
    }
}

//! What callers hold.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, timeout_at};

use crate::config::Config;
use crate::connection::Connection;
use crate::error::{Down, Error, Malformed, Result};
use crate::event::{Event, Events};
use crate::procedure::Procedure;
use crate::session::{Answer, Session};
use crate::stream::{self, Output, Stream};
use crate::xdr::{Reader, Writer};

/// Whether there is a connection.
#[derive(Debug)]
pub(crate) enum Line {
    /// Soon it will be known: calls wait.
    Connecting,
    Up(Arc<Session>),
    /// Calls fail.
    Down(Arc<Down>),
}

/// A client of one libvirt. Clones share its connection.
///
/// Calls overlap: any number may be made at once, and at most
/// [`Config::in_flight`] are with the server. Dropping the future of a call is
/// safe. One that has not been sent yet is not sent; one that has been is
/// carried out, and its answer is dropped.
#[derive(Clone, Debug)]
pub struct Client {
    line: watch::Receiver<Line>,
    events: broadcast::WeakSender<Event>,
    timeout: Duration,
}

impl Client {
    /// A client, and the connection that somebody must run for it.
    pub fn new(config: Config) -> (Self, Connection) {
        let (connection, line, events) = Connection::new(config);
        let client = Self {
            line,
            events,
            timeout: connection.config.call_timeout,
        };
        (client, connection)
    }

    /// The same client, whose calls may take so long.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Self {
        Self {
            timeout,
            ..self.clone()
        }
    }

    /// Wait until there is a connection, or until it is known why there is none.
    pub async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + self.timeout;
        self.session(deadline).await.map(drop)
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        // Subscribed first and asked then, so that no connection is overlooked.
        let heard = match self.events.upgrade() {
            Some(events) => events.subscribe(),
            // Nobody runs the connection: the subscription is at its end.
            None => broadcast::channel(1).1,
        };
        Events {
            connected: matches!(*self.line.borrow(), Line::Up(_)),
            begun: false,
            heard,
            _client: self.clone(),
        }
    }

    async fn session(&self, deadline: Instant) -> Result<Arc<Session>> {
        let unreachable = |down| Error::Unreachable(Arc::new(down));
        let mut line = self.line.clone();
        let known = line.wait_for(|line| !matches!(line, Line::Connecting));
        match timeout_at(deadline, known).await {
            Err(_) => Err(unreachable(Down::Slow(self.timeout))),
            Ok(Err(_)) => Err(unreachable(Down::NotRun)),
            Ok(Ok(line)) => match &*line {
                Line::Up(session) => Ok(Arc::clone(session)),
                Line::Down(why) => Err(Error::Unreachable(Arc::clone(why))),
                // It was waited for the opposite.
                Line::Connecting => Err(unreachable(Down::NotRun)),
            },
        }
    }

    /// One call, and its answer as `read` understands it.
    pub(crate) async fn call<T>(
        &self,
        procedure: Procedure,
        arguments: Writer,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
    ) -> Result<T> {
        let deadline = Instant::now() + self.timeout;
        let session = self.session(deadline).await?;
        let (_, bytes) = self
            .exchange(&session, deadline, procedure, arguments, None)
            .await?;
        decode(procedure, &bytes, read)
    }

    /// A call whose answer says no more than that it was done.
    pub(crate) async fn order(&self, procedure: Procedure, arguments: Writer) -> Result<()> {
        self.call(procedure, arguments, |_| Ok(())).await
    }

    /// A call that opens a stream.
    pub(crate) async fn open_stream(
        &self,
        procedure: Procedure,
        arguments: Writer,
    ) -> Result<Stream> {
        let deadline = Instant::now() + self.timeout;
        let session = self.session(deadline).await?;
        let (output, input) = stream::channel();
        let (answer, _) = self
            .exchange(&session, deadline, procedure, arguments, Some(output))
            .await?;
        Ok(Stream::new(session, answer.serial(), procedure, input))
    }

    /// Something that ends a call, within the time of one.
    pub(crate) async fn in_time<T>(
        &self,
        procedure: Procedure,
        end: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let ended = tokio::time::timeout(self.timeout, end).await;
        ended.unwrap_or(Err(Error::Deadline {
            call: procedure.name,
            effect: procedure.doubt(),
            waited: self.timeout,
        }))
    }

    async fn exchange(
        &self,
        session: &Arc<Session>,
        deadline: Instant,
        procedure: Procedure,
        arguments: Writer,
        output: Option<Output>,
    ) -> Result<(Answer, Vec<u8>)> {
        let late = |effect| Error::Deadline {
            call: procedure.name,
            effect,
            waited: self.timeout,
        };
        let called = session.call(procedure, arguments, output);
        let mut answer = match timeout_at(deadline, called).await {
            Ok(answer) => answer?,
            Err(_) => return Err(late(crate::Effect::None)),
        };
        match timeout_at(deadline, answer.arrives()).await {
            Ok(bytes) => Ok((answer, bytes?)),
            Err(_) => Err(late(answer.effect())),
        }
    }
}

/// What an answer says.
pub(crate) fn decode<T>(
    procedure: Procedure,
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<T> {
    let mut reader = Reader::new(bytes);
    let whole = read(&mut reader).and_then(|read| reader.end().map(|()| read));
    whole.map_err(|why| Error::Unreadable {
        call: procedure.name,
        effect: procedure.doubt(),
        why,
    })
}

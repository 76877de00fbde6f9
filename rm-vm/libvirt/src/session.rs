//! One connection from its first byte to its end: calls that overlap, told
//! apart by their serial numbers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, oneshot};

use crate::config::{Config, Keepalive};
use crate::error::{Down, Effect, Error, Malformed, Result};
use crate::event::{self, Event};
use crate::keepalive;
use crate::message::{self, Header, KEEPALIVE, Kind, REMOTE, REPLY_MAX, Status};
use crate::procedure::{EVENT_LIFECYCLE, Procedure};
use crate::stream::Output;
use crate::xdr::Writer;

/// Places for messages that are no calls: answers to pings, ends of streams.
const BESIDE: usize = 64;
/// How much is read at once.
const CHUNK: usize = 64 * 1024;
/// So much memory is taken for a message before any of it has come; then as
/// much as has.
const AT_FIRST: usize = 256 * 1024;

/// A message on its way out, and whether it is a call, which may have been
/// withdrawn before its turn came.
struct Outgoing {
    message: Vec<u8>,
    call: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Session {
    permits: Arc<Semaphore>,
    out: mpsc::Sender<Outgoing>,
    /// What the writer takes from; it is taken once.
    queue: Mutex<Option<mpsc::Receiver<Outgoing>>>,
    waiting: Mutex<Waiting>,
    /// Whether anything arrived since this was last asked.
    heard: AtomicBool,
    keepalive: Option<Keepalive>,
    events: broadcast::WeakSender<Event>,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing")
            .field("bytes", &self.message.len())
            .field("call", &self.call)
            .finish()
    }
}

#[derive(Debug, Default)]
struct Waiting {
    serial: u32,
    calls: HashMap<u32, Call>,
    /// From the call on that opens it, for a server may send what the stream
    /// has, and even that it has ended, before it answers.
    streams: HashMap<u32, (Procedure, Output)>,
    ended: Option<Arc<Down>>,
}

/// A call that has not been answered yet.
#[derive(Debug)]
struct Call {
    procedure: Procedure,
    /// Whether it may have been seen by the server.
    sent: bool,
    answer: oneshot::Sender<Result<Vec<u8>>>,
    /// The server works on it, whether somebody still waits for it or not.
    _permit: OwnedSemaphorePermit,
}

impl Call {
    fn lost(&self, why: &Arc<Down>) -> Error {
        Error::Lost {
            call: self.procedure.name,
            effect: self.procedure.effect(self.sent),
            why: Arc::clone(why),
        }
    }
}

impl Session {
    pub(crate) fn new(config: &Config, events: broadcast::WeakSender<Event>) -> Arc<Self> {
        let in_flight = config.in_flight.max(1);
        let (out, queue) = mpsc::channel(in_flight + BESIDE);
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(in_flight)),
            out,
            queue: Mutex::new(Some(queue)),
            waiting: Mutex::default(),
            heard: AtomicBool::new(false),
            keepalive: config.keepalive,
            events,
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it holds this.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wait for a place among the calls in flight, and queue this one.
    pub(crate) async fn call(
        self: &Arc<Self>,
        procedure: Procedure,
        arguments: Writer,
        output: Option<Output>,
    ) -> Result<Answer> {
        let call = procedure.name;
        let payload = arguments.finish();
        let payload = payload.map_err(|why| Error::Argument { call, why })?;
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let (answer, arrives) = oneshot::channel();
        let mut waiting = self.waiting();
        let (Ok(permit), None) = (permit, &waiting.ended) else {
            let why = waiting.ended.clone();
            let why = why.unwrap_or_else(|| Arc::new(Down::NotRun));
            return Err(Error::Unreachable(why));
        };
        // No serial is used twice while its call is not answered; zero is for events.
        let serial = loop {
            waiting.serial = waiting.serial.wrapping_add(1);
            let serial = waiting.serial;
            let used = waiting.calls.contains_key(&serial) || waiting.streams.contains_key(&serial);
            if serial != 0 && !used {
                break serial;
            }
        };
        let header = Header {
            program: REMOTE,
            procedure: procedure.number,
            kind: Kind::Call,
            serial,
            status: Status::Ok,
        };
        let queued = self.out.try_send(Outgoing {
            message: header.encode(&payload),
            call: Some(serial),
        });
        if queued.is_err() {
            return Err(Error::Unreachable(Arc::new(Down::Closed)));
        }
        let call = Call {
            procedure,
            sent: false,
            answer,
            _permit: permit,
        };
        waiting.calls.insert(serial, call);
        let stream = output.map(|output| (serial, (procedure, output)));
        waiting.streams.extend(stream);
        drop(waiting);
        Ok(Answer {
            serial,
            procedure,
            arrives,
            session: Arc::clone(self),
        })
    }

    /// Queue a message that nothing waits for. A server that makes us send
    /// more of them than it reads loses them.
    pub(crate) fn beside(&self, header: &Header) {
        let message = header.encode(&[]);
        let _ = self.out.try_send(Outgoing {
            message,
            call: None,
        });
    }

    /// Read and write until the connection ends, and say how it did. Whoever
    /// waits then is told.
    pub(crate) async fn pump<S>(&self, stream: S) -> Arc<Down>
    where
        S: AsyncRead + AsyncWrite,
    {
        let _end = EndOnDrop(self);
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(queue) = queue else {
            return Arc::new(Down::NotRun);
        };
        let (read, write) = tokio::io::split(stream);
        let down = tokio::select! {
            down = self.read(read) => down,
            down = self.write(write, queue) => down,
            down = keepalive::watch(self, self.keepalive) => down,
        };
        self.end(down)
    }

    fn end(&self, down: Down) -> Arc<Down> {
        let why = Arc::new(down);
        let (calls, streams) = {
            let mut waiting = self.waiting();
            waiting.ended.get_or_insert_with(|| Arc::clone(&why));
            let Waiting { calls, streams, .. } = &mut *waiting;
            (std::mem::take(calls), std::mem::take(streams))
        };
        self.permits.close();
        for call in calls.into_values() {
            let error = call.lost(&why);
            let _ = call.answer.send(Err(error));
        }
        for (procedure, output) in streams.into_values() {
            output.end(Err(Error::Lost {
                call: procedure.name,
                effect: procedure.doubt(),
                why: Arc::clone(&why),
            }));
        }
        why
    }

    async fn write(
        &self,
        mut stream: impl AsyncWrite + Unpin,
        mut queue: mpsc::Receiver<Outgoing>,
    ) -> Down {
        while let Some(Outgoing { message, call }) = queue.recv().await {
            if let Some(serial) = call {
                match self.waiting().calls.get_mut(&serial) {
                    Some(call) => call.sent = true,
                    // It was withdrawn in time.
                    None => continue,
                }
            }
            let written = async {
                stream.write_all(&message).await?;
                stream.flush().await
            };
            if let Err(error) = written.await {
                return error.into();
            }
        }
        Down::Closed
    }

    async fn read(&self, stream: impl AsyncRead + Unpin) -> Down {
        let mut stream = BufReader::with_capacity(CHUNK, stream);
        loop {
            let message = match self.receive(&mut stream).await {
                Ok(message) => message,
                Err(down) => return down,
            };
            if let Err(malformed) = self.take_in(message) {
                return malformed.into();
            }
        }
    }

    /// One message without its length. Of a long one memory is taken as bytes
    /// come, not as they are announced.
    async fn receive(&self, stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Down> {
        let length = stream.read_u32().await.map_err(closed)?;
        let length = message::rest_of(length, REPLY_MAX)?;
        let mut message = Vec::new();
        while message.len() < length {
            let most = message.len().max(AT_FIRST).min(length - message.len());
            message.reserve_exact(most);
            let mut part = (&mut *stream).take(most as u64);
            if part.read_buf(&mut message).await? == 0 {
                return Err(Down::Closed);
            }
            self.heard.store(true, Ordering::Relaxed);
        }
        Ok(message)
    }

    fn take_in(&self, message: Vec<u8>) -> Result<(), Malformed> {
        let (header, payload) = Header::decode(&message)?;
        match (header.program, header.kind) {
            (KEEPALIVE, Kind::Event) => {
                if header.procedure == keepalive::PING {
                    self.beside(&keepalive::message(keepalive::PONG));
                }
                Ok(())
            }
            (REMOTE, Kind::Reply) => {
                let before = message.len() - payload.len();
                self.answer(&header, message, before)
            }
            (REMOTE, Kind::Stream) => self.piece(&header, payload),
            (REMOTE, Kind::Event) => {
                if header.procedure == EVENT_LIFECYCLE {
                    let event = event::decode(payload)?;
                    // That nobody listens is no error.
                    let _ = self.events.upgrade().map(|events| events.send(event));
                }
                Ok(())
            }
            _ => Err(Malformed("it is of a type that only clients send")),
        }
    }

    /// An answer, which begins after so many bytes of the message.
    fn answer(
        &self,
        header: &Header,
        mut message: Vec<u8>,
        before: usize,
    ) -> Result<(), Malformed> {
        // Lists are long, and copied no more often than they must be.
        message.drain(..before);
        let payload = message;
        let mut waiting = self.waiting();
        let Waiting { calls, streams, .. } = &mut *waiting;
        let Entry::Occupied(call) = calls.entry(header.serial) else {
            return Err(Malformed("it answers a call that was not made"));
        };
        let Call {
            procedure, sent, ..
        } = *call.get();
        if !sent || procedure.number != header.procedure {
            return Err(Malformed("it answers a call that was not made"));
        }
        let answer = match header.status {
            Status::Ok => Ok(payload),
            Status::Error => Err(Error::remote(procedure, message::error(&payload)?)),
            Status::Continue => return Err(Malformed("an answer goes on")),
        };
        let call = call.remove();
        if answer.is_err() {
            streams.remove(&header.serial);
        }
        let is_stream = streams.contains_key(&header.serial);
        drop(waiting);
        if call.answer.send(answer).is_err() && is_stream {
            self.end_stream(header.serial, header.procedure, Status::Error);
        }
        Ok(())
    }

    fn piece(&self, header: &Header, payload: &[u8]) -> Result<(), Malformed> {
        let mut waiting = self.waiting();
        // What was on its way when we stopped to read a stream is no error.
        let Entry::Occupied(stream) = waiting.streams.entry(header.serial) else {
            return Ok(());
        };
        let (procedure, output) = stream.get();
        let procedure = *procedure;
        if procedure.number != header.procedure {
            return Err(Malformed("a piece is of another procedure than its stream"));
        }
        let status = match header.status {
            Status::Continue if !payload.is_empty() => {
                if output.push(payload.to_vec()) {
                    return Ok(());
                }
                // Its reader went away, or is too slow and will be told.
                Status::Error
            }
            // The end of the output, which wants to be confirmed.
            Status::Continue => {
                stream.remove().1.end(Ok(()));
                Status::Ok
            }
            Status::Ok => {
                stream.remove().1.end(Ok(()));
                return Ok(());
            }
            Status::Error => {
                let error = Error::remote(procedure, message::error(payload)?);
                stream.remove().1.end(Err(error));
                return Ok(());
            }
        };
        drop(waiting);
        self.end_stream(header.serial, header.procedure, status);
        Ok(())
    }

    /// A piece of a stream, once there is room for it on its way out.
    pub(crate) async fn send_piece(
        &self,
        serial: u32,
        procedure: Procedure,
        status: Status,
        bytes: &[u8],
    ) -> Result<()> {
        let header = Header {
            program: REMOTE,
            procedure: procedure.number,
            kind: Kind::Stream,
            serial,
            status,
        };
        let outgoing = Outgoing {
            message: header.encode(bytes),
            call: None,
        };
        let sent = self.out.send(outgoing).await;
        sent.map_err(|_| Error::Lost {
            call: procedure.name,
            effect: procedure.doubt(),
            why: self
                .waiting()
                .ended
                .clone()
                .unwrap_or_else(|| Arc::new(Down::Closed)),
        })
    }

    /// Nothing more is wanted from this stream, which went well or not.
    pub(crate) fn end_stream(&self, serial: u32, procedure: i32, status: Status) {
        self.waiting().streams.remove(&serial);
        let header = Header {
            program: REMOTE,
            procedure,
            kind: Kind::Stream,
            serial,
            status,
        };
        self.beside(&header);
    }

    /// Whether anything arrived since this was last asked.
    pub(crate) fn has_heard(&self) -> bool {
        self.heard.swap(false, Ordering::Relaxed)
    }
}

/// An end between two messages is an end, not a failure.
fn closed(error: std::io::Error) -> Down {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Down::Closed,
        _ => error.into(),
    }
}

/// Whoever waits is told even if the future of the connection is dropped.
struct EndOnDrop<'a>(&'a Session);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end(Down::NotRun);
    }
}

/// An answer that is waited for. Dropping it before the call was sent
/// withdraws the call; after that the server goes on, and nobody is told.
#[derive(Debug)]
pub(crate) struct Answer {
    serial: u32,
    procedure: Procedure,
    arrives: oneshot::Receiver<Result<Vec<u8>>>,
    session: Arc<Session>,
}

impl Answer {
    pub(crate) fn serial(&self) -> u32 {
        self.serial
    }

    /// What became of the call if nobody waits any longer.
    pub(crate) fn effect(&self) -> Effect {
        let waiting = self.session.waiting();
        let sent = waiting.calls.get(&self.serial).is_none_or(|call| call.sent);
        self.procedure.effect(sent)
    }

    pub(crate) fn arrives(&mut self) -> impl Future<Output = Result<Vec<u8>>> {
        let lost = Error::Lost {
            call: self.procedure.name,
            effect: self.procedure.doubt(),
            why: Arc::new(Down::NotRun),
        };
        let arrives = &mut self.arrives;
        async move { arrives.await.unwrap_or(Err(lost)) }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let mut waiting = self.session.waiting();
        if waiting
            .calls
            .get(&self.serial)
            .is_some_and(|call| !call.sent)
        {
            waiting.calls.remove(&self.serial);
            waiting.streams.remove(&self.serial);
        }
    }
}

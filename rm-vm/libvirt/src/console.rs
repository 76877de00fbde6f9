//! The output of a guest's console, piece by piece as it comes.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::client::Client;
use crate::domain::Domain;
use crate::error::{Error, Result};
use crate::flags::ConsoleFlags;
use crate::message::Status;
use crate::procedure::OPEN_CONSOLE;
use crate::session::Session;
use crate::xdr::Writer;

/// How many pieces are kept for a reader that does not read.
const KEPT: usize = 64;

/// Where the connection puts a console's output.
#[derive(Debug)]
pub(crate) struct Output {
    pieces: mpsc::Sender<Vec<u8>>,
    end: oneshot::Sender<Result<()>>,
}

impl Output {
    /// False if there is no room, or no reader.
    pub(crate) fn push(&self, piece: Vec<u8>) -> bool {
        self.pieces.try_send(piece).is_ok()
    }

    pub(crate) fn end(self, how: Result<()>) {
        let _ = self.end.send(how);
    }
}

/// An open console. Dropping it closes it.
#[derive(Debug)]
pub struct Console {
    session: Arc<Session>,
    serial: u32,
    pieces: mpsc::Receiver<Vec<u8>>,
    end: oneshot::Receiver<Result<()>>,
    /// How it ended, once that has been read.
    ended: Option<Result<()>>,
}

impl Console {
    /// What the guest writes next: not empty, and `None` once the console is
    /// closed from the other side. May be cancelled without losing anything.
    pub async fn read(&mut self) -> Result<Option<Vec<u8>>> {
        if let Some(piece) = self.pieces.recv().await {
            return Ok(Some(piece));
        }
        // Where nothing says how, the connection gave up to keep pieces for us.
        let how = || self.end.try_recv().unwrap_or(Err(Error::Overrun));
        self.ended.get_or_insert_with(how).clone().map(|()| None)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Unless it has ended already.
        if self.ended.is_none()
            && matches!(
                self.end.try_recv(),
                Err(oneshot::error::TryRecvError::Empty)
            )
        {
            self.session
                .end_stream(self.serial, OPEN_CONSOLE.number, Status::Error);
        }
    }
}

impl Client {
    /// Listen to a running guest's console; `device` is the alias of one in
    /// the domain's XML, and the first console without it. How long it may
    /// take to open it is bounded by the deadline; reading is not.
    pub async fn open_console(
        &self,
        domain: &Domain,
        device: Option<&str>,
        flags: ConsoleFlags,
    ) -> Result<Console> {
        let mut arguments = Writer::new();
        domain.encode(&mut arguments);
        arguments.optional(device).u32(flags.bits());
        let (push, pieces) = mpsc::channel(KEPT);
        let (finish, end) = oneshot::channel();
        let output = Output {
            pieces: push,
            end: finish,
        };
        let (session, serial) = self.open_stream(OPEN_CONSOLE, arguments, output).await?;
        Ok(Console {
            session,
            serial,
            pieces,
            end,
            ended: None,
        })
    }
}

//! Streams: pieces of bytes beside the calls, in either direction.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, Result};
use crate::message::Status;
use crate::procedure::Procedure;
use crate::session::Session;

/// How many pieces are kept for a reader that does not read.
const KEPT: usize = 64;
/// The longest piece that any server takes.
const PIECE: usize = 128 * 1024;

/// Where the connection puts what comes in a stream.
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

/// The other end of an [`Output`], before the stream is open.
#[derive(Debug)]
pub(crate) struct Input {
    pieces: mpsc::Receiver<Vec<u8>>,
    end: oneshot::Receiver<Result<()>>,
}

pub(crate) fn channel() -> (Output, Input) {
    let (push, pieces) = mpsc::channel(KEPT);
    let (finish, end) = oneshot::channel();
    let output = Output {
        pieces: push,
        end: finish,
    };
    (output, Input { pieces, end })
}

/// An open stream. Dropping it breaks it off.
#[derive(Debug)]
pub(crate) struct Stream {
    session: Arc<Session>,
    serial: u32,
    procedure: Procedure,
    input: Input,
    /// How it ended, once that is known here.
    ended: Option<Result<()>>,
}

impl Stream {
    pub(crate) fn new(
        session: Arc<Session>,
        serial: u32,
        procedure: Procedure,
        input: Input,
    ) -> Self {
        Self {
            session,
            serial,
            procedure,
            input,
            ended: None,
        }
    }

    /// The next piece; none at the end.
    pub(crate) async fn read(&mut self) -> Result<Option<Vec<u8>>> {
        if let Some(piece) = self.input.pieces.recv().await {
            return Ok(Some(piece));
        }
        // Where nothing says how, the connection gave up to keep pieces for us.
        let end = &mut self.input.end;
        let how = || end.try_recv().unwrap_or(Err(Error::Overrun));
        self.ended.get_or_insert_with(how).clone().map(|()| None)
    }

    /// Sends bytes, as fast as the server takes them.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(PIECE) {
            self.session
                .send_piece(self.serial, self.procedure, Status::Continue, piece)
                .await?;
            // A server that fails says so before it has got everything.
            if let Ok(how) = self.input.end.try_recv() {
                self.ended = Some(how.clone());
                how?;
            }
        }
        Ok(())
    }

    /// Says that this was all, and waits until the server has got it.
    pub(crate) async fn finish(mut self) -> Result<()> {
        self.session
            .send_piece(self.serial, self.procedure, Status::Ok, &[])
            .await?;
        while self.read().await?.is_some() {}
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Unless it has ended already.
        let open = matches!(
            self.input.end.try_recv(),
            Err(oneshot::error::TryRecvError::Empty)
        );
        if self.ended.is_none() && open {
            self.session
                .end_stream(self.serial, self.procedure.number, Status::Error);
        }
    }
}

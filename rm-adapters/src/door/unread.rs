//! Lines whose other side does not read: they fail when nothing could be
//! written for a while, instead of waiting for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A line that fails when the other side takes nothing for this long.
#[derive(Debug)]
pub(super) struct Unread<Io> {
    line: Io,
    most: Duration,
    since: Option<Pin<Box<Sleep>>>,
}

impl<Io: Unpin> Unread<Io> {
    /// This line, for so long.
    pub(super) fn new(line: Io, most: Duration) -> Self {
        Self {
            line,
            most,
            since: None,
        }
    }

    /// What a try to write came to; what waits, waits so long at the most.
    fn watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        tried: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if tried.is_ready() {
            self.since = None;
            return tried;
        }
        let most = self.most;
        let since = self
            .since
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(most)));
        ready!(since.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the other side does not read",
        )))
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Unread<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_read(cx, buffer)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Unread<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.line).poll_write(cx, bytes);
        self.watched(cx, tried)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.line).poll_write_vectored(cx, slices);
        self.watched(cx, tried)
    }

    fn is_write_vectored(&self) -> bool {
        self.line.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tried = Pin::new(&mut self.line).poll_flush(cx);
        self.watched(cx, tried)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tried = Pin::new(&mut self.line).poll_shutdown(cx);
        self.watched(cx, tried)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn a_line_that_nobody_reads_fails() {
        let (ours, theirs) = duplex(16);
        let mut line = Unread::new(ours, Duration::from_millis(20));
        let written = line.write_all(&[b'x'; 1000]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }

    #[tokio::test]
    async fn a_line_that_is_read_does_not_fail() {
        let (ours, mut theirs) = duplex(16);
        let mut line = Unread::new(ours, Duration::from_secs(60));
        let write = async {
            line.write_all(&[b'x'; 1000]).await.unwrap();
            line.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let (read, ()) = tokio::join!(theirs.read_to_end(&mut got), write);
        assert_eq!((read.unwrap(), got.len()), (1000, 1000));
    }
}

//! The bytes' way to the daemon.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::error::Down;
use crate::uri::Transport;

/// A connection, by whichever way.
#[derive(Debug)]
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

pub(crate) async fn connect(to: &Transport) -> Result<Stream, Down> {
    match to {
        Transport::Unix { socket } => Ok(Stream::Unix(UnixStream::connect(socket).await?)),
        Transport::Tcp { host, port } => Ok(Stream::Tcp(tcp(host, *port).await?)),
        #[cfg(feature = "tls")]
        Transport::Tls { host, port, pki } => {
            // What is wrong with our own files is said before anything is sent.
            let trust = crate::tls::trust(pki.as_deref())?;
            let line = tcp(host, *port).await?;
            let line = crate::tls::handshake(line, host, trust).await?;
            Ok(Stream::Tls(Box::new(line)))
        }
        #[cfg(not(feature = "tls"))]
        Transport::Tls { .. } => Err(Down::Untrusted(
            "TLS is wanted, and this program was built without it (feature tls)".to_owned(),
        )),
    }
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, Down> {
    let line = TcpStream::connect((host, port)).await?;
    line.set_nodelay(true)?;
    Ok(line)
}

/// Calls the same method of whichever way it is.
macro_rules! either {
    ($self:ident, $line:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Unix($line) => {
                let $line = Pin::new($line);
                $call
            }
            Self::Tcp($line) => {
                let $line = Pin::new($line);
                $call
            }
            #[cfg(feature = "tls")]
            Self::Tls($line) => {
                let $line = Pin::new($line.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        either!(self, line => line.poll_read(cx, into))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        either!(self, line => line.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        either!(self, line => line.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        either!(self, line => line.poll_shutdown(cx))
    }
}

//! Lines of HTTP: accepted within limits, served each by itself, ended well.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::seats::Seats;
use super::unread::Unread;

/// How long a client may take nothing of what it is sent.
const UNREAD: Duration = Duration::from_secs(60);

/// The limits of a door's lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineLimits {
    /// How many there are at once; more wait, unless one gives way on which
    /// nothing was asked.
    pub(crate) connections: usize,
    /// How long a client may take for its headers, and a line may be idle.
    pub(crate) header_time: Duration,
    /// How long calls that are under way may take when the service stops.
    pub(crate) grace: Duration,
}

/// Serves until `stop` ends; then nothing new is accepted, `closing` is
/// called, and what is under way has its grace. `open` makes of what was
/// accepted a line and who serves it, or nothing where it is not worth one; it
/// runs on the line's own task.
pub(crate) async fn serve<L, O, F, Io, S>(
    mut listener: L,
    limits: LineLimits,
    open: O,
    stop: impl Future<Output = ()>,
    closing: impl FnOnce(),
) where
    L: Listener<Addr = SocketAddr>,
    O: Fn(L::Io) -> F,
    F: Future<Output = Option<(Io, S)>> + Send + 'static,
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: std::error::Error + Send + Sync + 'static,
{
    let seats = Arc::new(Seats::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut lines = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            // One waits for a seat here, whoever comes then in the queue of the
            // listener.
            let (io, from) = listener.accept().await;
            (seats.take(from.ip()).await, io)
        };
        let (seat, io) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        while lines.try_join_next().is_some() {}
        let (opening, watcher) = (open(io), graceful.watcher());
        lines.spawn(async move {
            let seat = Arc::new(seat);
            let asked = Arc::clone(&seat);
            let serving = async move {
                let Some((io, service)) = opening.await else {
                    return;
                };
                let service = service_fn(move |request: Request<Incoming>| {
                    asked.asked();
                    service.call(request)
                });
                let line = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(limits.header_time)
                    .max_buf_size(64 * 1024)
                    .serve_connection(TokioIo::new(Unread::new(io, UNREAD)), service);
                // What goes wrong on a line is the client's business: it is
                // gone, or does not speak HTTP.
                if let Err(e) = watcher.watch(line).await {
                    tracing::debug!(error = %e, "a connection ended");
                }
            };
            tokio::select! {
                () = serving => {}
                () = seat.given_away() => {}
            }
        });
    }
    drop(listener);
    closing();
    seats.close();
    if tokio::time::timeout(limits.grace, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            left = lines.len(),
            "calls were cut off when the service stopped"
        );
    }
    lines.abort_all();
}

//! Server-sent events.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use rm_core::{Caller, Host};
use serde_json::Value;
use tokio::time::Instant;

use super::contract::EventSource;
use super::request::Closing;

/// A comment after so long without an event keeps proxies from cutting the
/// line.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Other processes write to the store, too, and are not heard here.
const LOOK: Duration = Duration::from_secs(1);

/// One event as a client gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerEvent {
    /// The cursor behind it.
    pub id: u64,
    /// What it is.
    pub what: String,
    /// What it says.
    pub data: Value,
}

impl ServerEvent {
    fn write(&self, out: &mut String) {
        use std::fmt::Write as _;
        let word: String = self.what.chars().filter(|c| !c.is_control()).collect();
        let _ = write!(
            out,
            "id: {}\nevent: {word}\ndata: {}\n\n",
            self.id, self.data
        );
    }
}

struct Line {
    host: Arc<Host>,
    who: Arc<Caller>,
    source: Box<dyn EventSource>,
    closing: Closing,
    last: Instant,
    begun: bool,
    ended: bool,
}

/// The body of an event stream: ends when the service stops or the source
/// fails.
pub(super) fn body(
    host: Arc<Host>,
    who: Arc<Caller>,
    source: Box<dyn EventSource>,
    closing: Closing,
) -> Body {
    Body::from_stream(stream(Line {
        host,
        who,
        source,
        closing,
        last: Instant::now(),
        begun: false,
        ended: false,
    }))
}

fn stream(line: Line) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    stream::unfold(line, |mut line| async move {
        if line.ended {
            return None;
        }
        if !line.begun {
            line.begun = true;
            return Some((Ok(Bytes::from_static(b"retry: 2000\n\n")), line));
        }
        loop {
            if line.closing.is_now() {
                return None;
            }
            let heard = line.host.heard();
            let text = match line.source.next(&line.host.call(&line.who)).await {
                Ok(events) => {
                    let mut text = String::new();
                    for event in events {
                        event.write(&mut text);
                    }
                    text
                }
                Err(e) => {
                    tracing::warn!(error = %e, "a stream of events ends");
                    line.ended = true;
                    let data = serde_json::json!({"code": e.stable_code(), "detail": e.what()});
                    format!("event: error\ndata: {data}\n\n")
                }
            };
            if !text.is_empty() {
                line.last = Instant::now();
                return Some((Ok(Bytes::from(text)), line));
            }
            if line.last.elapsed() >= HEARTBEAT {
                line.last = Instant::now();
                return Some((Ok(Bytes::from_static(b": still here\n\n")), line));
            }
            tokio::select! {
                () = line.host.news(heard, LOOK) => {}
                () = line.closing.wait() => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_cannot_forge_another() {
        let mut out = String::new();
        let event = ServerEvent {
            id: 7,
            what: "cluster.ready\nid: 9".to_owned(),
            data: serde_json::json!({"reason": "line\nid: 9\n\n"}),
        };
        event.write(&mut out);
        assert_eq!(
            out,
            "id: 7\nevent: cluster.readyid: 9\ndata: {\"reason\":\"line\\nid: 9\\n\\n\"}\n\n"
        );
    }
}

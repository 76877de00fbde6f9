//! Events: as a stream, and as a list.

use async_trait::async_trait;
use rm_core::event::Lost;
use rm_core::store::{Cursor, Page};
use rm_core::{Call, ResourceId, Result};
use serde_json::json;

use super::view;
use crate::door::{EventSource, Reply, Request, ServerEvent};

/// How many events a stream brings at once.
const AT_ONCE: usize = 200;

/// What came after a cursor, as far as the caller may hear of it.
struct Feed {
    of: Option<ResourceId>,
    seq: u64,
}

/// Answers a stream, or a list where the client asks for JSON.
pub(super) async fn serve(
    call: &Call<'_>,
    request: &Request,
    of: Option<ResourceId>,
) -> Result<Reply> {
    let after = request
        .header("last-event-id")
        .and_then(|id| id.parse().ok())
        .or_else(|| request.number("after"));
    let accept = request.header("accept").unwrap_or_default();
    if accept.contains("application/json") && !accept.contains("text/event-stream") {
        let limit = request.number("limit").unwrap_or(100);
        let limit = usize::try_from(limit).unwrap_or(AT_ONCE);
        return list(call, of, after.unwrap_or(0), limit).await;
    }
    let seq = match (after, of) {
        (Some(seq), _) => seq,
        (None, Some(_)) => 0,
        (None, None) => call.host.events().newest().await?,
    };
    Ok(Reply::Events(Box::new(Feed { of, seq })))
}

async fn list(call: &Call<'_>, of: Option<ResourceId>, seq: u64, limit: usize) -> Result<Reply> {
    let heard = call.host.events().after(call.who, of, seq, limit).await?;
    if let Some(lost) = heard.lost {
        return Err(lost.error());
    }
    let page = Page {
        items: heard.events,
        next: heard.more.then(|| Cursor(heard.next.to_string())),
    };
    Ok(Reply::ok(view::list(page, |e| view::event(&e))))
}

#[async_trait]
impl EventSource for Feed {
    async fn next(&mut self, call: &Call<'_>) -> Result<Vec<ServerEvent>> {
        let events = call.host.events();
        let heard = events.after(call.who, self.of, self.seq, AT_ONCE).await?;
        self.seq = heard.next;
        let lost = heard.lost.map(|lost| told(call, lost));
        let heard = heard.events.iter().map(|e| ServerEvent {
            id: e.seq,
            what: e.event.what.clone(),
            data: view::event(e),
        });
        Ok(lost.into_iter().chain(heard).collect())
    }
}

/// An event that stands for those that are no longer kept: a client that goes
/// by the cursor goes on behind them.
fn told(call: &Call<'_>, lost: Lost) -> ServerEvent {
    let error = lost.error();
    ServerEvent {
        id: lost.until,
        what: "events.lost".to_owned(),
        data: json!({
            "seq": lost.until, "at": call.host.env().now().to_string(), "what": "events.lost",
            "data": {
                "code": error.stable_code(), "after": lost.after, "until": lost.until,
                "detail": error.what(), "advice": error.next(),
            },
        }),
    }
}

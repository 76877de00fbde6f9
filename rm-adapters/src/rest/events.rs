//! Events: as a stream, and as a list.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rm_core::event::Event;
use rm_core::store::{By, Page};
use rm_core::{Call, ResourceId, Result, Role};

use super::view;
use crate::door::{EventSource, Reply, Request, ServerEvent};

/// How many events are read at once.
const BATCH: u32 = 200;

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
        return list(call, of, after.unwrap_or(0), limit).await;
    }
    let seq = match (after, of) {
        (Some(seq), _) => seq,
        (None, Some(_)) => 0,
        (None, None) => call.host.store().newest().await?,
    };
    Ok(Reply::Events(Box::new(Feed { of, seq })))
}

async fn list(call: &Call<'_>, of: Option<ResourceId>, mut seq: u64, limit: u64) -> Result<Reply> {
    let mut items = Vec::new();
    let mut next = None;
    'reading: loop {
        let batch = call.host.store().since(seq, of, BATCH).await?;
        let Some(last) = batch.last().map(|e| e.seq) else {
            break;
        };
        for event in heard(call, batch).await? {
            if items.len() as u64 == limit {
                next = Some(rm_core::store::Cursor(seq.to_string()));
                break 'reading;
            }
            seq = event.seq;
            items.push(event);
        }
        seq = last;
    }
    Ok(Reply::ok(view::list(Page { items, next }, |e| {
        view::event(&e)
    })))
}

#[async_trait]
impl EventSource for Feed {
    async fn next(&mut self, call: &Call<'_>) -> Result<Vec<ServerEvent>> {
        loop {
            let batch = call.host.store().since(self.seq, self.of, BATCH).await?;
            let Some(last) = batch.last().map(|e| e.seq) else {
                return Ok(Vec::new());
            };
            let events: Vec<ServerEvent> = heard(call, batch)
                .await?
                .iter()
                .map(|e| ServerEvent {
                    id: e.seq,
                    what: e.event.what.clone(),
                    data: view::event(e),
                })
                .collect();
            self.seq = last;
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }
}

/// Those of which the caller may hear: an operator of all; others of their
/// tenant's and of what was granted to them.
async fn heard(call: &Call<'_>, mut events: Vec<Event>) -> Result<Vec<Event>> {
    let who = call.who;
    if who.is(Role::Operator) {
        return Ok(events);
    }
    let own = |e: &Event| e.event.tenant.as_ref() == Some(&who.tenant);
    let foreign = events.iter().any(|e| !own(e) && e.event.resource.is_some());
    let granted = if foreign {
        granted(call).await?
    } else {
        BTreeSet::new()
    };
    events.retain(|e| own(e) || e.event.resource.is_some_and(|id| granted.contains(&id)));
    Ok(events)
}

async fn granted(call: &Call<'_>) -> Result<BTreeSet<ResourceId>> {
    let by = By::Party(call.who.user.clone());
    let mut ids = BTreeSet::new();
    let mut after = None;
    loop {
        let page = call
            .host
            .store()
            .resources(&by, after.as_ref(), 500)
            .await?;
        ids.extend(page.items.iter().map(|row| row.record.id));
        after = page.next;
        if after.is_none() {
            return Ok(ids);
        }
    }
}

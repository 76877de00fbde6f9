//! What has happened, and what happens.

use serde_json::Value;

use crate::cli::Events;
use crate::client::Client;
use crate::failure::{Failure, Result};
use crate::output::{self, Column, Output, cell, clean, time};

const COLUMNS: &[Column] = &[
    ("NUMBER", |e| cell(&e["seq"])),
    ("AT", |e| time(&e["at"])),
    ("WHAT", |e| cell(&e["what"])),
    ("RESOURCE", |e| cell(&e["resource"])),
    ("DATA", |e| data(&e["data"])),
];

/// Everything the caller hears of.
pub(super) async fn all(client: &Client, out: Output, events: &Events) -> Result<()> {
    show(client, out, "/events", events.after, events.follow).await
}

/// What has happened to one cluster.
pub(super) async fn of(client: &Client, out: Output, cluster: &str, follow: bool) -> Result<()> {
    let path = format!("/clusters/{cluster}/events");
    show(client, out, &path, 0, follow).await
}

async fn show(client: &Client, out: Output, path: &str, after: u64, follow: bool) -> Result<()> {
    if !follow {
        let events = past(client, path, after).await?;
        return out.list(&events, COLUMNS, "Nothing has happened.");
    }
    let mut last = after.to_string();
    loop {
        let mut stream = client.events(path, Some(&last)).await?;
        let mut heard = false;
        while let Some(event) = stream.next().await {
            heard = true;
            last.clone_from(&event.id);
            output::print(&if out.json {
                event.data.to_string()
            } else {
                format!(
                    "{}  {}  {}  {}",
                    time(&event.data["at"]),
                    cell(&event.data["resource"]),
                    cell(&event.data["what"]),
                    data(&event.data["data"])
                )
                .trim_end()
                .to_owned()
            })?;
        }
        // The line was cut, or the server has stopped: a new one says which.
        if !heard {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }
}

/// The events of a path behind a number.
pub(super) async fn past(client: &Client, path: &str, after: u64) -> Result<Vec<Value>> {
    let mut events: Vec<Value> = Vec::new();
    let mut after = after;
    loop {
        let page = client
            .get(&format!("{path}?limit=500&after={after}"))
            .await?;
        let items = page["items"]
            .as_array()
            .ok_or_else(|| Failure::refused("the server's list of events cannot be read"))?;
        events.extend(items.iter().cloned());
        let next = match &page["next"] {
            Value::String(next) => next.parse().ok(),
            next => next.as_u64(),
        };
        match next {
            // A cursor is told even where nothing is behind it.
            Some(next) if next > after && !items.is_empty() => after = next,
            _ => return Ok(events),
        }
    }
}

/// What came with an event, in words.
pub(super) fn data(data: &Value) -> String {
    match data {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| format!("{}={}", clean(name), cell(value)))
            .collect::<Vec<_>>()
            .join(" "),
        other => cell(other),
    }
}

//! Waits for what was asked for, driven by events.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::events;
use super::progress::Bar;
use crate::client::{Answer, Client, quote, sse};
use crate::failure::{Failure, Result};
use crate::output::cell;

/// Events come at once; this is how often is asked besides, for the case that
/// none comes through.
const ASK: Duration = Duration::from_secs(2);

/// The header by which a call returns as soon as it is written down.
pub(super) const AT_ONCE: (&str, &str) = ("prefer", "respond-async");

/// The operation that an answer leaves under way.
pub(super) fn under_way(answer: &Answer) -> Option<String> {
    if answer.status != StatusCode::ACCEPTED {
        return None;
    }
    match &answer.body["operation"] {
        Value::String(id) => Some(id.clone()),
        operation => operation["id"].as_str().map(str::to_owned),
    }
}

/// Listens to everything the caller hears of: what a cluster waits for (an
/// image on its way to the site) is another resource.
#[derive(Debug)]
pub(super) struct Ear<'a> {
    client: &'a Client,
    stream: Option<sse::Events>,
    last: Option<String>,
}

impl<'a> Ear<'a> {
    /// Listens from now on: call this before the request whose events are
    /// wanted.
    pub(super) async fn new(client: &'a Client) -> Self {
        Self {
            client,
            stream: client.events("/events", None).await.ok(),
            last: None,
        }
    }

    /// The next event, if one comes in time. That none comes is no failure:
    /// the state is asked for, too.
    async fn next(&mut self, within: Duration) -> Option<Value> {
        if self.stream.is_none() {
            // Once more from where it broke off, but not in a hurry.
            sleep(within.min(Duration::from_millis(500))).await;
            let last = self.last.as_deref();
            self.stream = self.client.events("/events", last).await.ok();
        }
        let stream = self.stream.as_mut()?;
        match timeout(within, stream.next()).await {
            Ok(Some(event)) => {
                self.last = Some(event.id);
                Some(event.data)
            }
            Ok(None) => {
                self.stream = None;
                None
            }
            Err(_) => None,
        }
    }
}

/// Waits until an operation is over.
///
/// # Errors
///
/// Where it failed, with the reason; where `limit` has passed.
pub(super) async fn over(
    ear: &mut Ear<'_>,
    bar: &Bar,
    cluster: &str,
    operation: &str,
    limit: Duration,
) -> Result<()> {
    let path = format!("/operations/{}", quote(operation));
    let end = Instant::now() + limit;
    loop {
        let state = ear.client.get(&path).await?;
        if state["state"] != "running" {
            // What was said last may still be on its way.
            while ear.stream.is_some()
                && let Some(event) = ear.next(Duration::from_millis(100)).await
            {
                tell(bar, cluster, &event);
            }
            return match state["state"].as_str() {
                Some("done") => Ok(()),
                _ => Err(Failure::refused("it failed")
                    .detail(cell(&state["reason"]))
                    .advice(format!(
                        "look with \"cluster show {cluster}\"; try again with \"cluster retry\", or delete it"
                    ))),
            };
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::refused("it takes longer than it was given")
                .detail(format!("{} s have passed", limit.as_secs()))
                .advice(format!(
                    "it goes on by itself; look with \"cluster show {cluster}\""
                )));
        }
        // Others' events are heard, too, and are no reason to ask.
        let ask = Instant::now() + ASK.min(left);
        while let Some(event) = ear
            .next(ask.saturating_duration_since(Instant::now()))
            .await
        {
            if tell(bar, cluster, &event) {
                break;
            }
        }
    }
}

/// Shows what concerns the cluster; whether it was about the cluster itself.
fn tell(bar: &Bar, cluster: &str, event: &Value) -> bool {
    let what = cell(&event["what"]);
    let data = &event["data"];
    if let Some(("image", verb)) = what.split_once('.') {
        match (data["done"].as_u64(), data["total"].as_u64()) {
            (Some(done), Some(total)) => {
                bar.part("an image is on its way to the site", done, total)
            }
            _ => bar.line(format!("image {verb}").trim_end()),
        }
        return false;
    }
    if event["resource"] != cluster {
        return false;
    }
    let verb = what.rsplit('.').next().unwrap_or_default();
    let said = words(data);
    // A step that says nothing is the engine's own affair.
    if verb != "step" || !said.is_empty() {
        bar.line(format!("{verb}  {said}").trim_end());
    }
    true
}

/// What an event says to who waits. Of a state that is the reason; the books
/// that the engine keeps are in `cluster events`.
fn words(data: &Value) -> String {
    let mut said = match data.get("incarnation") {
        Some(_) => Value::Null,
        None => data.clone(),
    };
    if let Some(fields) = said.as_object_mut() {
        // Beside what is wanted a word for a state, as the verb is.
        if fields.remove("wanted").is_some() {
            fields.remove("to");
        }
        for book in ["generation", "hold", "reason", "remote"] {
            fields.remove(book);
        }
    }
    let (said, reason) = (events::data(&said), cell(&data["reason"]));
    format!("{said}  {reason}").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::words;

    #[test]
    fn who_waits_is_told_reasons_and_no_books() {
        for (data, told) in [
            (
                json!({"by": "ann", "generation": 1, "hold": "h", "nodes": 4, "wanted": "running"}),
                "by=ann nodes=4",
            ),
            (
                json!({"from": "nothing", "to": "building", "generation": 1, "incarnation": 1,
                       "effect": "create", "outcome": "begun", "site": "s"}),
                "",
            ),
            (
                json!({"from": "building", "to": "failed", "generation": 1, "incarnation": 1,
                       "remote": "p/n/i", "reason": "CREATE_FAILED: no"}),
                "CREATE_FAILED: no",
            ),
            (
                json!({"from": "a", "to": "b", "reason": "a is full"}),
                "from=a to=b  a is full",
            ),
            (
                json!({"to": "releasing", "generation": 2, "wanted": "absent", "reason": "let go"}),
                "let go",
            ),
            (json!(null), ""),
        ] {
            assert_eq!(words(&data), told, "{data}");
        }
    }
}

//! Callbacks: where a tenant's events are brought.

use rm_core::event::Event;
use rm_core::outbox::Callback;
use rm_core::{Call, Result};
use serde_json::{Value, json};

use super::view;
use crate::door::{Reply, Request};

/// What is sent to a callback: an event as `/events` tells it.
pub fn callback_body(event: &Event) -> Value {
    view::event(event)
}

pub(super) async fn add(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let url = request.body()["url"].as_str().unwrap_or_default();
    let prefix = request.body()["prefix"].as_str().unwrap_or_default();
    let callback = call.host.outbox().add(call.who, url, prefix).await?;
    Ok(Reply::created(show(&callback)))
}

pub(super) async fn list(call: &Call<'_>) -> Result<Reply> {
    let callbacks = call.host.outbox().list(call.who).await?;
    let items: Vec<Value> = callbacks.iter().map(show).collect();
    Ok(Reply::ok(json!({"items": items})))
}

pub(super) async fn remove(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let id = request.path("id").parse()?;
    call.host.outbox().remove(call.who, id).await?;
    Ok(Reply::Empty)
}

fn show(callback: &Callback) -> Value {
    let mut shown = json!({
        "id": callback.id,
        "url": callback.url,
        "prefix": callback.prefix,
        "user": callback.user,
        "state": callback.state().as_str(),
        "after": callback.after,
        "failures": callback.failures,
    });
    view::set(
        &mut shown,
        "failing_since",
        callback.failing_since.map(|t| t.to_string()),
    );
    view::set(&mut shown, "last_error", callback.last_error.as_ref());
    view::set(&mut shown, "ended", callback.ended.map(|t| t.to_string()));
    shown
}

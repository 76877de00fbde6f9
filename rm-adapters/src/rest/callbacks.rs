//! Callbacks: where a tenant's events are brought.

use rm_core::signal::Callback;
use rm_core::{Call, Result};
use serde_json::{Value, json};

use crate::door::{Reply, Request};

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
        "after": callback.after,
        "failures": callback.failures,
    });
    if let Some(since) = callback.failing_since {
        shown["failing_since"] = json!(since.to_string());
    }
    shown
}

//! Quarantine: what waits for a person to decide, of any kind, and its ways
//! out.

use axum::http::{StatusCode, header};
use rm_core::record::ResourceRecord;
use rm_core::{Call, RemoteId, ResourceId, Result};
use serde::Deserialize;
use serde_json::json;

use super::{page, view};
use crate::door::{Reply, Request};

fn id(request: &Request) -> Result<ResourceId> {
    request.path("id").parse()
}

pub(super) async fn list(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let (after, limit) = page(request)?;
    let held = call.host.quarantine();
    let page = held.list(call.who, after.as_ref(), limit).await?;
    Ok(Reply::ok(view::list(page, |r| {
        view::resource(call.who, &r)
    })))
}

pub(super) async fn get(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let record = call.host.quarantine().get(call.who, id(request)?).await?;
    Ok(Reply::ok(view::resource(call.who, &record)))
}

pub(super) async fn retry(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let again = call.host.quarantine().retry(call.who, id(request)?).await?;
    Ok(under_way(call, request, &again))
}

#[derive(Deserialize)]
pub(super) struct Adopt {
    pub(super) id: RemoteId,
    pub(super) reason: String,
}

pub(super) async fn adopt(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let given: Adopt = request.read()?;
    let held = call.host.quarantine();
    let adopted = held.adopt(call.who, id(request)?, &given.id, &given.reason);
    Ok(under_way(call, request, &adopted.await?))
}

#[derive(Deserialize)]
pub(super) struct Abandon {
    pub(super) reason: String,
}

pub(super) async fn abandon(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let given: Abandon = request.read()?;
    let held = call.host.quarantine();
    held.abandon(call.who, id(request)?, &given.reason).await?;
    Ok(Reply::ok(json!({"abandoned": true})))
}

/// It goes on; where to look.
fn under_way(call: &Call<'_>, request: &Request, record: &ResourceRecord) -> Reply {
    let place = format!("{}/resources/{}", request.prefix, record.id);
    let shown = view::resource(call.who, record);
    Reply::json(StatusCode::ACCEPTED, shown).header(header::LOCATION, &place)
}

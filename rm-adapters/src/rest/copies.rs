//! Copies of images at sites, for operators.

use axum::http::StatusCode;
use rm_core::copies::Copies;
use rm_core::model::SiteImage;
use rm_core::resource::Resource;
use rm_core::store::Page;
use rm_core::{Call, Result};
use serde_json::{Value, json};

use super::{page, view};
use crate::door::{Reply, Request};

pub(super) async fn list(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let copies = call.host.copies();
    let (after, limit) = page(request)?;
    let found = copies
        .list(call.who, request.path("id"), after.as_ref(), limit)
        .await?;
    let mut items = Vec::with_capacity(found.items.len());
    for copy in &found.items {
        items.push(show(copies, copy).await?);
    }
    let page = Page {
        items,
        next: found.next,
    };
    Ok(Reply::ok(view::list(page, |copy| copy)))
}

pub(super) async fn get(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let copies = call.host.copies();
    let (image, id) = (request.path("id"), request.path("copy").parse()?);
    let copy = copies.get(call.who, image, id).await?;
    Ok(Reply::ok(show(copies, &copy).await?))
}

pub(super) async fn remove(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let copies = call.host.copies();
    let (image, id) = (request.path("id"), request.path("copy").parse()?);
    if let Some(reason) = request.query("abandon") {
        copies.abandon(call.who, image, id, reason).await?;
        return Ok(Reply::Empty);
    }
    let copy = copies.remove(call.who, image, id).await?;
    let shown = show(copies, &copy).await?;
    Ok(Reply::json(StatusCode::ACCEPTED, shown))
}

async fn show(copies: Copies<'_>, copy: &Resource<SiteImage>) -> Result<Value> {
    let (r, spec, seen) = (copy.record(), copy.spec()?, copy.view()?);
    let mut shown = json!({
        "id": r.id, "image": spec.image, "name": r.name, "sha256": spec.sha256,
        "site": r.place.site_name, "credential": r.place.credential,
        "state": r.seen, "wanted": r.wanted, "ready": copy.is_ready(), "reason": r.reason,
        "bytes": seen.bytes, "needed_by": copies.needed_by(copy).await?,
        "created": r.created.to_string(), "updated": r.updated.to_string(),
    });
    view::set(&mut shown, "remote", r.remote.as_ref());
    Ok(shown)
}

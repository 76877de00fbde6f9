//! Orphans: what bears our mark and is no record's.

use axum::http::StatusCode;
use rm_core::backend::Mark;
use rm_core::env::Timestamp;
use rm_core::orphans::{Orphan, Reclaimed, Skipped, Thing};
use rm_core::{Call, CatalogId, RemoteId, ResourceId, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::view::set;
use crate::door::{Reply, Request};

pub(super) async fn list(call: &Call<'_>) -> Result<Reply> {
    let report = call.host.orphans().report(call.who).await?;
    let now = call.host.env().now();
    let items: Vec<Value> = report.orphans.iter().map(|o| show(o, now)).collect();
    let skipped: Vec<Value> = report.skipped.iter().map(skipped).collect();
    Ok(Reply::ok(json!({
        "items": items, "owned": report.owned, "foreign": report.foreign, "skipped": skipped,
    })))
}

fn show(o: &Orphan, now: Timestamp) -> Value {
    let (thing, mark) = (&o.thing, &o.thing.mark);
    let mut shown = json!({
        "manager": thing.manager, "site": o.site_name, "credential": thing.credential,
        "credential_name": o.credential_name, "id": thing.remote, "name": o.name,
        "installation": mark.installation, "resource": mark.resource,
        "incarnation": mark.incarnation, "generation": mark.generation,
        "phase": o.phase.as_str(), "verdict": o.verdict.as_str(), "why": o.why,
    });
    set(&mut shown, "stamp", o.stamp.as_ref());
    set(&mut shown, "found", o.since.map(|at| at.to_string()));
    set(
        &mut shown,
        "age_seconds",
        o.age(now).map(|age| age.as_secs()),
    );
    shown
}

fn skipped(s: &Skipped) -> Value {
    json!({
        "manager": s.manager, "site": s.site_name, "credential": s.credential,
        "credential_name": s.credential_name, "why": s.why,
    })
}

#[derive(Deserialize)]
struct Reclaim {
    manager: String,
    site: String,
    credential: CatalogId,
    id: RemoteId,
    installation: String,
    resource: ResourceId,
    incarnation: u32,
    generation: u64,
    #[serde(default)]
    unheard: bool,
}

pub(super) async fn reclaim(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let asked: Reclaim = request.read()?;
    let thing = Thing {
        manager: asked.manager,
        site: call.host.catalog().site(&asked.site).await?.id,
        credential: asked.credential,
        remote: asked.id,
        mark: Mark {
            installation: asked.installation,
            resource: asked.resource,
            incarnation: asked.incarnation,
            generation: asked.generation,
        },
    };
    let orphans = call.host.orphans();
    Ok(
        match orphans.reclaim(call.who, &thing, asked.unheard).await? {
            // That it is gone shows in the next report.
            Reclaimed::Accepted => {
                Reply::json(StatusCode::ACCEPTED, json!({"reclaimed": "accepted"}))
            }
            Reclaimed::Gone => Reply::ok(json!({"reclaimed": "gone"})),
        },
    )
}

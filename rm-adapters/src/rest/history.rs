//! What happened to a cluster, and what was believed of it at a moment.

use rm_core::env::Timestamp;
use rm_core::history::{Believed, Entry};
use rm_core::{Call, Error, ResourceId, Result};
use serde_json::{Value, json};

use super::view::set;
use crate::door::{Reply, Request};

pub(super) async fn serve(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let id: ResourceId = request.path("id").parse()?;
    let at = request.query("at").map(moment).transpose()?;
    let told = call.host.history().of(call.who, id, at).await?;
    let items: Vec<Value> = told.entries.iter().map(entry).collect();
    let mut shown = json!({"cluster": id, "items": items, "whole": told.whole});
    set(&mut shown, "believed", told.believed.as_ref().map(believed));
    Ok(Reply::ok(shown))
}

fn moment(text: &str) -> Result<Timestamp> {
    Timestamp::parse(text).ok_or_else(|| {
        Error::invalid("that is not a moment").advice("write it as 2026-11-22T14:02:00Z")
    })
}

fn entry(e: &Entry) -> Value {
    let mut shown = json!({"seq": e.seq, "at": e.at.to_string(), "what": e.what, "text": e.text});
    set(&mut shown, "by", e.by.as_ref());
    shown
}

fn believed(b: &Believed) -> Value {
    let holders: Vec<Value> = b
        .holders
        .iter()
        .map(|h| {
            let mut shown = json!({"hold": h.hold, "user": h.user});
            set(&mut shown, "until", h.until.as_ref());
            shown
        })
        .collect();
    let mut shown = json!({
        "at": b.at.to_string(), "wanted": b.wanted, "state": b.seen, "generation": b.generation,
        "incarnation": b.incarnation, "reason": b.reason, "ended": b.ended, "holders": holders,
    });
    set(&mut shown, "let_go", b.let_go.as_ref());
    set(&mut shown, "nodes", b.nodes);
    set(&mut shown, "site", b.site.as_ref());
    set(&mut shown, "remote", b.remote.as_ref());
    shown
}

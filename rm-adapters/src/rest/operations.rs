//! Operations: whether what was wanted as of a generation is there.

use rm_core::event::Event;
use rm_core::life::{State, Wanted};
use rm_core::model::Cluster;
use rm_core::resource::Resource;
use rm_core::{Call, Error, ErrorKind, ResourceId, Result, Role};
use serde_json::{Value, json};

/// The operation that a cluster's generation is.
pub(super) fn show(prefix: &str, cluster: &Resource<Cluster>, generation: u64) -> Value {
    let r = cluster.record();
    // A change that the site refused is taken back, and with it the
    // generation.
    let taken_back = generation > r.generation;
    let state = match r.seen {
        _ if taken_back => "failed",
        State::Failed | State::Quarantined => "failed",
        State::Ready if r.seen_generation >= generation && r.wanted != Wanted::Absent => "done",
        _ => "running",
    };
    operation(prefix, r.id, generation, state, &r.reason)
}

fn operation(
    prefix: &str,
    cluster: ResourceId,
    generation: u64,
    state: &str,
    reason: &str,
) -> Value {
    let id = format!("{cluster}.{generation}");
    json!({
        "id": id, "cluster": cluster, "state": state, "reason": reason,
        "links": {
            "self": format!("{prefix}/operations/{id}"),
            "cluster": format!("{prefix}/clusters/{cluster}"),
            "events": format!("{prefix}/clusters/{cluster}/events"),
        },
    })
}

/// Reads an operation anew.
pub(super) async fn get(call: &Call<'_>, prefix: &str, id: &str) -> Result<Value> {
    let missing = || Error::not_found("there is no such operation");
    let (cluster, generation) = id.split_once('.').ok_or_else(missing)?;
    let cluster: ResourceId = cluster.parse().map_err(|_| missing())?;
    let generation: u64 = generation.parse().map_err(|_| missing())?;
    match call.host.clusters().get(call.who, cluster).await {
        Ok(cluster) => Ok(show(prefix, &cluster, generation)),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            // What is gone has left its events.
            let last = last_event(call, cluster).await?.ok_or_else(missing)?;
            let own = last.event.tenant.as_ref() == Some(&call.who.tenant);
            let gone = ["cluster.gone", "cluster.abandoned"].contains(&last.event.what.as_str());
            if !gone || !(own || call.who.is(Role::Operator)) {
                return Err(missing());
            }
            if last.event.what == "cluster.abandoned" {
                let why = last.event.data["reason"].as_str().unwrap_or_default();
                let reason = format!("an operator gave it up, whatever is left: {why}");
                return Ok(operation(prefix, cluster, generation, "failed", &reason));
            }
            Ok(operation(prefix, cluster, generation, "done", "it is gone"))
        }
        Err(e) => Err(e),
    }
}

async fn last_event(call: &Call<'_>, of: ResourceId) -> Result<Option<Event>> {
    let mut last: Option<Event> = None;
    loop {
        let seq = last.as_ref().map_or(0, |e| e.seq);
        match call.host.store().since(seq, Some(of), 500).await?.pop() {
            Some(newer) => last = Some(newer),
            None => return Ok(last),
        }
    }
}

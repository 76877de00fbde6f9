//! Operations: whether what was wanted as of a generation is there.

use rm_core::model::Cluster;
use rm_core::operations::Operation;
use rm_core::resource::Resource;
use rm_core::{Call, Result};
use serde_json::{Value, json};

/// The operation that a cluster's generation is.
pub(super) fn show(prefix: &str, cluster: &Resource<Cluster>, generation: u64) -> Value {
    view(prefix, &Operation::of(cluster.record(), generation))
}

/// Reads an operation anew.
pub(super) async fn get(call: &Call<'_>, prefix: &str, id: &str) -> Result<Value> {
    let operation = call.host.operations().get(call.who, id.parse()?).await?;
    Ok(view(prefix, &operation))
}

fn view(prefix: &str, operation: &Operation) -> Value {
    let id = operation.id.to_string();
    let cluster = operation.id.resource;
    json!({
        "id": id, "cluster": cluster, "state": operation.state.as_str(),
        "reason": operation.reason,
        "links": {
            "self": format!("{prefix}/operations/{id}"),
            "cluster": format!("{prefix}/clusters/{cluster}"),
            "events": format!("{prefix}/clusters/{cluster}/events"),
        },
    })
}

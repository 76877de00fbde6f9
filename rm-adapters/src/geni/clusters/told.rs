//! What advertisements and manifests say of clusters, in a namespace of our own.

use rm_core::catalog::{Appliance, Implementation};
use rm_core::model::{ClusterSpec, ClusterView};
use rm_core::record::ResourceRecord;
use serde_json::Value;

use crate::geni::Urn;
use crate::geni::component::tell_place;
use crate::geni::rspec::Node;
use crate::geni::sliver::tell_logins;
use crate::geni::xml::{Element, Name};

/// The namespace of what is said of clusters.
pub const CLUSTER: &str = "urn:resource-manager:rspec:ext:cluster:1";

fn new(local: &str) -> Element {
    Element::new(Name::new(CLUSTER, "cluster", local))
}

/// An appliance at a component, and why it cannot be had there unless a request
/// says more.
pub(super) fn appliance(
    appliance: &Appliance,
    by: &Implementation,
    slaves: u32,
    lacks: Option<&str>,
) -> Element {
    let mut told = new("appliance")
        .with("name", &appliance.name)
        .with("revision", &by.revision.to_string())
        .with("slaves", &slaves.to_string());
    if let Some(why) = lacks {
        told = told.with("available", "false").with("reason", why);
    }
    match appliance.description.trim() {
        "" => told,
        description => told.saying(description),
    }
}

/// Where it is, how it is reached, and what it is made of by now.
pub(super) fn tell(record: &ResourceRecord, aggregate: &Urn, node: &mut Node) {
    tell_place(node, aggregate, &record.place.site_name);
    let view = record.view.as_ref();
    let view: ClusterView = view.and_then(|v| v.read().ok()).unwrap_or_default();
    let Ok(spec) = record.place.spec.read::<ClusterSpec>() else {
        return;
    };
    if let Some(address) = &view.address {
        tell_logins(node, address, &spec.users);
    }
    let mut made = new("made")
        .with("appliance", &spec.appliance)
        .with("revision", &spec.revision.to_string())
        .with("slaves", &spec.slaves.to_string());
    if let Some(address) = &view.address {
        made = made.with("address", address);
    }
    for host in &view.hosts {
        let mut told = new("host")
            .with("name", &host.name)
            .with("role", &host.role);
        if let Some(address) = &host.address {
            told = told.with("address", address);
        }
        made = made.holding(told);
    }
    for (name, output) in &view.outputs {
        let text = match output {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        made = made.holding(new("output").with("name", name).saying(&text));
    }
    node.extra.add(made);
}

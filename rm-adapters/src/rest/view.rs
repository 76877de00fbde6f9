//! What things look like in JSON.

use rm_core::catalog::{Appliance, Credential, Image, Implementation, Site, Target};
use rm_core::event::Event;
use rm_core::model::Cluster;
use rm_core::record::ResourceRecord;
use rm_core::resource::Resource;
use rm_core::store::Page;
use rm_core::{Caller, Result, Role};
use serde_json::{Value, json};

/// A page of anything.
pub(crate) fn list<T>(page: Page<T>, show: impl Fn(T) -> Value) -> Value {
    let items: Vec<Value> = page.items.into_iter().map(show).collect();
    let mut list = json!({"items": items});
    if let Some(next) = page.next {
        list["next"] = json!(next.0);
    }
    list
}

/// Sets a member where there is something to say.
pub(super) fn set<T: serde::Serialize>(object: &mut Value, key: &str, value: Option<T>) {
    if let Some(value) = value {
        object[key] = json!(value);
    }
}

pub(super) fn site(s: Site) -> Value {
    let mut shown = json!({
        "id": s.id, "name": s.name, "api": s.api, "url": s.url,
        "defaults": s.defaults, "created": s.created.to_string(),
    });
    set(&mut shown, "region", s.region);
    set(&mut shown, "interface", s.interface);
    shown
}

pub(super) fn credential(c: Credential) -> Value {
    json!({
        "id": c.id, "revision": c.revision, "name": c.name, "tenant": c.tenant,
        "user": c.user, "site": c.site, "created": c.created.to_string(),
    })
}

pub(super) fn appliance(a: Appliance) -> Value {
    let mut shown = json!({
        "id": a.id, "owner": a.owner, "name": a.name, "description": a.description,
        "images": a.images, "created": a.created.to_string(),
    });
    set(&mut shown, "ready_port", a.ready_port);
    shown
}

/// Without what makes it large.
pub(super) fn implementation_line(i: &Implementation) -> Value {
    let mut shown = json!({
        "id": i.id, "owner": i.owner, "appliance": i.appliance, "revision": i.revision,
        "enabled": i.enabled, "media_type": i.media_type, "created": i.created.to_string(),
    });
    match &i.target {
        Target::Site(id) => shown["site"] = json!(id),
        Target::Api(api) => shown["site_type"] = json!(api),
    }
    shown
}

pub(super) fn implementation(i: &Implementation) -> Value {
    let mut shown = implementation_line(i);
    shown["body"] = json!(i.body);
    shown["scripts"] = json!(i.scripts);
    shown["environment"] = json!(i.environment);
    shown
}

pub(super) fn image(who: &Caller, i: Image) -> Value {
    let source = if who.is(Role::Operator) {
        i.source
    } else {
        unsigned(&i.source)
    };
    json!({
        "id": i.id, "owner": i.owner, "name": i.name, "source": source,
        "sha256": i.sha256, "disk_format": i.disk_format, "created": i.created.to_string(),
    })
}

/// A source without what may be a key to it: what stands before the host, and
/// the query, which is where a signed address has its signature.
fn unsigned(source: &str) -> String {
    let Some((scheme @ ("http" | "https"), rest)) = source.split_once("://") else {
        return source.to_owned();
    };
    let (address, query) = match rest.find(['?', '#']) {
        Some(at) => (&rest[..at], "?..."),
        None => (rest, ""),
    };
    let (host, path) = match address.find('/') {
        Some(at) => address.split_at(at),
        None => (address, ""),
    };
    let host = host.rsplit('@').next().unwrap_or(host);
    format!("{scheme}://{host}{path}{query}")
}

pub(super) fn cluster(who: &Caller, cluster: &Resource<Cluster>) -> Result<Value> {
    let (r, spec, view) = (cluster.record(), cluster.spec()?, cluster.view()?);
    let grants: Vec<Value> = r
        .grants
        .iter()
        .map(|g| json!({"user": g.user, "by": g.by, "since": g.since.to_string()}))
        .collect();
    let mut shown = json!({
        "id": r.id, "name": r.name, "appliance": spec.appliance,
        "implementation": spec.implementation, "revision": spec.revision,
        "site": r.place.site_name, "tenant": r.tenant,
        "state": r.seen, "wanted": r.wanted, "ready": cluster.is_ready(),
        "generation": r.generation, "seen_generation": r.seen_generation, "reason": r.reason,
        "slaves": spec.slaves, "hosts": view.hosts, "outputs": view.outputs,
        "holds": holds(who, r), "grants": grants,
        "created": r.created.to_string(), "updated": r.updated.to_string(),
    });
    set(&mut shown, "address", view.address);
    if who.is(Role::Operator) {
        set(&mut shown, "remote", r.remote.as_ref());
    }
    Ok(shown)
}

fn holds(who: &Caller, r: &ResourceRecord) -> Vec<Value> {
    r.holds
        .iter()
        .map(|h| {
            let mut shown = json!({
                "id": h.id, "user": h.user, "since": h.since.to_string(),
                "mine": h.user == who.user,
            });
            set(&mut shown, "until", h.until.map(|t| t.to_string()));
            shown
        })
        .collect()
}

/// A resource of any kind, without what only its model says.
pub(super) fn resource(who: &Caller, r: &ResourceRecord) -> Value {
    let mut shown = json!({
        "id": r.id, "kind": r.kind, "name": r.name, "tenant": r.tenant,
        "site": r.place.site_name, "state": r.seen, "wanted": r.wanted,
        "generation": r.generation, "seen_generation": r.seen_generation, "reason": r.reason,
        "nodes": r.nodes, "holds": holds(who, r),
        "created": r.created.to_string(), "updated": r.updated.to_string(),
    });
    set(&mut shown, "part_of", r.part_of);
    if who.is(Role::Operator) {
        set(&mut shown, "remote", r.remote.as_ref());
    }
    shown
}

pub(super) fn event(e: &Event) -> Value {
    let mut shown = json!({"seq": e.seq, "at": e.event.at.to_string(), "what": e.event.what});
    set(&mut shown, "tenant", e.event.tenant.as_ref());
    set(&mut shown, "resource", e.event.resource);
    if !e.event.data.is_null() {
        shown["data"] = (*e.event.data).clone();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::unsigned;

    #[test]
    fn a_source_is_told_without_what_opens_it() {
        for (source, told) in [
            ("file:/srv/a?b", "file:/srv/a?b"),
            ("file:///srv/a?b", "file:///srv/a?b"),
            ("https://h/a", "https://h/a"),
            ("https://h:1/a/b?X-Signature=s", "https://h:1/a/b?..."),
            ("https://user:s@h/a@b", "https://h/a@b"),
            ("http://user:s@h?sig=a/b", "http://h?..."),
            ("http://h#s", "http://h?..."),
        ] {
            assert_eq!(unsigned(source), told);
        }
    }
}

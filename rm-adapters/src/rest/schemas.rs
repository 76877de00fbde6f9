//! The schemas of what is sent and answered.

use rm_core::backend::Phase;
pub(super) use rm_core::clusters::MOST_SLAVES;
use rm_core::life::State;
use rm_core::operations::OperationState;
use rm_core::orphans::Verdict;
use rm_core::outbox::CallbackState;
use serde_json::{Map, Value, json};

use crate::door::schema::reference;

/// The longest lease that can be asked for: ten years.
const LONGEST_LEASE: u64 = 315_360_000;

fn named(all: Value) -> Map<String, Value> {
    match all {
        Value::Object(all) => all,
        _ => Map::new(),
    }
}

/// An object with these properties and no others.
fn closed(required: &[&str], properties: &Value) -> Value {
    json!({
        "type": "object", "additionalProperties": false,
        "required": required, "properties": properties,
    })
}

/// An answer: more may be added later.
fn open(required: &[&str], properties: &Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

fn list(of: &str) -> Value {
    open(
        &["items"],
        &json!({
            "items": {"type": "array", "items": reference(of)},
            "next": {"type": "string", "description": "The cursor; absent at the end"},
        }),
    )
}

fn text() -> Value {
    json!({"type": "string"})
}

fn name() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 100})
}

fn id() -> Value {
    json!({"type": "string", "format": "uuid"})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn count(max: u64) -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": max})
}

fn free() -> Value {
    json!({"type": "object", "additionalProperties": true})
}

pub(super) fn catalog() -> Map<String, Value> {
    let script = closed(
        &["name", "action", "code"],
        &json!({"name": name(), "action": name(), "code": text()}),
    );
    named(json!({
        "NewSite": closed(&["name", "api", "url"], &json!({
            "name": name(), "api": name(),
            "url": {"type": "string", "minLength": 1, "maxLength": 2000},
            "region": name(), "interface": name(), "defaults": free(),
        })),
        "Site": open(&["id", "name", "api", "url", "defaults", "created"], &json!({
            "id": id(), "name": text(), "api": text(), "url": text(), "region": text(),
            "interface": text(), "defaults": free(), "created": time(),
        })),
        "SiteList": list("Site"),
        "NewCredential": closed(&["name", "site", "secret"], &json!({
            "name": name(), "site": name(), "secret": free(),
            "user": name(), "tenant": name(),
        })),
        "NewSecret": closed(&["secret"], &json!({"secret": free()})),
        "Credential": open(
            &["id", "revision", "name", "tenant", "user", "site", "created"],
            &json!({
                "id": id(), "revision": {"type": "integer"}, "name": text(), "tenant": text(),
                "user": text(), "site": id(), "created": time(),
            }),
        ),
        "CredentialList": list("Credential"),
        "NewAppliance": closed(&["name"], &json!({
            "name": name(), "description": {"type": "string", "maxLength": 10_000},
            "ready_port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "images": {"type": "array", "maxItems": 100, "items": name()},
        })),
        "Appliance": open(&["id", "owner", "name", "description", "images", "created"], &json!({
            "id": id(), "owner": text(), "name": text(), "description": text(),
            "ready_port": {"type": "integer"},
            "images": {"type": "array", "items": text()}, "created": time(),
        })),
        "ApplianceList": list("Appliance"),
        "NewImplementation": closed(&["appliance", "media_type", "body"], &json!({
            "appliance": name(), "site": name(), "site_type": name(), "media_type": name(),
            "body": {"type": "string", "minLength": 1},
            "scripts": {"type": "array", "maxItems": 100, "items": script},
            "environment": free(),
        })),
        "ImplementationChange": closed(&["enabled"], &json!({"enabled": {"type": "boolean"}})),
        "Implementation": open(
            &["id", "owner", "appliance", "revision", "enabled", "media_type", "created"],
            &json!({
                "id": id(), "owner": text(), "appliance": id(), "site": id(),
                "site_type": text(), "revision": {"type": "integer"},
                "enabled": {"type": "boolean"}, "media_type": text(), "created": time(),
                "body": {"type": "string", "description": "Not in lists"},
                "scripts": {"type": "array", "items": {"type": "object"}},
                "environment": free(),
            }),
        ),
        "ImplementationList": list("Implementation"),
        "NewImage": closed(&["name", "source", "sha256", "disk_format"], &json!({
            "name": name(), "source": {"type": "string", "minLength": 1, "maxLength": 2000},
            "sha256": {"type": "string", "minLength": 64, "maxLength": 64}, "disk_format": name(),
        })),
        "Image": open(
            &["id", "owner", "name", "source", "sha256", "disk_format", "created"],
            &json!({
                "id": id(), "owner": text(), "name": text(), "source": text(),
                "sha256": text(), "disk_format": text(), "created": time(),
            }),
        ),
        "ImageList": list("Image"),
        "ImageCopy": open(
            &["id", "image", "name", "sha256", "site", "credential", "state", "wanted", "ready",
              "reason", "bytes", "needed_by", "created", "updated"],
            &json!({
                "id": id(), "image": id(), "name": text(), "sha256": text(), "site": text(),
                "credential": id(), "state": text(), "wanted": text(),
                "ready": {"type": "boolean"}, "reason": text(), "bytes": {"type": "integer"},
                "needed_by": {"type": "integer", "description": "Clusters that need it"},
                "remote": {"type": "string", "description": "How the site names it"},
                "created": time(), "updated": time(),
            }),
        ),
        "ImageCopyList": list("ImageCopy"),
    }))
}

pub(super) fn resources() -> Map<String, Value> {
    let sites = json!({"type": "array", "maxItems": 100, "items": name()});
    let hints = closed(
        &[],
        &json!({
            "sites": sites, "credential": name(), "implementation": id(),
            "revision": {"type": "integer", "minimum": 1, "maximum": 4_294_967_295_u64},
            "network": name(), "key": name(), "image": name(), "flavor": name(),
            "allowed_ip": name(),
        }),
    );
    let mut all = named(json!({
        "NewCluster": closed(&["appliance"], &json!({
            "appliance": name(), "name": name(), "slaves": count(MOST_SLAVES),
            "sites": sites, "hints": hints, "parameters": free(),
            "lease_seconds": {"type": "integer", "minimum": 1, "maximum": LONGEST_LEASE},
            "reuse": {"type": "string", "enum": ["match", "never"]},
            "grow": {"type": "boolean"}, "wait_seconds": count(600),
        })),
        "ClusterChange": closed(&[], &json!({
            "slaves": count(MOST_SLAVES),
            "slaves_by": {"type": "integer", "minimum": -10_000, "maximum": 10_000},
            "wait_seconds": count(600),
        })),
        "Lease": closed(&[], &json!({
            "seconds": {"type": "integer", "minimum": 1, "maximum": LONGEST_LEASE},
            "hold": id(),
        })),
        "Abandon": closed(&["reason"], &json!({
            "reason": {"type": "string", "minLength": 1, "maxLength": 1000},
        })),
        "Adopt": closed(&["id", "reason"], &json!({
            "id": {"type": "string", "minLength": 1, "maxLength": 1000, "description": "As the site names it"},
            "reason": {"type": "string", "minLength": 1, "maxLength": 1000},
        })),
        "Abandoned": open(&["abandoned"], &json!({"abandoned": {"const": true}})),
        "Deleted": open(&["deleted"], &json!({
            "deleted": {"type": "boolean"}, "holds_left": {"type": "integer"},
        })),
        "Host": open(&["name", "role"], &json!({
            "name": text(), "role": text(), "address": text(),
        })),
        "HostList": list("Host"),
        "Outputs": free(),
        "Account": open(&["username", "password", "created"], &json!({
            "username": text(), "password": text(), "created": time(),
        })),
        "AccountList": list("Account"),
        "Event": open(&["seq", "at", "what"], &json!({
            "seq": {"type": "integer"}, "at": time(), "what": text(), "tenant": text(),
            "resource": id(), "data": {},
        })),
        "EventList": list("Event"),
        "NewCallback": closed(&["url"], &json!({
            "url": {"type": "string", "minLength": 1, "maxLength": 2000},
            "prefix": {"type": "string", "maxLength": 100},
        })),
        "Callback": open(&["id", "url", "prefix", "user", "state", "after", "failures"], &json!({
            "id": id(), "url": text(), "prefix": text(), "user": text(),
            "after": {"type": "integer"}, "failures": {"type": "integer"},
            "state": {"enum": CallbackState::ALL.map(CallbackState::as_str)},
            "failing_since": time(), "last_error": text(), "ended": time(),
        })),
        "CallbackList": list("Callback"),
        "Considered": open(&["site", "verdict", "why"], &json!({
            "site": text(), "revision": {"type": "integer"},
            "verdict": {"enum": ["chosen", "next", "refused"]}, "why": text(), "code": text(),
        })),
        "Plan": open(&["considered", "quota_left"], &json!({
            "considered": {"type": "array", "items": reference("Considered")},
            "reuses": id(),
            "grows": open(&["from", "to"], &json!({
                "from": {"type": "integer"}, "to": {"type": "integer"},
            })),
            "refused": open(&["status", "code", "detail"], &json!({
                "status": {"type": "integer"}, "code": text(), "detail": text(),
                "advice": text(), "resource": id(),
            })),
            "quota_left": open(&["clusters", "nodes"], &json!({
                "clusters": {"type": ["integer", "null"]}, "nodes": {"type": ["integer", "null"]},
            })),
        })),
    }));
    all.extend(orphans());
    all.insert("History".to_owned(), history());
    all.insert("Operation".to_owned(), operation());
    all.insert("Resource".to_owned(), resource());
    all.insert("ResourceList".to_owned(), list("Resource"));
    all.insert("Cluster".to_owned(), cluster());
    all.insert("ClusterList".to_owned(), list("Cluster"));
    all
}

fn orphans() -> Map<String, Value> {
    let number = || json!({"type": "integer", "minimum": 0});
    let skipped = open(
        &["manager", "site", "credential", "credential_name", "why"],
        &json!({
            "manager": text(), "site": text(), "credential": id(), "credential_name": text(),
            "why": text(),
        }),
    );
    let known = [
        "manager",
        "site",
        "credential",
        "id",
        "installation",
        "resource",
        "incarnation",
        "generation",
    ];
    named(json!({
        "Orphan": open(&[&known[..], &["name", "phase", "verdict", "why"]].concat(), &json!({
            "manager": text(), "site": text(), "credential": id(), "credential_name": text(),
            "id": text(), "name": text(), "installation": text(), "resource": id(),
            "incarnation": number(), "generation": number(), "stamp": text(),
            "found": time(), "age_seconds": number(), "why": text(),
            "phase": {"enum": Phase::ALL.map(Phase::as_str)},
            "verdict": {"enum": Verdict::ALL.map(Verdict::as_str)},
        })),
        "OrphanReport": open(&["items", "owned", "foreign", "skipped"], &json!({
            "items": {"type": "array", "items": reference("Orphan")},
            "owned": number(), "foreign": number(),
            "skipped": {"type": "array", "items": skipped},
        })),
        "Reclaim": closed(&known, &json!({
            "manager": name(), "site": name(), "credential": id(),
            "id": {"type": "string", "minLength": 1, "maxLength": 1000},
            "installation": name(), "resource": id(),
            "incarnation": count(u64::from(u32::MAX)), "generation": number(),
            "unheard": {"type": "boolean"},
        })),
        "Reclaimed": open(&["reclaimed"], &json!({"reclaimed": {"enum": ["accepted", "gone"]}})),
    }))
}

fn history() -> Value {
    let entry = open(
        &["seq", "at", "what", "text"],
        &json!({"seq": {"type": "integer"}, "at": time(), "what": text(), "by": text(), "text": text()}),
    );
    let holder = open(
        &["hold", "user"],
        &json!({"hold": id(), "user": text(), "until": time()}),
    );
    let believed = open(
        &[
            "at",
            "wanted",
            "state",
            "generation",
            "incarnation",
            "reason",
            "ended",
            "holders",
        ],
        &json!({
            "at": time(), "wanted": text(), "state": text(), "generation": {"type": "integer"},
            "incarnation": {"type": "integer"}, "nodes": {"type": "integer"}, "site": text(),
            "remote": text(), "reason": text(), "let_go": text(), "ended": {"type": "boolean"},
            "holders": {"type": "array", "items": holder},
        }),
    );
    open(
        &["cluster", "items", "whole"],
        &json!({
            "cluster": id(), "items": {"type": "array", "items": entry},
            "whole": {"type": "boolean", "description": "False where its beginning is no longer kept"},
            "believed": believed,
        }),
    )
}

fn operation() -> Value {
    open(
        &["id", "cluster", "state", "reason", "links"],
        &json!({
            "id": text(), "cluster": id(), "reason": text(),
            "state": {"enum": OperationState::ALL.map(OperationState::as_str)},
            "links": {"type": "object", "additionalProperties": {"type": "string"}},
        }),
    )
}

fn states() -> Value {
    json!({"enum": State::ALL.map(State::as_str)})
}

fn wanted() -> Value {
    json!({"enum": ["absent", "reserved", "stopped", "running"]})
}

fn holds() -> Value {
    let hold = open(
        &["id", "user", "since", "mine"],
        &json!({
            "id": id(), "user": text(), "since": time(), "until": time(),
            "mine": {"type": "boolean"},
        }),
    );
    json!({"type": "array", "items": hold})
}

fn resource() -> Value {
    let required = [
        "id",
        "kind",
        "name",
        "tenant",
        "site",
        "state",
        "wanted",
        "generation",
        "seen_generation",
        "reason",
        "nodes",
        "holds",
        "created",
        "updated",
    ];
    open(
        &required,
        &json!({
            "id": id(), "kind": text(), "name": text(), "tenant": text(), "site": text(),
            "state": states(), "wanted": wanted(), "generation": {"type": "integer"},
            "seen_generation": {"type": "integer"}, "reason": text(),
            "nodes": {"type": "integer", "description": "What it takes of the tenant's quota"},
            "part_of": {"type": "string", "format": "uuid", "description": "The cluster that it is a node of"},
            "remote": {"type": "string", "description": "How the site names it; for operators"},
            "holds": holds(), "created": time(), "updated": time(),
        }),
    )
}

fn cluster() -> Value {
    let required = [
        "id",
        "name",
        "appliance",
        "implementation",
        "revision",
        "site",
        "tenant",
        "state",
        "wanted",
        "ready",
        "generation",
        "seen_generation",
        "reason",
        "slaves",
        "hosts",
        "outputs",
        "holds",
        "grants",
        "created",
        "updated",
    ];
    open(
        &required,
        &json!({
            "id": id(), "name": text(), "appliance": text(), "implementation": id(),
            "revision": {"type": "integer"}, "site": text(), "tenant": text(),
            "state": states(), "wanted": wanted(),
            "ready": {"type": "boolean"}, "generation": {"type": "integer"},
            "seen_generation": {"type": "integer"}, "reason": text(),
            "slaves": {"type": "integer"}, "address": text(),
            "remote": {"type": "string", "description": "How the site names it; for operators"},
            "hosts": {"type": "array", "items": reference("Host")}, "outputs": free(),
            "holds": holds(),
            "grants": {"type": "array", "items": open(&["user", "by", "since"], &json!({
                "user": text(), "by": text(), "since": time(),
            }))},
            "created": time(), "updated": time(),
            "hold": {"type": "string", "format": "uuid", "description": "On create: yours"},
            "reused": {"type": "boolean", "description": "On create"},
            "considered": {"type": "array", "items": reference("Considered")},
            "operation": reference("Operation"),
        }),
    )
}

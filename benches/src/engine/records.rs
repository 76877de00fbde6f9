//! Records as the engine writes them: of clusters that are ready.

use std::collections::BTreeMap;
use std::sync::Arc;

use rm_core::env::Timestamp;
use rm_core::event::NewEvent;
use rm_core::life::State;
use rm_core::model::{ClusterHost, ClusterSpec, ClusterView, Json};
use rm_core::record::{Hold, Place, ResourceRecord};
use rm_core::{CatalogId, HoldId, Kind, RemoteId, ResourceId, Result, Tenant};
use serde_json::json;
use uuid::{Builder, Uuid};

/// When the first of them was made.
const BEGIN: u64 = 1_893_456_000_000;

/// How many slaves each has.
const SLAVES: u32 = 3;

/// The id of cluster number `n`: a later one sorts behind an earlier one, and
/// what follows the time is as good as random.
pub(super) fn id(n: u32) -> ResourceId {
    let random = u128::from(n)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let bytes = random.to_be_bytes();
    let mut ten = [0; 10];
    ten.copy_from_slice(&bytes[..10]);
    ResourceId(Builder::from_unix_timestamp_millis(BEGIN + u64::from(n), &ten).into_uuid())
}

/// Who owns it, where there are so many tenants.
pub(super) fn tenant(n: u32, tenants: u32) -> Tenant {
    Tenant(format!("tenant-{:04}", n % tenants.max(1)))
}

/// Who holds it: each tenant has one user.
pub(super) fn user(n: u32, tenants: u32) -> String {
    format!("user-{:04}", n % tenants.max(1))
}

/// Cluster number `n`.
pub(super) fn cluster(n: u32, tenants: u32) -> Result<ResourceRecord> {
    let id = id(n);
    let fixed = |n: u128| CatalogId(Uuid::from_u128(n));
    let spec = Json::of(&ClusterSpec {
        appliance: "hadoop".to_owned(),
        implementation: fixed(3),
        revision: 1,
        slaves: SLAVES,
        others: 0,
        users: Vec::new(),
        parameters: BTreeMap::from([
            ("flavor".to_owned(), json!("m1.medium")),
            ("network".to_owned(), json!("private")),
        ]),
        ready_port: Some(8088),
        images: BTreeMap::new(),
    })?;
    let host = |i: u32| ClusterHost {
        name: format!("rm-{id}-{i}"),
        role: if i == 0 { "master" } else { "slave" }.to_owned(),
        address: Some(format!(
            "10.{}.{}.{}",
            (n >> 16) & 0xff,
            (n >> 8) & 0xff,
            10 + i
        )),
    };
    let hosts: Vec<ClusterHost> = (0..=SLAVES).map(host).collect();
    let view = ClusterView {
        address: hosts.first().and_then(|h| h.address.clone()),
        hosts,
        outputs: BTreeMap::from([("console".to_owned(), json!("http://10.0.0.10:8088"))]),
    };
    let place = Place {
        manager: "sim".to_owned(),
        site: fixed(1),
        site_name: "north".to_owned(),
        credential: fixed(2),
        spec: spec.clone(),
        key: None,
    };
    let tenant = tenant(n, tenants);
    let now = Timestamp::from_millis(i64::try_from(BEGIN).unwrap_or_default() + i64::from(n));
    let mut r = ResourceRecord::new(
        id,
        Kind::CLUSTER,
        tenant.clone(),
        "hadoop".to_owned(),
        place,
        now,
    );
    r.seen = State::Ready;
    r.seen_generation = 1;
    r.seen_spec = Some(spec);
    r.stamp = Some("1".to_owned());
    r.view = Some(Json::of(&view)?);
    r.remote = Some(RemoteId(Uuid::from_u128(id.0.as_u128() ^ 1).to_string()));
    r.made = Some(now);
    r.incarnation = 1;
    r.nodes = u64::from(1 + SLAVES);
    r.holds.push(Hold {
        id: HoldId(Uuid::from_u128(id.0.as_u128() ^ 2)),
        user: user(n, tenants),
        tenant,
        until: None,
        since: now,
    });
    Ok(r)
}

/// What is told of it.
pub(super) fn event(r: &ResourceRecord) -> NewEvent {
    NewEvent {
        at: r.updated,
        what: format!("{}.ready", r.kind),
        tenant: Some(r.tenant.clone()),
        audience: r.parties().into_iter().map(str::to_owned).collect(),
        resource: Some(r.id),
        data: json!({
            "from": State::Building, "to": r.seen, "wanted": r.wanted,
            "generation": r.generation, "site": r.place.site_name,
            "incarnation": r.incarnation, "remote": r.remote,
        })
        .into(),
    }
}

/// So many of them, the first one being number `from`.
pub(super) fn clusters(from: u32, many: u32, tenants: u32) -> Result<Vec<Arc<ResourceRecord>>> {
    (from..from.saturating_add(many))
        .map(|n| cluster(n, tenants).map(Arc::new))
        .collect()
}

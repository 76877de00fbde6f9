//! GetVersion: what this aggregate can do.

use super::{Rpc, Value, Version};
use crate::geni::rspec::NAMESPACE;
use crate::geni::slice::{SliceV2, SliceV3};
use crate::geni::sliver::GeniSliver;
use crate::geni::states::OPSTATE;

/// The answer to GetVersion. The types are those that the acceptance tests of
/// the field insist on: `geni_single_allocation` is a number. Versions are those
/// whose contract something here fulfils.
pub(super) fn get_version(rpc: &Rpc, version: Version) -> Value {
    let (aggregate, adapters) = (&rpc.aggregate, rpc.host.adapters());
    let url = |v: Version| Value::text(format!("{}{}", aggregate.base, v.path()));
    let mut spoken = Vec::with_capacity(2);
    if !adapters.all::<dyn SliceV2>().is_empty() {
        spoken.push(("2", url(Version::V2)));
    }
    if !adapters.all::<dyn SliceV3>().is_empty() {
        spoken.push(("3", url(Version::V3)));
    }
    let slivers = adapters.all::<dyn GeniSliver>();
    let own: Vec<&str> = slivers
        .iter()
        .flat_map(|a| a.extensions())
        .copied()
        .collect();
    let offered: Vec<&str> = std::iter::once(OPSTATE)
        .chain(own.iter().copied())
        .collect();
    let mut members = vec![
        ("geni_api", Value::Int(version.number())),
        ("geni_api_versions", Value::of(spoken)),
        ("geni_request_rspec_versions", rspecs("request.xsd", &own)),
        ("geni_ad_rspec_versions", rspecs("ad.xsd", &offered)),
        ("geni_am_type", Value::text("resource-manager")),
        ("geni_am_code", Value::text(env!("CARGO_PKG_VERSION"))),
        ("urn", Value::text(aggregate.urn.as_str())),
        ("geni_credential_types", credentials()),
    ];
    if version == Version::V3 {
        let single = i64::from(aggregate.single_allocation);
        members.push(("geni_single_allocation", Value::Int(single)));
        let allocating = aggregate.allocating.as_str();
        members.push(("geni_allocate", Value::text(allocating)));
    }
    Value::of(members)
}

fn rspecs(schema: &str, extensions: &[&str]) -> Value {
    let extensions = extensions.iter().map(|e| Value::text(*e)).collect();
    Value::Array(vec![Value::of([
        ("type", Value::text("GENI")),
        ("version", Value::text("3")),
        ("schema", Value::text(format!("{NAMESPACE}/{schema}"))),
        ("namespace", Value::text(NAMESPACE)),
        ("extensions", Value::Array(extensions)),
    ])])
}

fn credentials() -> Value {
    let kind = |kind: &str, version: &str| {
        Value::of([
            ("geni_type", Value::text(kind)),
            ("geni_version", Value::text(version)),
        ])
    };
    Value::Array(vec![
        kind("geni_sfa", "2"),
        kind("geni_sfa", "3"),
        kind("geni_abac", "1"),
    ])
}

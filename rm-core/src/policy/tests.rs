use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::{CheapestThenRoomiest, Placement, Policy, Quota};
use crate::ErrorKind;
use crate::backend::Offer;
use crate::caller::Tenant;
use crate::env::Timestamp;
use crate::id::{CatalogId, ResourceId};
use crate::model::Json;
use crate::record::Place;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn leases(default: Option<u64>, longest: Option<u64>) -> Policy {
    Policy {
        quota: Quota {
            lease_seconds: longest,
            ..Quota::default()
        },
        default_lease: default.map(Duration::from_secs),
        ..Policy::default()
    }
}

fn until(policy: &Policy, asked: Option<u64>) -> crate::Result<Option<u64>> {
    let tenant = Tenant("acme".to_owned());
    let end = policy.until(&tenant, asked.map(Duration::from_secs), NOW)?;
    Ok(end.map(|t| t.since(NOW).as_secs()))
}

#[test]
fn what_is_asked_for_comes_before_the_default_and_the_default_before_the_longest() {
    for (default, longest, asked, expected) in [
        (None, None, None, None),
        (None, None, Some(5), Some(5)),
        (Some(10), None, None, Some(10)),
        (Some(10), None, Some(50), Some(50)),
        (None, Some(20), None, Some(20)),
        (Some(10), Some(20), None, Some(10)),
        (Some(10), Some(20), Some(20), Some(20)),
        // A default that is longer than the longest is cut.
        (Some(90), Some(20), None, Some(20)),
    ] {
        let got = until(&leases(default, longest), asked).unwrap();
        assert_eq!(got, expected, "{default:?} {longest:?} {asked:?}");
    }
}

#[test]
fn a_lease_that_is_too_long_is_refused_with_the_longest() {
    let refused = until(&leases(None, Some(20)), Some(21)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Quota);
    assert_eq!(refused.stable_code(), "lease-too-long");
    assert!(refused.to_string().contains("20 s"), "{refused}");
}

#[test]
fn a_lease_of_no_time_is_refused() {
    for policy in [leases(None, None), leases(Some(10), Some(20))] {
        assert_eq!(
            until(&policy, Some(0)).unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
}

#[test]
fn a_tenant_with_a_quota_of_its_own_has_nothing_of_the_general_one() {
    let mut policy = leases(None, Some(20));
    let own = Quota {
        clusters: None,
        nodes: Some(3),
        lease_seconds: None,
    };
    policy.tenants = BTreeMap::from([("acme".to_owned(), own)]);
    assert_eq!(policy.quota(&Tenant("acme".to_owned())), own);
    assert_eq!(until(&policy, Some(1000)).unwrap(), Some(1000));
    assert_eq!(
        policy.quota(&Tenant("other".to_owned())).lease_seconds,
        Some(20)
    );
}

proptest! {
    #[test]
    fn no_hold_outlives_the_longest_lease(
        default in proptest::option::of(0..1000_u64),
        longest in 1..1000_u64,
        asked in proptest::option::of(1..2000_u64),
    ) {
        if let Ok(end) = until(&leases(default, Some(longest)), asked) {
            prop_assert!(end.is_some_and(|s| s <= longest));
        }
    }
}

fn offer(site: u128, cost: f64, nodes_left: Option<u64>, existing: bool) -> Offer {
    Offer {
        cost,
        existing: existing.then(|| ResourceId(Uuid::from_u128(site))),
        place: Some(Place {
            manager: "toy".to_owned(),
            site: CatalogId(Uuid::from_u128(site)),
            site_name: format!("site-{site:03}"),
            credential: CatalogId(Uuid::nil()),
            spec: Json::of(&()).unwrap(),
            key: None,
        }),
        ..Offer::room(nodes_left)
    }
}

fn ranked(mut offers: Vec<Offer>) -> Vec<String> {
    CheapestThenRoomiest.rank(&mut offers);
    offers
        .into_iter()
        .filter_map(|o| o.place.map(|p| p.site_name))
        .collect()
}

#[test]
fn what_is_there_then_what_is_cheap_then_where_there_is_room_then_by_name() {
    let order = ranked(vec![
        offer(5, 1.0, Some(10), false),
        offer(4, 1.0, Some(10), false),
        offer(3, 1.0, None, false),
        offer(2, 0.5, Some(1), false),
        offer(1, 9.0, Some(1), true),
        offer(6, f64::NAN, None, false),
    ]);
    assert_eq!(
        order,
        [
            "site-001", "site-002", "site-003", "site-004", "site-005", "site-006"
        ]
    );
}

fn any_offers() -> impl Strategy<Value = Vec<Offer>> {
    let cost = prop_oneof![Just(0.0), Just(1.5), Just(f64::NAN), Just(f64::INFINITY)];
    let left = proptest::option::of(0..3_u64);
    proptest::collection::vec((cost, left, any::<bool>()), 0..12).prop_map(|all| {
        (0..)
            .zip(all)
            .map(|(site, (cost, left, existing))| offer(site, cost, left, existing))
            .collect()
    })
}

proptest! {
    /// Sites answer in any order; the choice must not depend on it.
    #[test]
    fn the_same_offers_get_the_same_order(
        (offers, shuffled) in any_offers().prop_flat_map(|o| (Just(o.clone()), Just(o).prop_shuffle()))
    ) {
        let count = offers.len();
        let order = ranked(offers);
        prop_assert_eq!(order.len(), count);
        prop_assert_eq!(order, ranked(shuffled));
    }
}

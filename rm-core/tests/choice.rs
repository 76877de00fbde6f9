//! Which site and which revision a request gets, and what it is told about it.
#![allow(clippy::unwrap_used, reason = "tests, and what they share")]

mod support;

use rm_core::backend::{MockBackend, Offer};
use rm_core::clusters::{ClusterRequest, Plan};
use rm_core::model::Cluster;
use rm_core::{Error, ErrorKind, Host, Result};

use support::{add_hadoop, add_revision, add_site, anna, cloud, host};

fn roomy() -> MockBackend<Cluster> {
    let mut cloud = cloud();
    cloud
        .expect_offers()
        .returning(|_, _| Ok(vec![Offer::room(Some(10))]));
    cloud
}

fn hadoop() -> ClusterRequest {
    ClusterRequest {
        appliance: "hadoop".to_owned(),
        slaves: Some(3),
        ..ClusterRequest::default()
    }
}

async fn plan(host: &Host, request: &ClusterRequest) -> Result<Plan> {
    let before = host.events().newest().await.unwrap();
    let plan = host.clusters().plan(&anna(), request).await;
    let after = host.events().newest().await.unwrap();
    assert_eq!(before, after, "a plan changes nothing");
    plan
}

/// The revision that would be used.
async fn revision(host: &Host, request: &ClusterRequest) -> Option<u32> {
    plan(host, request).await.unwrap().considered[0].revision
}

// -- revisions -------------------------------------------------------------------

#[tokio::test]
async fn the_newest_enabled_revision_is_used_unless_another_is_asked_for() {
    let host = host(roomy());
    add_site(&host, "berlin").await;
    add_hadoop(&host).await;
    let second = add_revision(&host, None).await;
    let third = add_revision(&host, None).await;
    assert_eq!(revision(&host, &hadoop()).await, Some(3));
    for (off, then) in [(third, Some(2)), (second, Some(1))] {
        host.catalog()
            .enable_implementation(&anna(), off, false)
            .await
            .unwrap();
        assert_eq!(revision(&host, &hadoop()).await, then);
    }
    host.catalog()
        .enable_implementation(&anna(), second, true)
        .await
        .unwrap();
    assert_eq!(revision(&host, &hadoop()).await, Some(2));
    // Who asks for one gets it, though it is not offered to others any more.
    let pinned = ClusterRequest {
        revision: Some(3),
        ..hadoop()
    };
    assert_eq!(revision(&host, &pinned).await, Some(3));
    let unknown = ClusterRequest {
        revision: Some(4),
        ..hadoop()
    };
    let e = plan(&host, &unknown).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
    assert_eq!(e.next(), Some("there are: 1, 2, 3"));
}

#[tokio::test]
async fn what_was_written_for_the_site_comes_before_what_was_written_for_its_type() {
    let host = host(roomy());
    add_site(&host, "berlin").await;
    add_hadoop(&host).await;
    add_revision(&host, None).await;
    let own = add_revision(&host, Some("berlin")).await;
    assert_eq!(revision(&host, &hadoop()).await, Some(1));
    host.catalog()
        .enable_implementation(&anna(), own, false)
        .await
        .unwrap();
    assert_eq!(revision(&host, &hadoop()).await, Some(2));
}

#[tokio::test]
async fn a_site_without_an_implementation_says_so() {
    let host = host(roomy());
    add_site(&host, "berlin").await;
    add_hadoop(&host).await;
    add_site(&host, "paris").await;
    add_revision(&host, Some("paris")).await;
    let all = host.catalog().implementations(None, 9).await.unwrap();
    for i in all
        .items
        .iter()
        .filter(|i| i.target.to_string() == "type:toy")
    {
        host.catalog()
            .enable_implementation(&anna(), i.id, false)
            .await
            .unwrap();
    }
    let plan = plan(&host, &hadoop()).await.unwrap();
    let told: Vec<_> = plan
        .considered
        .iter()
        .map(|c| (c.site.as_str(), c.verdict.as_str()))
        .collect();
    assert_eq!(told, [("paris", "chosen"), ("berlin", "refused")]);
    assert!(plan.considered[1].why.contains("no enabled implementation"));
}

// -- sites -----------------------------------------------------------------------

#[tokio::test]
async fn every_site_is_asked_and_the_best_is_taken() {
    let mut cloud = cloud();
    cloud
        .expect_offers()
        .returning(|site, _| match site.name.as_str() {
            "full" => Ok(Vec::new()),
            "small" => Ok(vec![Offer::room(Some(3))]),
            "down" => Err(Error::new(ErrorKind::Unavailable, "it is being repaired")),
            "dear" => Ok(vec![Offer {
                cost: 2.0,
                ..Offer::room(Some(99))
            }]),
            _ => Ok(vec![Offer::room(Some(10))]),
        });
    let host = host(cloud);
    for name in ["full", "small", "down", "dear", "good"] {
        add_site(&host, name).await;
    }
    add_hadoop(&host).await;
    let plan = plan(&host, &hadoop()).await.unwrap();
    let told: Vec<_> = plan
        .considered
        .iter()
        .map(|c| (c.site.as_str(), c.verdict.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("good", "chosen"),
            ("dear", "next"),
            ("down", "refused"),
            ("full", "refused"),
            ("small", "refused"),
        ]
    );
    for (considered, why) in plan.considered[2..].iter().zip([
        "it is being repaired",
        "it is full",
        "room for 3 nodes, 4 are needed",
    ]) {
        assert!(considered.why.contains(why), "{considered:?}");
    }
}

#[tokio::test]
async fn an_unknown_site_is_the_fault_of_the_request_and_lists_the_known_ones() {
    let host = host(roomy());
    add_site(&host, "berlin").await;
    add_hadoop(&host).await;
    let request = ClusterRequest {
        sites: vec!["berln".to_owned()],
        ..hadoop()
    };
    let e = plan(&host, &request).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
    assert_eq!(e.next(), Some("there are: berlin"));
}

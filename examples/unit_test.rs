//! How an Operation Manager is tested without a cloud: the backend is a mock
//! that answers what it is told, and time is simulated, so that nobody waits.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use rm_core::backend::{Capability, CreateKey, MockBackend, Offer, Phase, Seen, Serves, Target};
use rm_core::catalog::{NewAppliance, NewCredential, NewImplementation, NewSite};
use rm_core::clusters::ClusterRequest;
use rm_core::model::{Cluster, ClusterView};
use rm_core::{Caller, Error, ErrorKind, Host, Kind, RemoteId, Result};
use rm_testkit::{MEDIA_TYPE, SimBody, World};

// -- a part of an Operation Manager ----------------------------------------------

/// What a user is told.
#[derive(Debug, PartialEq)]
enum Answer {
    /// Where the cluster's master is.
    At(String),
    /// That there is none now, and why.
    Later(String),
}

/// Asks for a cluster; what does not come about is not kept.
async fn cluster_for(host: &Host, who: &Caller, slaves: u32) -> Result<Answer> {
    let (clusters, request) = (host.clusters(), ClusterRequest::of("hadoop", slaves));
    let id = match clusters.create(who, &request).await {
        Ok(made) => made.cluster.id(),
        Err(e) if e.kind() == ErrorKind::Quota => return Ok(Answer::Later(e.to_string())),
        Err(e) => return Err(e),
    };
    let cluster = clusters.settled(who, id, Duration::from_secs(3600)).await?;
    if cluster.is_ready() {
        return Ok(Answer::At(cluster.view()?.address.unwrap_or_default()));
    }
    let why = cluster.record().reason.clone();
    cluster.release(who, None).await?;
    Ok(Answer::Later(why))
}

// -- its tests -------------------------------------------------------------------

#[test]
fn a_user_is_told_where_the_cluster_is() {
    let mut cloud = cloud();
    cloud
        .expect_create()
        .times(1)
        .withf(|_, _, spec| spec.slaves == 4)
        .returning(|_, mark, _| Ok(RemoteId(mark.name())));
    cloud
        .expect_observe()
        .returning(|_, targets| Ok(targets.iter().map(ready).collect()));
    let (answer, _) = ask(cloud, 4);
    assert_eq!(answer, Answer::At("10.0.0.1".to_owned()));
}

#[test]
fn a_user_is_told_why_there_is_none_and_keeps_nothing() {
    let mut cloud = cloud();
    cloud
        .expect_create()
        .times(1)
        .returning(|_, _, _| Err(Error::new(ErrorKind::NoCapacity, "no room").permanent()));
    let (answer, left) = ask(cloud, 4);
    assert_eq!(answer, Answer::Later("no room".to_owned()));
    assert_eq!(left, 0);
}

#[test]
fn over_the_quota_the_cloud_is_not_even_asked() {
    // This mock has not been told what to answer to a create: it would panic.
    let (answer, left) = ask(cloud(), 1_000_000);
    assert!(matches!(&answer, Answer::Later(why) if why.contains("quota")));
    assert_eq!(left, 0);
}

// -- what they need --------------------------------------------------------------

/// A cloud that guarantees what clouds usually do.
fn cloud() -> MockBackend<Cluster> {
    let mut cloud = MockBackend::new();
    cloud.expect_capability().returning(|_| {
        let mut capability = Capability::new();
        capability.create_key = CreateKey::UniqueName;
        capability
    });
    cloud
        .expect_offers()
        .returning(|_, _| Ok(vec![Offer::room(None)]));
    cloud
}

fn ready(target: &Target) -> Seen<Cluster> {
    Seen {
        id: RemoteId(target.mark.name()),
        name: target.mark.name(),
        mark: Some(target.mark.clone()),
        phase: Phase::Ready,
        reason: String::new(),
        stamp: None,
        view: Some(ClusterView {
            address: Some("10.0.0.1".to_owned()),
            ..ClusterView::default()
        }),
    }
}

/// What the user is told, and how many clusters are left afterwards.
fn ask(cloud: MockBackend<Cluster>, slaves: u32) -> (Answer, usize) {
    let world = World::new(1);
    let asked = world.block_on(async {
        let who = Caller::operator("ann", "physics");
        let host = host(&world, cloud, &who).await?;
        let engine = host.engine();
        world.spawn("engine", async move {
            engine.run(pending()).await.unwrap();
        });
        let answer = cluster_for(&host, &who, slaves).await?;
        world.sleep(Duration::from_secs(3600)).await;
        let left = host.clusters().list(&who, false, None, 10).await?;
        Ok::<_, Error>((answer, left.items.len()))
    });
    asked.unwrap()
}

/// A host with one site, and one appliance.
async fn host(world: &World, cloud: MockBackend<Cluster>, who: &Caller) -> Result<Host> {
    let mut builder = Host::builder(world.env());
    let serves = Serves {
        kind: Kind::CLUSTER,
        api: "mock".to_owned(),
        media: vec![MEDIA_TYPE.to_owned()],
    };
    let registries = builder.registries();
    registries.media(Arc::new(SimBody))?;
    registries.backend("mock", serves, Arc::new(cloud))?;
    let host = builder.build()?;
    let catalog = host.catalog();
    let site = NewSite::new("here", "mock", "sim:here");
    catalog.add_site(who, site).await?;
    let means = NewCredential::new("mine", "here", serde_json::json!({}));
    catalog.add_credential(who, means).await?;
    catalog
        .add_appliance(who, NewAppliance::new("hadoop"))
        .await?;
    let how = NewImplementation::new("hadoop", "mock", MEDIA_TYPE, "{}");
    catalog.add_implementation(who, how).await?;
    Ok(host)
}

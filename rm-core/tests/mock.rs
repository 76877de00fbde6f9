//! How a program that is built upon a host is tested without a cloud: here an
//! Operation Manager that takes a smaller cluster where there is no room for
//! the one it wants.

mod support;

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use rm_core::backend::{MockBackend, Offer, Phase, Seen, Target};
use rm_core::clusters::{ClusterRequest, Reuse};
use rm_core::model::{Cluster, ClusterView};
use rm_core::{Caller, Error, ErrorKind, Host, RemoteId, Result};

use support::{add_hadoop, add_site, anna, cloud, host};

// -- what is tested ----------------------------------------------------------------

/// The address of a cluster of at most so many slaves.
async fn address_of_a_cluster(host: &Host, who: &Caller, slaves: u32) -> Result<String> {
    for slaves in (0..=slaves).rev() {
        let request = ClusterRequest {
            appliance: "hadoop".to_owned(),
            slaves: Some(slaves),
            reuse: Reuse::Never,
            ..ClusterRequest::default()
        };
        let made = host.clusters().create(who, &request).await?;
        let id = made.cluster.id();
        let settled = host
            .clusters()
            .settled(who, id, Duration::from_secs(600))
            .await?;
        if settled.is_ready() {
            return Ok(settled.view()?.address.unwrap_or_default());
        }
        settled.release(who, None).await?;
        host.clusters()
            .gone(who, id, Duration::from_secs(600))
            .await?;
    }
    Err(Error::new(ErrorKind::NoCapacity, "not even a master"))
}

// -- the tests -----------------------------------------------------------------------

#[tokio::test]
async fn a_smaller_cluster_will_do() {
    let mut cloud = cloud();
    cloud
        .expect_offers()
        .returning(|_, _| Ok(vec![Offer::room(None)]));
    cloud
        .expect_create()
        .times(3)
        .returning(|_, mark, spec| match spec.slaves {
            0..=2 => Ok(RemoteId(mark.name())),
            _ => Err(Error::new(ErrorKind::NoCapacity, "no room").permanent()),
        });
    cloud
        .expect_observe()
        .returning(|_, targets| Ok(targets.iter().map(ready).collect()));
    let address = run(cloud, 4).await.unwrap();
    assert_eq!(address, "10.0.0.1");
}

#[tokio::test]
async fn with_no_room_at_all_the_caller_is_told() {
    let mut cloud = cloud();
    cloud
        .expect_offers()
        .returning(|_, _| Ok(vec![Offer::room(None)]));
    cloud
        .expect_create()
        .times(2)
        .returning(|_, _, _| Err(Error::new(ErrorKind::NoCapacity, "no room").permanent()));
    let refused = run(cloud, 1).await.unwrap_err();
    assert_eq!(refused.what(), "not even a master");
}

// -- what they need --------------------------------------------------------------------

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

async fn run(cloud: MockBackend<Cluster>, slaves: u32) -> Result<String> {
    let (host, who) = (host(cloud), anna());
    add_site(&host, "berlin").await;
    add_hadoop(&host).await;
    let engine = host.engine();
    // The engine works for as long as somebody asks.
    let asked = pin!(address_of_a_cluster(&host, &who, slaves));
    let work = pin!(engine.run(std::future::pending()));
    match select(asked, work).await {
        Either::Left((found, _)) => found,
        Either::Right(_) => Err(Error::new(ErrorKind::Internal, "the engine has stopped")),
    }
}

//! Create, reuse, resize, delete.

use rm_core::clusters::Size;
use rm_core::model::ClusterHost;

use crate::lab::Lab;

#[tokio::test]
async fn a_cluster_is_made_resized_and_destroyed() {
    let Some(lab) = Lab::open("a_cluster_is_made_resized_and_destroyed").await else {
        return;
    };
    let clusters = lab.host.clusters();
    let made = clusters.create(&lab.user, &lab.request(3)).await.unwrap();
    let id = made.cluster.id();
    assert!(!made.reused);
    let cluster = lab.ready(id).await;
    let view = cluster.view().unwrap();
    assert_eq!(view.address.as_deref(), Some("10.77.0.1"));
    assert_eq!(view.outputs["master_ip"], "10.77.0.1");
    let roles: Vec<&str> = view.hosts.iter().map(|h| h.role.as_str()).collect();
    assert_eq!(roles, ["master", "slave", "slave", "slave"]);
    assert_addresses_differ(&view.hosts);
    let stacks = lab.stacks(id).await;
    assert_eq!(stacks.len(), 1);
    assert_eq!(lab.slaves(&stacks[0]).await, 3);

    for (size, slaves) in [
        (Size::To(5), 5),
        (Size::By(-1), 4),
        (Size::By(1), 5),
        (Size::To(3), 3),
    ] {
        clusters.resize(&lab.user, id, size).await.unwrap();
        let cluster = lab.ready(id).await;
        assert_eq!(cluster.view().unwrap().hosts.len(), 1 + slaves);
        let stacks = lab.stacks(id).await;
        assert_eq!(stacks.len(), 1);
        assert_eq!(lab.slaves(&stacks[0]).await, slaves, "after {size:?}");
    }

    lab.delete(id).await;
    assert!(lab.stacks(id).await.is_empty());
}

#[tokio::test]
async fn an_equal_request_gets_the_same_cluster_and_a_hold_of_its_own() {
    let Some(lab) = Lab::open("an_equal_request_gets_the_same_cluster").await else {
        return;
    };
    let clusters = lab.host.clusters();
    let request = lab.request(1);
    let (a, b) = futures_util::future::join(
        clusters.create(&lab.user, &request),
        clusters.create(&lab.user, &request),
    )
    .await;
    let (a, b) = (a.unwrap(), b.unwrap());
    let id = a.cluster.id();
    assert_eq!(id, b.cluster.id());
    assert_ne!(a.hold, b.hold);
    assert!(a.reused != b.reused, "one made it, one found it");
    lab.ready(id).await;
    assert_eq!(lab.stacks(id).await.len(), 1);

    let cluster = clusters.get(&lab.user, id).await.unwrap();
    cluster.release(&lab.user, Some(a.hold)).await.unwrap();
    let left = lab.ready(id).await;
    assert_eq!(left.record().holds.len(), 1);
    assert_eq!(lab.stacks(id).await.len(), 1);
    lab.delete(id).await;
    assert!(lab.stacks(id).await.is_empty());
}

fn assert_addresses_differ(hosts: &[ClusterHost]) {
    let mut addresses: Vec<_> = hosts.iter().map(|h| h.address.clone().unwrap()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), hosts.len());
}

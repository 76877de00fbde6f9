//! Very many clusters at once, on a cloud that has nothing else to do.

use std::time::Duration;

use futures_util::future::join_all;
use rm_core::ResourceId;

use crate::own::OwnCloud;

const MANY: usize = 100;

/// What costs a cloud least.
const SMALL: &str = "{heat_template_version: 2018-08-31, \
    resources: {one: {type: OS::Heat::RandomString}}, \
    outputs: {master_ip: {value: 10.77.0.1}}}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_clusters_at_once_are_one_stack_each() {
    let Some(cloud) = OwnCloud::up("a_hundred_clusters_at_once", &[]) else {
        return;
    };
    let lab = cloud.host().await;
    lab.appliance("small", SMALL).await;
    let clusters = lab.host.clusters();
    let request = lab.another("small");
    let asked = (0..MANY).map(|_| clusters.create(&lab.user, &request));
    let ids: Vec<ResourceId> = join_all(asked)
        .await
        .into_iter()
        .map(|made| made.unwrap().cluster.id())
        .collect();
    for id in &ids {
        lab.ready(*id).await;
    }
    assert_eq!(lab.each(&ids).await, vec![1; MANY]);
    assert_eq!(lab.marked().await.len(), MANY, "and none beside");

    for id in &ids {
        let cluster = clusters.get(&lab.user, *id).await.unwrap();
        cluster.release(&lab.user, None).await.unwrap();
    }
    for id in &ids {
        let limit = Duration::from_secs(400);
        assert!(clusters.gone(&lab.user, *id, limit).await.unwrap());
    }
    assert!(lab.marked().await.is_empty(), "none is left over");
}

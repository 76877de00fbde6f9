//! A cloud whose parts go away, whose tokens end, and which is full.

use std::time::Duration;

use rm_core::life::State;
use serde_json::json;

use crate::own::OwnCloud;

const SLOW: &str = include_str!("../../../lab/openstack/templates/slow.yaml");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_ends_in_the_middle_of_a_wait_is_replaced() {
    let test = "a_token_that_ends_in_the_middle_of_a_wait_is_replaced";
    let Some(cloud) = OwnCloud::up(test, &["--token-seconds", "10"]) else {
        return;
    };
    let lab = cloud.host().await;
    lab.appliance("slow", SLOW).await;
    let mut request = lab.another("slow");
    request.slaves = Some(1);
    request.parameters.insert("seconds".to_owned(), json!(25));
    let clusters = lab.host.clusters();
    let id = clusters
        .create(&lab.user, &request)
        .await
        .unwrap()
        .cluster
        .id();
    lab.ready(id).await;
    assert!(!lab.events(id).await.contains(&"cluster.unknown".to_owned()));
    lab.delete(id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_gets_through_although_keystone_is_away_for_a_while() {
    let test = "a_delete_gets_through_although_keystone_is_away";
    let Some(cloud) = OwnCloud::up(test, &[]) else {
        return;
    };
    let lab = cloud.host().await;
    let clusters = lab.host.clusters();
    let id = clusters
        .create(&lab.user, &lab.request(2))
        .await
        .unwrap()
        .cluster
        .id();
    let cluster = lab.ready(id).await;
    cloud.run(&["stop-service", "DIR", "keystone"]);
    cluster.release(&lab.user, None).await.unwrap();
    lab.until("the delete has failed for want of keystone", || async {
        let r = clusters.get(&lab.user, id).await.unwrap();
        let reason = r.record().reason.to_lowercase();
        reason.contains("delete_failed") || reason.contains("keystone")
    })
    .await;
    cloud.run(&["start-service", "DIR", "keystone"]);
    let limit = Duration::from_secs(180);
    assert!(clusters.gone(&lab.user, id, limit).await.unwrap());
    let left = lab.stacks(id).await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_whose_limit_is_reached_says_so_and_is_passed_over() {
    let test = "a_site_whose_limit_is_reached_says_so_and_is_passed_over";
    let Some(full) = OwnCloud::up(test, &["--max-stacks", "1"]) else {
        return;
    };
    let Some(roomy) = OwnCloud::up(test, &[]) else {
        return;
    };
    let lab = full.host().await;
    let clusters = lab.host.clusters();
    let mut request = lab.another("trivial");
    lab.appliance(
        "trivial",
        "{heat_template_version: 2018-08-31, outputs: {master_ip: {value: 10.0.0.1}}}",
    )
    .await;
    let first = clusters
        .create(&lab.user, &request)
        .await
        .unwrap()
        .cluster
        .id();
    lab.ready(first).await;

    // The only site: it fails with the site's own words.
    let refused = clusters
        .create(&lab.user, &request)
        .await
        .unwrap()
        .cluster
        .id();
    let cluster = lab.settled(refused).await;
    assert_eq!(cluster.record().seen, State::Failed);
    assert!(
        cluster.record().reason.contains("limit"),
        "{}",
        cluster.record().reason
    );
    lab.delete(refused).await;

    // With another site, that one takes it, and the events say why.
    let roomy = roomy.host().await;
    lab.site("roomy", &roomy.url).await;
    request.sites = vec!["lab".to_owned(), "roomy".to_owned()];
    let made = clusters.create(&lab.user, &request).await.unwrap();
    let id = made.cluster.id();
    let cluster = lab.ready(id).await;
    assert_eq!(cluster.record().place.site_name, "roomy");
    assert!(lab.events(id).await.contains(&"cluster.moved".to_owned()));
    assert!(lab.stacks(id).await.is_empty());
    assert_eq!(roomy.stacks(id).await.len(), 1);
    lab.delete(id).await;
    assert!(roomy.stacks(id).await.is_empty());
    lab.delete(first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_never_comes_makes_no_second_stack() {
    let test = "an_answer_that_never_comes_makes_no_second_stack";
    let Some(cloud) = OwnCloud::up(test, &[]) else {
        return;
    };
    let lab = cloud.host().await;
    let clusters = lab.host.clusters();
    // A warm session, so that the next thing asked of the cloud is the create.
    let warm = clusters
        .create(&lab.user, &lab.another("cluster"))
        .await
        .unwrap();
    lab.ready(warm.cluster.id()).await;
    cloud.run(&["pause-service", "DIR", "heat"]);
    let mut request = lab.another("cluster");
    request.slaves = Some(1);
    let id = clusters
        .create(&lab.user, &request)
        .await
        .unwrap()
        .cluster
        .id();
    lab.until("the create is given up as unknown", || async {
        let r = clusters.get(&lab.user, id).await.unwrap();
        r.record().attempt.is_some() && r.record().looks > 0
    })
    .await;
    cloud.run(&["resume-service", "DIR", "heat"]);
    lab.ready(id).await;
    assert_eq!(lab.stacks(id).await.len(), 1);
    lab.delete(id).await;
    lab.delete(warm.cluster.id()).await;
    assert!(lab.stacks(id).await.is_empty());
}

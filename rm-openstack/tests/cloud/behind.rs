//! What others do at the cloud behind our back.

use rm_core::life::State;
use rm_core::policy::Policy;
use rm_openstack::client::heat::UpdateStack;
use serde_json::json;
use std::time::Duration;

use crate::lab::{Cloud, Lab};

fn watchful() -> Policy {
    Policy {
        sweep: Duration::from_millis(500),
        ..Policy::default()
    }
}

#[tokio::test]
async fn a_stack_deleted_behind_our_back_is_reported_and_not_made_again() {
    let test = "a_stack_deleted_behind_our_back_is_reported";
    let Some(lab) = Lab::open_with(test, Cloud::Minimal, watchful()).await else {
        return;
    };
    let clusters = lab.host.clusters();
    let id = clusters
        .create(&lab.user, &lab.request(1))
        .await
        .unwrap()
        .cluster
        .id();
    lab.ready(id).await;
    let stack = lab.stacks(id).await.remove(0);
    lab.eyes.delete(&stack.reference()).await.unwrap();
    lab.until("it is seen to have failed", || async {
        let cluster = clusters.get(&lab.user, id).await.unwrap();
        cluster.record().seen == State::Failed
    })
    .await;
    let cluster = clusters.get(&lab.user, id).await.unwrap();
    assert!(cluster.record().reason.contains("not by our doing"));

    // The owner asks to try again: another stack, under another name.
    lab.until("the old stack is gone", || async {
        lab.stacks(id).await.is_empty()
    })
    .await;
    cluster.retry(&lab.user).await.unwrap();
    lab.ready(id).await;
    let stacks = lab.stacks(id).await;
    assert_eq!(stacks.len(), 1);
    assert_ne!(stacks[0].id, stack.id);
    lab.delete(id).await;
}

#[tokio::test]
async fn a_stack_updated_behind_our_back_shows_what_is_there_now() {
    let test = "a_stack_updated_behind_our_back_shows_what_is_there";
    let Some(lab) = Lab::open_with(test, Cloud::Minimal, watchful()).await else {
        return;
    };
    let clusters = lab.host.clusters();
    let id = clusters
        .create(&lab.user, &lab.request(1))
        .await
        .unwrap()
        .cluster
        .id();
    lab.ready(id).await;
    let stack = lab.stacks(id).await.remove(0);
    let update = UpdateStack::parameters([("slaves".to_owned(), json!(2))].into(), Vec::new());
    lab.eyes.update(&stack.reference(), &update).await.unwrap();
    lab.until("the other host is seen", || async {
        let cluster = clusters.get(&lab.user, id).await.unwrap();
        cluster.view().unwrap().hosts.len() == 3
    })
    .await;
    assert!(lab.events(id).await.contains(&"cluster.drifted".to_owned()));
    lab.delete(id).await;
}

//! Sizes that the template or Heat refuses, and sizes that somebody asks for at a bad moment.

use rm_core::ErrorKind;
use rm_core::clusters::Size;
use rm_core::life::State;
use rm_openstack::client::heat::UpdateStack;
use serde_json::json;

use crate::lab::{Lab, MINIMAL};

const SLOW: &str = include_str!("../../../lab/openstack/templates/slow.yaml");

/// More than the template allows, and more resources than Heat allows a stack
/// to have, nested ones included.
const TOO_MANY: u32 = 1200;

#[tokio::test]
async fn a_size_that_the_template_does_not_allow_is_refused_before_anything_is_done() {
    let test = "a_size_that_the_template_does_not_allow";
    let Some(lab) = Lab::open(test).await else {
        return;
    };
    let clusters = lab.host.clusters();
    let mut request = lab.another("cluster");
    let made = clusters.create(&lab.user, &request).await;
    let id = made.unwrap().cluster.id();
    let before = lab.ready(id).await;
    let events = lab.events(id).await;
    let resized = clusters.resize(&lab.user, id, Size::To(TOO_MANY)).await;
    request.slaves = Some(TOO_MANY);
    let created = clusters.create(&lab.user, &request).await;
    for refused in [resized.unwrap_err(), created.unwrap_err()] {
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.what().contains("0 to 500"), "{refused}");
    }
    let after = lab.ready(id).await;
    assert_eq!(after.record().generation, before.record().generation);
    assert_eq!(lab.events(id).await, events);
    let all = clusters.list(&lab.user, false, None, 10).await.unwrap();
    assert_eq!(all.items.len(), 1, "nothing is kept of what was refused");
    lab.delete(id).await;
    assert!(lab.stacks(id).await.is_empty());
}

/// What is not read here: Heat has the last word.
const EVEN: &str = "{modulo: {step: 2, offset: 0}}, ";

#[tokio::test]
async fn a_size_that_heat_does_not_allow_is_refused_and_what_is_there_stays() {
    let test = "a_size_that_heat_does_not_allow";
    let Some(lab) = Lab::open(test).await else {
        return;
    };
    let even = MINIMAL.replace("constraints: [", &format!("constraints: [{EVEN}"));
    lab.appliance("even", &even).await;
    let clusters = lab.host.clusters();
    let made = clusters.create(&lab.user, &lab.another("even")).await;
    let id = made.unwrap().cluster.id();
    let before = lab.ready(id).await.view().unwrap();
    let asked = clusters.resize(&lab.user, id, Size::To(3)).await;
    let generation = asked.unwrap().record().generation;
    let cluster = lab.ready(id).await;
    let r = cluster.record();
    let refusal = r.refusal(generation).unwrap();
    assert!(refusal.contains("multiple of 2"), "{refusal}");
    assert_eq!(cluster.view().unwrap().hosts, before.hosts);
    assert_eq!(r.nodes, before.hosts.len() as u64, "it counts in no quota");
    let stacks = lab.stacks(id).await;
    assert_eq!(stacks.len(), 1);
    assert_eq!(lab.slaves(&stacks[0]).await, before.hosts.len() - 1);

    // The next one that it can make is made.
    clusters.resize(&lab.user, id, Size::To(4)).await.unwrap();
    assert_eq!(lab.ready(id).await.view().unwrap().hosts.len(), 5);
    lab.delete(id).await;
    assert!(lab.stacks(id).await.is_empty());
}

/// Heat takes it, and its update fails: the stack is broken, and says why.
#[tokio::test]
async fn a_size_beyond_the_limit_of_heat_fails_and_another_one_repairs_it() {
    let test = "a_size_beyond_the_limit_of_heat_fails";
    let Some(lab) = Lab::open(test).await else {
        return;
    };
    let unbounded = MINIMAL.replace("max: 500", "max: 5000");
    lab.appliance("unbounded", &unbounded).await;
    let clusters = lab.host.clusters();
    let made = clusters.create(&lab.user, &lab.another("unbounded")).await;
    let id = made.unwrap().cluster.id();
    lab.ready(id).await;
    clusters
        .resize(&lab.user, id, Size::To(TOO_MANY))
        .await
        .unwrap();
    let cluster = lab.settled(id).await;
    let r = cluster.record();
    assert_eq!(r.seen, State::Failed);
    assert!(r.reason.contains("Maximum resources"), "{}", r.reason);
    assert_eq!(lab.stacks(id).await.len(), 1);

    clusters.resize(&lab.user, id, Size::To(1)).await.unwrap();
    assert_eq!(lab.ready(id).await.view().unwrap().hosts.len(), 2);
    let stacks = lab.stacks(id).await;
    assert_eq!(stacks.len(), 1);
    assert_eq!(lab.slaves(&stacks[0]).await, 1);
    lab.delete(id).await;
    assert!(lab.stacks(id).await.is_empty());
}

#[tokio::test]
async fn a_size_asked_for_while_somebody_else_changes_the_stack_is_there_in_the_end() {
    let test = "a_size_asked_for_while_somebody_else_changes_the_stack";
    let Some(lab) = Lab::open(test).await else {
        return;
    };
    lab.appliance("slow", SLOW).await;
    let mut request = lab.another("slow");
    request.slaves = Some(1);
    request.parameters.insert("seconds".to_owned(), json!(0));
    request
        .parameters
        .insert("update_seconds".to_owned(), json!(6));
    let clusters = lab.host.clusters();
    let id = clusters
        .create(&lab.user, &request)
        .await
        .unwrap()
        .cluster
        .id();
    lab.ready(id).await;
    let stack = lab.stacks(id).await.remove(0);
    let theirs = UpdateStack::parameters([("slaves".to_owned(), json!(4))].into(), Vec::new());
    lab.eyes.update(&stack.reference(), &theirs).await.unwrap();
    clusters.resize(&lab.user, id, Size::To(3)).await.unwrap();
    lab.until("Heat has three slaves", || async {
        let cluster = clusters.get(&lab.user, id).await.unwrap();
        assert_ne!(cluster.record().seen, State::Failed);
        cluster.is_ready() && cluster.view().unwrap().hosts.len() == 4
    })
    .await;
    let stacks = lab.stacks(id).await;
    assert_eq!(stacks.len(), 1);
    assert_eq!(lab.slaves(&stacks[0]).await, 3);
    lab.delete(id).await;
    assert!(lab.stacks(id).await.is_empty());
}

#[tokio::test]
async fn a_cluster_on_its_way_out_takes_no_other_size() {
    let test = "a_cluster_on_its_way_out_takes_no_other_size";
    let Some(lab) = Lab::open(test).await else {
        return;
    };
    lab.appliance("slow", SLOW).await;
    let mut request = lab.another("slow");
    request.slaves = Some(1);
    for (name, seconds) in [
        ("seconds", 0),
        ("update_seconds", 30),
        ("delete_seconds", 5),
    ] {
        request.parameters.insert(name.to_owned(), json!(seconds));
    }
    let clusters = lab.host.clusters();
    let id = clusters
        .create(&lab.user, &request)
        .await
        .unwrap()
        .cluster
        .id();
    lab.ready(id).await;
    let in_status = async |status: &str| {
        let shown = lab.stacks(id).await;
        shown.iter().any(|s| s.status.to_string() == status)
    };

    // Given up in the middle of a change: the change does not keep it.
    clusters.resize(&lab.user, id, Size::To(2)).await.unwrap();
    lab.until("Heat changes it", || in_status("UPDATE_IN_PROGRESS"))
        .await;
    let cluster = clusters.get(&lab.user, id).await.unwrap();
    cluster.release(&lab.user, None).await.unwrap();
    lab.until("Heat deletes it", || in_status("DELETE_IN_PROGRESS"))
        .await;
    for size in [Size::To(3), Size::By(-1)] {
        let refused = clusters.resize(&lab.user, id, size).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
    }
    let again = cluster.release(&lab.user, None).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Busy, "{again}");
    let limit = std::time::Duration::from_secs(120);
    assert!(clusters.gone(&lab.user, id, limit).await.unwrap());
    assert!(lab.stacks(id).await.is_empty());
}

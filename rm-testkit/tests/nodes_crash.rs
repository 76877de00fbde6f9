//! A crash at every point where an engine meets the store or the site, while a
//! cluster of nodes is made, resized and destroyed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join;
use rm_core::clusters::Size;
use rm_core::life::State;
use rm_core::{ErrorKind, ResourceId};
use rm_testkit::{Scene, StoreFault};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Create,
    Resize,
    Delete,
}

const PARTS: [Part; 3] = [Part::Create, Part::Resize, Part::Delete];

fn scene(seed: u64) -> Scene {
    let role = |name: &str, count: Value, command: &str| {
        json!({"name": name, "count": count, "node": {
            "image": "debian", "vcpus": 1, "memory_mib": 128, "boot_commands": [command],
        }})
    };
    let body = json!({
        "roles": [
            role("master", json!(1), "serve"),
            role("slave", json!("slaves"), "join {{master_ip}}"),
        ],
        "master": "master",
    });
    let builder = Scene::builder(seed).sites(&[]);
    builder.node_sites(&["cellar"], &body).build().unwrap()
}

/// Runs a whole life; `trouble` is called as its part begins, and answers are
/// only read once everything is at rest again.
async fn life(s: &Scene, part: Part, trouble: impl Fn()) {
    let when = |now: Part| {
        if now == part {
            trouble();
        } else {
            s.world.disarm();
        }
    };
    // What engines do once when they start is not counted.
    s.world.sleep(Duration::from_secs(1)).await;
    when(Part::Create);
    let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
    let id = made.cluster.id();
    s.rest().await;
    exactly(s, id, 2).await;

    when(Part::Resize);
    s.clusters()
        .resize(&s.alice, id, Size::To(2))
        .await
        .unwrap();
    s.rest().await;
    exactly(s, id, 3).await;

    when(Part::Delete);
    let cluster = s.clusters().get(&s.alice, id).await.unwrap();
    cluster.release(&s.alice, None).await.unwrap();
    s.rest().await;
    s.world.disarm();
    let e = s.clusters().get(&s.alice, id).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert_eq!(s.faults().await, Vec::<String>::new());
    assert_eq!(s.cloud.everything(s.world.now()), []);
    assert_eq!(s.records().await, []);
    assert_eq!(s.counter("quota/physics/nodes").await, 0);
    let lists = s.truth.documents("cluster.nodes", None, None, 10).await;
    assert_eq!(lists.unwrap().items, []);
    let events = s.truth.since(0, None, 100_000).await.unwrap();
    let nodes: Vec<ResourceId> = events
        .iter()
        .filter(|e| e.event.what == "sim.node.requested")
        .filter_map(|e| e.event.resource)
        .collect();
    assert_eq!(nodes.len(), 3, "only ever one set of nodes was asked for");
    for node in nodes {
        assert_eq!(s.cloud.ever_of(node).len(), 1, "no node was made twice");
    }
}

/// Exactly one set of nodes, each of them there once.
async fn exactly(s: &Scene, id: ResourceId, nodes: usize) {
    let cluster = s.clusters().get(&s.alice, id).await.unwrap();
    let r = cluster.record();
    assert_eq!(r.seen, State::Ready, "{r:?}\n{}", s.story(id).await);
    assert_eq!(cluster.view().unwrap().hosts.len(), nodes);
    let parts = s.records().await;
    let parts: Vec<_> = parts.iter().filter(|r| r.part_of == Some(id)).collect();
    assert_eq!(parts.len(), nodes, "{parts:#?}");
    for part in parts {
        assert_eq!(s.cloud.of(part.id, s.world.now()).len(), 1);
    }
    assert_eq!(s.cloud.everything(s.world.now()).len(), nodes);
}

/// Crashes the engine that passes each of the points in turn, until there is
/// none left.
fn enumerate(part: Part, engines: u32, seed: u64) -> BTreeMap<&'static str, u64> {
    let mut covered = BTreeMap::new();
    for n in 1.. {
        let scene = scene(seed);
        for _ in 0..engines {
            scene.start_engine();
        }
        scene.run(async |s| life(s, part, || s.world.crash_at("engine", n)).await);
        match scene.world.crashed() {
            Some(point) => *covered.entry(point).or_default() += 1,
            None => break,
        }
    }
    covered
}

#[test]
fn a_crash_at_every_point_leaves_exactly_one_set_of_nodes() {
    for part in PARTS {
        let covered = enumerate(part, 1, 1);
        let all: u64 = covered.values().sum();
        println!("{part:?}: a crash at each of {all} points: {covered:?}");
        assert!(covered.contains_key("after commit: outcome"), "{part:?}");
        let verb = match part {
            Part::Create | Part::Resize => "before create",
            Part::Delete => "before destroy",
        };
        assert!(covered.contains_key(verb), "{part:?} {covered:?}");
    }
}

#[test]
fn a_crash_at_every_point_beside_a_second_engine_leaves_exactly_one_set_of_nodes() {
    for part in PARTS {
        let covered = enumerate(part, 2, 0);
        let all: u64 = covered.values().sum();
        println!("{part:?}, two engines: {all} points: {covered:?}");
        assert!(covered.contains_key("after commit: outcome"), "{part:?}");
    }
}

#[test]
fn a_commit_that_fails_or_is_not_answered_leaves_exactly_one_set_of_nodes() {
    for part in PARTS {
        for fault in [StoreFault::Unavailable, StoreFault::OutcomeLost] {
            let mut covered = 0;
            for n in 1.. {
                let scene = scene(1);
                let engine = scene.start_engine();
                scene.run(async |s| life(s, part, || engine.store.fail(n, fault)).await);
                if engine.store.suffered() == 0 {
                    break;
                }
                covered += 1;
            }
            println!("{part:?}, {fault:?}: each of {covered} commits");
            assert!(covered >= 2);
        }
    }
}

#[test]
fn an_engine_that_stalls_for_longer_than_its_lease_makes_no_second_set() {
    for part in PARTS {
        let mut covered = BTreeMap::new();
        for n in 1.. {
            let scene = scene(3);
            scene.start_engine();
            scene.start_engine();
            scene.run(async |s| {
                let world = &s.world;
                let end = world.now().plus(Duration::from_secs(600));
                let waking = async {
                    let stalled = loop {
                        if let Some(id) = world.struck() {
                            break id;
                        }
                        if world.now() > end {
                            return;
                        }
                        world.sleep(Duration::from_secs(1)).await;
                    };
                    // Long after another engine has taken over.
                    world.sleep(Duration::from_secs(75)).await;
                    world.resume(stalled);
                };
                join(waking, life(s, part, || world.stall_at("engine", n))).await;
            });
            match scene.world.crashed() {
                Some(point) => *covered.entry(point).or_default() += 1,
                None => break,
            }
        }
        let all: u64 = covered.values().sum();
        println!("{part:?}, stalled at each of {all} points: {covered:?}");
    }
}

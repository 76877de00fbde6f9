//! A crash at every point where an engine meets the store or the cloud.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join;

use rm_core::backend::Resize;
use rm_core::clusters::Size;
use rm_core::env::Timestamp;
use rm_core::life::State;
use rm_core::{ErrorKind, ResourceId};
use rm_testkit::{Scene, StoreFault};

/// What is asked of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Create,
    Resize,
    Delete,
}

/// What is struck, at a site that gives things another size in this way.
const CASES: [(Part, Resize); 4] = [
    (Part::Create, Resize::InPlace),
    (Part::Resize, Resize::InPlace),
    (Part::Delete, Resize::InPlace),
    (Part::Resize, Resize::Replace),
];

fn scene(seed: u64, how: Resize) -> Scene {
    let scene = Scene::new(seed);
    scene.cloud.declare(|c| c.resize = how);
    scene
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
    let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
    let id = made.cluster.id();
    s.rest().await;
    exactly_one(s, id, 2).await;

    when(Part::Resize);
    s.clusters()
        .resize(&s.alice, id, Size::To(4))
        .await
        .unwrap();
    s.rest().await;
    exactly_one(s, id, 4).await;

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
    let ever = s.cloud.ever_of(id);
    match s.cloud.declared().resize {
        Resize::Replace => assert_eq!(ever.len(), 2, "one in the stead of the other"),
        _ => assert_eq!(ever.len(), 1, "only ever one real thing"),
    }
    for (old, new) in ever.iter().zip(&ever[1..]) {
        assert!(old.since <= new.created, "two at once: {old:?} {new:?}");
    }
}

async fn exactly_one(s: &Scene, id: ResourceId, slaves: u32) {
    let cluster = s.clusters().get(&s.alice, id).await.unwrap();
    assert_eq!(
        cluster.record().seen,
        State::Ready,
        "{:?}",
        cluster.record()
    );
    let things = s.cloud.of(id, s.world.now());
    assert_eq!(things.len(), 1);
    assert_eq!(things[0].slaves, slaves);
    assert_eq!(cluster.view().unwrap().hosts.len(), slaves as usize + 1);
}

/// Crashes the engine that passes each of the points in turn, until there is
/// none left.
fn enumerate((part, how): (Part, Resize), engines: u32, seed: u64) -> BTreeMap<&'static str, u64> {
    let mut covered = BTreeMap::new();
    for n in 1.. {
        let scene = scene(seed, how);
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
fn a_crash_at_every_point_loses_and_leaks_nothing() {
    for (part, how) in CASES {
        let covered = enumerate((part, how), 1, 1);
        let all: u64 = covered.values().sum();
        println!("{part:?} {how:?}: a crash at each of {all} points: {covered:?}");
        for point in [
            "before commit: intent",
            "after commit: intent",
            "before commit: outcome",
            "after commit: outcome",
            "after claim",
            "pending",
        ] {
            assert!(covered.contains_key(point), "{part:?} {point}");
        }
        let verbs: &[&str] = match (part, how) {
            (Part::Create, _) => &["before create", "after create"],
            (Part::Resize, Resize::Replace) => &[
                "before destroy",
                "after destroy",
                "before create",
                "after create",
            ],
            (Part::Resize, _) => &["before change", "after change"],
            (Part::Delete, _) => &["before destroy", "after destroy"],
        };
        for point in verbs {
            assert!(covered.contains_key(point), "{part:?} {point}");
        }
    }
}

#[test]
fn a_crash_at_every_point_beside_a_second_engine_loses_and_leaks_nothing() {
    for (part, how) in CASES {
        // The order in which the two take turns decides who does what.
        for seed in 0..4 {
            let covered = enumerate((part, how), 2, seed);
            let all: u64 = covered.values().sum();
            println!("{part:?} {how:?}, two engines, order {seed}: {all} points: {covered:?}");
        }
    }
}

#[test]
fn a_commit_that_fails_or_is_not_answered_loses_and_leaks_nothing() {
    for (part, how) in CASES {
        for fault in [StoreFault::Unavailable, StoreFault::OutcomeLost] {
            let mut covered = 0;
            for n in 1.. {
                let scene = scene(1, how);
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
fn an_engine_that_stalls_for_longer_than_its_lease_is_fenced() {
    for (part, how) in CASES {
        let mut covered = BTreeMap::new();
        for n in 1.. {
            let scene = scene(3, how);
            scene.start_engine();
            scene.start_engine();
            scene.run(async |s| {
                let world = &s.world;
                let waking = async {
                    let stalled = loop {
                        if let Some(id) = world.struck() {
                            break id;
                        }
                        if world.now() > begin(600) {
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

#[test]
fn an_engine_that_wakes_when_all_is_over_makes_nothing() {
    let mut covered = 0;
    for n in 1.. {
        let scene = Scene::new(5);
        scene.start_engine();
        scene.start_engine();
        scene.run(async |s| {
            s.world.stall_at("engine", n);
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            let id = made.cluster.id();
            s.world.sleep(Duration::from_secs(1)).await;
            made.cluster.release(&s.alice, None).await.unwrap();
            assert!(s.gone(&s.alice, id).await.unwrap(), "point {n}");
            s.world.disarm();
            // Longer than a claim, and than an effect may be late.
            s.world.sleep(Duration::from_secs(300)).await;
            if let Some(stalled) = s.world.struck() {
                s.world.resume(stalled);
            }
            s.world.sleep(Duration::from_secs(60)).await;
            assert_eq!(s.cloud.everything(s.world.now()), [], "point {n}");
            assert_eq!(s.faults().await, Vec::<String>::new(), "point {n}");
        });
        match scene.world.crashed() {
            Some(_) => covered += 1,
            None => break,
        }
    }
    assert!(covered > 40, "{covered}");
}

#[test]
fn an_engine_that_wakes_when_another_has_done_its_work_makes_no_second_one() {
    let mut covered = 0;
    for n in 1.. {
        let scene = Scene::new(6);
        scene.start_engine();
        scene.start_engine();
        scene.run(async |s| {
            s.world.stall_at("engine", n);
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            let id = made.cluster.id();
            assert!(s.ready(&s.alice, id).await.unwrap().is_ready());
            s.world.disarm();
            let before = s.cloud.ever_of(id);
            s.world.sleep(Duration::from_secs(300)).await;
            if let Some(stalled) = s.world.struck() {
                s.world.resume(stalled);
            }
            s.world.sleep(Duration::from_secs(60)).await;
            assert_eq!(s.cloud.ever_of(id), before, "point {n}");
            assert_eq!(s.faults().await, Vec::<String>::new(), "point {n}");
        });
        match scene.world.crashed() {
            Some(_) => covered += 1,
            None => break,
        }
    }
    assert!(covered > 40, "{covered}");
}

fn begin(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_893_456_000_000 + seconds * 1000)
}

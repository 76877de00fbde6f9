//! Leases end by themselves, once, and on time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use futures_util::future::join;
use rm_core::clusters::ClusterRequest;
use rm_core::env::Timestamp;
use rm_core::life::Wanted;
use rm_core::policy::Quota;
use rm_core::{ErrorKind, ResourceId};
use rm_testkit::Scene;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn leased(s: &Scene, seconds: u64) -> ClusterRequest {
    ClusterRequest {
        lease: Some(secs(seconds)),
        ..s.own(1)
    }
}

/// When each hold of a resource expired.
async fn ends(s: &Scene, id: ResourceId) -> Vec<Timestamp> {
    s.truth
        .since(0, Some(id), 10_000)
        .await
        .unwrap()
        .iter()
        .filter(|e| e.event.what == "cluster.expired")
        .map(|e| e.event.at)
        .collect()
}

#[test]
fn a_lease_ends_within_a_second_and_only_once() {
    for seed in 0..50 {
        let scene = Scene::new(seed);
        scene.start_engine();
        scene.start_engine();
        scene.run(async |s| {
            let seconds = 20 + seed * 7;
            let made = s
                .clusters()
                .create(&s.alice, &leased(s, seconds))
                .await
                .unwrap();
            let id = made.cluster.id();
            let end = s.world.now().plus(secs(seconds));
            assert_eq!(made.cluster.record().holds[0].until, Some(end));
            s.ready(&s.alice, id).await.unwrap();
            assert!(s.gone(&s.alice, id).await.unwrap());
            s.world.sleep(secs(200)).await;
            let ends = ends(s, id).await;
            assert_eq!(ends.len(), 1);
            assert!(ends[0] >= end && ends[0].since(end) <= secs(1), "{ends:?}");
            assert_eq!(s.faults().await, Vec::<String>::new());
            assert_eq!(s.cloud.everything(s.world.now()), []);
        });
    }
}

#[test]
fn a_lease_that_ended_while_no_engine_ran_ends_as_soon_as_one_does() {
    let scene = Scene::new(1);
    let engine = scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &leased(s, 30)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        s.world.kill(engine.id);
        s.world.sleep(secs(600)).await;
        assert_eq!(ends(s, id).await, []);
        assert_eq!(s.cloud.of(id, s.world.now()).len(), 1);
        let begun = s.world.now();
        s.start_engine();
        assert!(s.gone(&s.alice, id).await.unwrap());
        let ends = ends(s, id).await;
        assert_eq!(ends.len(), 1);
        assert!(ends[0].since(begun) <= secs(1));
    });
}

#[test]
fn a_lease_survives_the_engine_that_knew_of_it() {
    let scene = Scene::new(2);
    let engine = scene.start_engine();
    scene.run(async |s| {
        let made = s
            .clusters()
            .create(&s.alice, &leased(s, 300))
            .await
            .unwrap();
        let id = made.cluster.id();
        let end = s.world.now().plus(secs(300));
        s.ready(&s.alice, id).await.unwrap();
        s.world.kill(engine.id);
        s.world.sleep(secs(100)).await;
        s.start_engine();
        assert!(s.gone(&s.alice, id).await.unwrap());
        let ends = ends(s, id).await;
        assert_eq!(ends.len(), 1);
        assert!(ends[0] >= end && ends[0].since(end) <= secs(1), "{ends:?}");
    });
}

#[test]
fn only_the_hold_that_is_over_ends() {
    let scene = Scene::new(3);
    scene.start_engine();
    scene.run(async |s| {
        let short = ClusterRequest {
            lease: Some(secs(30)),
            ..s.request(1)
        };
        let made = s.clusters().create(&s.alice, &short).await.unwrap();
        let id = made.cluster.id();
        s.clusters().create(&s.bob, &s.request(1)).await.unwrap();
        s.world.sleep(secs(100)).await;
        let now = s.clusters().get(&s.bob, id).await.unwrap();
        assert_eq!(now.record().wanted, Wanted::Running);
        assert_eq!(now.record().holds.len(), 1);
        assert_eq!(now.record().holds[0].user, "bob");
        assert_eq!(ends(s, id).await.len(), 1);
        assert_eq!(s.cloud.of(id, s.world.now()).len(), 1);
    });
}

#[test]
fn renewing_and_expiring_have_one_winner() {
    let (mut renewed, mut expired) = (0, 0);
    for seed in 0..300 {
        let scene = Scene::new(seed);
        scene.start_engine();
        scene.run(async |s| {
            let made = s.clusters().create(&s.alice, &leased(s, 30)).await.unwrap();
            let id = made.cluster.id();
            let cluster = s.ready(&s.alice, id).await.unwrap();
            let end = made.cluster.record().holds[0].until.unwrap();
            // At the very moment.
            s.world.sleep(end.since(s.world.now())).await;
            let (won, ()) = join(
                cluster.renew(&s.alice, Some(made.hold), Some(secs(600))),
                s.world.sleep(secs(0)),
            )
            .await;
            s.world.sleep(secs(60)).await;
            let events = ends(s, id).await.len();
            match won {
                Ok(_) => {
                    renewed += 1;
                    assert_eq!(events, 0, "seed {seed}");
                    let now = s.clusters().get(&s.alice, id).await.unwrap();
                    assert_eq!(now.record().wanted, Wanted::Running, "seed {seed}");
                    assert_eq!(s.cloud.of(id, s.world.now()).len(), 1);
                }
                Err(e) => {
                    expired += 1;
                    assert!(
                        matches!(e.kind(), ErrorKind::Busy | ErrorKind::NotFound),
                        "{e}"
                    );
                    assert_eq!(events, 1, "seed {seed}");
                    assert_eq!(s.records().await, []);
                }
            }
        });
    }
    println!("renewed {renewed}, expired {expired}");
    assert!(renewed > 0 && expired > 0);
}

/// One of two engines crashes, or is stopped for longer than its claims last,
/// at each boundary around the end of a lease.
#[test]
fn wherever_an_engine_stops_as_a_lease_ends_it_ends_once_and_on_time() {
    for crashes in [true, false] {
        let mut covered = 0;
        for n in 1..=80 {
            let scene = Scene::new(n);
            scene.start_engine();
            scene.start_engine();
            scene.run(async |s| {
                let made = s.clusters().create(&s.alice, &leased(s, 60)).await.unwrap();
                let id = made.cluster.id();
                let end = made.cluster.record().holds[0].until.unwrap();
                s.ready(&s.alice, id).await.unwrap();
                let before = end.since(s.world.now()) - Duration::from_millis(20);
                s.world.sleep(before).await;
                match crashes {
                    true => s.world.crash_at("engine", n),
                    false => s.world.stall_at("engine", n),
                }
                s.world.sleep(secs(2)).await;
                s.world.disarm();
                let told = ends(s, id).await;
                assert_eq!(told.len(), 1, "point {n}");
                let late = told[0].since(end);
                assert!(told[0] >= end && late <= secs(1), "point {n}: {late:?}");
                if !crashes && let Some(stopped) = s.world.struck() {
                    s.world.sleep(secs(180)).await;
                    s.world.resume(stopped);
                }
                s.restart_crashed();
                assert!(s.gone(&s.alice, id).await.unwrap(), "point {n}");
                assert_eq!(s.faults().await, Vec::<String>::new(), "point {n}");
                assert_eq!(ends(s, id).await.len(), 1, "point {n}");
                assert_eq!(s.cloud.everything(s.world.now()), [], "point {n}");
            });
            covered += u32::from(scene.world.crashed().is_some());
        }
        println!("stopped at {covered} points around the end");
        assert!(covered >= 20, "{covered}");
    }
}

/// The only engine crashes at each boundary while the holder renews as the
/// lease ends: the lease goes on or ends, and never both.
#[test]
fn renewing_and_expiring_have_one_winner_wherever_the_engine_crashes() {
    let (mut renewed, mut expired) = (0, 0);
    for n in 1..=60 {
        let scene = Scene::new(n);
        scene.start_engine();
        scene.run(async |s| {
            let made = s.clusters().create(&s.alice, &leased(s, 30)).await.unwrap();
            let id = made.cluster.id();
            let cluster = s.ready(&s.alice, id).await.unwrap();
            let end = made.cluster.record().holds[0].until.unwrap();
            s.world.sleep(end.since(s.world.now())).await;
            s.world.crash_at("engine", n.div_ceil(2));
            let longer = Some(secs(600));
            let won = cluster.renew(&s.alice, Some(made.hold), longer).await;
            s.world.sleep(secs(2)).await;
            s.world.disarm();
            s.restart_crashed();
            s.world.sleep(secs(120)).await;
            let events = ends(s, id).await.len();
            match won {
                Ok(_) => {
                    renewed += 1;
                    assert_eq!(events, 0, "point {n}");
                    assert_eq!(s.cloud.of(id, s.world.now()).len(), 1, "point {n}");
                }
                Err(_) => {
                    expired += 1;
                    assert_eq!(events, 1, "point {n}");
                    assert_eq!(s.records().await, [], "point {n}");
                }
            }
        });
    }
    println!("renewed {renewed}, expired {expired}");
    assert!(renewed > 0 && expired > 0);
}

#[test]
fn a_lease_that_is_too_long_or_nothing_is_refused() {
    let scene = Scene::builder(4)
        .policy(|p| {
            p.tenants.insert(
                "physics".to_owned(),
                Quota {
                    lease_seconds: Some(100),
                    ..Quota::default()
                },
            );
        })
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let e = s
            .clusters()
            .create(&s.alice, &leased(s, 101))
            .await
            .unwrap_err();
        assert_eq!(e.stable_code(), "lease-too-long");
        assert!(e.next().unwrap().contains("100 s"), "{e}");
        let e = s
            .clusters()
            .create(&s.alice, &leased(s, 0))
            .await
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid);
        assert_eq!(s.records().await, []);
        // Who asks for none gets the longest; others have no limit.
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let until = made.cluster.record().holds[0].until;
        assert_eq!(until, Some(s.world.now().plus(secs(100))));
        let e = made
            .cluster
            .renew(&s.alice, None, Some(secs(1000)))
            .await
            .unwrap_err();
        assert_eq!(e.stable_code(), "lease-too-long");
        let made = s
            .clusters()
            .create(&s.carol, &leased(s, 1_000_000))
            .await
            .unwrap();
        assert!(made.cluster.record().holds[0].until.is_some());
    });
}

#[test]
fn a_lease_that_ends_while_the_cluster_is_made_leaves_nothing() {
    for seed in 0..40 {
        let scene = Scene::builder(seed)
            .config(|c| c.build_ms = 20_000)
            .build()
            .unwrap();
        scene.start_engine();
        scene.run(async |s| {
            let made = s
                .clusters()
                .create(&s.alice, &leased(s, 1 + seed % 22))
                .await
                .unwrap();
            assert!(s.gone(&s.alice, made.cluster.id()).await.unwrap());
            assert_eq!(ends(s, made.cluster.id()).await.len(), 1);
            assert_eq!(s.faults().await, Vec::<String>::new());
            assert_eq!(s.cloud.everything(s.world.now()), []);
        });
    }
}

/// A slice of many nodes ends in one millisecond, and a disk takes its time for
/// each commit.
#[test]
fn what_ends_together_ends_on_time_and_keeps_nobody_waiting() {
    const MANY: usize = 128;
    let scene = Scene::new(5);
    let engine = scene.start_engine();
    scene.run(async |s| {
        let mut all = Vec::with_capacity(MANY);
        for _ in 0..MANY {
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            all.push(made.cluster.id());
        }
        for id in &all {
            let cluster = s.ready(&s.alice, *id).await.unwrap();
            cluster
                .renew(&s.alice, None, Some(secs(600)))
                .await
                .unwrap();
        }
        let mut end = s.world.now();
        for id in &all {
            let cluster = s.clusters().get(&s.alice, *id).await.unwrap();
            let renewed = cluster.renew(&s.alice, None, Some(secs(60))).await.unwrap();
            end = end.max(renewed.record().holds[0].until.unwrap());
        }
        // One after the other they would take more than six seconds.
        engine.store.slow(Duration::from_millis(50));
        s.world.sleep(end.since(s.world.now()) + secs(3)).await;
        for id in &all {
            let ends = ends(s, *id).await;
            assert_eq!(ends.len(), 1);
            assert!(ends[0] <= end.plus(secs(1)), "{ends:?}, not {end:?}");
        }
        engine.store.slow(Duration::ZERO);
        for id in &all {
            assert!(s.gone(&s.alice, *id).await.unwrap());
        }
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

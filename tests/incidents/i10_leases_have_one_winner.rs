//! I10: a lease ends once, on time, across restarts; renewal and expiry have
//! one winner.

use futures_util::future::join;
use rm_core::ResourceId;
use rm_core::clusters::ClusterRequest;
use rm_core::env::Timestamp;
use rm_core::life::Wanted;
use rm_testkit::{Fault, Scene, Verb};

use crate::support::{always, goes, is_there, scene, secs, sound};

async fn leased(s: &Scene, seconds: u64) -> ResourceId {
    let request = ClusterRequest {
        lease: Some(secs(seconds)),
        ..s.own(1)
    };
    let made = s.clusters().create(&s.alice, &request).await.unwrap();
    is_there(s, made.cluster.id(), 1).await;
    made.cluster.id()
}

async fn expired(s: &Scene, id: ResourceId) -> Vec<Timestamp> {
    let events = s.truth.since(0, Some(id), 10_000).await.unwrap();
    let over = events.iter().filter(|e| e.event.what == "cluster.expired");
    over.map(|e| e.event.at).collect()
}

/// <https://github.com/openclaw/crabbox/pull/1291>: a teardown raced with a
/// renewal, and both won.
#[test]
fn crabbox_1291() {
    for seed in 0..60 {
        let scene = Scene::new(seed);
        scene.start_engine();
        scene.start_engine();
        scene.run(async |s| {
            let id = leased(s, 60).await;
            let cluster = s.clusters().get(&s.alice, id).await.unwrap();
            let end = cluster.record().holds[0].until.unwrap();
            let wait = s.world.sleep(end.since(s.world.now()));
            let renewal = async {
                wait.await;
                cluster.renew(&s.alice, None, Some(secs(600))).await
            };
            let (renewed, ()) = join(renewal, s.world.sleep(secs(90))).await;
            let ends = expired(s, id).await;
            match renewed {
                Ok(_) => {
                    assert_eq!(ends, [], "seed {seed}: both won");
                    let now = s.clusters().get(&s.alice, id).await.unwrap();
                    assert_eq!(now.record().wanted, Wanted::Running);
                    assert_eq!(s.cloud.of(id, s.world.now()).len(), 1);
                }
                Err(_) => {
                    assert_eq!(ends.len(), 1, "seed {seed}: neither won");
                    goes(s, id).await;
                }
            }
            sound(s).await;
        });
    }
}

/// eiSoil: `expire_leases` was left to a worker that nobody started.
#[test]
fn eisoil_expire_leases() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = leased(s, 30).await;
        goes(s, id).await;
        let ends = expired(s, id).await;
        assert_eq!(ends.len(), 1);
        sound(s).await;
    });
}

/// <https://github.com/GENI-NSF/geni-tools/issues/863>: one sliver that could
/// not be expired ended the expiry of all others.
#[test]
fn geni_tools_863() {
    let scene = scene(1);
    scene.run(async |s| {
        let mut ids = Vec::new();
        for n in 0..6 {
            ids.push(leased(s, 100 + n).await);
        }
        // The first one will not go.
        let first = s.cloud.of(ids[0], s.world.now()).remove(0);
        s.cloud
            .wither("north", &first.id, secs(100_000), s.world.now());
        for id in &ids[1..] {
            goes(s, *id).await;
            assert_eq!(expired(s, *id).await.len(), 1);
        }
        assert_eq!(expired(s, ids[0]).await.len(), 1);
    });
}

/// GRAM: a renewal was in memory only, and a restart took it back.
#[test]
fn gram_renew_lost() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = leased(s, 60).await;
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        cluster
            .renew(&s.alice, None, Some(secs(1000)))
            .await
            .unwrap();
        let engine = s.engines().remove(0);
        s.world.kill(engine.id);
        s.restart_crashed();
        s.world.sleep(secs(500)).await;
        assert_eq!(expired(s, id).await, []);
        is_there(s, id, 1).await;
        goes(s, id).await;
        assert_eq!(expired(s, id).await.len(), 1);
    });
}

/// GRAM: an error in the loop that expired slices ended the loop.
#[test]
fn gram_dead_loop() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = leased(s, 60).await;
        let engine = s.engines().remove(0);
        engine.store.away(true);
        s.world.sleep(secs(120)).await;
        engine.store.away(false);
        always(s, Verb::Observe, Fault::LostBefore);
        s.world.sleep(secs(120)).await;
        s.cloud.calm();
        goes(s, id).await;
        assert_eq!(expired(s, id).await.len(), 1);
        sound(s).await;
    });
}

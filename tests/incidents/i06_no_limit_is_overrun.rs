//! I6: what lives, is being made and is going is never more than the limit.

use futures_util::future::join_all;
use rm_core::ErrorKind;
use rm_core::clusters::Size;
use rm_testkit::{Fault, Scene, StoreFault, Verb};

use crate::support::{always, ask, goes, have, let_go, secs, sound, with};

fn limited(seed: u64, clusters: u64, nodes: u64) -> Scene {
    with(Scene::builder(seed).policy(|p| {
        p.quota.clusters = Some(clusters);
        p.quota.nodes = Some(nodes);
    }))
}

/// <https://github.com/kubernetes-sigs/agent-sandbox/issues/1215>: 20,000 were
/// asked for and 90,000 to 110,000 created.
#[test]
fn agent_sandbox_1215() {
    let scene = limited(1, 40, 1000);
    scene.start_engine();
    scene.run(async |s| {
        s.cloud.chaos(
            7,
            300,
            vec![
                (Verb::Create, Fault::LostAfter),
                (Verb::Create, Fault::LostBefore),
            ],
        );
        for _ in 0..40 {
            ask(s, 1).await;
        }
        for _ in 0..600 {
            s.world.sleep(secs(1)).await;
            assert!(s.cloud.everything(s.world.now()).len() <= 40);
        }
        s.cloud.calm();
        sound(s).await;
        assert_eq!(s.cloud.everything(s.world.now()).len(), 40);
    });
}

/// <https://github.com/kubernetes-sigs/agent-sandbox/issues/251>: there was no
/// upper bound at all.
#[test]
fn agent_sandbox_251() {
    let scene = limited(1, 3, 1000);
    scene.run(async |s| {
        for _ in 0..3 {
            ask(s, 1).await;
        }
        let e = s.clusters().create(&s.alice, &s.own(1)).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Quota);
        sound(s).await;
        assert_eq!(s.cloud.everything(s.world.now()).len(), 3);
    });
}

/// <https://github.com/thinking-machines-lab/tinker-cookbook/pull/302>: an
/// empty pool made creates without a bound, and terminates ran beside them.
#[test]
fn tinker_cookbook_302() {
    let scene = limited(1, 5, 1000);
    scene.run(async |s| {
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(have(s, 1).await);
        }
        always(s, Verb::Destroy, Fault::Hangs(secs(100)));
        for id in &ids {
            let_go(s, &s.alice, *id).await;
        }
        // What is still going is counted.
        let e = s.clusters().create(&s.alice, &s.own(1)).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Quota);
        for id in ids {
            goes(s, id).await;
        }
        have(s, 1).await;
        sound(s).await;
    });
}

/// <https://github.com/daytonaio/daytona/issues/3288>: concurrent requests
/// each found that there was room, and all took it.
#[test]
fn daytona_3288() {
    for seed in 0..50 {
        let scene = limited(seed, 100, 10);
        scene.run(async |s| {
            let request = s.own(2);
            let asked = (0..8).map(async |_| s.clusters().create(&s.alice, &request).await);
            let made: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
            assert_eq!(made.len(), 3, "of three nodes each");
            let id = made[0].cluster.id();
            s.ready(&s.alice, id).await.unwrap();
            let grow = s.clusters().resize(&s.alice, id, Size::By(2)).await;
            assert_eq!(grow.unwrap_err().kind(), ErrorKind::Quota);
            assert_eq!(s.counter("quota/physics/nodes").await, 9);
            s.door_store.fail(1, StoreFault::Unavailable);
            let _ = s.clusters().resize(&s.alice, id, Size::By(1)).await;
            sound(s).await;
        });
    }
}

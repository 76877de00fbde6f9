//! I11: what is taken along with a thing is given back with it.

use rm_core::clusters::Size;
use rm_core::life::State;
use rm_testkit::{Fault, Verb};

use crate::support::{ask, goes, have, let_go, next, scene, sound};

/// <https://github.com/fp7-ofelia/ocf/issues/206>: addresses of machines that
/// were gone stayed taken.
#[test]
fn ocf_206() {
    let scene = scene(1);
    scene.run(async |s| {
        for round in 0..5 {
            let shared = s.clusters().create(&s.alice, &s.request(2)).await.unwrap();
            let id = shared.cluster.id();
            assert!(!shared.reused, "round {round}: the old key is free again");
            s.ready(&s.alice, id).await.unwrap();
            s.clusters()
                .resize(&s.alice, id, Size::To(4))
                .await
                .unwrap();
            s.ready(&s.alice, id).await.unwrap();
            let_go(s, &s.alice, id).await;
            goes(s, id).await;
            for what in ["clusters", "nodes"] {
                assert_eq!(s.counter(&format!("quota/physics/{what}")).await, 0);
            }
        }
        sound(s).await;
    });
}

/// <https://github.com/kubernetes-sigs/cluster-api-provider-openstack/issues/1404>:
/// ports of servers that had failed were left, until the quota was full.
#[test]
fn capo_1404() {
    let scene = scene(1);
    scene.run(async |s| {
        for _ in 0..10 {
            next(s, Verb::Create, Fault::FailsLater);
            let id = ask(s, 3).await;
            let failed = s.ready(&s.alice, id).await.unwrap();
            assert_eq!(failed.record().seen, State::Failed);
            assert_eq!(s.counter("quota/physics/nodes").await, 4, "still there");
            let_go(s, &s.alice, id).await;
            goes(s, id).await;
        }
        assert_eq!(s.counter("quota/physics/nodes").await, 0);
        assert_eq!(s.cloud.everything(s.world.now()), []);
        have(s, 1).await;
        sound(s).await;
    });
}

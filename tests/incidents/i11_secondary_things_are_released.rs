//! I11: what is taken along with a thing is given back with it.

use std::collections::BTreeSet;

use rm_core::clusters::Size;
use rm_core::life::State;
use rm_testkit::{Fault, Scene, Verb};
use serde_json::json;

use crate::support::{ask, goes, have, let_go, next, scene, sound, with};

/// <https://github.com/fp7-ofelia/ocf/issues/206>: addresses of machines that
/// were gone stayed taken.
#[test]
fn ocf_206() {
    let node = json!({"image": "debian", "vcpus": 1, "memory_mib": 128});
    let body = json!({
        "roles": [
            {"name": "master", "count": 1, "node": node},
            {"name": "slave", "count": "slaves", "node": node},
        ],
        "master": "master",
    });
    let machines = Scene::builder(1).sites(&[]).node_sites(&["cellar"], &body);
    let scene = with(machines);
    scene.run(async |s| {
        // No more than one round needs: what stays taken is missing in the next.
        s.cloud.room("cellar", Some(5));
        for round in 0..5 {
            let shared = s.clusters().create(&s.alice, &s.request(2)).await.unwrap();
            let id = shared.cluster.id();
            assert!(!shared.reused, "round {round}: the old key is free again");
            s.ready(&s.alice, id).await.unwrap();
            s.clusters()
                .resize(&s.alice, id, Size::To(4))
                .await
                .unwrap();
            let cluster = s.ready(&s.alice, id).await.unwrap();
            assert!(cluster.is_ready(), "round {round}: {:#?}", cluster.record());
            let hosts = cluster.view().unwrap().hosts;
            let addresses: BTreeSet<_> = hosts.into_iter().filter_map(|h| h.address).collect();
            assert_eq!(addresses.len(), 5, "{addresses:?}");
            assert_eq!(s.cloud.everything(s.world.now()).len(), 5);
            let_go(s, &s.alice, id).await;
            goes(s, id).await;
            assert_eq!(s.cloud.everything(s.world.now()), []);
            assert_eq!(s.records().await, [], "round {round}: no machine is left");
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
        // No more than one round needs: what is left is missing in the next.
        s.cloud.room("north", Some(4));
        for _ in 0..10 {
            next(s, Verb::Create, Fault::FailsLater);
            let id = ask(s, 3).await;
            let failed = s.ready(&s.alice, id).await.unwrap();
            assert_eq!(failed.record().seen, State::Failed);
            let why = &failed.record().reason;
            assert!(why.contains("a node could not be started"), "{why}");
            assert_eq!(s.counter("quota/physics/nodes").await, 4, "still there");
            // Not everything of it goes at the first try.
            next(s, Verb::Destroy, Fault::FailsLater);
            let_go(s, &s.alice, id).await;
            goes(s, id).await;
            assert_eq!(s.cloud.everything(s.world.now()), []);
            assert_eq!(s.counter("quota/physics/nodes").await, 0);
        }
        have(s, 3).await;
        sound(s).await;
    });
}

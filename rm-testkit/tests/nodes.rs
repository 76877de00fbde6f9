//! Clusters made of nodes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rm_core::clusters::{ClusterRequest, Size};
use rm_core::life::{State, Wanted};
use rm_core::model::Node;
use rm_core::policy::Repair;
use rm_core::record::ResourceRecord;
use rm_core::{ErrorKind, Kind, ResourceId};
use rm_testkit::{BROKEN_IMAGE, NODE, Scene, SceneBuilder};
use serde_json::{Value, json};

fn role(name: &str, count: Value, command: &str) -> Value {
    json!({"name": name, "count": count, "node": {
        "image": "debian", "vcpus": 1, "memory_mib": 128, "boot_commands": [command],
    }})
}

/// A master and slaves that must know its address.
fn body() -> Value {
    json!({
        "roles": [
            role("master", json!(1), "serve"),
            role("slave", json!("slaves"), "join {{master_ip}} as {{index}}"),
        ],
        "master": "master",
        "outputs": {"console": "http://{{master_ip}}:8088"},
    })
}

fn builder(body: &Value) -> SceneBuilder {
    Scene::builder(1).sites(&[]).node_sites(&["cellar"], body)
}

fn scene() -> Scene {
    let scene = builder(&body()).build().unwrap();
    scene.start_engine();
    scene
}

async fn parts(s: &Scene, id: ResourceId) -> Vec<ResourceRecord> {
    let mut parts = s.records().await;
    parts.retain(|r| r.part_of == Some(id));
    parts
}

#[test]
fn a_list_is_not_read_row_by_row_where_most_of_it_is_of_other_kinds() {
    scene().run(async |s| {
        s.clusters().create(&s.alice, &s.own(20)).await.unwrap();
        s.rest().await;
        // The part nodes of the first stand between the two.
        s.clusters().create(&s.alice, &s.own(0)).await.unwrap();
        s.rest().await;
        let reads = || {
            let passed = s.world.histogram("main");
            passed.get("before resources").copied().unwrap_or_default()
        };
        for limit in [2, 3] {
            let before = reads();
            let clusters = s.clusters();
            let list = clusters.list(&s.operator, true, None, limit);
            let page = list.await.unwrap();
            assert_eq!(page.items.len(), 2, "limit {limit}");
            assert!(
                reads() - before <= 3,
                "limit {limit}: {} reads",
                reads() - before
            );
        }
        // Page by page it is the same list.
        let first = s.clusters().list(&s.operator, true, None, 1).await.unwrap();
        let after = first.next.as_ref();
        let second = s
            .clusters()
            .list(&s.operator, true, after, 1)
            .await
            .unwrap();
        assert_eq!((first.items.len(), second.items.len()), (1, 1));
        assert_ne!(first.items[0].id(), second.items[0].id());
    });
}

#[test]
fn a_cluster_of_nodes_is_made_resized_and_destroyed() {
    scene().run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
        let id = made.cluster.id();
        s.rest().await;
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        assert!(cluster.is_ready(), "{:?}", cluster.record());
        let view = cluster.view().unwrap();
        let roles: Vec<&str> = view.hosts.iter().map(|h| h.role.as_str()).collect();
        assert_eq!(roles, ["master", "slave", "slave"]);
        let master = view.address.unwrap();
        assert_eq!(view.hosts[0].address.as_ref(), Some(&master));
        assert_eq!(view.outputs["console"], format!("http://{master}:8088"));
        assert_eq!(s.counter("quota/physics/nodes").await, 3);
        assert_eq!(s.counter("quota/physics/clusters").await, 1);

        // The slaves were told where the master is.
        let told: Vec<String> = s
            .cloud
            .everything(s.world.now())
            .iter()
            .map(|(_, thing)| thing.output("boot_commands").to_string())
            .collect();
        for n in 1..=2 {
            let join = format!("[\"join {master} as {n}\"]");
            assert!(told.contains(&join), "{join} in {told:?}");
        }

        s.clusters()
            .resize(&s.alice, id, Size::To(4))
            .await
            .unwrap();
        s.rest().await;
        let before = parts(s, id).await;
        assert_eq!(before.len(), 5);
        s.clusters()
            .resize(&s.alice, id, Size::To(1))
            .await
            .unwrap();
        s.rest().await;
        // The newest went, and the others are those that were there.
        let left: Vec<String> = parts(s, id).await.into_iter().map(|r| r.name).collect();
        assert_eq!(left, ["hadoop-master-1", "hadoop-slave-1"]);
        assert_eq!(s.counter("quota/physics/nodes").await, 2);
        assert_eq!(s.faults().await, Vec::<String>::new());

        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        cluster.release(&s.alice, None).await.unwrap();
        s.rest().await;
        assert_eq!(s.records().await, []);
        assert_eq!(s.cloud.everything(s.world.now()), []);
        assert_eq!(s.counter("quota/physics/nodes").await, 0);
        let lists = s.truth.documents("cluster.nodes", None, None, 10).await;
        assert_eq!(lists.unwrap().items, []);
    });
}

#[test]
fn a_node_of_a_cluster_is_the_clusters_and_takes_no_verb() {
    scene().run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        s.rest().await;
        let clusters = s.clusters().list(&s.alice, false, None, 100).await.unwrap();
        assert_eq!(clusters.items.len(), 1, "nodes are no clusters");
        let nodes = s.door.managers().serving::<Node>(&NODE).unwrap();
        let page = nodes[0].find(&s.alice, false, None, 100).await.unwrap();
        assert_eq!(page.items.len(), 2);
        for node in &page.items {
            assert_eq!(node.record().tenant, s.alice.tenant);
            for who in [&s.alice, &s.operator] {
                let e = node.release(who, None).await.unwrap_err();
                assert_eq!(e.stable_code(), "part-of-cluster", "{e}");
                let e = node.stop(who).await.unwrap_err();
                assert_eq!(e.stable_code(), "part-of-cluster", "{e}");
            }
        }
        assert!(nodes[0].get(&s.carol, page.items[0].id()).await.is_err());
        made.cluster.release(&s.alice, None).await.unwrap();
        s.rest().await;
        assert_eq!(s.records().await, []);
    });
}

#[test]
fn a_lease_that_ends_takes_the_nodes_with_it() {
    scene().run(async |s| {
        let request = ClusterRequest {
            lease: Some(Duration::from_secs(600)),
            ..s.own(2)
        };
        s.clusters().create(&s.alice, &request).await.unwrap();
        s.rest().await;
        assert_eq!(s.cloud.everything(s.world.now()).len(), 3);
        s.world.sleep(Duration::from_secs(601)).await;
        s.rest().await;
        assert_eq!(s.records().await, []);
        assert_eq!(s.cloud.everything(s.world.now()), []);
    });
}

#[test]
fn a_node_destroyed_behind_our_back_shows_and_is_made_again_where_the_policy_says_so() {
    for repair in [Repair::Never, Repair::Recreate, Repair::Restore] {
        let scene = builder(&body())
            .policy(|p| p.repair = repair)
            .build()
            .unwrap();
        scene.start_engine();
        scene.run(async |s| {
            let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
            let id = made.cluster.id();
            s.rest().await;
            let victim = parts(s, id).await.pop().unwrap();
            let remote = victim.remote.clone().unwrap();
            s.cloud.vanish("cellar", &remote, s.world.now());
            s.world.sleep(s.door.policy().sweep * 2).await;
            s.rest().await;
            let cluster = s.clusters().get(&s.alice, id).await.unwrap();
            match repair {
                Repair::Never => {
                    assert_eq!(cluster.record().seen, State::Failed);
                    let reason = &cluster.record().reason;
                    assert!(reason.contains(&victim.name), "{reason}");
                    cluster.retry(&s.alice).await.unwrap();
                    s.rest().await;
                }
                Repair::Recreate => {
                    let events = s.truth.since(0, Some(id), 1000).await.unwrap();
                    assert!(events.iter().any(|e| e.event.what == "cluster.drifted"));
                }
                Repair::Restore => {
                    let events = s.truth.since(0, Some(id), 1000).await.unwrap();
                    assert!(events.iter().any(|e| e.event.what == "cluster.repairing"));
                }
            }
            let cluster = s.clusters().get(&s.alice, id).await.unwrap();
            assert!(cluster.is_ready(), "{:?}", cluster.record());
            assert_eq!(s.cloud.everything(s.world.now()).len(), 3);
            assert_eq!(s.faults().await, Vec::<String>::new());
        });
    }
}

#[test]
fn a_node_that_cannot_be_made_is_named_and_tried_again() {
    let mut body = body();
    body["roles"][1]["node"]["image"] = json!(BROKEN_IMAGE);
    let scene = builder(&body).build().unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        s.rest().await;
        let cluster = made.cluster.again(&s.alice).await.unwrap();
        assert_eq!(cluster.record().seen, State::Failed);
        let reason = &cluster.record().reason;
        assert!(reason.contains("hadoop-slave-1"), "{reason}");
        cluster.release(&s.alice, None).await.unwrap();
        s.rest().await;
        assert_eq!(s.records().await, []);
        assert_eq!(s.cloud.everything(s.world.now()), []);
    });
}

#[test]
fn more_nodes_than_there_is_room_for_are_refused_and_what_is_there_stays() {
    let scene = builder(&body())
        .config(|c| c.nodes = Some(4))
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
        let id = made.cluster.id();
        s.rest().await;
        s.clusters()
            .resize(&s.alice, id, Size::To(9))
            .await
            .unwrap();
        s.rest().await;
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        assert!(cluster.is_ready(), "{:?}", cluster.record());
        assert_eq!(cluster.spec().unwrap().slaves, 2);
        assert!(cluster.record().reason.contains("room for 1 more"));
        assert_eq!(s.counter("quota/physics/nodes").await, 3);
        assert_eq!(s.faults().await, Vec::<String>::new());
        let e = s
            .clusters()
            .create(&s.alice, &s.own(600))
            .await
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid, "{e}");
    });
}

#[test]
fn one_appliance_is_made_at_a_cloud_and_at_a_host_of_nodes_and_placement_chooses() {
    let scene = Scene::builder(1)
        .sites(&["north"])
        .node_sites(&["cellar"], &body())
        .config(|c| {
            c.sites.entry("north".to_owned()).or_default().nodes = Some(4);
            c.sites.entry("cellar".to_owned()).or_default().nodes = Some(10);
        })
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        // The roomier first, then the other one, then nobody.
        let first = s.clusters().create(&s.alice, &s.own(7)).await.unwrap();
        assert_eq!(first.cluster.record().place.site_name, "cellar");
        let verdicts: Vec<&str> = first.considered.iter().map(|c| &*c.verdict).collect();
        assert_eq!(verdicts, ["chosen", "refused"], "{:?}", first.considered);
        s.rest().await;
        let second = s.clusters().create(&s.alice, &s.own(3)).await.unwrap();
        assert_eq!(second.cluster.record().place.site_name, "north");
        s.rest().await;
        for (made, hosts) in [(&first, 8), (&second, 4)] {
            let cluster = made.cluster.again(&s.alice).await.unwrap();
            assert!(cluster.is_ready(), "{:?}", cluster.record());
            assert_eq!(cluster.record().kind, Kind::CLUSTER);
            assert_eq!(cluster.view().unwrap().hosts.len(), hosts);
        }
        let e = s.clusters().create(&s.alice, &s.own(3)).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NoCapacity);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn what_is_reserved_waits_for_the_master() {
    let scene = builder(&body())
        .config(|c| c.build_ms = 60_000)
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
        let id = made.cluster.id();
        s.world.sleep(Duration::from_secs(30)).await;
        let wanted: Vec<Wanted> = parts(s, id).await.iter().map(|r| r.wanted).collect();
        assert_eq!(
            wanted,
            [Wanted::Running, Wanted::Reserved, Wanted::Reserved]
        );
        assert_eq!(s.cloud.everything(s.world.now()).len(), 1);
        // Given up half made, it goes as a whole.
        made.cluster.release(&s.alice, None).await.unwrap();
        s.rest().await;
        assert_eq!(s.records().await, []);
        assert_eq!(s.cloud.everything(s.world.now()), []);
    });
}

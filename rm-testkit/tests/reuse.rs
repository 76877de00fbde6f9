//! Equal requests share a cluster, and only those.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use futures_util::future::join;
use rm_core::ErrorKind;
use rm_core::clusters::ClusterRequest;
use rm_core::life::State;
use rm_testkit::{Fault, Rule, Scene, Verb};
use serde_json::json;

#[test]
fn a_second_equal_request_gets_the_same_cluster_and_a_hold_of_its_own() {
    let scene = Scene::new(1);
    scene.start_engine();
    scene.run(async |s| {
        let first = s.clusters().create(&s.alice, &s.request(3)).await.unwrap();
        let id = first.cluster.id();
        // While it is being made.
        let second = s.clusters().create(&s.bob, &s.request(3)).await.unwrap();
        assert!(second.reused);
        assert_eq!(second.cluster.id(), id);
        assert_ne!(second.hold, first.hold);
        assert_ne!(second.cluster.record().seen, State::Ready);
        s.ready(&s.bob, id).await.unwrap();
        // And when it is there, by who asks for fewer, or says nothing.
        let request = ClusterRequest {
            slaves: None,
            ..s.request(0)
        };
        let third = s.clusters().create(&s.alice, &request).await.unwrap();
        assert!(third.reused);
        assert_eq!(third.cluster.id(), id);
        assert_eq!(third.cluster.record().holds.len(), 3);
        assert_eq!(s.cloud.count(Verb::Create), 1);
        assert_eq!(s.counter("quota/physics/clusters").await, 1);

        // Who has one hold of several lets go of that one only.
        third.cluster.release(&s.bob, None).await.unwrap();
        let e = third.cluster.release(&s.alice, None).await.unwrap_err();
        assert_eq!(e.stable_code(), "several-holds");
        assert!(e.next().unwrap().contains(&first.hold.to_string()));
        for hold in [first.hold, third.hold] {
            assert_eq!(s.cloud.of(id, s.world.now()).len(), 1);
            third.cluster.release(&s.alice, Some(hold)).await.unwrap();
        }
        assert!(s.gone(&s.alice, id).await.unwrap());
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn two_requests_at_the_same_moment_get_one_cluster_and_two_holds() {
    for seed in 0..300 {
        let sites: &[&str] = if seed % 2 == 0 {
            &["north"]
        } else {
            &["east", "north", "south"]
        };
        let scene = Scene::builder(seed).sites(sites).build().unwrap();
        scene.start_engine();
        scene.run(async |s| {
            let request = s.request(2);
            let (a, b) = join(
                s.clusters().create(&s.alice, &request),
                s.clusters().create(&s.bob, &request),
            )
            .await;
            let (a, b) = (a.unwrap(), b.unwrap());
            assert_eq!(a.cluster.id(), b.cluster.id(), "seed {seed}");
            assert_ne!(a.reused, b.reused, "seed {seed}");
            let id = a.cluster.id();
            let now = s.ready(&s.alice, id).await.unwrap();
            assert_eq!(now.record().holds.len(), 2);
            assert_eq!(s.cloud.everything(s.world.now()).len(), 1);
            now.release(&s.alice, None).await.unwrap();
            s.world.sleep(std::time::Duration::from_secs(10)).await;
            assert_eq!(s.cloud.of(id, s.world.now()).len(), 1, "bob holds it");
            now.release(&s.bob, None).await.unwrap();
            assert!(s.gone(&s.alice, id).await.unwrap());
        });
    }
}

#[test]
fn who_never_wants_to_share_gets_another_one() {
    let scene = Scene::new(2);
    scene.start_engine();
    scene.run(async |s| {
        let shared = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
        let own = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        assert_ne!(shared.cluster.id(), own.cluster.id());
        // And nobody is given that one.
        shared.cluster.release(&s.alice, None).await.unwrap();
        let next = s.clusters().create(&s.bob, &s.request(1)).await.unwrap();
        assert!(!next.reused);
        assert_ne!(next.cluster.id(), own.cluster.id());
        assert_ne!(next.cluster.id(), shared.cluster.id(), "it is going");
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn one_that_is_too_small_is_refused_with_both_ways_out_or_grows() {
    let scene = Scene::new(3);
    scene.start_engine();
    scene.run(async |s| {
        let small = s.clusters().create(&s.alice, &s.request(2)).await.unwrap();
        let id = small.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        let e = s
            .clusters()
            .create(&s.bob, &s.request(5))
            .await
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Conflict);
        assert_eq!(e.stable_code(), "cluster-too-small");
        assert!(e.what().contains('2') && e.what().contains('5'), "{e}");
        let next = e.next().unwrap();
        assert!(next.contains("grow") && next.contains("never"), "{e}");
        assert_eq!(e.about(), Some(id));
        let before = s.records().await;
        assert_eq!(before[0].holds.len(), 1, "a refusal leaves no hold");

        let grow = ClusterRequest {
            grow: true,
            ..s.request(5)
        };
        let grown = s.clusters().create(&s.bob, &grow).await.unwrap();
        assert!(grown.reused);
        let now = s.ready(&s.bob, id).await.unwrap();
        assert_eq!(now.view().unwrap().hosts.len(), 6);
        assert_eq!(now.record().holds.len(), 2);
        assert_eq!(s.counter("quota/physics/nodes").await, 6);
    });
}

#[test]
fn one_with_other_parameters_is_not_what_was_asked_for() {
    let body = json!({"parameters": ["flavor"]});
    let scene = Scene::builder(5).body(&body).build().unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let of = |flavor: &str| ClusterRequest {
            parameters: [("flavor".to_owned(), json!(flavor))].into(),
            ..s.request(1)
        };
        let small = s.clusters().create(&s.alice, &of("small")).await.unwrap();
        let e = s.clusters().create(&s.bob, &of("large")).await.unwrap_err();
        assert_eq!(e.stable_code(), "cluster-differs");
        assert!(e.what().contains("flavor"), "{e}");
        let same = s.clusters().create(&s.bob, &of("small")).await.unwrap();
        assert_eq!(same.cluster.id(), small.cluster.id());
    });
}

#[test]
fn nothing_is_ever_shared_across_tenants() {
    let scene = Scene::new(4);
    scene.start_engine();
    scene.run(async |s| {
        let physics = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
        s.ready(&s.alice, physics.cluster.id()).await.unwrap();
        let biology = s.clusters().create(&s.carol, &s.request(1)).await.unwrap();
        assert!(!biology.reused);
        assert_ne!(physics.cluster.id(), biology.cluster.id());
    });
}

#[test]
fn what_has_failed_is_not_given_to_anybody() {
    let scene = Scene::new(5);
    scene.start_engine();
    scene.run(async |s| {
        s.cloud.inject(Rule::next(Verb::Create, Fault::FailsLater));
        let broken = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
        let seen = s.ready(&s.alice, broken.cluster.id()).await.unwrap();
        assert_eq!(seen.record().seen, State::Failed);
        assert!(seen.record().reason.contains("a node could not be started"));
        let good = s.clusters().create(&s.bob, &s.request(1)).await.unwrap();
        assert!(!good.reused);
        let seen = s.ready(&s.bob, good.cluster.id()).await.unwrap();
        assert_eq!(seen.record().seen, State::Ready);
        // The failed one goes and does not take the key of the other along.
        broken.cluster.release(&s.alice, None).await.unwrap();
        assert!(s.gone(&s.alice, broken.cluster.id()).await.unwrap());
        let again = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
        assert!(again.reused);
        assert_eq!(again.cluster.id(), good.cluster.id());
    });
}

fn keyed(s: &Scene, slaves: u32, key: &str, digest: &str) -> ClusterRequest {
    ClusterRequest {
        idempotency: Some((key.to_owned(), digest.to_owned())),
        ..s.request(slaves)
    }
}

#[test]
fn a_repeated_request_is_recognised_by_its_key() {
    let scene = Scene::new(6);
    scene.start_engine();
    scene.run(async |s| {
        let own = ClusterRequest {
            reuse: rm_core::clusters::Reuse::Never,
            ..keyed(s, 1, "k1", "d1")
        };
        let first = s.clusters().create(&s.alice, &own).await.unwrap();
        let again = s.clusters().create(&s.alice, &own).await.unwrap();
        assert_eq!(first.cluster.id(), again.cluster.id());
        assert_eq!(first.hold, again.hold);
        assert_eq!(first.reused, again.reused);
        let e = s
            .clusters()
            .create(&s.alice, &keyed(s, 2, "k1", "d2"))
            .await
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Conflict);
        assert_eq!(e.stable_code(), "idempotency-key-reused");
        // Somebody else's key of the same name is another key.
        let bob = s
            .clusters()
            .create(&s.bob, &keyed(s, 1, "k1", "d3"))
            .await
            .unwrap();
        assert_ne!(bob.cluster.id(), first.cluster.id());
        assert_eq!(s.records().await.len(), 2);
    });
}

#[test]
fn a_request_repeated_at_the_same_moment_takes_one_hold_only() {
    for seed in 0..200 {
        let scene = Scene::new(seed);
        scene.start_engine();
        scene.run(async |s| {
            if seed % 2 == 0 {
                // One to be joined is there already.
                s.clusters().create(&s.bob, &s.request(1)).await.unwrap();
            }
            let request = keyed(s, 1, "k", "d");
            let (a, b) = join(
                s.clusters().create(&s.alice, &request),
                s.clusters().create(&s.alice, &request),
            )
            .await;
            let (a, b) = (a.unwrap(), b.unwrap());
            assert_eq!(a.cluster.id(), b.cluster.id(), "seed {seed}");
            assert_eq!(a.hold, b.hold, "seed {seed}");
            let holds = &s.records().await[0].holds;
            let own = holds.iter().filter(|h| h.user == "alice").count();
            assert_eq!(own, 1, "seed {seed}");
        });
    }
}

/// One at each of two sites: the first by name is the smaller one.
async fn small_and_large(s: &Scene) -> (rm_core::ResourceId, rm_core::ResourceId) {
    let mut made = Vec::new();
    for (site, slaves) in [("east", 1), ("west", 5)] {
        let request = ClusterRequest {
            sites: vec![site.to_owned()],
            ..s.request(slaves)
        };
        let created = s.clusters().create(&s.alice, &request).await.unwrap();
        assert!(!created.reused, "one at each site");
        s.ready(&s.alice, created.cluster.id()).await.unwrap();
        made.push(created.cluster.id());
    }
    (made[0], made[1])
}

#[test]
fn one_that_is_large_enough_is_found_at_whatever_site_it_is() {
    let scene = Scene::builder(11).sites(&["east", "west"]).build().unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let (small, large) = small_and_large(s).await;
        let got = s.clusters().create(&s.bob, &s.request(4)).await.unwrap();
        assert_eq!((got.cluster.id(), got.reused), (large, true));
        let told: Vec<_> = got
            .considered
            .iter()
            .map(|c| (c.site.as_str(), c.verdict.as_str(), c.code.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("west", "chosen", None),
                ("east", "refused", Some("cluster-too-small"))
            ]
        );
        // Who would let one grow gets what is there, too, as long as that will do.
        let grow = |slaves| ClusterRequest {
            grow: true,
            ..s.request(slaves)
        };
        let got = s.clusters().create(&s.bob, &grow(5)).await.unwrap();
        assert_eq!(got.cluster.id(), large);
        assert_eq!(got.generation, 1, "nothing was changed");
        // Else the one grows that has to grow the least.
        let got = s.clusters().create(&s.bob, &grow(7)).await.unwrap();
        assert_eq!(got.cluster.id(), large);
        let small = s.clusters().get(&s.alice, small).await.unwrap();
        assert_eq!(small.spec().unwrap().slaves, 1);
        // And the refusal is about the one that comes nearest.
        let e = s.clusters().create(&s.bob, &s.request(9)).await;
        assert_eq!(e.unwrap_err().about(), Some(large));
        assert_eq!(s.cloud.count(Verb::Create), 2);
    });
}

#[test]
fn one_with_the_right_parameters_is_found_at_whatever_site_it_is() {
    let body = json!({"parameters": ["flavor"]});
    let scene = Scene::builder(12)
        .sites(&["east", "west"])
        .body(&body)
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let of = |flavor: &str, sites: &[&str]| ClusterRequest {
            parameters: [("flavor".to_owned(), json!(flavor))].into(),
            sites: sites.iter().map(|s| (*s).to_owned()).collect(),
            ..s.request(1)
        };
        let small = of("small", &["east"]);
        s.clusters().create(&s.alice, &small).await.unwrap();
        let large = of("large", &["west"]);
        let large = s.clusters().create(&s.alice, &large).await.unwrap();
        let got = s
            .clusters()
            .create(&s.bob, &of("large", &[]))
            .await
            .unwrap();
        assert_eq!(got.cluster.id(), large.cluster.id());
    });
}

#[test]
fn a_plan_says_what_the_request_would_get() {
    let scene = Scene::builder(13)
        .sites(&["east", "west"])
        .policy(|p| p.quota.nodes = Some(12))
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let (_, large) = small_and_large(s).await;
        let never = ClusterRequest {
            reuse: rm_core::clusters::Reuse::Never,
            ..s.request(9)
        };
        let grow = |slaves| ClusterRequest {
            grow: true,
            ..s.request(slaves)
        };
        for (request, reuses, grows, refused) in [
            (s.request(4), Some(large), None, None),
            (s.request(9), None, None, Some("cluster-too-small")),
            (grow(7), Some(large), Some((5, 7)), None),
            (grow(99), Some(large), Some((7, 99)), Some("quota-exceeded")),
            (never, None, None, Some("quota-exceeded")),
        ] {
            let before = s.door.events().newest().await.unwrap();
            let plan = s.clusters().plan(&s.bob, &request).await.unwrap();
            assert_eq!(before, s.door.events().newest().await.unwrap());
            assert_eq!(plan.reuses, reuses, "{request:?}");
            assert_eq!(plan.grows.map(|g| (g.from, g.to)), grows, "{request:?}");
            let told = plan.refused.as_ref().map(|r| r.code.as_str());
            assert_eq!(told, refused, "{request:?}");
            match s.clusters().create(&s.bob, &request).await {
                Ok(created) => {
                    assert_eq!(plan.refused, None);
                    assert_eq!(created.reused, reuses.is_some());
                    assert_eq!(Some(created.cluster.id()), reuses);
                    let chosen = &created.considered[0];
                    assert_eq!(plan.considered[0].site, chosen.site);
                    assert_eq!(plan.considered[0].verdict, "chosen");
                    s.ready(&s.alice, large).await.unwrap();
                }
                Err(e) => {
                    let told = plan.refused.unwrap();
                    assert_eq!(told.kind, e.kind());
                    assert_eq!(told.code, e.stable_code());
                    assert_eq!(told.detail, e.what());
                    assert_eq!(told.advice.as_deref(), e.next());
                    assert_eq!(told.resource, e.about());
                }
            }
        }
    });
}

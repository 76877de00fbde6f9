//! What was wanted is told apart from what is wanted now, and one site's
//! trouble from another's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rm_core::ErrorKind;
use rm_core::clusters::{ClusterRequest, Size};
use rm_core::life::State;
use rm_testkit::{Fault, Rule, Scene, Verb};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_generation_is_never_given_twice_and_each_tells_its_own_outcome() {
    let scene = Scene::new(1);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        s.cloud
            .inject(Rule::next(Verb::Change, Fault::Refused(ErrorKind::Invalid)));
        let five = s.clusters().resize(&s.alice, id, Size::To(5)).await;
        let five = five.unwrap().record().generation;
        s.ready(&s.alice, id).await.unwrap();
        let four = s.clusters().resize(&s.alice, id, Size::To(4)).await;
        let four = four.unwrap().record().generation;
        assert!(four > five);
        let now = s.ready(&s.alice, id).await.unwrap();
        assert!(now.is_ready());
        assert_eq!(now.view().unwrap().hosts.len(), 5);
        // Whoever asked for five is told no, long after four were made.
        assert!(now.record().refusal(five).unwrap().contains("invalid"));
        assert_eq!(now.record().refusal(four), None);
        assert_eq!(now.record().taken_back(), None);
        assert_eq!(s.cloud.count(Verb::Change), 2, "nothing is done again");
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn a_resize_for_which_there_is_no_room_is_told_at_once() {
    let scene = Scene::new(2);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        s.cloud
            .inject(Rule::next(Verb::Change, Fault::Refused(ErrorKind::NoCapacity)).always());
        let asked = s.world.now();
        let bigger = s.clusters().resize(&s.alice, id, Size::To(9)).await;
        let generation = bigger.unwrap().record().generation;
        let now = s.ready(&s.alice, id).await.unwrap();
        assert!(s.world.now().since(asked) < secs(10));
        assert!(now.record().refusal(generation).is_some());
        assert_eq!(now.spec().unwrap().slaves, 1);
        assert_eq!(s.counter("quota/physics/nodes").await, 2);
    });
}

#[test]
fn a_lease_ends_on_time_while_the_site_lets_its_resource_wait() {
    let scene = Scene::new(3);
    scene.start_engine();
    scene.run(async |s| {
        s.cloud
            .inject(Rule::next(Verb::Create, Fault::Slow(secs(15))));
        let request = ClusterRequest {
            lease: Some(secs(5)),
            ..s.own(1)
        };
        let made = s.clusters().create(&s.alice, &request).await.unwrap();
        let id = made.cluster.id();
        let end = s.world.now().plus(secs(5));
        assert!(s.gone(&s.alice, id).await.unwrap());
        let story = s.truth.since(0, Some(id), 1000).await.unwrap();
        let expired: Vec<_> = story
            .iter()
            .filter(|e| e.event.what == "cluster.expired")
            .collect();
        assert_eq!(expired.len(), 1);
        assert!(expired[0].event.at.since(end) <= secs(1), "{expired:?}");
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn a_site_that_does_not_answer_starves_no_other() {
    let scene = Scene::builder(4)
        .sites(&["north", "south"])
        .policy(|p| {
            p.in_hand = 16;
            p.quota.clusters = None;
            p.quota.nodes = None;
        })
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        s.cloud.inject(
            Rule::next(Verb::Create, Fault::LostBefore)
                .at("north")
                .always(),
        );
        s.cloud.inject(
            Rule::next(Verb::Observe, Fault::Slow(secs(19)))
                .at("north")
                .always(),
        );
        let at = |site: &str| ClusterRequest {
            sites: vec![site.to_owned()],
            ..s.own(1)
        };
        for _ in 0..100 {
            s.clusters().create(&s.alice, &at("north")).await.unwrap();
        }
        s.world.sleep(secs(60)).await;
        let asked = s.world.now();
        let made = s.clusters().create(&s.alice, &at("south")).await.unwrap();
        let now = s.ready(&s.alice, made.cluster.id()).await.unwrap();
        assert!(now.is_ready());
        assert!(s.world.now().since(asked) < secs(5));
    });
}

#[test]
fn what_is_asked_for_in_a_crowded_account_is_begun_soon() {
    let scene = Scene::builder(7)
        .config(|c| {
            c.build_ms = 600_000;
            c.concurrency = 64;
        })
        .policy(|p| {
            p.quota.clusters = None;
            p.quota.nodes = None;
        })
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        // Four times as many as one account has in hand at once.
        for _ in 0..512 {
            s.clusters().create(&s.alice, &s.own(0)).await.unwrap();
        }
        s.world.sleep(secs(120)).await;
        assert_eq!(s.cloud.count(Verb::Create), 512);
        let asked = s.world.now();
        s.clusters().create(&s.alice, &s.own(0)).await.unwrap();
        while s.cloud.count(Verb::Create) == 512 {
            let waits = s.world.now().since(asked);
            assert!(waits < secs(10), "it waits for the others: {waits:?}");
            s.world.sleep(secs(1)).await;
        }
    });
}

#[test]
fn what_is_to_go_is_let_go_when_the_site_is_back_after_a_long_time() {
    let scene = Scene::new(5);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        for verb in [Verb::Destroy, Verb::Observe] {
            s.cloud.inject(Rule::next(verb, Fault::LostBefore).always());
        }
        live.release(&s.alice, None).await.unwrap();
        assert!(!s.gone(&s.alice, id).await.unwrap());
        s.world.sleep(secs(3 * 3600)).await;
        let held = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(held.record().seen, State::Quarantined, "told to a person");
        s.cloud.calm();
        s.world.sleep(secs(120)).await;
        assert_eq!(s.records().await, []);
        assert_eq!(s.cloud.everything(s.world.now()), []);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn a_store_serves_the_installation_that_it_belongs_to_and_no_other() {
    let scene = Scene::new(6);
    let engine = scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        s.world.kill(engine.id);
        made.cluster.release(&s.alice, None).await.unwrap();
        let mut copy = rm_core::Host::builder(s.world.env())
            .store(std::sync::Arc::clone(&s.truth))
            .installation("copy");
        s.cloud.install(copy.registries()).unwrap();
        let copy = copy.build().unwrap();
        for refused in [
            copy.own_store().await,
            copy.engine().run(std::future::pending()).await,
        ] {
            let e = refused.unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Conflict);
            assert!(e.what().contains("\"lab\"") && e.what().contains("\"copy\""));
        }
        assert_eq!(s.cloud.of(id, s.world.now()).len(), 1, "untouched");
        s.start_engine();
        assert!(s.gone(&s.alice, id).await.unwrap());
    });
}

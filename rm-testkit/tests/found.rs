//! What random schedules have found, each made as small as it goes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rm_core::ErrorKind;
use rm_core::backend::{CreateKey, Mark};
use rm_core::clusters::Size;
use rm_core::life::State;
use rm_testkit::{Fault, Rule, Scene, Verb};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

async fn nothing_is_left(s: &Scene) {
    s.world.sleep(secs(120)).await;
    assert_eq!(s.faults().await, Vec::<String>::new());
    assert_eq!(s.cloud.everything(s.world.now()), []);
    assert_eq!(s.records().await, []);
}

#[test]
fn an_engine_whose_clock_is_ahead_of_the_stores_waits_for_it() {
    let scene = Scene::new(1);
    let engine = scene.start_engine();
    engine.env.step(5_000);
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let before = s.world.steps();
        let now = s.ready(&s.alice, made.cluster.id()).await.unwrap();
        assert_eq!(now.record().seen, State::Ready);
        let polls = s.world.steps() - before;
        assert!(polls < 5_000, "it asks again and again: {polls} polls");
    });
}

#[test]
fn whoever_chooses_the_id_waits_too_until_an_earlier_create_can_come_no_more() {
    for key in [
        CreateKey::ClientUuid,
        CreateKey::UniqueName,
        CreateKey::TagOnly,
        CreateKey::ClientToken,
    ] {
        let scene = Scene::new(2);
        scene.cloud.declare(|c| c.create_key = key);
        scene.start_engine();
        scene.run(async |s| {
            s.cloud
                .inject(Rule::next(Verb::Create, Fault::Late(secs(20))));
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            s.world.sleep(secs(2)).await;
            made.cluster.release(&s.alice, None).await.unwrap();
            assert!(s.gone(&s.alice, made.cluster.id()).await.unwrap());
            nothing_is_left(s).await;
        });
    }
}

#[test]
fn what_is_too_young_to_be_listed_is_not_taken_for_gone() {
    let scene = Scene::new(3);
    scene.cloud.lag("north", secs(4), true);
    scene.start_engine();
    scene.run(async |s| {
        // That it has failed once is seen; the thing itself never was.
        s.cloud
            .inject(Rule::next(Verb::Create, Fault::Refused(ErrorKind::Invalid)));
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Failed);
        s.clusters()
            .resize(&s.alice, id, Size::To(2))
            .await
            .unwrap();
        s.world.sleep(secs(1)).await;
        assert_eq!(s.cloud.of(id, s.world.now()).len(), 1);
        s.cloud.inject(Rule::next(Verb::Destroy, Fault::FailsLater));
        now.release(&s.alice, None).await.unwrap();
        assert!(s.gone(&s.alice, id).await.unwrap());
        nothing_is_left(s).await;
    });
}

#[test]
fn what_was_listed_once_and_is_not_just_now_is_not_taken_for_gone() {
    let scene = Scene::new(4);
    scene.cloud.declare(|c| c.visibility = secs(10));
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        // Another copy of the list answers from now on, and is behind.
        s.cloud.lag("north", secs(8), false);
        s.clusters()
            .resize(&s.alice, id, Size::To(3))
            .await
            .unwrap();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready, "{}", now.record().reason);
        assert_eq!(s.cloud.of(id, s.world.now()).len(), 1);
        assert_eq!(s.cloud.count(Verb::Create), 1);
    });
}

#[test]
fn a_siblings_mark_of_the_same_resource_does_not_hide_ours() {
    let scene = Scene::new(5);
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        // Their store is a copy of ours.
        let theirs = Mark {
            installation: "sibling".to_owned(),
            resource: id,
            incarnation: 2,
            generation: 1,
        };
        let foreign = s
            .cloud
            .plant("north", "physics", "theirs", Some(theirs), s.world.now());
        s.cloud.inject(Rule::next(Verb::Create, Fault::LostAfter));
        s.start_engine();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready, "{}", now.record().reason);
        assert_ne!(now.record().remote.as_ref(), Some(&foreign));
        now.release(&s.alice, None).await.unwrap();
        assert!(s.gone(&s.alice, id).await.unwrap());
        let left = s.cloud.everything(s.world.now());
        assert_eq!(left.len(), 1, "theirs only");
        assert_eq!(left[0].1.id, foreign);
        assert_eq!(left[0].1.stamp, 1);
    });
}

#[test]
fn what_a_site_only_said_that_it_did_is_not_gone_back_to() {
    let scene = Scene::new(7);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        s.cloud.inject(Rule::next(Verb::Change, Fault::Forgotten));
        s.clusters()
            .resize(&s.alice, id, Size::To(4))
            .await
            .unwrap();
        s.world.sleep(secs(2)).await;
        assert_eq!(s.cloud.count(Verb::Change), 1);
        s.cloud
            .inject(Rule::next(Verb::Change, Fault::Refused(ErrorKind::Invalid)));
        s.clusters()
            .resize(&s.alice, id, Size::To(2))
            .await
            .unwrap();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready, "{}", now.record().reason);
        assert_eq!(now.spec().unwrap().slaves, 1);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

/// How many nodes the tenant has at the site, and with how many it is charged.
async fn nodes(s: &Scene) -> (u64, u64) {
    let there = s.cloud.everything(s.world.now());
    let there = there.iter().map(|(_, thing)| thing.nodes()).sum();
    (there, s.counter("quota/physics/nodes").await)
}

#[test]
fn what_is_to_be_smaller_counts_until_it_is() {
    let scene = Scene::builder(8)
        .policy(|p| p.quota.nodes = Some(6))
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(4)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        s.clusters()
            .resize(&s.alice, id, Size::To(0))
            .await
            .unwrap();
        let e = s.clusters().create(&s.alice, &s.own(2)).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Quota);
        s.ready(&s.alice, id).await.unwrap();
        assert_eq!(nodes(s).await, (1, 1));
        s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn a_change_does_not_overtake_another_one_of_which_nobody_knows() {
    let scene = Scene::new(9);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(0)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        s.cloud
            .inject(Rule::next(Verb::Change, Fault::Late(secs(20))));
        s.clusters()
            .resize(&s.alice, id, Size::To(3))
            .await
            .unwrap();
        while s.cloud.count(Verb::Change) == 0 {
            s.world.sleep(secs(1)).await;
        }
        let mut now = s
            .clusters()
            .resize(&s.alice, id, Size::To(1))
            .await
            .unwrap();
        while !now.is_ready() {
            s.world.sleep(secs(1)).await;
            let (there, charged) = nodes(s).await;
            assert!(there <= charged, "{there} are there, {charged} are charged");
            now = now.again(&s.alice).await.unwrap();
        }
        s.world.sleep(secs(60)).await;
        assert_eq!(nodes(s).await, (2, 2));
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn a_change_that_is_late_and_was_repeated_takes_no_more_than_is_charged() {
    let scene = Scene::new(11);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(0)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        s.cloud
            .inject(Rule::next(Verb::Change, Fault::Late(secs(20))));
        s.clusters()
            .resize(&s.alice, id, Size::To(3))
            .await
            .unwrap();
        s.ready(&s.alice, id).await.unwrap();
        assert_eq!(s.cloud.count(Verb::Change), 2, "it was repeated");
        assert!(s.cloud.is_something_late(s.world.now()));
        s.clusters()
            .resize(&s.alice, id, Size::To(1))
            .await
            .unwrap();
        for _ in 0..60 {
            s.world.sleep(secs(1)).await;
            let (there, charged) = nodes(s).await;
            assert!(there <= charged, "{there} are there, {charged} are charged");
        }
        s.ready(&s.alice, id).await.unwrap();
        s.world.sleep(secs(120)).await;
        assert_eq!(nodes(s).await, (2, 2));
        assert_eq!(s.cloud.count(Verb::Change), 3);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn a_change_of_ours_that_was_late_is_not_somebody_elses() {
    let scene = Scene::new(12);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(0)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        s.cloud
            .inject(Rule::next(Verb::Change, Fault::Late(secs(20))));
        s.clusters()
            .resize(&s.alice, id, Size::To(3))
            .await
            .unwrap();
        s.ready(&s.alice, id).await.unwrap();
        s.world.sleep(secs(120)).await;
        let events = s.truth.since(0, Some(id), 1000).await.unwrap();
        assert!(!events.iter().any(|e| e.event.what.ends_with("drifted")));
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().reason, "");
    });
}

#[test]
fn what_a_network_did_once_more_is_not_taken_for_what_was_there() {
    let scene = Scene::new(10);
    scene.start_engine();
    scene.run(async |s| {
        let clusters = s.clusters();
        let made = clusters.create(&s.alice, &s.own(0)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        s.cloud
            .inject(Rule::next(Verb::Change, Fault::Twice(secs(10))));
        clusters.resize(&s.alice, id, Size::To(1)).await.unwrap();
        s.ready(&s.alice, id).await.unwrap();
        clusters.resize(&s.alice, id, Size::To(3)).await.unwrap();
        s.ready(&s.alice, id).await.unwrap();
        s.world.sleep(secs(12)).await;
        assert_eq!(nodes(s).await.0, 2, "the first change was made once more");
        // Nobody has looked yet. To what could this one go back?
        s.cloud
            .inject(Rule::next(Verb::Change, Fault::Refused(ErrorKind::Invalid)));
        clusters.resize(&s.alice, id, Size::To(2)).await.unwrap();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Failed, "{}", now.record().reason);
        assert_eq!(s.faults().await, Vec::<String>::new());
        now.retry(&s.alice).await.unwrap();
        s.ready(&s.alice, id).await.unwrap();
        assert_eq!(nodes(s).await, (3, 3));
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

//! Which site is chosen, and why.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rm_core::ErrorKind;
use rm_core::clusters::ClusterRequest;
use rm_core::life::State;
use rm_testkit::{Fault, Rule, Scene, Verb};

fn two() -> Scene {
    let scene = Scene::builder(1).sites(&["east", "west"]).build().unwrap();
    scene.start_engine();
    scene
}

#[test]
fn a_full_site_is_passed_over_and_the_answer_says_why() {
    let scene = two();
    scene.run(async |s| {
        s.cloud.room("east", Some(2));
        s.cloud.room("west", Some(50));
        let made = s.clusters().create(&s.alice, &s.request(3)).await.unwrap();
        assert_eq!(made.cluster.record().place.site_name, "west");
        let said: Vec<_> = made
            .considered
            .iter()
            .map(|c| (c.site.as_str(), c.verdict.as_str()))
            .collect();
        assert_eq!(said, [("west", "chosen"), ("east", "refused")]);
        assert!(
            made.considered[0].why.contains("50"),
            "{:?}",
            made.considered
        );
        let why = &made.considered[1].why;
        assert!(
            why.contains("full") && why.contains('2') && why.contains('4'),
            "{why}"
        );
        let now = s.ready(&s.alice, made.cluster.id()).await.unwrap();
        assert_eq!(now.record().seen, State::Ready);
        assert_eq!(s.cloud.things("west", s.world.now()).len(), 1);
        assert_eq!(s.cloud.things("east", s.world.now()).len(), 0);
    });
}

#[test]
fn a_site_that_is_down_is_passed_over_and_the_answer_says_why() {
    let scene = two();
    scene.run(async |s| {
        s.cloud.down("east", true);
        let made = s.clusters().create(&s.alice, &s.request(3)).await.unwrap();
        assert_eq!(made.cluster.record().place.site_name, "west");
        let why = &made.considered[1].why;
        assert!(why.contains("nobody answers at east"), "{why}");
        let now = s.ready(&s.alice, made.cluster.id()).await.unwrap();
        assert_eq!(now.record().seen, State::Ready);
    });
}

#[test]
fn a_site_that_hangs_keeps_nobody_waiting_while_another_has_room() {
    let scene = two();
    scene.run(async |s| {
        s.cloud.room("west", Some(50));
        let hangs = Rule::next(Verb::Offers, Fault::Slow(Duration::from_secs(25)));
        s.cloud.inject(hangs.at("east"));
        let begun = s.world.now();
        let made = s.clusters().create(&s.alice, &s.request(3)).await.unwrap();
        let took = s.world.now().since(begun);
        assert!(took < Duration::from_secs(6), "{took:?}");
        assert_eq!(made.cluster.record().place.site_name, "west");
        let why = &made.considered[1].why;
        assert_eq!(made.considered[1].verdict, "refused");
        assert_eq!(why, "it did not answer within 5 s");
    });
}

#[test]
fn the_only_site_that_has_room_may_take_its_time() {
    let scene = two();
    scene.run(async |s| {
        s.cloud.room("west", Some(2));
        let slow = Rule::next(Verb::Offers, Fault::Slow(Duration::from_secs(12)));
        s.cloud.inject(slow.at("east"));
        let made = s.clusters().create(&s.alice, &s.request(3)).await.unwrap();
        assert_eq!(made.cluster.record().place.site_name, "east");
        let why = &made.considered[1].why;
        assert!(why.contains("it is full"), "{why}");
    });
}

#[test]
fn the_roomier_is_preferred_and_the_cheaper_before_that() {
    let scene = Scene::builder(2)
        .sites(&["east", "west"])
        .config(|c| {
            c.sites.entry("east".to_owned()).or_default().nodes = Some(10);
            c.sites.entry("west".to_owned()).or_default().nodes = Some(20);
        })
        .build()
        .unwrap();
    scene.run(async |s| {
        let plan = s.clusters().plan(&s.alice, &s.request(1)).await.unwrap();
        assert_eq!(plan.considered[0].site, "west");
        assert_eq!(plan.considered[1].verdict, "next");
    });
    let scene = Scene::builder(2)
        .sites(&["east", "west"])
        .config(|c| {
            c.sites.entry("west".to_owned()).or_default().cost = 3.0;
            c.sites.entry("east".to_owned()).or_default().nodes = Some(10);
        })
        .build()
        .unwrap();
    scene.run(async |s| {
        let plan = s.clusters().plan(&s.alice, &s.request(1)).await.unwrap();
        assert_eq!(plan.considered[0].site, "east");
        assert!(plan.reuses.is_none());
        assert_eq!(plan.quota_left.clusters, Some(1000));
        // A plan does nothing.
        assert_eq!(s.records().await, []);
        assert_eq!(s.cloud.count(Verb::Create), 0);
    });
}

#[test]
fn no_room_at_the_first_attempt_leads_to_the_next_site() {
    for kind in [
        ErrorKind::NoCapacity,
        ErrorKind::Unavailable,
        ErrorKind::Credential,
        ErrorKind::Quota,
    ] {
        let scene = two();
        scene.run(async |s| {
            s.cloud
                .inject(Rule::next(Verb::Create, Fault::Refused(kind)).at("east"));
            let made = s.clusters().create(&s.alice, &s.request(3)).await.unwrap();
            assert_eq!(made.cluster.record().place.site_name, "east");
            let id = made.cluster.id();
            let now = s.ready(&s.alice, id).await.unwrap();
            assert_eq!(now.record().seen, State::Ready, "{kind:?}");
            assert_eq!(now.record().place.site_name, "west");
            assert_eq!(s.cloud.things("east", s.world.now()).len(), 0);
            // The move is told, and equal requests find it where it is now.
            assert!(s.story(id).await.contains("cluster.moved"));
            let again = s.clusters().create(&s.bob, &s.request(3)).await.unwrap();
            assert!(again.reused);
            assert_eq!(again.cluster.id(), id);
            assert_eq!(s.faults().await, Vec::<String>::new());
        });
    }
}

#[test]
fn a_place_whose_credential_was_removed_is_no_place_to_go_to() {
    let scene = Scene::builder(1).sites(&["east", "west"]).build().unwrap();
    scene.run(async |s| {
        let full = Fault::Refused(ErrorKind::NoCapacity);
        s.cloud.inject(Rule::next(Verb::Create, full).at("east"));
        let made = s.clusters().create(&s.alice, &s.request(3)).await.unwrap();
        assert_eq!(made.cluster.record().place.site_name, "east");
        let catalog = s.door.catalog();
        catalog
            .remove_credential(&s.alice, "physics-west")
            .await
            .unwrap();
        s.start_engine();
        let now = s.ready(&s.alice, made.cluster.id()).await.unwrap();
        // There is only the first place left, which takes it the next time.
        assert_eq!(now.record().seen, State::Ready);
        assert_eq!(now.record().place.site_name, "east");
        assert!(!s.story(now.id()).await.contains("cluster.moved"));
    });
}

#[test]
fn an_attempt_that_may_have_had_an_effect_is_not_repeated_elsewhere() {
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        let scene = two();
        scene.run(async |s| {
            s.cloud.inject(Rule::next(Verb::Create, fault).at("east"));
            let made = s.clusters().create(&s.alice, &s.request(3)).await.unwrap();
            let now = s.ready(&s.alice, made.cluster.id()).await.unwrap();
            assert_eq!(now.record().place.site_name, "east");
            assert_eq!(s.cloud.ever_of(made.cluster.id()).len(), 1);
            assert_eq!(s.faults().await, Vec::<String>::new());
        });
    }
}

#[test]
fn when_every_site_refuses_the_answer_has_the_reason_of_each() {
    let scene = two();
    scene.run(async |s| {
        s.cloud.room("east", Some(2));
        s.cloud.down("west", true);
        let e = s
            .clusters()
            .create(&s.alice, &s.request(3))
            .await
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NoCapacity);
        let next = e.next().unwrap();
        assert!(next.contains("east: it is full"), "{next}");
        assert!(next.contains("west: nobody answers at west"), "{next}");
        assert_eq!(s.records().await, []);
        assert_eq!(s.counter("quota/physics/clusters").await, 0);
    });
}

#[test]
fn a_hint_and_a_parameter_must_be_known() {
    let scene = two();
    scene.run(async |s| {
        let hinted = ClusterRequest {
            sites: vec!["west".to_owned()],
            ..s.request(1)
        };
        let made = s.clusters().create(&s.alice, &hinted).await.unwrap();
        assert_eq!(made.cluster.record().place.site_name, "west");
        let unknown = ClusterRequest {
            sites: vec!["wset".to_owned()],
            ..s.request(1)
        };
        let e = s.clusters().create(&s.alice, &unknown).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid);
        assert!(e.to_string().contains("east, west"), "{e}");
        let mut typo = s.request(1);
        typo.parameters
            .insert("flavour".to_owned(), serde_json::json!("m1"));
        let e = s.clusters().create(&s.alice, &typo).await.unwrap_err();
        assert!(e.to_string().contains("did you mean \"flavor\"?"), "{e}");
        let nobody = ClusterRequest {
            appliance: "hadop".to_owned(),
            ..s.request(1)
        };
        let e = s.clusters().create(&s.alice, &nobody).await.unwrap_err();
        assert!(e.to_string().contains("hadoop"), "{e}");
        assert_eq!(s.records().await.len(), 1);
    });
}

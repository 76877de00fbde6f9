//! A way out of quarantine: an operator says what a thing at the site is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rm_core::backend::{CreateKey, Mark, Resize};
use rm_core::life::State;
use rm_core::model::Cluster;
use rm_core::policy::Repair;
use rm_core::resource::Resource;
use rm_core::{ErrorKind, RemoteId, ResourceId};
use rm_testkit::{Fault, Rule, Scene, Verb};

const WHY: &str = "its log names our request";

/// A cluster of which nobody knows whether it was made.
async fn lost(s: &Scene) -> Resource<Cluster> {
    s.cloud.declare(|c| c.create_key = CreateKey::None);
    s.cloud.inject(Rule::next(Verb::Create, Fault::LostBefore));
    let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
    let held = s.ready(&s.alice, made.cluster.id()).await.unwrap();
    assert_eq!(held.record().seen, State::Quarantined);
    held
}

fn plant(s: &Scene, name: &str, mark: Option<Mark>) -> RemoteId {
    s.cloud.plant("north", "physics", name, mark, s.world.now())
}

fn mark(installation: &str, resource: ResourceId) -> Mark {
    Mark {
        installation: installation.to_owned(),
        resource,
        incarnation: 1,
        generation: 1,
    }
}

#[test]
fn what_an_operator_takes_for_ours_is_made_as_wanted_and_marked() {
    for marked in [false, true] {
        let scene = Scene::new(1);
        scene.start_engine();
        scene.run(async |s| {
            let held = lost(s).await;
            let id = held.id();
            let thing = plant(s, "found", marked.then(|| mark("lab", id)));
            let adopted = held.adopt(&s.operator, &thing, WHY).await.unwrap();
            assert_eq!(adopted.record().remote, Some(thing.clone()));
            let live = s.ready(&s.alice, id).await.unwrap();
            assert_eq!(live.record().seen, State::Ready, "{:?}", live.record());
            assert_eq!(live.record().remote, Some(thing));
            let story = s.story(id).await;
            assert!(story.contains("cluster.adopted"), "{story}");
            assert!(story.contains(WHY) && story.contains("root"));
            if !marked {
                // The planted thing has no slaves, and two are wanted.
                assert_eq!(live.view().unwrap().hosts.len(), 3);
                assert_eq!(s.cloud.of(id, s.world.now()).len(), 1, "marked");
                assert_eq!(s.faults().await, Vec::<String>::new());
            }
            live.release(&s.alice, None).await.unwrap();
            assert!(s.gone(&s.alice, id).await.unwrap());
            assert_eq!(s.cloud.everything(s.world.now()), []);
        });
    }
}

#[test]
fn what_cannot_be_changed_in_place_is_adopted_as_it_is() {
    for resize in [Resize::None, Resize::Replace] {
        let scene = Scene::new(5);
        scene.cloud.declare(|c| c.resize = resize);
        scene.start_engine();
        scene.run(async |s| {
            let held = lost(s).await;
            let thing = plant(s, "found", None);
            held.adopt(&s.operator, &thing, WHY).await.unwrap();
            let live = s.ready(&s.alice, held.id()).await.unwrap();
            assert!(live.is_ready(), "{resize:?}: {:?}", live.record());
            // And stays so, whoever looks again.
            s.world.sleep(Duration::from_secs(600)).await;
            let live = s.clusters().get(&s.alice, held.id()).await.unwrap();
            assert!(live.is_ready(), "{resize:?}: {:?}", live.record());
            assert_eq!(live.record().remote, Some(thing.clone()), "{resize:?}");
            let there = s.cloud.things("north", s.world.now());
            assert!(there.iter().any(|t| t.id == thing), "{resize:?}: {there:?}");
            assert_eq!(s.cloud.count(Verb::Destroy), 0, "{resize:?}");
            live.release(&s.alice, None).await.unwrap();
            assert!(s.gone(&s.alice, held.id()).await.unwrap());
            assert_eq!(s.cloud.everything(s.world.now()), []);
        });
    }
}

#[test]
fn what_is_to_go_is_destroyed_when_it_is_found() {
    let scene = Scene::new(2);
    scene.cloud.declare(|c| {
        c.absence = rm_core::backend::Absence::None;
        c.late = Duration::from_secs(5);
    });
    scene.start_engine();
    scene.run(async |s| {
        let held = lost(s).await;
        let thing = plant(s, "found", None);
        held.release(&s.alice, None).await.unwrap();
        assert!(!s.gone(&s.alice, held.id()).await.unwrap());
        let held = s.clusters().get(&s.alice, held.id()).await.unwrap();
        assert_eq!(held.record().seen, State::Quarantined);
        s.cloud
            .declare(|c| c.absence = rm_core::backend::Absence::NotListed);
        held.adopt(&s.operator, &thing, WHY).await.unwrap();
        assert!(s.gone(&s.alice, held.id()).await.unwrap());
        assert_eq!(s.cloud.everything(s.world.now()), []);
    });
}

#[test]
fn what_is_not_certainly_nobody_elses_is_not_adopted() {
    let scene = Scene::new(3);
    scene.start_engine();
    scene.run(async |s| {
        let other = s.clusters().create(&s.carol, &s.own(0)).await.unwrap();
        let other = s.ready(&s.carol, other.cluster.id()).await.unwrap();
        let held = lost(s).await;
        let id = held.id();
        let before = s.cloud.things("north", s.world.now());
        let mine = s.clusters().create(&s.alice, &s.own(0)).await;
        let mine = s.ready(&s.alice, mine.unwrap().cluster.id()).await.unwrap();
        let lone = mine.record().remote.clone().unwrap();

        let e = held.adopt(&s.alice, &lone, WHY).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Forbidden);
        let e = held.adopt(&s.operator, &lone, " ").await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid);
        let nothing = RemoteId("thing-999999".to_owned());
        let e = held.adopt(&s.operator, &nothing, WHY).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFound);
        // In another account it is not even seen.
        let theirs = other.record().remote.clone().unwrap();
        let e = held.adopt(&s.operator, &theirs, WHY).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFound);
        // Another resource's, marked or not; another installation's.
        let e = held.adopt(&s.operator, &lone, WHY).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Conflict, "{e}");
        s.cloud.unmark("north", &lone, s.world.now());
        let e = held.adopt(&s.operator, &lone, WHY).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Conflict, "{e}");
        assert!(e.what().contains(&mine.id().to_string()), "{e}");
        let sibling = plant(s, "sibling", Some(mark("another", id)));
        let e = held.adopt(&s.operator, &sibling, WHY).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Conflict, "{e}");
        assert!(e.what().contains("another"), "{e}");
        // What is not in quarantine needs no such thing.
        let e = mine.adopt(&s.operator, &lone, WHY).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Busy);

        s.world.sleep(Duration::from_secs(120)).await;
        let held = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(held.record().seen, State::Quarantined);
        assert_eq!(held.record().remote, None);
        let now = s.cloud.things("north", s.world.now());
        assert!(before.iter().all(|thing| now.contains(thing)), "untouched");
    });
}

/// It worked before, so nothing but the adoption asks for the change that marks
/// it.
#[test]
fn what_is_adopted_in_the_stead_of_what_worked_is_marked() {
    let scene = Scene::builder(4)
        .policy(|p| p.repair = Repair::Recreate)
        .build()
        .unwrap();
    scene.cloud.declare(|c| c.create_key = CreateKey::None);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(0)).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        let first = live.record().remote.clone().unwrap();
        s.cloud.inject(Rule::next(Verb::Create, Fault::LostBefore));
        s.cloud.vanish("north", &first, s.world.now());
        s.world.sleep(Duration::from_secs(120)).await;
        let held = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(held.record().seen, State::Quarantined);
        let thing = plant(s, "found", None);
        held.adopt(&s.operator, &thing, WHY).await.unwrap();
        let live = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(live.record().seen, State::Ready);
        assert_eq!(live.record().remote, Some(thing));
        assert_eq!(s.faults().await, Vec::<String>::new());
        assert_eq!(s.cloud.of(id, s.world.now()).len(), 1);
    });
}

//! Another size where a thing cannot be given one in place: another one is
//! made in its stead, or everything stays as it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rm_core::backend::{Absence, Phase, Resize};
use rm_core::clusters::Size;
use rm_core::life::State;
use rm_core::{ErrorKind, ResourceId};
use rm_testkit::{Fault, Rule, Scene, Verb};

/// A cluster of two slaves, for which four are wanted since just now.
async fn asked(s: &Scene, how: Resize) -> ResourceId {
    s.cloud.declare(|c| c.resize = how);
    let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
    let id = made.cluster.id();
    assert!(s.ready(&s.alice, id).await.unwrap().is_ready());
    s.clusters()
        .resize(&s.alice, id, Size::To(4))
        .await
        .unwrap();
    id
}

#[test]
fn every_offer_says_that_another_size_is_another_thing() {
    let scene = Scene::new(9);
    scene.run(async |s| {
        let why = async || {
            let plan = s.clusters().plan(&s.alice, &s.own(1)).await.unwrap();
            format!("{plan:?}")
        };
        assert!(!why().await.contains("made anew"));
        s.cloud.declare(|c| c.resize = Resize::Replace);
        assert!(why().await.contains("only by being made anew"));
    });
}

/// It works as it was, is told to, and says why.
async fn stays(s: &Scene, id: ResourceId, why: &str) {
    s.rest().await;
    let cluster = s.clusters().get(&s.alice, id).await.unwrap();
    let r = cluster.record();
    assert_eq!(r.seen, State::Ready, "{}", s.story(id).await);
    assert!(r.reason.contains(why), "{:?}", r.reason);
    assert_eq!(cluster.spec().unwrap().slaves, 2);
    assert_eq!(s.cloud.ever_of(id).len(), 1);
    assert_eq!(s.cloud.of(id, s.world.now())[0].slaves, 2);
    assert_eq!(s.counter("quota/physics/nodes").await, 3);
    assert_eq!(s.faults().await, Vec::<String>::new());
}

#[test]
fn one_is_gone_before_another_is_made_in_its_stead() {
    let scene = Scene::new(1);
    scene.start_engine();
    scene.run(async |s| {
        let id = asked(s, Resize::Replace).await;
        let cluster = s.ready(&s.alice, id).await.unwrap();
        assert!(cluster.is_ready(), "{}", s.story(id).await);
        assert_eq!(cluster.view().unwrap().hosts.len(), 5);
        let ever = s.cloud.ever_of(id);
        assert_eq!(ever.len(), 2);
        assert_eq!((ever[0].phase, ever[0].slaves), (Phase::Gone, 2));
        assert_eq!((ever[1].phase, ever[1].slaves), (Phase::Ready, 4));
        assert!(ever[0].since <= ever[1].created, "never two at once");
        assert_eq!(
            s.cloud.count(Verb::Change),
            0,
            "nothing is changed in place"
        );
        assert_eq!(s.counter("quota/physics/nodes").await, 5);
        assert!(s.story(id).await.contains("\"effect\":\"replace\""));
        // Smaller again: what there was counts until it is gone, and no longer.
        s.clusters()
            .resize(&s.alice, id, Size::To(0))
            .await
            .unwrap();
        assert!(s.ready(&s.alice, id).await.unwrap().is_ready());
        assert_eq!(s.counter("quota/physics/nodes").await, 1);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn while_it_is_replaced_it_is_told_to_be_changed_and_shows_no_address_of_the_old_one() {
    let scene = Scene::new(2);
    scene.start_engine();
    scene.run(async |s| {
        let id = asked(s, Resize::Replace).await;
        let mut seen = Vec::new();
        loop {
            let cluster = s.clusters().get(&s.alice, id).await.unwrap();
            let r = cluster.record();
            if r.incarnation == 2 && !cluster.is_ready() {
                let shown = cluster.view().unwrap();
                assert!(
                    shown.hosts.is_empty() || shown.hosts.len() == 5,
                    "{shown:?}"
                );
            }
            if seen.last() != Some(&r.seen) {
                seen.push(r.seen);
            }
            if cluster.is_ready() {
                break;
            }
            s.world.sleep(Duration::from_millis(20)).await;
        }
        let words = [State::Ready, State::Changing, State::Building, State::Ready];
        assert_eq!(seen, words, "{}", s.story(id).await);
    });
}

#[test]
fn what_is_deleted_while_it_is_replaced_is_gone() {
    for millis in (0..1500).step_by(50) {
        let scene = Scene::new(3);
        scene.start_engine();
        scene.run(async |s| {
            let id = asked(s, Resize::Replace).await;
            s.world.sleep(Duration::from_millis(millis)).await;
            let cluster = s.clusters().get(&s.alice, id).await.unwrap();
            cluster.release(&s.alice, None).await.unwrap();
            assert!(s.gone(&s.alice, id).await.unwrap(), "{millis}");
            assert_eq!(s.cloud.everything(s.world.now()), [], "{millis}");
            assert_eq!(s.counter("quota/physics/nodes").await, 0);
            assert_eq!(s.faults().await, Vec::<String>::new());
        });
    }
}

#[test]
fn what_a_site_will_not_destroy_is_kept_and_works() {
    let scene = Scene::new(4);
    scene.start_engine();
    scene.run(async |s| {
        s.cloud.forbid("physics", Verb::Destroy, true);
        let id = asked(s, Resize::Replace).await;
        stays(s, id, "the change was refused").await;
        let story = s.story(id).await;
        assert!(story.contains("\"outcome\":\"refused\""), "{story}");
        assert!(!story.contains("\"outcome\":\"unknown\""), "{story}");
        // Later it may.
        s.cloud.forbid("physics", Verb::Destroy, false);
        s.clusters()
            .resize(&s.alice, id, Size::To(4))
            .await
            .unwrap();
        assert!(s.ready(&s.alice, id).await.unwrap().is_ready());
        assert_eq!(s.cloud.ever_of(id).len(), 2);
    });
}

#[test]
fn a_destroy_that_was_refused_and_done_all_the_same_ends_in_the_new_one() {
    let scene = Scene::new(5);
    scene.start_engine();
    scene.run(async |s| {
        s.cloud.inject(Rule::next(Verb::Destroy, Fault::Denied));
        let id = asked(s, Resize::Replace).await;
        let cluster = s.ready(&s.alice, id).await.unwrap();
        assert!(cluster.is_ready(), "{}", s.story(id).await);
        assert_eq!(s.cloud.of(id, s.world.now())[0].slaves, 4);
    });
}

#[test]
fn what_could_not_be_made_again_is_not_let_go() {
    let scene = Scene::new(6);
    scene.start_engine();
    scene.run(async |s| {
        s.cloud.declare(|c| c.resize = Resize::Replace);
        let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
        let id = made.cluster.id();
        assert!(s.ready(&s.alice, id).await.unwrap().is_ready());
        // It may look, and would not be offered another one.
        s.cloud.forbid("physics", Verb::Offers, true);
        s.clusters()
            .resize(&s.alice, id, Size::To(4))
            .await
            .unwrap();
        stays(s, id, "the change was refused").await;
        assert_eq!(s.cloud.count(Verb::Destroy), 0);
        s.cloud.forbid("physics", Verb::Offers, false);
        s.clusters()
            .resize(&s.alice, id, Size::To(4))
            .await
            .unwrap();
        assert!(s.ready(&s.alice, id).await.unwrap().is_ready());
        assert_eq!(s.cloud.ever_of(id).len(), 2);
    });
}

/// Somebody asks for yet another size while the old one goes, and it does not.
#[test]
fn what_is_replaced_does_not_wait_for_ever_because_it_is_resized_again() {
    for absence in [Absence::NotListed, Absence::Tombstone] {
        let scene = Scene::new(11);
        scene.start_engine();
        scene.run(async |s| {
            s.cloud.declare(|c| c.absence = absence);
            let day = Duration::from_secs(24 * 3600);
            s.cloud.inject(Rule::next(Verb::Destroy, Fault::Hangs(day)));
            let id = asked(s, Resize::Replace).await;
            let deletes = async || {
                let there = s.cloud.of(id, s.world.now());
                there.iter().any(|t| t.phase == Phase::Deleting)
            };
            while !deletes().await {
                s.world.sleep(Duration::from_millis(10)).await;
            }
            s.clusters()
                .resize(&s.alice, id, Size::To(3))
                .await
                .unwrap();
            s.world.sleep(day / 2).await;
            let cluster = s.clusters().get(&s.alice, id).await.unwrap();
            let seen = cluster.record().seen;
            assert_eq!(seen, State::Quarantined, "{}", s.story(id).await);
        });
    }
}

/// The dead are shown at this site, and this one is shown neither alive nor
/// dead.
#[test]
fn what_is_replaced_and_not_shown_at_all_ends_with_a_person() {
    let scene = Scene::new(12);
    scene.start_engine();
    scene.run(async |s| {
        s.cloud.declare(|c| c.absence = Absence::Tombstone);
        let day = Duration::from_secs(24 * 3600);
        s.cloud.inject(Rule::next(Verb::Destroy, Fault::Hangs(day)));
        let id = asked(s, Resize::Replace).await;
        while s.cloud.count(Verb::Destroy) == 0 {
            s.world.sleep(Duration::from_millis(10)).await;
        }
        let site = s.clusters().get(&s.alice, id).await.unwrap();
        let site = site.record().place.site_name.clone();
        // Lists that late have nothing in them.
        s.cloud.lag(&site, day, false);
        s.clusters()
            .resize(&s.alice, id, Size::To(3))
            .await
            .unwrap();
        s.world.sleep(day / 2).await;
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        let seen = cluster.record().seen;
        assert_eq!(seen, State::Quarantined, "{}", s.story(id).await);
    });
}

/// The site was away for so long that it is told to have failed.
#[test]
fn what_works_is_not_replaced_because_it_is_tried_again() {
    let scene = Scene::new(10);
    scene.start_engine();
    scene.run(async |s| {
        s.cloud.declare(|c| c.resize = Resize::Replace);
        let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
        let id = made.cluster.id();
        let now = async || s.clusters().get(&s.alice, id).await.unwrap();
        while now().await.record().remote.is_none() {
            s.world.sleep(Duration::from_millis(10)).await;
        }
        let site = now().await.record().place.site_name.clone();
        s.cloud.down(&site, true);
        for _ in 0..48 {
            if now().await.record().seen == State::Failed {
                break;
            }
            s.world.sleep(Duration::from_secs(1800)).await;
        }
        assert_eq!(now().await.record().seen, State::Failed);
        now().await.retry(&s.alice).await.unwrap();
        s.cloud.down(&site, false);
        let cluster = s.ready(&s.alice, id).await.unwrap();
        assert!(cluster.is_ready(), "{}", s.story(id).await);
        assert_eq!(s.cloud.count(Verb::Destroy), 0);
        assert_eq!(s.cloud.ever_of(id).len(), 1);
        // Another size is still another thing.
        s.clusters()
            .resize(&s.alice, id, Size::To(4))
            .await
            .unwrap();
        assert!(s.ready(&s.alice, id).await.unwrap().is_ready());
        assert_eq!(s.cloud.ever_of(id).len(), 2);
    });
}

#[test]
fn nothing_is_replaced_where_nothing_shows_that_the_old_one_is_gone() {
    let scene = Scene::new(7);
    scene.start_engine();
    scene.run(async |s| {
        s.cloud.declare(|c| c.absence = Absence::None);
        let id = asked(s, Resize::Replace).await;
        stays(
            s,
            id,
            "nothing at this site would show that the old one is gone",
        )
        .await;
    });
}

#[test]
fn what_cannot_get_another_size_stays_ready_as_it_is() {
    let scene = Scene::new(8);
    scene.start_engine();
    scene.run(async |s| {
        let id = asked(s, Resize::None).await;
        stays(s, id, "cannot change what it has made").await;
        assert_eq!(s.cloud.count(Verb::Change), 0);
    });
}

#[test]
fn a_change_of_which_nobody_ever_hears_ends_failed_and_is_told() {
    let scene = Scene::new(3);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
        let id = made.cluster.id();
        assert!(s.ready(&s.alice, id).await.unwrap().is_ready());
        s.cloud
            .inject(Rule::next(Verb::Change, Fault::LostBefore).always());
        let to = Size::To(4);
        s.clusters().resize(&s.alice, id, to).await.unwrap();
        s.rest().await;
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        let r = cluster.record();
        assert_eq!(r.seen, State::Failed, "{}", s.story(id).await);
        assert!(!r.reason.is_empty());
        let tried = s.cloud.count(Verb::Change);
        s.world.sleep(Duration::from_secs(3600)).await;
        assert_eq!(s.cloud.count(Verb::Change), tried, "it is over");
        // Whoever asks again has it done.
        s.cloud.calm();
        cluster.retry(&s.alice).await.unwrap();
        s.rest().await;
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        assert!(cluster.is_ready(), "{}", s.story(id).await);
        assert_eq!(s.cloud.of(id, s.world.now())[0].slaves, 4);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

/// Nobody was told that it got its second size, and the third one is refused.
#[test]
fn what_is_refused_goes_back_to_the_change_of_which_nobody_was_told() {
    let scene = Scene::new(10);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
        let id = made.cluster.id();
        assert!(s.ready(&s.alice, id).await.unwrap().is_ready());
        s.cloud.inject(Rule::next(Verb::Change, Fault::LostAfter));
        let refused = Fault::Refused(ErrorKind::Invalid);
        s.cloud.inject(Rule::next(Verb::Change, refused).nth(2));
        let resize = async |to| s.clusters().resize(&s.alice, id, Size::To(to)).await;
        resize(4).await.unwrap();
        while s.cloud.count(Verb::Change) == 0 {
            s.world.sleep(Duration::from_millis(10)).await;
        }
        resize(6).await.unwrap();
        s.rest().await;
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        let r = cluster.record();
        assert_eq!(r.seen, State::Ready, "{}", s.story(id).await);
        assert!(r.reason.contains("refuses"), "{:?}", r.reason);
        assert_eq!(cluster.spec().unwrap().slaves, 4);
        assert_eq!(s.cloud.of(id, s.world.now())[0].slaves, 4);
        assert_eq!(s.counter("quota/physics/nodes").await, 5);
        assert_eq!(s.cloud.count(Verb::Change), 2);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

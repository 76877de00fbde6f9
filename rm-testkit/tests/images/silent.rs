//! Images of which nobody hears, or that have to be brought again.

use std::time::Duration;

use rm_core::ErrorKind;
use rm_core::life::State;
use rm_testkit::{Fault, Rule, Verb};

use super::{IMAGE, ask, delete, imaged, only_copy, scene};

#[test]
fn a_cluster_that_waits_for_an_image_of_which_nobody_hears_ends_in_time() {
    let scene = scene(11, &["north"]);
    scene.start_engine();
    scene.run(async |s| {
        let (first, seen) = ask(s, &s.alice).await;
        assert_eq!(seen, State::Ready);
        // The images of the site are away, its clusters are not.
        let away = Fault::Refused(ErrorKind::Unavailable);
        s.cloud
            .inject(Rule::next(Verb::Observe, away).of("image").always());
        while only_copy(s).await.record().seen != State::Unknown {
            s.world.sleep(Duration::from_secs(10)).await;
        }
        let made = s.clusters().create(&s.alice, &imaged(s)).await.unwrap();
        let id = made.cluster.id();
        s.world.sleep(Duration::from_secs(3000)).await;
        let waits = s.clusters().get(&s.alice, id).await.unwrap();
        let r = waits.record();
        assert_eq!(r.seen, State::Building, "there is time yet");
        assert!(r.reason.contains("waits for the image"), "{}", r.reason);
        s.world.sleep(Duration::from_secs(700)).await;
        let failed = s.clusters().get(&s.alice, id).await.unwrap();
        let r = failed.record();
        assert_eq!(r.seen, State::Failed, "{}", s.story(id).await);
        for why in ["in time", IMAGE, "unknown", "cannot be asked"] {
            assert!(r.reason.contains(why), "{why}: {}", r.reason);
        }
        assert_eq!(s.cloud.of(id, s.world.now()), []);

        // It can be tried again when the images are back, and let go.
        s.cloud.calm();
        while only_copy(s).await.record().seen != State::Ready {
            s.world.sleep(Duration::from_secs(10)).await;
        }
        failed.retry(&s.alice).await.unwrap();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready, "{}", s.story(id).await);
        s.cloud
            .inject(Rule::next(Verb::Observe, away).of("image").always());
        while only_copy(s).await.record().seen != State::Unknown {
            s.world.sleep(Duration::from_secs(10)).await;
        }
        let made = s.clusters().create(&s.alice, &imaged(s)).await.unwrap();
        s.world.sleep(Duration::from_secs(3700)).await;
        for id in [first, id, made.cluster.id()] {
            delete(s, &s.alice, id).await;
        }
        assert_eq!(s.counter("quota/physics/nodes").await, 0);
        let copy = only_copy(s).await.id();
        assert_eq!(s.counter(&format!("needs/{copy}")).await, 0);
    });
}

#[test]
fn to_wait_for_an_image_takes_nothing_of_the_time_to_make_the_cluster() {
    let scene = scene(13, &["north"]);
    scene.start_engine();
    scene.run(async |s| {
        ask(s, &s.alice).await;
        let away = Fault::Refused(ErrorKind::Unavailable);
        s.cloud
            .inject(Rule::next(Verb::Observe, away).of("image").always());
        while only_copy(s).await.record().seen != State::Unknown {
            s.world.sleep(Duration::from_secs(10)).await;
        }
        let made = s.clusters().create(&s.alice, &imaged(s)).await.unwrap();
        let id = made.cluster.id();
        s.world.sleep(Duration::from_secs(3300)).await;
        s.cloud.calm();
        let longer = Fault::Hangs(Duration::from_secs(1800));
        s.cloud.inject(Rule::next(Verb::Create, longer));
        while s.cloud.of(id, s.world.now()).is_empty() {
            s.world.sleep(Duration::from_secs(1)).await;
        }
        // Longer than what was left of the hour that it may wait.
        s.world.sleep(Duration::from_secs(1000)).await;
        let is = s.clusters().get(&s.alice, id).await.unwrap();
        let seen = is.record().seen;
        assert_eq!(seen, State::Building, "{}", s.story(id).await);
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready, "{}", s.story(id).await);
    });
}

#[test]
fn a_cluster_that_is_made_again_waits_for_its_image_to_be_brought_again() {
    let scene = scene(12, &["north"]);
    scene.start_engine();
    scene.run(async |s| {
        let (id, _) = ask(s, &s.alice).await;
        let live = s.clusters().get(&s.alice, id).await.unwrap();
        let (thing, now) = (live.record().remote.clone().unwrap(), s.world.now());
        s.cloud.vanish("north", &thing, now);
        let image = only_copy(s).await.record().remote.clone().unwrap();
        s.cloud.vanish_image("north", &image);
        s.world.sleep(Duration::from_secs(120)).await;
        let gone = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(gone.record().seen, State::Failed);
        assert_eq!(only_copy(s).await.record().seen, State::Failed);
        let longer = Fault::Hangs(Duration::from_secs(60));
        s.cloud.inject(Rule::next(Verb::Change, longer).of("image"));
        gone.retry(&s.alice).await.unwrap();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready, "{}", s.story(id).await);
        assert_eq!(s.cloud.of(id, s.world.now()).len(), 1);
    });
}

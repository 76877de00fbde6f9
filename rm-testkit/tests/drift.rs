//! What somebody does behind our back is seen, told, and not made worse.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rm_core::ResourceId;
use rm_core::backend::Absence;
use rm_core::clusters::Size;
use rm_core::life::State;
use rm_core::policy::Repair;
use rm_testkit::{Fault, Rule, Scene, Verb};

async fn events(s: &Scene, id: ResourceId, what: &str) -> usize {
    let all = s.truth.since(0, Some(id), 10_000).await.unwrap();
    all.iter().filter(|e| e.event.what == what).count()
}

/// A little more than one sweep.
async fn sweep(s: &Scene) {
    let one = s.door.policy().sweep;
    s.world.sleep(one + Duration::from_secs(2)).await;
}

#[test]
fn what_is_deleted_behind_our_back_has_failed_and_is_not_made_again_unasked() {
    let scene = Scene::new(1);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        let remote = live.record().remote.clone().unwrap();
        s.cloud.vanish("north", &remote, s.world.now());
        sweep(s).await;
        let now = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Failed);
        assert!(now.record().reason.contains("not by our doing"));
        s.world.sleep(Duration::from_secs(3600)).await;
        assert_eq!(s.cloud.count(Verb::Create), 1);
        assert_eq!(events(s, id, "cluster.failed").await, 1, "told once");

        now.retry(&s.alice).await.unwrap();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready);
        assert_ne!(now.record().remote, Some(remote));
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

/// Somebody who subscribed hears once that it failed, and again if it failed
/// for something else.
#[test]
fn a_look_that_tells_less_of_a_failure_takes_nothing_back_and_is_no_news() {
    let scene = Scene::new(14);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        let remote = live.record().remote.clone().unwrap();
        let mut told = Vec::new();
        for why in ["it broke: disk 3 is full", "it broke", "it is lost"] {
            s.cloud.fail("north", &remote, why, s.world.now());
            sweep(s).await;
            let now = s.clusters().get(&s.alice, id).await.unwrap();
            assert_eq!(now.record().seen, State::Failed);
            let times = events(s, id, "cluster.failed").await;
            told.push((times, now.record().reason.clone()));
        }
        let full = "it broke: disk 3 is full".to_owned();
        let expected = [(1, full.clone()), (1, full), (2, "it is lost".to_owned())];
        assert_eq!(told, expected);
    });
}

/// What such a look has seen was before that, and is no answer to it.
#[test]
fn a_retry_in_the_middle_of_a_look_is_not_forgotten() {
    let scene = Scene::new(12);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        let remote = live.record().remote.clone().unwrap();
        s.cloud.vanish("north", &remote, s.world.now());
        sweep(s).await;
        let failed = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(failed.record().seen, State::Failed);

        let slow = Fault::Slow(Duration::from_secs(5));
        s.cloud.inject(Rule::next(Verb::Observe, slow));
        let looks = s.cloud.count(Verb::Observe);
        while s.cloud.count(Verb::Observe) == looks {
            s.world.sleep(Duration::from_millis(100)).await;
        }
        failed.retry(&s.alice).await.unwrap();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready, "{}", now.record().reason);
        assert_ne!(now.record().remote, Some(remote));
        assert_eq!(events(s, id, "cluster.failed").await, 1, "told once");
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

/// The old thing is still going when somebody asks to try again, and the answer
/// to the new create is lost: the new one is found, and nothing is forgotten.
#[test]
fn a_retry_while_the_old_thing_is_going_forgets_nothing() {
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        for let_go in [false, true] {
            let scene = Scene::new(11);
            scene.start_engine();
            scene.run(async |s| {
                let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
                let id = made.cluster.id();
                let live = s.ready(&s.alice, id).await.unwrap();
                let remote = live.record().remote.clone().unwrap();
                let takes = Duration::from_secs(150);
                s.cloud.wither("north", &remote, takes, s.world.now());
                sweep(s).await;
                let now = s.clusters().get(&s.alice, id).await.unwrap();
                assert_eq!(now.record().seen, State::Failed);
                s.cloud.inject(Rule::next(Verb::Create, fault));
                now.retry(&s.alice).await.unwrap();
                while s.cloud.count(Verb::Create) < 2 {
                    s.world.sleep(Duration::from_millis(100)).await;
                }
                if let_go {
                    now.release(&s.alice, None).await.unwrap();
                    assert!(s.gone(&s.alice, id).await.unwrap());
                    assert_eq!(s.cloud.everything(s.world.now()), []);
                } else {
                    let now = s.ready(&s.alice, id).await.unwrap();
                    assert_ne!(now.record().remote, Some(remote));
                    assert_eq!(s.cloud.of(id, s.world.now()).len(), 1);
                }
                assert_eq!(s.faults().await, Vec::<String>::new());
            });
        }
    }
}

#[test]
fn what_is_deleted_behind_our_back_can_be_let_go() {
    let scene = Scene::new(2);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        let remote = live.record().remote.clone().unwrap();
        s.cloud.vanish("north", &remote, s.world.now());
        live.release(&s.alice, None).await.unwrap();
        assert!(s.gone(&s.alice, id).await.unwrap());
        assert_eq!(s.faults().await, Vec::<String>::new());
        assert_eq!(s.counter("quota/physics/nodes").await, 0);
    });
}

#[test]
fn what_is_changed_behind_our_back_is_told_once() {
    let scene = Scene::new(3);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        s.world.sleep(Duration::from_secs(600)).await;
        assert_eq!(events(s, id, "cluster.drifted").await, 0, "nothing yet");
        let remote = live.record().remote.clone().unwrap();
        s.cloud.tamper("north", &remote, 7, s.world.now());
        sweep(s).await;
        assert_eq!(events(s, id, "cluster.drifted").await, 1);
        let now = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready);
        assert_eq!(now.view().unwrap().hosts.len(), 8, "as it really is");
        assert_eq!(now.spec().unwrap().slaves, 1, "as it is wanted");
        s.world.sleep(Duration::from_secs(600)).await;
        assert_eq!(events(s, id, "cluster.drifted").await, 1);
        assert_eq!(s.cloud.count(Verb::Change), 0);
    });
}

#[test]
fn who_takes_our_mark_off_does_not_make_us_lose_it() {
    let scene = Scene::new(4);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        let remote = live.record().remote.clone().unwrap();
        s.cloud.unmark("north", &remote, s.world.now());
        sweep(s).await;
        let now = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready);
        assert_eq!(now.record().remote, Some(remote));
        // It is ours by its id: it can be resized, which marks it again.
        s.clusters()
            .resize(&s.alice, id, Size::To(3))
            .await
            .unwrap();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.view().unwrap().hosts.len(), 4);
        assert_eq!(s.cloud.of(id, s.world.now()).len(), 1);
        now.release(&s.alice, None).await.unwrap();
        assert!(s.gone(&s.alice, id).await.unwrap());
        assert_eq!(s.cloud.everything(s.world.now()), []);
    });
}

#[test]
fn what_breaks_is_told_and_mended_when_somebody_asks() {
    let scene = Scene::new(5);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        let remote = live.record().remote.clone().unwrap();
        s.cloud
            .fail("north", &remote, "the disk is full", s.world.now());
        sweep(s).await;
        let now = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Failed);
        assert_eq!(now.record().reason, "the disk is full");
        now.retry(&s.alice).await.unwrap();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready, "{:?}", now.record());
        assert_eq!(now.record().remote, Some(remote), "mended, not replaced");
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn a_site_that_says_nothing_makes_its_clusters_unknown_until_it_speaks() {
    let scene = Scene::new(6);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        s.cloud.down("north", true);
        s.world.sleep(Duration::from_secs(300)).await;
        let now = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Unknown);
        assert!(now.record().reason.contains("nobody answers at north"));
        s.cloud.down("north", false);
        s.world.sleep(Duration::from_secs(120)).await;
        let now = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready);
        assert_eq!(now.record().reason, "");
    });
}

#[test]
fn a_port_that_must_answer_is_waited_for() {
    let scene = Scene::builder(7).ready_port(8088).build().unwrap();
    scene.world.open_port(8088, false);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        s.world.sleep(Duration::from_secs(60)).await;
        let now = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Building);
        assert!(
            now.record().reason.contains("port 8088"),
            "{:?}",
            now.record()
        );
        s.world.open_port(8088, true);
        let opened = s.world.now();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready);
        assert!(s.world.now().since(opened) <= Duration::from_secs(10));
    });
}

/// A scene whose policy makes again what is gone.
fn recreating(seed: u64) -> Scene {
    Scene::builder(seed)
        .policy(|p| p.repair = Repair::Recreate)
        .build()
        .unwrap()
}

#[test]
fn what_is_gone_is_made_again_where_the_policy_says_so() {
    let scene = recreating(8);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        let first = live.record().remote.clone().unwrap();
        let gone = s.world.now();
        s.cloud.vanish("north", &first, gone);
        // Within one sweep, and what a sweep takes.
        sweep(s).await;
        assert_eq!(events(s, id, "cluster.nothing").await, 1, "it is told");
        let now = s.clusters().get(&s.alice, id).await.unwrap();
        let r = now.record();
        assert_ne!(r.seen, State::Failed);
        assert_eq!(r.incarnation, 2, "{r:?}");
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready);
        assert_ne!(now.record().remote, Some(first));
        assert_eq!(now.view().unwrap().hosts.len(), 3);
        assert!(s.story(id).await.contains("not by our doing"));
        s.world.sleep(Duration::from_secs(600)).await;
        assert_eq!(events(s, id, "cluster.drifted").await, 0, "it was us");
        assert_eq!(s.cloud.count(Verb::Create), 2);
        assert_eq!(s.counter("quota/physics/nodes").await, 3);
        now.release(&s.alice, None).await.unwrap();
        assert!(s.gone(&s.alice, id).await.unwrap());
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn what_somebody_is_deleting_is_made_again_when_it_is_gone() {
    for tombstones in [false, true] {
        let scene = recreating(9);
        if tombstones {
            scene.cloud.declare(|c| c.absence = Absence::Tombstone);
        }
        scene.start_engine();
        scene.run(async |s| {
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            let id = made.cluster.id();
            let live = s.ready(&s.alice, id).await.unwrap();
            let remote = live.record().remote.clone().unwrap();
            let takes = Duration::from_secs(300);
            s.cloud.wither("north", &remote, takes, s.world.now());
            s.world.sleep(Duration::from_secs(200)).await;
            let now = s.clusters().get(&s.alice, id).await.unwrap();
            assert_eq!(now.record().seen, State::Nothing);
            assert_eq!(s.cloud.count(Verb::Create), 1, "not two at once");
            s.world.sleep(Duration::from_secs(200)).await;
            let now = s.ready(&s.alice, id).await.unwrap();
            assert_eq!(now.record().seen, State::Ready, "{:?}", now.record());
            assert_eq!(s.cloud.count(Verb::Create), 2);
            assert_eq!(s.faults().await, Vec::<String>::new());
        });
    }
}

#[test]
fn what_never_worked_or_may_still_be_there_is_not_made_again() {
    // Made without success, then taken away; and at a site where nothing
    // proves that it is gone.
    for proof in [Absence::NotListed, Absence::None] {
        let scene = recreating(10);
        scene.cloud.declare(|c| c.absence = proof);
        scene.start_engine();
        scene.run(async |s| {
            if proof == Absence::NotListed {
                s.cloud.inject(Rule::next(Verb::Create, Fault::FailsLater));
            }
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            let id = made.cluster.id();
            let live = s.ready(&s.alice, id).await.unwrap();
            let remote = live.record().remote.clone().unwrap();
            s.cloud.vanish("north", &remote, s.world.now());
            s.world.sleep(Duration::from_secs(600)).await;
            let now = s.clusters().get(&s.alice, id).await.unwrap();
            assert_eq!(now.record().seen, State::Failed);
            assert_eq!(s.cloud.count(Verb::Create), 1);
        });
    }
}

/// Whatever crashes while it is made again, there is one of it.
#[test]
fn a_crash_while_it_is_made_again_makes_no_second_one() {
    let mut covered = 0;
    for n in 1.. {
        let scene = recreating(11);
        scene.start_engine();
        scene.run(async |s| {
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            let id = made.cluster.id();
            let live = s.ready(&s.alice, id).await.unwrap();
            let remote = live.record().remote.clone().unwrap();
            s.cloud.vanish("north", &remote, s.world.now());
            s.world.crash_at("engine", n);
            for _ in 0..300 {
                s.world.sleep(Duration::from_secs(1)).await;
                s.restart_crashed();
            }
            s.world.disarm();
            let now = s.ready(&s.alice, id).await.unwrap();
            assert_eq!(now.record().seen, State::Ready, "point {n}");
            assert_eq!(s.faults().await, Vec::<String>::new(), "point {n}");
            assert_eq!(s.cloud.ever_of(id).len(), 2, "point {n}");
        });
        // Sweeps and leases go on for ever; only the first of them count.
        if scene.world.crashed().is_none() || n == 60 {
            break;
        }
        covered += 1;
    }
    assert!(covered >= 20, "{covered}");
}

/// It has another stamp than the one before it, and by our doing.
#[test]
fn what_is_made_again_and_must_answer_first_has_not_drifted() {
    let scene = Scene::builder(12)
        .ready_port(8088)
        .policy(|p| p.repair = Repair::Recreate)
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        s.clusters()
            .resize(&s.alice, id, Size::To(2))
            .await
            .unwrap();
        let live = s.ready(&s.alice, id).await.unwrap();
        let remote = live.record().remote.clone().unwrap();
        s.world.open_port(8088, false);
        s.cloud.vanish("north", &remote, s.world.now());
        s.world.sleep(Duration::from_secs(120)).await;
        let now = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Building);
        s.world.open_port(8088, true);
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(
            (now.record().seen, now.record().incarnation),
            (State::Ready, 2)
        );
        assert_eq!(now.record().reason, "");
        assert_eq!(events(s, id, "cluster.drifted").await, 0);
    });
}

//! What somebody stops, changes or deletes behind our back is brought back
//! where the policy says so, and nobody is fought for ever.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rm_core::ResourceId;
use rm_core::backend::Resize;
use rm_core::life::State;
use rm_core::policy::Repair;
use rm_core::resource::Resource;
use rm_core::{RemoteId, model::Cluster};
use rm_testkit::{Scene, Verb};

const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

fn scene(seed: u64, repair: Repair) -> Scene {
    let scene = Scene::builder(seed).policy(|p| p.repair = repair);
    scene.build().unwrap()
}

/// What somebody does to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drift {
    Stopped,
    Changed,
    Deleted,
}

const DRIFTS: [Drift; 3] = [Drift::Stopped, Drift::Changed, Drift::Deleted];

impl Drift {
    fn happen(self, s: &Scene, remote: &RemoteId) {
        let now = s.world.now();
        match self {
            Self::Stopped => s.cloud.fail("north", remote, "it is stopped", now),
            Self::Changed => s.cloud.tamper("north", remote, 7, now),
            Self::Deleted => s.cloud.vanish("north", remote, now),
        }
    }
}

async fn ready(s: &Scene) -> (ResourceId, RemoteId) {
    let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
    let id = made.cluster.id();
    let live = s.ready(&s.alice, id).await.unwrap();
    assert_eq!(live.record().seen, State::Ready);
    (id, live.record().remote.clone().unwrap())
}

async fn now(s: &Scene, id: ResourceId) -> Resource<Cluster> {
    s.clusters().get(&s.alice, id).await.unwrap()
}

async fn repairs(s: &Scene, id: ResourceId) -> usize {
    let all = s.truth.since(0, Some(id), 10_000).await.unwrap();
    let repairs = all.iter().filter(|e| e.event.what == "cluster.repairing");
    repairs.count()
}

#[test]
fn what_is_stopped_changed_or_deleted_is_as_it_was_again() {
    for drift in DRIFTS {
        let scene = scene(1, Repair::Restore);
        scene.start_engine();
        scene.run(async |s| {
            let (id, remote) = ready(s).await;
            drift.happen(s, &remote);
            s.world.sleep(Duration::from_secs(150)).await;
            let live = now(s, id).await;
            let r = live.record();
            assert_eq!(r.seen, State::Ready, "{drift:?} {}", s.story(id).await);
            assert_eq!(r.reason, "", "{drift:?}");
            let things = s.cloud.of(id, s.world.now());
            assert_eq!(things.len(), 1, "{drift:?}");
            assert_eq!(things[0].slaves, 1, "{drift:?}");
            let made = u64::from(drift == Drift::Deleted);
            assert_eq!(s.cloud.count(Verb::Create), 1 + made, "{drift:?}");
            assert_eq!(s.cloud.count(Verb::Change), 1 - made, "{drift:?}");
            assert_eq!(repairs(s, id).await, 1, "{drift:?}");
            s.world.sleep(hours(2)).await;
            assert_eq!(repairs(s, id).await, 1, "{drift:?}: once");
            assert_eq!(s.faults().await, Vec::<String>::new());
            let told = s.door.history().of(&s.alice, id, None).await.unwrap();
            assert_eq!(told.believed.unwrap().generation, live.record().generation);
        });
    }
}

#[test]
fn other_policies_change_nothing_of_what_is_there() {
    for repair in [Repair::Never, Repair::Recreate] {
        for drift in [Drift::Stopped, Drift::Changed] {
            let scene = scene(2, repair);
            scene.start_engine();
            scene.run(async |s| {
                let (id, remote) = ready(s).await;
                drift.happen(s, &remote);
                s.world.sleep(hours(3)).await;
                assert_eq!(s.cloud.count(Verb::Change), 0, "{repair:?} {drift:?}");
                assert_eq!(s.cloud.count(Verb::Create), 1, "{repair:?} {drift:?}");
                assert_eq!(repairs(s, id).await, 0);
            });
        }
    }
}

/// Somebody does so ten times, each time as soon as it works again.
#[test]
fn whoever_does_so_again_and_again_is_not_fought() {
    for drift in DRIFTS {
        let scene = scene(3, Repair::Restore);
        scene.start_engine();
        scene.run(async |s| {
            let (id, _) = ready(s).await;
            let mut gaps = Vec::new();
            for _ in 0..10 {
                let live = now(s, id).await;
                if live.record().seen != State::Ready || !live.record().reason.is_empty() {
                    break;
                }
                drift.happen(s, live.record().remote.as_ref().unwrap());
                let (before, begun) = (repairs(s, id).await, s.world.now());
                while repairs(s, id).await == before && s.world.now() < begun.plus(hours(3)) {
                    s.world.sleep(Duration::from_secs(10)).await;
                }
                gaps.push(s.world.now().since(begun).as_secs() / 60);
                s.world.sleep(Duration::from_secs(15)).await;
            }
            assert_eq!(repairs(s, id).await, 5, "{drift:?} {gaps:?}");
            assert!(gaps[2] < gaps[3] && gaps[3] < gaps[4], "{drift:?} {gaps:?}");
            assert!(gaps[4] >= 60, "{drift:?} {gaps:?}");
            let left = now(s, id).await;
            let seen = match drift {
                Drift::Changed => State::Ready,
                Drift::Stopped | Drift::Deleted => State::Failed,
            };
            assert_eq!(left.record().seen, seen, "{drift:?}");

            // Whoever asks has asked: what counted before counts no more.
            if seen == State::Failed {
                left.retry(&s.alice).await.unwrap();
                let again = s.ready(&s.alice, id).await.unwrap();
                assert_eq!(again.record().seen, State::Ready, "{drift:?}");
                drift.happen(s, again.record().remote.as_ref().unwrap());
                s.world.sleep(Duration::from_secs(150)).await;
                assert_eq!(now(s, id).await.record().seen, State::Ready);
            }
            let left = s.faults().await;
            if drift == Drift::Changed {
                assert!(now(s, id).await.record().reason.contains("changed it"));
                assert!(matches!(&left[..], [one] if one.contains("7 slaves")));
            } else {
                assert_eq!(left, Vec::<String>::new(), "{drift:?}");
            }
        });
    }
}

#[test]
fn what_works_for_a_day_is_brought_back_as_if_for_the_first_time() {
    let scene = scene(4, Repair::Restore);
    scene.start_engine();
    scene.run(async |s| {
        let (id, remote) = ready(s).await;
        for _ in 0..6 {
            Drift::Stopped.happen(s, &remote);
            s.world.sleep(Duration::from_secs(150)).await;
            let live = now(s, id).await;
            assert_eq!(live.record().seen, State::Ready);
            assert_eq!(live.record().repairs.unwrap().times, 1);
            s.world.sleep(hours(25)).await;
        }
    });
}

#[test]
fn what_cannot_be_changed_in_place_and_what_is_a_purchase_is_left_alone() {
    for drift in DRIFTS {
        for purchase in [true, false] {
            let scene = scene(5, Repair::Restore);
            scene.cloud.declare(|c| match purchase {
                true => c.billing_commit = true,
                false => c.resize = Resize::Replace,
            });
            scene.start_engine();
            scene.run(async |s| {
                let (id, remote) = ready(s).await;
                drift.happen(s, &remote);
                s.world.sleep(hours(3)).await;
                let again = !purchase && drift == Drift::Deleted;
                let made = s.cloud.count(Verb::Create);
                assert_eq!(made, 1 + u64::from(again), "{drift:?} {purchase}");
                assert_eq!(s.cloud.count(Verb::Change), 0, "{drift:?} {purchase}");
                assert_eq!(s.cloud.count(Verb::Destroy), 0, "{drift:?} {purchase}");
                let seen = now(s, id).await.record().seen;
                let works = again || drift == Drift::Changed;
                assert_eq!(seen == State::Ready, works, "{drift:?} {purchase}");
            });
        }
    }
}

/// Whatever crashes while it is brought back, there is one of it, as wanted.
#[test]
fn a_crash_while_it_is_brought_back_makes_no_second_one() {
    for drift in DRIFTS {
        let mut covered = 0;
        for n in 1.. {
            let scene = scene(6, Repair::Restore);
            scene.start_engine();
            scene.run(async |s| {
                let (id, remote) = ready(s).await;
                drift.happen(s, &remote);
                s.world.crash_at("engine", n);
                for _ in 0..300 {
                    s.world.sleep(Duration::from_secs(1)).await;
                    s.restart_crashed();
                }
                s.world.disarm();
                let live = s.ready(&s.alice, id).await.unwrap();
                assert_eq!(live.record().seen, State::Ready, "{drift:?} {n}");
                assert_eq!(s.faults().await, Vec::<String>::new(), "{drift:?} {n}");
                let made = 1 + usize::from(drift == Drift::Deleted);
                assert_eq!(s.cloud.ever_of(id).len(), made, "{drift:?} {n}");
                assert_eq!(s.cloud.of(id, s.world.now())[0].slaves, 1);
            });
            if scene.world.crashed().is_none() || n == 40 {
                break;
            }
            covered += 1;
        }
        assert!(covered >= 15, "{drift:?} {covered}");
    }
}

//! Every fault that a call can suffer, at every call of a life.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use rm_core::clusters::Size;
use rm_core::life::State;
use rm_core::{ErrorKind, ResourceId};
use rm_testkit::{Fault, Rule, Scene, Verb};

/// Asks until it is so, as a person would who reads the reasons.
async fn until(s: &Scene, id: ResourceId, slaves: u32) {
    for _ in 0..5 {
        s.rest().await;
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        match cluster.record().seen {
            State::Ready if cluster.spec().unwrap().slaves == slaves => {
                let things = s.cloud.of(id, s.world.now());
                assert_eq!(things.len(), 1);
                assert_eq!(things[0].slaves, slaves);
                assert_eq!(cluster.view().unwrap().hosts.len(), slaves as usize + 1);
                return;
            }
            State::Ready => {
                assert!(!cluster.record().reason.is_empty(), "a refusal is told");
                s.clusters()
                    .resize(&s.alice, id, Size::To(slaves))
                    .await
                    .unwrap();
            }
            State::Failed => {
                assert!(!cluster.record().reason.is_empty(), "a failure says why");
                cluster.retry(&s.alice).await.unwrap();
            }
            other => panic!("{other}: {:?}", cluster.record()),
        }
    }
    panic!("asked five times:\n{}", s.story(id).await);
}

async fn life(s: &Scene) {
    let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
    let id = made.cluster.id();
    until(s, id, 2).await;
    s.clusters()
        .resize(&s.alice, id, Size::To(4))
        .await
        .unwrap();
    until(s, id, 4).await;
    let cluster = s.clusters().get(&s.alice, id).await.unwrap();
    cluster.release(&s.alice, None).await.unwrap();
    s.rest().await;
    if let Ok(held) = s.clusters().get(&s.operator, id).await {
        assert_eq!(held.record().seen, State::Quarantined);
        held.retry(&s.operator).await.unwrap();
    }
    let faults = s.faults().await;
    assert_eq!(faults, Vec::<String>::new(), "{}", s.story(id).await);
    assert_eq!(s.cloud.everything(s.world.now()), []);
    assert_eq!(s.records().await, []);
    assert_eq!(s.counter("quota/physics/nodes").await, 0);
}

fn all() -> Vec<Fault> {
    let s = Duration::from_secs;
    vec![
        Fault::LostBefore,
        Fault::LostAfter,
        Fault::Late(s(2)),
        Fault::Late(s(55)),
        Fault::Slow(s(3)),
        Fault::Slow(s(45)),
        Fault::TooMany(s(7)),
        Fault::FailsLater,
        Fault::Refused(ErrorKind::Unavailable),
        Fault::Refused(ErrorKind::Timeout),
        Fault::Refused(ErrorKind::NoCapacity),
        Fault::Refused(ErrorKind::Credential),
        Fault::Refused(ErrorKind::Invalid),
        Fault::Refused(ErrorKind::Forbidden),
        Fault::Refused(ErrorKind::NotFound),
        Fault::Refused(ErrorKind::Exists),
        Fault::Refused(ErrorKind::Internal),
    ]
}

fn each_call(engines: u32, seed: u64) -> u64 {
    let mut covered: BTreeMap<&str, u64> = BTreeMap::new();
    for verb in [Verb::Create, Verb::Observe, Verb::Change, Verb::Destroy] {
        for fault in all() {
            for n in 1.. {
                let scene = Scene::new(seed);
                for _ in 0..engines {
                    scene.start_engine();
                }
                scene.cloud.inject(Rule::next(verb, fault).nth(n));
                scene.run(life);
                if scene.cloud.suffered().is_empty() {
                    break;
                }
                *covered.entry(verb.as_str()).or_default() += 1;
            }
        }
    }
    println!("{engines} engines: one fault at each of: {covered:?}");
    covered.values().sum()
}

#[test]
fn every_fault_of_every_call_loses_and_leaks_nothing() {
    assert!(each_call(1, 1) > 80);
}

#[test]
fn every_fault_of_every_call_loses_and_leaks_nothing_with_two_engines() {
    assert!(each_call(2, 2) > 80);
}

#[test]
fn a_fault_that_stays_ends_in_words_and_not_in_circles() {
    let faults = [
        Fault::LostBefore,
        Fault::Slow(Duration::from_secs(45)),
        Fault::TooMany(Duration::from_secs(7)),
        Fault::FailsLater,
        Fault::Refused(ErrorKind::Unavailable),
        Fault::Refused(ErrorKind::Invalid),
        Fault::Refused(ErrorKind::Exists),
    ];
    for verb in [Verb::Create, Verb::Destroy] {
        for fault in faults {
            let scene = Scene::new(5);
            scene.start_engine();
            scene.run(async |s| {
                s.cloud.inject(Rule::next(verb, fault).always());
                let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
                let id = made.cluster.id();
                if verb == Verb::Destroy {
                    s.rest().await;
                    let cluster = s.clusters().get(&s.alice, id).await.unwrap();
                    cluster.release(&s.alice, None).await.unwrap();
                }
                // Within the site's patience, and a little.
                s.rest().await;
                if let Ok(cluster) = s.clusters().get(&s.alice, id).await {
                    let r = cluster.record();
                    // What is done and only answered late is found.
                    let found = matches!(fault, Fault::Slow(_));
                    assert_eq!(r.seen == State::Ready, found, "{verb:?} {fault:?}");
                    assert_eq!(r.reason.is_empty(), found, "{verb:?} {fault:?} {r:?}");
                }
                assert!(
                    s.cloud.count(verb) < 1000,
                    "{verb:?} {fault:?}: storms the site"
                );
                // It is over, and everything can still be let go.
                s.cloud.calm();
                for r in s.records().await {
                    let cluster = s.clusters().get(&s.operator, r.id).await.unwrap();
                    match r.seen {
                        State::Quarantined if r.holds.is_empty() => {
                            cluster.retry(&s.operator).await.unwrap();
                        }
                        _ => {
                            cluster
                                .release(&s.operator, Some(r.holds[0].id))
                                .await
                                .unwrap();
                        }
                    }
                }
                assert_eq!(s.faults().await, Vec::<String>::new());
                assert_eq!(s.records().await, []);
                assert_eq!(s.cloud.everything(s.world.now()), []);
            });
        }
    }
}

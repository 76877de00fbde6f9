//! What a person must decide: what will not go, and what is not provably ours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rm_core::backend::{CreateKey, Mark};
use rm_core::life::State;
use rm_core::record::ResourceRecord;
use rm_core::store::{Batch, By, Cursor, Due, Page, Store, Versioned};
use rm_core::{Caller, ErrorKind, Host};
use rm_testkit::{Answer, Around, Between, Fault, Rule, Scene, Verb};

#[test]
fn what_will_not_go_is_held_counted_and_led_out_by_an_operator() {
    let faults = [Fault::FailsLater, Fault::Refused(ErrorKind::Forbidden)];
    for (fault, tries) in faults.into_iter().flat_map(|f| [(f, 4_u32), (f, 1)]) {
        let scene = Scene::builder(1)
            .policy(|p| p.destroy_tries = tries)
            .build()
            .unwrap();
        scene.start_engine();
        scene.run(async |s| {
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            let id = made.cluster.id();
            s.ready(&s.alice, id).await.unwrap();
            s.cloud.inject(Rule::next(Verb::Destroy, fault).always());
            made.cluster.release(&s.alice, None).await.unwrap();
            assert!(!s.gone(&s.alice, id).await.unwrap());
            let held = s.clusters().get(&s.alice, id).await.unwrap();
            assert_eq!(held.record().seen, State::Quarantined);
            let reason = &held.record().reason;
            assert!(reason.contains(&tries.to_string()), "{reason}");
            let destroys = || s.cloud.count(Verb::Destroy);
            assert_eq!(destroys(), u64::from(tries), "the policy's tries");
            assert_eq!(s.counter("quota/physics/clusters").await, 1);
            s.world.sleep(Duration::from_secs(3600)).await;
            assert_eq!(destroys(), u64::from(tries), "nobody storms the site");

            let e = held.retry(&s.alice).await.unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Forbidden);
            // Whoever tries again has as many tries as there were before.
            held.retry(&s.operator).await.unwrap();
            assert!(!s.gone(&s.alice, id).await.unwrap());
            assert_eq!(destroys(), 2 * u64::from(tries));
            s.cloud.calm();
            held.retry(&s.operator).await.unwrap();
            assert!(s.gone(&s.alice, id).await.unwrap());
            assert_eq!(s.faults().await, Vec::<String>::new());
            assert_eq!(s.counter("quota/physics/clusters").await, 0);
        });
    }
}

#[test]
fn to_abandon_needs_an_operator_and_a_reason() {
    let scene = Scene::builder(2)
        .policy(|p| p.destroy_tries = 2)
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        let e = live.abandon(&s.operator, "away with it").await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Busy, "only what is in quarantine");
        s.cloud
            .inject(Rule::next(Verb::Destroy, Fault::FailsLater).always());
        live.release(&s.alice, None).await.unwrap();
        assert!(!s.gone(&s.alice, id).await.unwrap());
        let e = live.abandon(&s.alice, "away with it").await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Forbidden);
        let e = live.abandon(&s.operator, " ").await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid);
        live.abandon(&s.operator, "the site is sold").await.unwrap();
        assert_eq!(s.records().await, []);
        assert_eq!(s.counter("quota/physics/clusters").await, 0);
        // Who abandoned what, and why, can be read afterwards.
        let story = s.story(id).await;
        assert!(story.contains("cluster.abandoned"), "{story}");
        assert!(story.contains("the site is sold") && story.contains("root"));
        assert_eq!(s.cloud.everything(s.world.now()).len(), 1, "untouched");
    });
}

#[test]
fn a_delete_that_hangs_is_held_when_the_patience_is_over() {
    let scene = Scene::builder(3)
        .config(|c| c.delete_ms = 100_000_000)
        .build()
        .unwrap();
    scene
        .cloud
        .declare(|c| c.patience = Duration::from_secs(600));
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        s.ready(&s.alice, made.cluster.id()).await.unwrap();
        made.cluster.release(&s.alice, None).await.unwrap();
        let begun = s.world.now();
        assert!(!s.gone(&s.alice, made.cluster.id()).await.unwrap());
        let took = s.world.now().since(begun);
        assert!(took >= Duration::from_secs(600) && took < Duration::from_secs(700));
    });
}

#[test]
fn a_thing_of_somebody_else_that_bears_our_name_is_never_touched() {
    // No mark; the mark of another thing; and that of the same resource as
    // another installation knows it, whose store was copied to make this one.
    for case in 0..3 {
        let scene = Scene::new(4);
        scene.run(async |s| {
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            let id = made.cluster.id();
            let name = Mark {
                installation: "lab".to_owned(),
                resource: id,
                incarnation: 1,
                generation: 1,
            }
            .name();
            let other = Mark {
                installation: "another".to_owned(),
                resource: match case {
                    1 => "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21".parse().unwrap(),
                    _ => id,
                },
                incarnation: 1,
                generation: 1,
            };
            let mark = (case > 0).then_some(other);
            let foreign = s
                .cloud
                .plant("north", "physics", &name, mark, s.world.now());
            let before = s.cloud.things("north", s.world.now());
            s.start_engine();
            let held = s.ready(&s.alice, id).await.unwrap();
            assert_eq!(held.record().seen, State::Quarantined);
            assert!(held.record().reason.contains(&foreign.0), "which one");
            assert_eq!(held.record().remote, None, "not taken for ours");
            s.world.sleep(Duration::from_secs(600)).await;
            assert_eq!(s.cloud.things("north", s.world.now()), before);
            assert_eq!(s.cloud.count(Verb::Change), 0);
            assert_eq!(s.cloud.count(Verb::Destroy), 0);

            // An operator who has looked lets it be made under another name.
            held.retry(&s.operator).await.unwrap();
            let now = s.ready(&s.alice, id).await.unwrap();
            assert_eq!(now.record().seen, State::Ready);
            now.release(&s.alice, None).await.unwrap();
            assert!(s.gone(&s.alice, id).await.unwrap());
            assert_eq!(s.cloud.things("north", s.world.now()), before);
        });
    }
}

#[test]
fn what_bears_the_mark_of_another_by_now_is_not_destroyed_with_ours() {
    let scene = Scene::new(9);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        let real = s.cloud.of(id, s.world.now()).remove(0);
        let theirs = Mark {
            installation: "another".to_owned(),
            resource: "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21".parse().unwrap(),
            incarnation: 1,
            generation: 1,
        };
        s.cloud.remark("north", &real.id, theirs, s.world.now());
        s.world.sleep(Duration::from_secs(120)).await;
        let held = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(held.record().seen, State::Quarantined);
        held.release(&s.alice, None).await.unwrap();
        s.world.sleep(Duration::from_secs(3600)).await;
        assert_eq!(s.cloud.count(Verb::Destroy), 0);
        let left = s.cloud.things("north", s.world.now());
        assert_eq!(left.len(), 1, "it is theirs now");
        let held = s.clusters().get(&s.operator, id).await.unwrap();
        assert_eq!(held.record().seen, State::Quarantined);
        held.abandon(&s.operator, "it is theirs").await.unwrap();
    });
}

#[test]
fn where_nothing_can_tell_what_came_of_a_create_a_person_is_asked() {
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        for listed in [true, false] {
            let scene = Scene::new(5);
            scene.cloud.declare(|c| {
                c.create_key = CreateKey::None;
                c.list_by_owner = listed;
            });
            scene.start_engine();
            scene.run(async |s| {
                s.cloud.inject(Rule::next(Verb::Create, fault));
                let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
                let now = s.ready(&s.alice, made.cluster.id()).await.unwrap();
                let there = fault == Fault::LostAfter;
                // What a list shows is ours; what it does not is not made twice.
                let expected = if there && listed {
                    State::Ready
                } else {
                    State::Quarantined
                };
                assert_eq!(now.record().seen, expected);
                s.world.sleep(Duration::from_secs(3600)).await;
                assert_eq!(s.cloud.count(Verb::Create), 1);
            });
        }
    }
}

#[test]
fn an_unknown_create_is_looked_up_and_never_guessed() {
    for key in [
        CreateKey::UniqueName,
        CreateKey::ClientToken,
        CreateKey::ClientUuid,
        CreateKey::TagOnly,
    ] {
        for fault in [
            Fault::LostBefore,
            Fault::LostAfter,
            Fault::Late(Duration::from_secs(20)),
        ] {
            for lag in [0, 10] {
                let scene = Scene::new(6);
                scene.cloud.declare(|c| c.create_key = key);
                scene.cloud.lag("north", Duration::from_secs(lag), true);
                scene.start_engine();
                scene.run(async |s| {
                    s.cloud.inject(Rule::next(Verb::Create, fault));
                    let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
                    let id = made.cluster.id();
                    let now = s.ready(&s.alice, id).await.unwrap();
                    assert_eq!(now.record().seen, State::Ready);
                    let faults = s.faults().await;
                    assert_eq!(faults, Vec::<String>::new(), "{key:?} {fault:?} {lag}");
                    assert_eq!(s.cloud.ever_of(id).len(), 1, "{key:?} {fault:?} {lag}");
                });
            }
        }
    }
}

#[test]
fn what_is_there_before_its_mark_is_waited_for_and_not_taken_for_a_strangers() {
    for deleted in [false, true] {
        let builder = Scene::builder(12).config(|c| c.build_ms = 20_000);
        let scene = builder.build().unwrap();
        scene.cloud.mark_late("north", Duration::from_secs(9));
        scene.start_engine();
        scene.run(async |s| {
            // It is there, and nobody knows under which id.
            s.cloud.inject(Rule::next(Verb::Create, Fault::LostAfter));
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            let id = made.cluster.id();
            while s.cloud.ever_of(id).is_empty() {
                s.world.sleep(Duration::from_millis(100)).await;
            }
            s.world.sleep(Duration::from_secs(4)).await;
            if deleted {
                made.cluster.release(&s.alice, None).await.unwrap();
                assert!(s.gone(&s.alice, id).await.unwrap(), "{}", s.story(id).await);
                s.world.sleep(Duration::from_secs(300)).await;
                assert_eq!(s.cloud.of(id, s.world.now()), []);
            } else {
                let now = s.ready(&s.alice, id).await.unwrap();
                assert_eq!(now.record().seen, State::Ready, "{}", s.story(id).await);
            }
            let looked = s.cloud.calls().iter().any(|c| {
                c.verb == Verb::Observe && c.answer == Answer::Done && c.what == "1 things"
            });
            assert!(looked, "somebody looked");
            assert_eq!(s.cloud.ever_of(id).len(), 1);
        });
    }
}

#[test]
fn a_create_that_takes_effect_after_the_delete_was_asked_leaves_nothing() {
    for seconds in [1, 5, 20, 50] {
        for lag in [0, 5] {
            let scene = Scene::new(7);
            scene.cloud.lag("north", Duration::from_secs(lag), true);
            scene.start_engine();
            scene.run(async |s| {
                let late = Fault::Late(Duration::from_secs(seconds));
                s.cloud.inject(Rule::next(Verb::Create, late));
                let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
                s.world.sleep(Duration::from_millis(600)).await;
                made.cluster.release(&s.alice, None).await.unwrap();
                assert!(s.gone(&s.alice, made.cluster.id()).await.unwrap());
                assert_eq!(s.faults().await, Vec::<String>::new());
                assert_eq!(s.cloud.everything(s.world.now()), []);
            });
        }
    }
}

/// How many rows of resources were read.
#[derive(Debug, Default)]
struct Reading(AtomicUsize);

#[async_trait]
impl Between for Reading {
    async fn resources(
        &self,
        store: &dyn Store,
        by: &By,
        after: Option<&Cursor>,
        limit: u32,
    ) -> rm_core::Result<Page<Versioned<ResourceRecord>>> {
        let page = store.resources(by, after, limit).await?;
        self.0.fetch_add(page.items.len(), Ordering::Relaxed);
        Ok(page)
    }
}

#[test]
fn what_is_in_quarantine_is_told_without_a_look_at_all_else() {
    let scene = Scene::new(11);
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let one = made.cluster.record().clone();
        let store = Around::new(Arc::clone(s.door.store()), Reading::default());
        let kept: Arc<dyn Store> = Arc::<Around<Reading>>::clone(&store);
        let builder = Host::builder(s.world.env()).store(kept);
        let host = builder.installation("lab").build().unwrap();
        let put = async |n: u128, seen: State, of: &Caller| {
            let mut r = one.clone();
            r.id = format!("00000000-0000-0000-0000-{n:012x}").parse().unwrap();
            (r.seen, r.tenant) = (seen, of.tenant.clone());
            r.holds[0].user.clone_from(&of.user);
            let batch = Batch {
                resources: vec![(Arc::new(r), Due::Rest)],
                ..Batch::default()
            };
            store.commit(batch).await.unwrap();
        };
        for n in 0..3000 {
            put(n, State::Ready, &s.alice).await;
        }
        for n in [1700, 2500] {
            put(n, State::Quarantined, &s.alice).await;
        }
        put(3001, State::Quarantined, &s.carol).await;
        let told = async |who: &Caller, limit: u32| {
            let (mut all, mut after) = (Vec::new(), None);
            loop {
                let held = host.quarantine();
                let page = held.list(who, after.as_ref(), limit).await.unwrap();
                all.extend(page.items.iter().map(|r| r.id.0.as_u128()));
                after = page.next;
                if after.is_none() {
                    return all;
                }
            }
        };
        for limit in [1, 100] {
            assert_eq!(told(&s.operator, limit).await, [1700, 2500, 3001]);
            assert_eq!(told(&s.alice, limit).await, [1700, 2500]);
            assert_eq!(
                told(&s.bob, limit).await,
                [1700, 2500],
                "of the same tenant"
            );
            assert_eq!(told(&s.carol, limit).await, [3001]);
        }
        let read = store.0.load(Ordering::Relaxed);
        assert!(read <= 20, "{read} rows were read for 16 answers");
    });
}

//! What a site tells is known at once; what it tells wrongly, late, twice or
//! not at all costs a look or a sweep, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rm_core::ResourceId;
use rm_core::backend::Hint;
use rm_core::clusters::Size;
use rm_core::life::State;
use rm_testkit::{Fault, Rule, Scene, Telling, Verb};
use serde_json::json;

/// An hour between two sweeps: what is known before was told.
const NEVER: Duration = Duration::from_secs(3600);

/// As long as it may take until what was told is known.
const AT_ONCE: Duration = Duration::from_millis(200);

fn telling(seed: u64, manner: Telling) -> Scene {
    let scene = Scene::builder(seed).policy(|p| p.sweep = NEVER);
    let scene = scene.build().unwrap();
    scene.cloud.tell(seed, manner);
    scene
}

async fn made(s: &Scene) -> (ResourceId, rm_core::RemoteId) {
    let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
    let id = made.cluster.id();
    let live = s.ready(&s.alice, id).await.unwrap();
    assert_eq!(live.record().seen, State::Ready);
    // What its making set off is over.
    s.world.sleep(Duration::from_secs(5)).await;
    (id, live.record().remote.clone().unwrap())
}

async fn seen(s: &Scene, id: ResourceId) -> State {
    let now = s.clusters().get(&s.alice, id).await.unwrap();
    now.record().seen
}

#[test]
fn what_somebody_does_behind_our_back_is_known_at_once() {
    let scene = telling(1, Telling::default());
    scene.start_engine();
    scene.run(async |s| {
        let (id, remote) = made(s).await;
        let north = |s: &Scene| s.world.now();
        s.cloud.fail("north", &remote, "the disk is full", north(s));
        s.world.sleep(AT_ONCE).await;
        assert_eq!(seen(s, id).await, State::Failed);
        s.clusters()
            .get(&s.alice, id)
            .await
            .unwrap()
            .retry(&s.alice)
            .await
            .unwrap();
        s.ready(&s.alice, id).await.unwrap();
        s.world.sleep(Duration::from_secs(5)).await;
        s.cloud.tamper("north", &remote, 7, north(s));
        s.world.sleep(AT_ONCE).await;
        let now = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(now.view().unwrap().hosts.len(), 8, "as it really is");
        s.cloud.vanish("north", &remote, north(s));
        s.world.sleep(AT_ONCE).await;
        let now = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Failed);
        assert!(now.record().reason.contains("not by our doing"));
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn what_is_not_told_is_seen_by_the_next_sweep() {
    let scene = telling(
        2,
        Telling {
            lost: 1000,
            ..Telling::default()
        },
    );
    scene.start_engine();
    scene.run(async |s| {
        let (id, remote) = made(s).await;
        s.cloud.vanish("north", &remote, s.world.now());
        s.world.sleep(Duration::from_secs(60)).await;
        assert_eq!(seen(s, id).await, State::Ready);
        s.world.sleep(NEVER + Duration::from_secs(2)).await;
        assert_eq!(seen(s, id).await, State::Failed);
    });
}

/// What is told between a look and what is written down of it is not lost with
/// it.
#[test]
fn what_is_told_while_we_look_is_looked_at_again() {
    let scene = telling(3, Telling::default());
    scene.start_engine();
    scene.run(async |s| {
        let (id, remote) = made(s).await;
        for n in 1..=8u64 {
            // A look takes 300 ms, and somewhere in the middle of it the thing
            // is changed.
            s.cloud.inject(Rule::next(
                Verb::Observe,
                Fault::Slow(Duration::from_millis(300)),
            ));
            s.cloud.hint("north", Hint::Look(id), s.world.now());
            s.world.sleep(Duration::from_millis(40 * n)).await;
            let slaves = u32::try_from(n).unwrap() + 10;
            s.cloud.tamper("north", &remote, slaves, s.world.now());
            s.world.sleep(Duration::from_millis(600)).await;
            let now = s.clusters().get(&s.alice, id).await.unwrap();
            let hosts = u32::try_from(now.view().unwrap().hosts.len()).unwrap();
            assert_eq!(hosts, slaves + 1, "changed {} ms into the look", 40 * n);
            s.world.sleep(Duration::from_secs(2)).await;
        }
    });
}

/// A look that began before somebody asked to try again is no answer to that.
#[test]
fn who_asks_to_try_again_while_we_look_is_served() {
    let scene = telling(8, Telling::default());
    scene.start_engine();
    scene.run(async |s| {
        let (id, remote) = made(s).await;
        for _ in 0..4 {
            s.cloud.fail("north", &remote, "broken", s.world.now());
            s.world.sleep(Duration::from_secs(1)).await;
            let slow = Fault::Slow(Duration::from_millis(300));
            s.cloud.inject(Rule::next(Verb::Observe, slow));
            s.cloud.hint("north", Hint::Look(id), s.world.now());
            s.world.sleep(Duration::from_millis(100)).await;
            let failed = s.clusters().get(&s.alice, id).await.unwrap();
            assert_eq!(failed.record().seen, State::Failed);
            failed.retry(&s.alice).await.unwrap();
            let live = s.ready(&s.alice, id).await.unwrap();
            assert_eq!(live.record().seen, State::Ready, "{:?}", live.record());
            s.world.sleep(Duration::from_secs(5)).await;
        }
    });
}

#[test]
fn what_a_site_tells_wrongly_costs_looks_and_nothing_else() {
    let scene = Scene::builder(4)
        .sites(&["north", "south"])
        .policy(|p| p.sweep = NEVER)
        .config(|c| c.nodes = Some(2))
        .build()
        .unwrap();
    scene.cloud.tell(4, Telling::default());
    scene.start_engine();
    scene.run(async |s| {
        let (id, _) = made(s).await;
        // There is no room for another one at this site.
        made(s).await;
        assert_eq!(
            (s.cloud.listeners("north"), s.cloud.listeners("south")),
            (1, 1)
        );
        let there = s.clusters().get(&s.alice, id).await.unwrap();
        let (site, other) = match there.record().place.site_name.as_str() {
            "north" => ("north", "south"),
            _ => ("south", "north"),
        };
        let version = there.version();
        let looks = s.cloud.count(Verb::Observe);
        // Of what there is not, and of another site's.
        let none = ResourceId::new(&*s.world.env());
        s.cloud.hint(site, Hint::Look(none), s.world.now());
        s.cloud.hint(other, Hint::Look(id), s.world.now());
        s.world.sleep(Duration::from_secs(2)).await;
        assert_eq!(s.cloud.count(Verb::Observe), looks);
        let now = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(now.version(), version);
        // Of what has not changed, as often as anybody likes.
        for _ in 0..200 {
            s.cloud.hint(site, Hint::Look(id), s.world.now());
            s.world.sleep(Duration::from_millis(5)).await;
        }
        s.world.sleep(Duration::from_secs(2)).await;
        let more = s.cloud.count(Verb::Observe) - looks;
        assert!((1..=30).contains(&more), "{more} looks in a second");
        assert_eq!(seen(s, id).await, State::Ready);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn who_is_not_heard_any_more_is_listened_to_again_and_everything_looked_at() {
    let scene = telling(5, Telling::default());
    scene.start_engine();
    scene.run(async |s| {
        let (id, remote) = made(s).await;
        assert_eq!(s.cloud.listeners("north"), 1);
        s.cloud.down("north", true);
        s.cloud.cut_off(s.world.now());
        s.world.sleep(Duration::from_secs(30)).await;
        assert_eq!(s.cloud.listeners("north"), 0);
        // Nobody hears this.
        s.cloud.vanish("north", &remote, s.world.now());
        s.cloud.down("north", false);
        s.world.sleep(Duration::from_secs(65)).await;
        assert_eq!(s.cloud.listeners("north"), 1);
        assert_eq!(seen(s, id).await, State::Failed);
    });
}

/// Guests that start again and again, and a queue that runs over and over.
#[test]
fn what_is_told_in_a_storm_is_not_written_down_each_time() {
    let scene = telling(10, Telling::default());
    let engine = scene.start_engine();
    scene.run(async |s| {
        let mut all = Vec::new();
        for _ in 0..4 {
            all.push(made(s).await);
        }
        let storm = async |hint: Hint| {
            let before = engine.store.commits();
            for _ in 0..200 {
                s.cloud.hint("north", hint, s.world.now());
                s.world.sleep(Duration::from_millis(5)).await;
            }
            s.world.sleep(Duration::from_secs(2)).await;
            engine.store.commits() - before
        };
        let (id, remote) = &all[0];
        let commits = storm(Hint::Look(*id)).await;
        assert!((2..=100).contains(&commits), "{commits} for one thing");
        let commits = storm(Hint::LookAtAll).await;
        assert!((4..=60).contains(&commits), "{commits} for all four");
        // And what happens afterwards is known as soon as ever.
        s.cloud.vanish("north", remote, s.world.now());
        s.world.sleep(AT_ONCE).await;
        assert_eq!(seen(s, *id).await, State::Failed);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

/// The site is slow, and what was told waits for its turn.
#[test]
fn what_is_told_of_what_waits_to_be_looked_at_is_not_written_down_again() {
    let scene = Scene::builder(11).policy(|p| {
        p.sweep = NEVER;
        // One of an account at a time.
        p.in_hand = 4;
    });
    let scene = scene.build().unwrap();
    scene.cloud.tell(11, Telling::default());
    let engine = scene.start_engine();
    scene.run(async |s| {
        let mut all = Vec::new();
        for _ in 0..4 {
            all.push(made(s).await);
        }
        let slow = Fault::Slow(Duration::from_secs(6));
        s.cloud.inject(Rule::next(Verb::Observe, slow));
        let before = engine.store.commits();
        for _ in 0..4 {
            s.cloud.hint("north", Hint::LookAtAll, s.world.now());
            s.world.sleep(Duration::from_millis(1200)).await;
        }
        let commits = engine.store.commits() - before;
        assert!((4..=10).contains(&commits), "{commits}");
        // Each is looked at all the same.
        for (_, remote) in &all {
            s.cloud.vanish("north", remote, s.world.now());
        }
        s.world.sleep(Duration::from_secs(20)).await;
        for (id, _) in &all {
            assert_eq!(seen(s, *id).await, State::Failed);
        }
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

/// A connection may outlive the secret by which it was opened.
#[test]
fn what_is_told_to_a_secret_that_was_replaced_is_not_listened_to() {
    let scene = telling(9, Telling::default());
    scene.start_engine();
    scene.run(async |s| {
        let (id, remote) = made(s).await;
        assert_eq!(s.cloud.listeners("north"), 1);
        let rotate = async |password: &str| {
            let secret = json!({"account": "physics", "password": password});
            let catalog = s.door.catalog();
            let rotated = catalog.rotate_credential(&s.alice, "physics-north", &secret);
            rotated.await.unwrap();
        };
        rotate("wrong").await;
        s.world.sleep(Duration::from_secs(62)).await;
        assert_eq!(s.cloud.listeners("north"), 0);
        s.cloud.vanish("north", &remote, s.world.now());
        rotate("right").await;
        s.world.sleep(Duration::from_secs(65)).await;
        assert_eq!(s.cloud.listeners("north"), 1, "by the new one");
        assert_eq!(seen(s, id).await, State::Failed);
        // Whatever is told next ends what is heard by the old one.
        rotate("wrong").await;
        s.cloud.hint("north", Hint::Look(id), s.world.now());
        s.world.sleep(Duration::from_secs(1)).await;
        assert_eq!(s.cloud.listeners("north"), 0);
    });
}

#[test]
fn an_engine_that_begins_listens_to_whoever_has_something() {
    let scene = telling(6, Telling::default());
    let first = scene.start_engine();
    scene.run(async |s| {
        let (id, remote) = made(s).await;
        s.world.kill(first.id);
        s.cloud.fail("north", &remote, "unseen", s.world.now());
        s.start_engine();
        s.world.sleep(Duration::from_secs(1)).await;
        assert_eq!(
            s.cloud.listeners("north"),
            1,
            "where nothing is, nobody listens"
        );
        assert_eq!(seen(s, id).await, State::Failed);
    });
}

/// What our own calls set off is told, too, and is nothing new.
#[test]
fn a_site_that_tells_is_not_asked_more_often_for_what_we_do_ourselves() {
    let looks = |tells: bool| {
        let scene = Scene::builder(7)
            .policy(|p| p.sweep = NEVER)
            .build()
            .unwrap();
        if tells {
            scene.cloud.tell(7, Telling::default());
        }
        scene.start_engine();
        scene.run(async |s| {
            let (id, _) = made(s).await;
            for slaves in 2..8 {
                let to = Size::To(slaves);
                s.clusters().resize(&s.alice, id, to).await.unwrap();
                s.ready(&s.alice, id).await.unwrap();
            }
            s.clusters()
                .get(&s.alice, id)
                .await
                .unwrap()
                .release(&s.alice, None)
                .await
                .unwrap();
            assert!(s.gone(&s.alice, id).await.unwrap());
            s.cloud.count(Verb::Observe)
        })
    };
    let (silent, telling) = (looks(false), looks(true));
    assert!(telling <= silent + 20, "{telling} and {silent}");
}

/// Lost, twice, late, wrong, cut off: in the end everything is as it is.
#[test]
fn whatever_becomes_of_what_is_told_the_record_is_right_in_the_end() {
    for seed in 0..20 {
        let scene = Scene::builder(seed)
            .policy(|p| p.sweep = Duration::from_secs(60))
            .build()
            .unwrap();
        let late = (300, Duration::from_secs(3));
        scene.cloud.tell(
            seed,
            Telling {
                lost: 200,
                twice: 200,
                late,
                wrong: 200,
                cut: 100,
                dropped: 100,
            },
        );
        for _ in 0..2 {
            scene.start_engine();
        }
        scene.run(async |s| {
            let mut all = Vec::new();
            for _ in 0..4 {
                all.push(made(s).await);
            }
            let (first, rest) = all.split_first().unwrap();
            s.cloud.vanish("north", &first.1, s.world.now());
            for (id, remote) in rest {
                s.cloud.tamper("north", remote, 5, s.world.now());
                s.world.sleep(Duration::from_millis(70)).await;
                s.clusters()
                    .resize(&s.alice, *id, Size::To(2))
                    .await
                    .unwrap();
            }
            s.world.sleep(Duration::from_secs(130)).await;
            assert_eq!(seen(s, first.0).await, State::Failed);
            for (id, _) in rest {
                let now = s.clusters().get(&s.alice, *id).await.unwrap();
                assert_eq!(now.record().seen, State::Ready, "seed {seed}");
                assert_eq!(now.view().unwrap().hosts.len(), 3, "seed {seed}");
            }
            for (id, _) in &all {
                let live = s.clusters().get(&s.alice, *id).await.unwrap();
                live.release(&s.alice, None).await.unwrap();
                assert!(s.gone(&s.alice, *id).await.unwrap());
            }
            assert_eq!(s.faults().await, Vec::<String>::new(), "seed {seed}");
            assert_eq!(s.cloud.everything(s.world.now()), []);
        });
    }
}

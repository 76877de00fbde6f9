//! However many clusters are at rest, nobody waits for the looks at them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use futures_util::future::join_all;
use rm_core::ResourceId;
use rm_core::env::Timestamp;
use rm_core::life::State;
use rm_core::store::Queue;
use rm_testkit::{Fault, Rule, Scene, Verb};

/// So many at rest. Of them four are looked at in a second at the most, so that
/// all of them are overdue all the time.
const MANY: usize = 300;

/// How long somebody waits at the most whom nothing is in the way of: for the
/// look or the call under way.
const AT_ONCE: Duration = Duration::from_secs(2);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Few in hand: of an account eight that somebody waits for, four that are only
/// swept.
fn scene(seed: u64) -> Scene {
    Scene::builder(seed)
        .config(|c| c.concurrency = 4)
        .policy(|p| {
            p.in_hand = 32;
            p.sweep = secs(10);
            p.quota.clusters = None;
            p.quota.nodes = None;
        })
        .build()
        .unwrap()
}

/// Very many clusters that are as they are wanted, at a site that takes a second
/// for each look from now on.
async fn settled(s: &Scene) -> Vec<ResourceId> {
    let clusters = s.clusters();
    let request = s.own(0);
    let asked = (0..MANY).map(|_| clusters.create(&s.alice, &request));
    let made = join_all(asked).await;
    let ids: Vec<ResourceId> = made.into_iter().map(|m| m.unwrap().cluster.id()).collect();
    for id in &ids {
        assert!(s.ready(&s.alice, *id).await.unwrap().is_ready());
    }
    s.cloud
        .inject(Rule::next(Verb::Observe, Fault::Slow(secs(1))).always());
    ids
}

/// How long the one that has waited longest for a look is overdue.
async fn overdue(s: &Scene) -> Duration {
    let next = s.truth.next_due(Queue::Sweep, &[]).await.unwrap();
    s.world.now().since(next.unwrap())
}

/// How long it took until a call was made once more than so often.
async fn until(s: &Scene, verb: Verb, before: u64, since: Timestamp) -> Duration {
    while s.cloud.count(verb) <= before {
        assert!(s.world.now().since(since) < secs(60), "{verb:?} waits");
        s.world.sleep(Duration::from_millis(50)).await;
    }
    s.world.now().since(since)
}

/// Asks for a cluster and for its end, and answers how long each was not begun,
/// and how long it was made.
async fn asked(s: &Scene) -> [Duration; 3] {
    let (creates, destroys) = (s.cloud.count(Verb::Create), s.cloud.count(Verb::Destroy));
    let since = s.world.now();
    let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
    let begun = until(s, Verb::Create, creates, since).await;
    let made = s.ready(&s.alice, made.cluster.id()).await.unwrap();
    assert!(made.is_ready());
    let took = s.world.now().since(since);
    let since = s.world.now();
    made.release(&s.alice, None).await.unwrap();
    let ended = until(s, Verb::Destroy, destroys, since).await;
    assert!(s.gone(&s.alice, made.id()).await.unwrap());
    [begun, took, ended]
}

#[test]
fn what_is_asked_for_does_not_wait_for_the_sweep_nor_what_is_under_way() {
    let scene = scene(1);
    scene.start_engine();
    scene.run(async |s| {
        let ids = settled(s).await;
        s.world.sleep(secs(200)).await;
        assert!(overdue(s).await > secs(20), "{:?}", overdue(s).await);
        let [begun, took, ended] = asked(s).await;
        println!("begun after {begun:?}, made after {took:?}, its end begun after {ended:?}");
        assert!(begun < AT_ONCE, "{begun:?}");
        assert!(ended < AT_ONCE, "{ended:?}");
        // 400 ms to make it, and a look or two more than if it were alone.
        assert!(took < secs(8), "{took:?}");

        // And the others have their turn all the same.
        let last = s.clusters().get(&s.alice, ids[MANY / 2]).await.unwrap();
        let remote = last.record().remote.clone().unwrap();
        s.cloud.vanish("north", &remote, s.world.now());
        s.world.sleep(secs(150)).await;
        let last = s.clusters().get(&s.alice, last.id()).await.unwrap();
        assert_eq!(last.record().seen, State::Failed);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn what_a_dead_engine_had_begun_goes_on_before_all_that_is_overdue_since() {
    let scene = scene(2);
    let engine = scene.start_engine();
    scene.run(async |s| {
        settled(s).await;
        // It dies in the middle of the call.
        s.cloud
            .inject(Rule::next(Verb::Create, Fault::Slow(secs(5))));
        let creates = s.cloud.count(Verb::Create);
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        until(s, Verb::Create, creates, s.world.now()).await;
        s.world.kill(engine.id);
        s.world.sleep(secs(3600)).await;
        assert!(overdue(s).await > secs(3500));
        let since = s.world.now();
        s.start_engine();
        assert!(
            s.ready(&s.alice, made.cluster.id())
                .await
                .unwrap()
                .is_ready()
        );
        let took = s.world.now().since(since);
        println!("gone on with after {took:?}");
        assert!(took < secs(6), "{took:?}");
        assert!(overdue(s).await > secs(3500), "all were looked at before");
    });
}

/// All of them must be looked at closely, each by a call of its own.
#[test]
fn when_a_site_comes_back_nobody_waits_for_the_looks_at_all_that_is_there() {
    let scene = scene(3);
    scene.start_engine();
    scene.run(async |s| {
        let ids = settled(s).await;
        s.cloud.down("north", true);
        s.world.sleep(secs(1800)).await;
        let unknown = async || {
            let of = async |id: &ResourceId| s.clusters().get(&s.alice, *id).await.unwrap();
            let mut unknown = 0;
            for id in &ids {
                unknown += usize::from(of(id).await.record().seen == State::Unknown);
            }
            unknown
        };
        assert_eq!(unknown().await, MANY);
        s.cloud.down("north", false);
        s.world.sleep(secs(20)).await;
        assert!(unknown().await > MANY / 2);
        let [begun, took, ended] = asked(s).await;
        println!("begun after {begun:?}, made after {took:?}, its end begun after {ended:?}");
        assert!(begun < AT_ONCE, "{begun:?}");
        assert!(ended < AT_ONCE, "{ended:?}");
        assert!(took < secs(8), "{took:?}");
        s.world.sleep(secs(600)).await;
        assert_eq!(unknown().await, 0);
    });
}

/// More is under way than the account gets in hand, for as long as one looks.
#[test]
fn what_is_under_way_does_not_keep_drift_from_being_seen() {
    let scene = scene(4);
    scene.start_engine();
    scene.run(async |s| {
        let ids = settled(s).await;
        s.cloud
            .inject(Rule::next(Verb::Create, Fault::Hangs(secs(3600))).always());
        for _ in 0..100 {
            s.clusters().create(&s.alice, &s.own(0)).await.unwrap();
        }
        s.world.sleep(secs(120)).await;
        let first = s.clusters().get(&s.alice, ids[0]).await.unwrap();
        let remote = first.record().remote.clone().unwrap();
        s.cloud.vanish("north", &remote, s.world.now());
        s.world.sleep(secs(300)).await;
        let first = s.clusters().get(&s.alice, ids[0]).await.unwrap();
        assert_eq!(first.record().seen, State::Failed);
    });
}

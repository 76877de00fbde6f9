//! The log of events: who hears what, what is forgotten, and what is said
//! about what is lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rm_core::event::{Lost, NewEvent};
use rm_core::store::Batch;
use rm_core::{Caller, ErrorKind, ResourceId, Tenant};
use rm_testkit::Scene;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn words(s: &Scene, who: &Caller, of: Option<ResourceId>, after: u64) -> Vec<String> {
    let heard = s.door.events().after(who, of, after, 10_000).await.unwrap();
    assert_eq!(heard.lost, None);
    let words = heard.events.iter().map(|e| e.event.what.clone());
    words.collect()
}

#[test]
fn who_was_granted_hears_of_it_until_its_end() {
    let scene = Scene::new(1);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        let cluster = s.ready(&s.alice, id).await.unwrap();
        assert!(words(s, &s.carol, None, 0).await.is_empty());
        assert!(words(s, &s.carol, Some(id), 0).await.is_empty());
        cluster.grant(&s.alice, "carol").await.unwrap();
        assert_eq!(words(s, &s.carol, None, 0).await, ["cluster.granted"]);
        // Who may see it now reads the whole history.
        let whole = words(s, &s.alice, Some(id), 0).await;
        assert_eq!(whole[0], "cluster.requested");
        assert_eq!(words(s, &s.carol, Some(id), 0).await, whole);

        cluster.release(&s.alice, None).await.unwrap();
        assert!(s.gone(&s.operator, id).await.unwrap());
        let heard = words(s, &s.carol, None, 0).await;
        assert_eq!(heard.last().unwrap(), "cluster.gone", "{heard:?}");
        assert_eq!(words(s, &s.operator, None, 0).await.last(), heard.last());
        let heard = words(s, &s.carol, Some(id), 0).await;
        assert_eq!(heard.first().unwrap(), "cluster.granted");
    });
}

#[test]
fn a_grant_that_was_taken_back_is_over() {
    let scene = Scene::new(2);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        let cluster = s.ready(&s.alice, id).await.unwrap();
        cluster.grant(&s.alice, "carol").await.unwrap();
        cluster.revoke(&s.alice, "carol").await.unwrap();
        cluster.release(&s.alice, None).await.unwrap();
        assert!(s.gone(&s.operator, id).await.unwrap());
        assert_eq!(words(s, &s.carol, None, 0).await, ["cluster.granted"]);
        assert_eq!(words(s, &s.carol, Some(id), 0).await, ["cluster.granted"]);
    });
}

#[test]
fn a_page_says_where_the_next_one_begins() {
    let scene = Scene::new(3);
    scene.start_engine();
    scene.run(async |s| {
        for _ in 0..3 {
            let of_alice = s.clusters().create(&s.alice, &s.own(0)).await.unwrap();
            let of_carol = s.clusters().create(&s.carol, &s.own(0)).await.unwrap();
            s.ready(&s.alice, of_alice.cluster.id()).await.unwrap();
            s.ready(&s.carol, of_carol.cluster.id()).await.unwrap();
        }
        let all = words(s, &s.alice, None, 0).await;
        for limit in [1, 2, 3, all.len(), 100] {
            let mut found = Vec::new();
            let mut after = 0;
            loop {
                let events = s.door.events();
                let page = events.after(&s.alice, None, after, limit).await.unwrap();
                assert!(page.events.len() <= limit);
                assert!(!page.more || page.events.len() == limit);
                found.extend(page.events.into_iter().map(|e| e.event.what));
                after = page.next;
                if !page.more {
                    break;
                }
            }
            assert_eq!(found, all, "{limit}");
            assert_eq!(after, s.truth.newest().await.unwrap());
        }
    });
}

/// Something happens so often, and then so many days pass.
async fn happens(s: &Scene, times: usize, what: &str, of: Option<ResourceId>, days: u32) {
    let event = NewEvent {
        at: s.world.now(),
        what: what.to_owned(),
        tenant: Some(Tenant("physics".to_owned())),
        audience: Vec::new(),
        resource: of,
        data: serde_json::Value::Null.into(),
    };
    let batch = Batch {
        events: vec![event; times],
        ..Batch::default()
    };
    s.truth.commit(batch).await.unwrap();
    s.world.sleep(DAY * days).await;
}

#[test]
fn old_events_are_forgotten_but_not_those_of_what_is_there() {
    let scene = Scene::new(4);
    scene.run(async |s| {
        let new = || Some(ResourceId::new(&*s.world.env()));
        let [there, gone, lately, busy] = [new(), new(), new(), new()];
        let base = s.truth.newest().await.unwrap();
        for id in [there, gone, lately, busy] {
            happens(s, 1, "cluster.requested", id, 1).await;
        }
        happens(s, 1, "cluster.gone", gone, 1).await;
        happens(s, 1, "cluster.ready", there, 1).await;
        happens(s, 700, "catalog.site.added", None, 1).await;
        happens(s, 1500, "cluster.drifted", busy, 20).await;
        let horizon = s.truth.newest().await.unwrap();
        happens(s, 1, "cluster.abandoned", lately, 1).await;
        happens(s, 1, "catalog.site.added", None, 15).await;
        happens(s, 1, "cluster.ready", busy, 0).await;
        let of = async |id| -> Vec<String> {
            let events = s.truth.since(0, id, 10_000).await.unwrap();
            events.into_iter().map(|e| e.event.what).collect()
        };
        s.start_engine();
        let (events, root) = (s.door.events(), &s.operator);
        let lost = Lost {
            after: base + 1,
            until: horizon,
        };
        let end = s.world.now().plus(DAY);
        let heard = loop {
            let heard = events.after(root, None, base + 1, 10).await.unwrap();
            if heard.lost == Some(lost) {
                break heard;
            }
            let now = s.world.now();
            assert!(now < end, "{lost:?} is lost, and told is {:?}", heard.lost);
            s.world.sleep(Duration::from_millis(100)).await;
        };
        assert_eq!(of(there).await, ["cluster.requested", "cluster.ready"]);
        assert_eq!(of(gone).await, Vec::<String>::new());
        assert_eq!(of(lately).await, ["cluster.requested", "cluster.abandoned"]);
        assert_eq!(of(busy).await.len(), 1000);
        assert_eq!(of(None).await.len(), 2 + 2 + 1000 + 1);

        // Whoever has read less than that is told.
        assert_eq!(heard.events[0].seq, horizon + 1);
        assert_eq!(heard.next, horizon + 3);
        let e = lost.error();
        assert_eq!(
            (e.kind(), e.stable_code()),
            (ErrorKind::Gone, "events-lost")
        );
        for whole in [0, horizon, horizon + 1] {
            let heard = events.after(root, None, whole, 10).await.unwrap();
            assert_eq!(heard.lost, None, "{whole}");
            assert!(heard.events.iter().all(|e| e.seq > horizon));
        }
        // The history of what is there is whole, that of the busy one is cut.
        let heard = events.after(root, there, base + 1, 10).await.unwrap();
        assert_eq!((heard.lost, heard.events.len()), (None, 1));
        let heard = events.after(root, busy, base + 4, 10).await.unwrap();
        assert_eq!(heard.lost.unwrap().until + 1, heard.events[0].seq);
        // A program that listens is told once.
        let mut listens = s.door.subscribe(Some(base + 1)).await.unwrap();
        let e = listens.next().await.unwrap_err();
        assert_eq!(e.stable_code(), "events-lost");
        assert_eq!(listens.next().await.unwrap()[0].seq, horizon + 1);
    });
}

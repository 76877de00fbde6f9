//! Callbacks: who gets what, whatever the receivers and the processes do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rm_core::env::Timestamp;
use rm_core::event::{Event, NewEvent};
use rm_core::model::Json;
use rm_core::outbox::{CallbackState, Deliver, not_delivered};
use rm_core::record::Document;
use rm_core::store::Batch;
use rm_core::{Caller, CatalogId, ErrorKind, Result, Tenant};
use rm_testkit::{Scene, TaskId};

/// What an address does with a delivery.
#[derive(Debug, Clone, Copy)]
enum Does {
    Takes,
    Refuses,
    Hangs,
}

/// Receivers by address; those that nobody spoke of take everything.
#[derive(Debug, Default)]
struct Receivers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    does: BTreeMap<String, Does>,
    got: BTreeMap<String, Vec<(u64, String)>>,
    tries: BTreeMap<String, u32>,
    busy: usize,
    busiest: usize,
}

impl Receivers {
    fn set(&self, url: &str, does: Does) {
        self.inner.lock().unwrap().does.insert(url.to_owned(), does);
    }

    /// The names of the events that an address got.
    fn got(&self, url: &str) -> Vec<String> {
        let inner = self.inner.lock().unwrap();
        let got = inner.got.get(url).into_iter().flatten();
        got.map(|(_, what)| what.clone()).collect()
    }

    /// The same by their numbers, without what came again at once.
    fn seqs(&self, url: &str) -> Vec<u64> {
        let inner = self.inner.lock().unwrap();
        let got = inner.got.get(url).into_iter().flatten();
        let mut seqs: Vec<u64> = got.map(|(seq, _)| *seq).collect();
        seqs.dedup();
        seqs
    }

    fn tries(&self, url: &str) -> u32 {
        let inner = self.inner.lock().unwrap();
        inner.tries.get(url).copied().unwrap_or_default()
    }
}

/// Counts a delivery that hangs while it does.
struct Busy<'a>(&'a Receivers);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.inner.lock().unwrap().busy -= 1;
    }
}

#[async_trait]
impl Deliver for Receivers {
    async fn deliver(&self, url: &str, event: &Event) -> Result<()> {
        let does = {
            let mut inner = self.inner.lock().unwrap();
            *inner.tries.entry(url.to_owned()).or_default() += 1;
            inner.does.get(url).copied().unwrap_or(Does::Takes)
        };
        match does {
            Does::Refuses => Err(not_delivered(503)),
            Does::Hangs => {
                let _busy = {
                    let mut inner = self.inner.lock().unwrap();
                    inner.busy += 1;
                    inner.busiest = inner.busiest.max(inner.busy);
                    Busy(self)
                };
                std::future::pending().await
            }
            Does::Takes => {
                let mut inner = self.inner.lock().unwrap();
                let got = inner.got.entry(url.to_owned()).or_default();
                got.push((event.seq, event.event.what.clone()));
                Ok(())
            }
        }
    }
}

/// Begins to deliver, as a process of its own.
fn start(s: &Scene, label: &str, receivers: &Arc<Receivers>) -> TaskId {
    let (outbox, receivers) = (s.door.outbox(), Arc::clone(receivers));
    s.world.spawn(label, async move {
        outbox.run(&*receivers, std::future::pending()).await;
    })
}

fn news(tenant: &str, what: &str, at: Timestamp) -> NewEvent {
    NewEvent {
        at,
        what: what.to_owned(),
        tenant: Some(Tenant(tenant.to_owned())),
        audience: Vec::new(),
        resource: None,
        data: serde_json::Value::Null.into(),
    }
}

async fn announce(s: &Scene, tenant: &str, what: &[&str]) {
    let events = what.iter().map(|w| news(tenant, w, s.world.now()));
    let batch = Batch {
        events: events.collect(),
        ..Batch::default()
    };
    s.truth.commit(batch).await.unwrap();
}

/// Waits until something is so, and answers how long it took.
async fn until(s: &Scene, what: &str, so: impl Fn() -> bool) -> Duration {
    let begun = s.world.now();
    while !so() {
        let waited = s.world.now().since(begun);
        assert!(waited < Duration::from_secs(7 * 24 * 3600), "never: {what}");
        // The longer it takes, the less exactly it is measured.
        s.world
            .sleep(Duration::from_millis(50).max(waited / 100))
            .await;
    }
    s.world.now().since(begun)
}

#[test]
fn a_receiver_that_hangs_delays_nobody_else_and_is_not_flooded() {
    let scene = Scene::new(1);
    scene.run(async |s| {
        let receivers = Arc::new(Receivers::default());
        let outbox = s.door.outbox();
        for n in 0..10 {
            let url = format!("http://hung:80/{n}");
            receivers.set(&url, Does::Hangs);
            outbox.add(&s.alice, &url, "toy.").await.unwrap();
        }
        // Of the same tenant, and asked for last.
        outbox.add(&s.alice, "http://well/", "toy.").await.unwrap();
        start(s, "outbox", &receivers);
        announce(s, "physics", &["toy.a", "toy.b", "toy.c"]).await;
        let took = until(s, "they come", || receivers.got("http://well/").len() == 3).await;
        assert!(took < Duration::from_secs(3), "{took:?}");
        assert_eq!(receivers.got("http://well/"), ["toy.a", "toy.b", "toy.c"]);
        until(s, "all were tried", || {
            (0..10).all(|n| receivers.tries(&format!("http://hung:80/{n}")) > 0)
        })
        .await;
        assert_eq!(receivers.inner.lock().unwrap().busiest, 4);
    });
}

#[test]
fn more_callbacks_than_fit_on_a_page_are_served() {
    let scene = Scene::new(2);
    scene.run(async |s| {
        let receivers = Arc::new(Receivers::default());
        let mut urls = Vec::new();
        for tenant in 0..60 {
            let who = Caller::user("u", format!("tenant-{tenant}"));
            for n in 0..20 {
                let url = format!("http://host-{tenant}/{n}");
                s.door.outbox().add(&who, &url, "toy.").await.unwrap();
                urls.push(url);
            }
        }
        start(s, "outbox", &receivers);
        for tenant in 0..60 {
            announce(s, &format!("tenant-{tenant}"), &["toy.a"]).await;
        }
        until(s, "all have it", || {
            urls.iter().all(|url| receivers.got(url) == ["toy.a"])
        })
        .await;
    });
}

#[test]
fn a_tenant_has_so_many_callbacks_and_no_more() {
    let scene = Scene::builder(3).policy(|p| p.callbacks = 2).build();
    scene.unwrap().run(async |s| {
        let outbox = s.door.outbox();
        let first = outbox.add(&s.alice, "http://a/", "").await.unwrap();
        outbox.add(&s.bob, "http://a/", "").await.unwrap();
        let e = outbox.add(&s.alice, "http://b/", "").await.unwrap_err();
        assert_eq!(
            (e.kind(), e.stable_code()),
            (ErrorKind::Quota, "too-many-callbacks")
        );
        assert!(e.next().is_some());
        outbox.add(&s.carol, "http://b/", "").await.unwrap();
        let e = outbox.remove(&s.carol, first.id).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFound);
        outbox.remove(&s.bob, first.id).await.unwrap();
        outbox.add(&s.alice, "http://b/", "").await.unwrap();
        assert_eq!(outbox.list(&s.alice).await.unwrap().len(), 2);
    });
}

#[test]
fn one_that_cannot_be_read_stops_nobody_and_can_be_removed() {
    let scene = Scene::new(4);
    scene.run(async |s| {
        let id = CatalogId::new(&*s.world.env());
        let broken = Document {
            space: "engine.callback".to_owned(),
            id: id.to_string(),
            indexes: vec![("tenant".to_owned(), "physics".to_owned())],
            body: Json::of(&"of another version").unwrap(),
        };
        let batch = Batch {
            documents: vec![Arc::new(broken)],
            ..Batch::default()
        };
        s.truth.commit(batch).await.unwrap();
        let receivers = Arc::new(Receivers::default());
        let outbox = s.door.outbox();
        outbox.add(&s.alice, "http://a/", "toy.").await.unwrap();
        start(s, "outbox", &receivers);
        announce(s, "physics", &["toy.a"]).await;
        until(s, "it comes", || receivers.got("http://a/") == ["toy.a"]).await;
        assert_eq!(outbox.list(&s.alice).await.unwrap().len(), 1);
        outbox.remove(&s.alice, id).await.unwrap();
        let e = outbox.remove(&s.alice, id).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_callback_that_is_given_up_stays_in_the_list_and_is_told_of() {
    let scene = Scene::new(5);
    scene.run(async |s| {
        let receivers = Arc::new(Receivers::default());
        receivers.set("http://gone/", Does::Refuses);
        let outbox = s.door.outbox();
        let mine = outbox.add(&s.alice, "http://gone/", "").await.unwrap();
        outbox
            .add(&s.bob, "http://well/", "callback.")
            .await
            .unwrap();
        let first = start(s, "outbox-1", &receivers);
        let took = until(s, "it is tried often", || {
            receivers.tries("http://gone/") == 21
        })
        .await;
        // Ever later, and at the most every ten minutes.
        let minutes = took.as_secs() / 60;
        assert!((110..150).contains(&minutes), "{minutes}");
        let now = outbox.list(&s.bob).await.unwrap();
        let failing = now.iter().find(|c| c.id == mine.id).unwrap();
        assert_eq!(failing.state(), CallbackState::Failing);
        let why = "the receiver answered with status 503";
        assert_eq!(failing.last_error.as_deref(), Some(why));

        // Three days after it began to fail it is over, with one last try.
        s.world.kill(first);
        s.world.sleep(Duration::from_secs(3 * 24 * 3600)).await;
        start(s, "outbox-2", &receivers);
        let ended = "callback.ended".to_owned();
        until(s, "it is given up", || {
            receivers.got("http://well/").contains(&ended)
        })
        .await;
        assert_eq!(receivers.tries("http://gone/"), 22);
        let now = outbox.list(&s.alice).await.unwrap();
        let over = now.iter().find(|c| c.id == mine.id).unwrap();
        assert_eq!(over.state(), CallbackState::Ended);
        assert_eq!(over.last_error.as_deref(), Some(why));
        let events = s.truth.since(0, None, 10_000).await.unwrap();
        let told = events.iter().find(|e| e.event.what == ended).unwrap();
        assert_eq!(told.event.tenant.as_ref().unwrap().0, "physics");
        assert_eq!(told.event.data["callback"], mine.id.to_string());
        assert!(!told.event.data.to_string().contains("http"));

        // Nothing comes any more, also after a restart.
        receivers.set("http://gone/", Does::Takes);
        start(s, "outbox-3", &receivers);
        announce(s, "physics", &["callback.x"]).await;
        until(s, "it comes", || {
            receivers
                .got("http://well/")
                .contains(&"callback.x".to_owned())
        })
        .await;
        assert_eq!(receivers.tries("http://gone/"), 22);
        outbox.remove(&s.alice, mine.id).await.unwrap();
    });
}

#[test]
fn whatever_crashes_every_event_comes_in_order() {
    // Two processes deliver; one of them crashes at each of its boundaries.
    let mut places = BTreeSet::new();
    for n in 1..60 {
        let scene = Scene::new(100 + n);
        scene.run(async |s| {
            let receivers = Arc::new(Receivers::default());
            let outbox = s.door.outbox();
            let mine = outbox.add(&s.alice, "http://a/", "toy.").await.unwrap();
            receivers.set("http://b/", Does::Refuses);
            outbox.add(&s.bob, "http://b/", "toy.").await.unwrap();
            s.world.crash_at("outbox-1", n);
            start(s, "outbox-1", &receivers);
            for _ in 0..3 {
                announce(s, "physics", &["toy.a", "other", "toy.b"]).await;
                announce(s, "biology", &["toy.c"]).await;
            }
            until(s, "it crashes", || s.world.crashed().is_some()).await;
            places.insert(s.world.crashed().unwrap());
            receivers.set("http://b/", Does::Takes);
            start(s, "outbox-2", &receivers);
            start(s, "outbox-3", &receivers);
            announce(s, "physics", &["toy.end"]).await;
            let events = s.truth.since(0, None, 100).await.unwrap();
            let wanted: Vec<u64> = events
                .iter()
                .filter(|e| e.event.tenant.as_ref().is_some_and(|t| t.0 == "physics"))
                .filter(|e| e.event.what.starts_with("toy."))
                .map(|e| e.seq)
                .collect();
            for url in ["http://a/", "http://b/"] {
                until(s, "all have come", || {
                    receivers.seqs(url).last() == wanted.last()
                })
                .await;
                assert_eq!(receivers.seqs(url), wanted, "{url}, crash {n}");
            }
            let now = outbox.list(&s.alice).await.unwrap();
            let now = now.iter().find(|c| c.id == mine.id).unwrap();
            assert_eq!(now.failures, 0);
        });
    }
    assert!(
        places.iter().any(|at| at.starts_with("after commit")),
        "{places:?}"
    );
}

#[test]
fn who_is_behind_misses_nothing_when_the_log_has_gone_on() {
    let scene = Scene::new(6);
    scene.run(async |s| {
        let receivers = Arc::new(Receivers::default());
        receivers.set("http://a/", Does::Refuses);
        let outbox = s.door.outbox();
        outbox.add(&s.alice, "http://a/", "toy.").await.unwrap();
        outbox.add(&s.alice, "http://b/", "rare.").await.unwrap();
        let first = start(s, "outbox-1", &receivers);
        announce(s, "physics", &["toy.first", "rare.first"]).await;
        let many = ["other"; 500];
        for _ in 0..8 {
            announce(s, "biology", &many).await;
        }
        announce(s, "physics", &["toy.second", "rare.second"]).await;
        until(s, "it fails, and the other has it", || {
            receivers.tries("http://a/") > 3 && receivers.got("http://b/").len() == 2
        })
        .await;
        // A process that begins anew reads what it must and no more.
        s.world.kill(first);
        receivers.set("http://a/", Does::Takes);
        start(s, "outbox-2", &receivers);
        announce(s, "physics", &["rare.third"]).await;
        until(s, "all have it", || {
            receivers.got("http://a/").len() == 2 && receivers.got("http://b/").len() == 3
        })
        .await;
        assert_eq!(receivers.got("http://a/"), ["toy.first", "toy.second"]);
        assert_eq!(
            receivers.got("http://b/"),
            ["rare.first", "rare.second", "rare.third"]
        );
        // All is delivered: from here on the next one begins.
        for _ in 0..8 {
            announce(s, "biology", &many).await;
        }
        let store = &s.truth;
        let floor = async || -> u64 {
            let found = store.document("engine.outbox", "floor").await.unwrap();
            found.map_or(0, |f| f.record.body.read().unwrap())
        };
        while floor().await < 4000 {
            s.world.sleep(Duration::from_millis(50)).await;
        }
    });
}

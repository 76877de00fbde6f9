//! What a commit writes, and when it writes nothing.

use std::sync::Arc;

use rm_core::store::{Batch, By, Due, Expect, Queue, Refusal, Version};
use serde_json::json;

use crate::support::{BEGIN, LEASE, Rig, document, engine, event, keep, put, record, resource_id};
use crate::{count, counts, guest, ids, key, note, notes, refused};
use rm_core::store::Count;

pub(crate) async fn an_empty_store_has_nothing(rig: Rig) {
    let s = &*rig.store;
    assert_eq!(s.resource(resource_id(1)).await.unwrap(), None);
    assert_eq!(s.document("s", "a").await.unwrap(), None);
    assert_eq!(ids(s, &By::All, 10).await, []);
    assert_eq!(notes(s, None, 10).await, Vec::<String>::new());
    assert_eq!(s.counter("c").await.unwrap(), 0);
    assert_eq!(s.next_due(Queue::Awaited, &[]).await.unwrap(), None);
    assert_eq!(s.newest().await.unwrap(), 0);
    assert_eq!(s.since(0, None, 10).await.unwrap(), []);
    assert_eq!(
        s.claim(engine(1), LEASE, Queue::Awaited, 10, &[])
            .await
            .unwrap(),
        []
    );
}

pub(crate) async fn versions_count_the_writes(rig: Rig) {
    let mut wanted = record(1, "t", &["u"]);
    for n in 1..4 {
        wanted.name = format!("name {n}");
        let mut batch = put(wanted.clone(), Due::Keep);
        let body = format!("body {n}");
        batch.documents = vec![document("s", "a", &[("i", "v")], &body)];
        rig.done(batch).await;
        let row = rig.store.resource(resource_id(1)).await.unwrap().unwrap();
        assert_eq!((row.version, &*row.record), (Version(n), &wanted));
        let row = rig.store.document("s", "a").await.unwrap().unwrap();
        assert_eq!(row.version, Version(n));
        assert_eq!(row.record, document("s", "a", &[("i", "v")], &body));
    }
}

pub(crate) async fn an_expectation_that_fails_writes_nothing(rig: Rig) {
    let s = &*rig.store;
    let first = record(1, "t", &["u"]);
    let account = By::Account(first.place.site, first.place.credential);
    let no_note = |index: &str, value: &str| Expect::NoDocument {
        space: "s".to_owned(),
        index: index.to_owned(),
        value: value.to_owned(),
    };
    rig.done(put(first, Due::Keep)).await;
    rig.done(keep(vec![document("s", "a", &[("of", "x")], "1")]))
        .await;
    let bad = [
        (Expect::Absent(key(1)), key(1)),
        (Expect::Absent(note("a")), note("a")),
        (Expect::Version(key(1), Version(2)), key(1)),
        (Expect::Version(key(1), Version(u64::MAX)), key(1)),
        (Expect::Version(key(2), Version(1)), key(2)),
        (Expect::Version(note("a"), Version(0)), note("a")),
        (Expect::Version(note("b"), Version(1)), note("b")),
        (no_note("of", "x"), note("a")),
        (Expect::NoResource(By::All), key(1)),
        (Expect::NoResource(By::Tenant("t".to_owned())), key(1)),
        (Expect::NoResource(guest("u", "")), key(1)),
        (Expect::NoResource(account.clone()), key(1)),
    ];
    for (expect, k) in bad {
        let batch = Batch {
            expect: vec![Expect::Version(key(1), Version(1)), expect],
            resources: vec![(Arc::new(record(3, "t", &["u"])), Due::At(BEGIN))],
            documents: vec![document("s", "c", &[("i", "v")], "x")],
            delete: vec![key(1), note("a")],
            counts: vec![Count {
                counter: "c".to_owned(),
                by: 1,
                at_most: None,
            }],
            events: vec![event("x", None)],
            ..Batch::default()
        };
        assert_eq!(refused(s.commit(batch).await.unwrap()), Refusal::Stale(k));
    }
    assert_eq!(ids(s, &By::All, 10).await, [1]);
    assert_eq!(notes(s, None, 10).await, ["a"]);
    assert_eq!(notes(s, Some(("i", "v")), 10).await, Vec::<String>::new());
    assert_eq!(s.counter("c").await.unwrap(), 0);
    assert_eq!(s.newest().await.unwrap(), 0);
    assert_eq!(s.next_due(Queue::Awaited, &[]).await.unwrap(), None);
    let good = Batch {
        expect: vec![
            Expect::Absent(key(2)),
            Expect::Absent(note("b")),
            Expect::Version(key(1), Version(1)),
            Expect::Version(note("a"), Version(1)),
            no_note("of", "y"),
            no_note("is", "x"),
            Expect::NoResource(By::Tenant("other".to_owned())),
            Expect::NoResource(guest("t", "")),
        ],
        ..put(record(2, "t", &[]), Due::Keep)
    };
    rig.done(good).await;
}

pub(crate) async fn a_counter_stops_at_its_limit(rig: Rig) {
    let s = &*rig.store;
    rig.done(counts(vec![count(3, Some(5))])).await;
    let why = refused(s.commit(counts(vec![count(3, Some(5))])).await.unwrap());
    assert_eq!(
        why,
        Refusal::Limit {
            counter: "quota/t/nodes".to_owned(),
            value: 3,
            at_most: 5
        }
    );
    rig.done(counts(vec![count(2, Some(5))])).await;
    // A limit that was lowered stops nobody from giving back.
    rig.done(counts(vec![count(-1, Some(1))])).await;
    assert_eq!(s.counter("quota/t/nodes").await.unwrap(), 4);
    rig.done(counts(vec![count(-100, None)])).await;
    assert_eq!(s.counter("quota/t/nodes").await.unwrap(), 0);
    rig.done(counts(vec![count(0, Some(0))])).await;
}

pub(crate) async fn counts_of_one_batch_add_up(rig: Rig) {
    let s = &*rig.store;
    let two = counts(vec![count(3, Some(5)), count(3, Some(5))]);
    let why = refused(s.commit(two).await.unwrap());
    assert!(matches!(why, Refusal::Limit { value: 0, .. }), "{why:?}");
    rig.done(counts(vec![count(5, Some(5))])).await;
    // What is given back first makes room.
    rig.done(counts(vec![count(-2, None), count(2, Some(5))]))
        .await;
    assert_eq!(s.counter("quota/t/nodes").await.unwrap(), 5);
}

pub(crate) async fn what_is_deleted_is_gone(rig: Rig) {
    let s = &*rig.store;
    rig.done(put(record(1, "t", &["u"]), Due::At(BEGIN))).await;
    rig.done(keep(vec![document("s", "a", &[("i", "v")], "1")]))
        .await;
    let gone = Batch {
        delete: vec![key(1), note("a"), key(5), note("z")],
        ..Batch::default()
    };
    rig.done(gone).await;
    assert_eq!(s.resource(resource_id(1)).await.unwrap(), None);
    assert_eq!(ids(s, &guest("u", ""), 9).await, []);
    assert_eq!(ids(s, &By::Tenant("t".to_owned()), 9).await, []);
    assert_eq!(notes(s, Some(("i", "v")), 9).await, Vec::<String>::new());
    assert_eq!(s.next_due(Queue::Awaited, &[]).await.unwrap(), None);
    // Its versions begin anew.
    rig.done(put(record(1, "t", &["u"]), Due::Keep)).await;
    let row = s.resource(resource_id(1)).await.unwrap().unwrap();
    assert_eq!(row.version, Version(1));
    // Written and deleted by one batch is deleted.
    let mut both = put(record(2, "t", &["u"]), Due::At(BEGIN));
    both.documents = vec![document("s", "b", &[("i", "v")], "1")];
    both.delete = vec![key(2), note("b")];
    rig.done(both).await;
    assert_eq!(ids(s, &By::All, 9).await, [1]);
    assert_eq!(notes(s, None, 9).await, Vec::<String>::new());
}

pub(crate) async fn odd_text_is_kept_as_it_is(rig: Rig) {
    let s = &*rig.store;
    let odd = ["", "'", "\0", "a\0b", "%_", "é", "\u{10FFFF}", "a\nb"];
    for (text, n) in odd.into_iter().zip(1..) {
        let mut r = record(n, text, &[text]);
        text.clone_into(&mut r.reason);
        let mut batch = put(r.clone(), Due::Keep);
        batch.documents = vec![document("s", text, &[(text, text)], text)];
        batch.counts = vec![Count {
            counter: text.to_owned(),
            by: i64::try_from(n).unwrap(),
            at_most: None,
        }];
        batch.events = vec![event(text, None)];
        batch.events[0].data = json!({ text: text }).into();
        rig.done(batch.clone()).await;
        let row = s.resource(r.id).await.unwrap().unwrap();
        assert_eq!(*row.record, r);
        assert_eq!(ids(s, &By::Tenant(text.to_owned()), 9).await, [n]);
        assert_eq!(ids(s, &guest(text, "another"), 9).await, [n]);
        let row = s.document("s", text).await.unwrap().unwrap();
        assert_eq!(row.record, batch.documents[0]);
        assert_eq!(notes(s, Some((text, text)), 9).await, [text]);
        assert_eq!(u128::from(s.counter(text).await.unwrap()), n);
        let last = s.since(s.newest().await.unwrap() - 1, None, 9).await;
        assert_eq!(last.unwrap()[0].event, batch.events[0]);
    }
    let mut sorted = odd;
    sorted.sort_unstable();
    assert_eq!(notes(s, None, 2).await, sorted);
}

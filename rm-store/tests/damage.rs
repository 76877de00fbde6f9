//! What changed on the disk within a value: what is told, and what goes on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::error::Error as _;
use std::path::Path;

use rm_core::event::NewEvent;
use rm_core::store::{Batch, By, Count, Due, Outcome, Store};
use rm_core::{Error, ErrorKind};
use rm_store::SqliteStore;
use rusqlite::Connection;
use support::{TestEnv, document, done, keep, put, record, resource_id};

mod support;

fn open(path: &Path) -> Result<SqliteStore, Error> {
    SqliteStore::open(path, TestEnv::new())
}

/// Not a digit, a letter or an id becomes another one unnoticed: SQLite's own
/// structure is whole, and what is read is not what was written.
#[tokio::test]
async fn what_changed_within_a_value_is_named_and_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    for (change, what) in [
        ("UPDATE counter SET value = value + 1", "counter \"nodes\""),
        ("UPDATE counter SET name = 'nodez'", "counter \"nodez\""),
        (
            "UPDATE resource SET body = replace(body, '\"u\"', '\"v\"')",
            "resource 00000000-0000-0000-0000-000000000001",
        ),
        (
            "UPDATE resource SET id = zeroblob(16)",
            "resource 00000000-",
        ),
        (
            "UPDATE document SET body = replace(body, '20', '28')",
            "document \"physics\" of \"quota\"",
        ),
        (
            "UPDATE document SET id = 'physicz'",
            "document \"physicz\" of \"quota\"",
        ),
        (
            "UPDATE document SET indexes = replace(indexes, 'v', 'w')",
            "indexes of document \"physics\"",
        ),
        // The highest bit, after which it is no text any more.
        (
            "UPDATE resource SET body = CAST( \
             unhex(replace(hex(body), hex('here'), 'E8657265')) AS TEXT)",
            "resource 00000000-0000-0000-0000-000000000001",
        ),
        (
            "UPDATE document SET body = CAST(unhex(replace(hex(body), '3230', '32B0')) AS TEXT)",
            "document \"physics\" of \"quota\"",
        ),
        // Of the sum itself.
        (
            "UPDATE document SET body = CAST(unhex('B0' || substr(hex(body), 3)) AS TEXT)",
            "document \"physics\" of \"quota\"",
        ),
        (
            "UPDATE document SET id = CAST(unhex('F0' || substr(hex(id), 3)) AS TEXT)",
            "hysics\" of \"quota\"",
        ),
        (
            "UPDATE document SET indexes = CAST( \
             unhex(replace(hex(indexes), hex('v'), 'F6')) AS TEXT)",
            "indexes of document \"physics\"",
        ),
    ] {
        let path = folder.path().join("store.db");
        let store = open(&path).unwrap();
        let mut batch = put(record(1, "t", &["u"]), Due::Keep);
        batch.documents = vec![document("quota", "physics", &[("i", "v")], "20")];
        batch.counts = vec![Count {
            counter: "nodes".to_owned(),
            by: 20,
            at_most: None,
        }];
        done(&store, batch).await;
        drop(store);
        let conn = Connection::open(&path).unwrap();
        assert!(conn.execute(change, []).unwrap() > 0, "{change}");
        drop(conn);

        let store = open(&path).unwrap();
        let mut found = Vec::new();
        found.extend(store.counter("nodes").await.err());
        found.extend(store.counter("nodez").await.err());
        found.extend(store.resources(&By::All, None, 10).await.err());
        found.extend(store.documents("quota", None, None, 10).await.err());
        let told = match what.split(' ').next() {
            Some("resource") => what,
            Some("counter") => "damaged: a counter is",
            _ => "damaged: a document of \"quota\" is",
        };
        let [e] = &found[..] else {
            panic!("{change}: {found:?}");
        };
        assert_eq!(e.kind(), ErrorKind::Corrupt, "{change}");
        assert_eq!(e.stable_code(), "store-damaged", "{change}");
        // The whole name is for the log; whoever asks may be of another tenant.
        let whole = e.source().unwrap().to_string();
        assert!(whole.contains(what), "{change}: {whole}");
        let text = e.to_string();
        assert!(text.contains(told), "{change}: {text}");
        assert!(text.contains("store rebuild"), "{text}");
        for hidden in ["physic", "hysics", "node", "store.db"] {
            assert!(!text.contains(hidden), "{change}: {text}");
        }
        drop(store);
        std::fs::remove_file(&path).unwrap();
    }
}

/// Everybody passes over the whole log: whoever could not read one event would
/// stand before it for ever.
#[tokio::test]
async fn a_damaged_event_keeps_its_number_and_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path).unwrap();
    let of = record(1, "t", &["u"]).id;
    let mut batch = put(record(1, "t", &["u"]), Due::Keep);
    batch.events = ["one", "two", "three", "four"]
        .map(|what| support::event(what, (what != "three").then_some(of)))
        .to_vec();
    done(&store, batch).await;
    let whole = store.since(0, None, 10).await.unwrap();
    drop(store);
    let conn = Connection::open(&path).unwrap();
    for change in [
        "UPDATE event SET body = replace(body, 'two', 'twp') WHERE seq = 2",
        "UPDATE event SET body = CAST(unhex(replace(hex(body), hex('three'), \
         'F468726565')) AS TEXT) WHERE seq = 3",
    ] {
        assert_eq!(conn.execute(change, []).unwrap(), 1, "{change}");
    }
    drop(conn);

    let store = open(&path).unwrap();
    let read = store.since(0, None, 10).await.unwrap();
    assert_eq!((&read[0], &read[3]), (&whole[0], &whole[3]));
    for (event, of) in [(&read[1], Some(of)), (&read[2], None)] {
        assert_eq!(event.event, NewEvent::unreadable(of));
        assert!(event.event.tenant.is_none() && !event.is_end());
    }
    let seqs: Vec<u64> = read.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
    // Neither is a page empty before the end of the log.
    assert_eq!(store.since(1, None, 1).await.unwrap(), read[1..2]);
    let of_it = store.since(1, Some(of), 10).await.unwrap();
    assert_eq!(of_it, [read[1].clone(), read[3].clone()]);
    // They are forgotten as others are.
    let batch = Batch {
        forget: vec![2, 3],
        ..Batch::default()
    };
    done(&store, batch).await;
    let left = store.since(0, None, 10).await.unwrap();
    assert_eq!(left, [whole[0].clone(), whole[3].clone()]);
}

/// How much of a site's room was given away is a hint, without which nothing
/// could be reserved there for ever; a quota is none.
#[tokio::test]
async fn a_damaged_counter_of_room_begins_again_and_a_damaged_quota_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let count = |counter: &str, at_most| Batch {
        counts: vec![Count {
            counter: counter.to_owned(),
            by: 2,
            at_most,
        }],
        ..Batch::default()
    };
    // Larger, below zero, and with another's sum.
    for change in ["value = value + 1024", "value = -value", "sum = sum + 1"] {
        let path = folder.path().join("store.db");
        let store = open(&path).unwrap();
        for counter in ["room/north", "quota/t/nodes"] {
            done(&store, count(counter, None)).await;
        }
        drop(store);
        let conn = Connection::open(&path).unwrap();
        let changed = conn.execute(&format!("UPDATE counter SET {change}"), []);
        assert_eq!(changed.unwrap(), 2);
        drop(conn);

        let store = open(&path).unwrap();
        assert_eq!(store.counter("room/north").await.unwrap(), 0);
        done(&store, count("room/north", Some(2))).await;
        assert_eq!(store.counter("room/north").await.unwrap(), 2, "{change}");
        // Of two who have read the same, one gets what is left.
        let late = store.commit(count("room/north", Some(2))).await.unwrap();
        assert!(matches!(late, Outcome::Refused(_)), "{late:?}");

        let read = store.counter("quota/t/nodes").await.unwrap_err();
        assert_eq!(read.stable_code(), "store-damaged", "{change}");
        for at_most in [None, Some(99)] {
            let e = store.commit(count("quota/t/nodes", at_most)).await;
            assert_eq!(e.unwrap_err().stable_code(), "store-damaged", "{change}");
        }
        drop(store);
        std::fs::remove_file(&path).unwrap();
    }
}

/// Makes of a store one as format 5 has it.
const TO_FIVE: &str = "UPDATE resource SET body = substr(body, 9);
    UPDATE document SET body = substr(body, 9), indexes = substr(indexes, 9);
    UPDATE event SET body = substr(body, 9);
    ALTER TABLE counter DROP COLUMN sum;
    PRAGMA user_version = 5;";

/// A store as format 5 has it, without sums, is read as it was.
#[tokio::test]
async fn what_was_written_before_there_were_sums_is_read_after() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path).unwrap();
    for n in 0..80 {
        let body = "x".repeat(500);
        let mut batch = put(record(n, "t", &["u"]), Due::Keep);
        batch.documents = vec![document("s", &n.to_string(), &[("i", "v")], &body)];
        done(&store, batch).await;
    }
    let mut batch = put(record(99, "t", &["u"]), Due::Keep);
    batch.events = vec![support::event("told", None), support::event("again", None)];
    done(&store, batch).await;
    let before = (
        store.resources(&By::All, None, 1000).await.unwrap().items,
        store.documents("s", None, None, 1000).await.unwrap().items,
        store.since(0, None, 1000).await.unwrap(),
    );
    assert_eq!((before.0.len(), before.1.len()), (81, 80));
    drop(store);
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(TO_FIVE).unwrap();
    drop(conn);
    let store = open(&path).unwrap();
    let after = (
        store.resources(&By::All, None, 1000).await.unwrap().items,
        store.documents("s", None, None, 1000).await.unwrap().items,
        store.since(0, None, 1000).await.unwrap(),
    );
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
    done(&store, put(record(99, "t", &["v"]), Due::Keep)).await;
}

/// What had changed before there were sums, and is no text any more, keeps
/// nobody from opening the store and from the rest.
#[tokio::test]
async fn what_is_no_text_is_told_after_an_upgrade_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path).unwrap();
    for n in 1..=2 {
        let mut batch = put(record(n, "t", &["u"]), Due::Keep);
        let id = n.to_string();
        batch.documents = ["body", "indexes", "id"]
            .map(|space| document(space, &id, &[("i", "v")], "text"))
            .to_vec();
        batch.events = vec![support::event("told", None)];
        batch.counts = vec![Count {
            counter: format!("nodes {n}"),
            by: 7,
            at_most: None,
        }];
        done(&store, batch).await;
    }
    drop(store);
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(TO_FIVE).unwrap();
    let first = resource_id(1);
    for (table, column, which) in [
        (
            "resource",
            "body",
            "id = x'00000000000000000000000000000001'",
        ),
        ("document", "body", "id = '1' AND space = 'body'"),
        ("document", "indexes", "id = '1' AND space = 'indexes'"),
        ("document", "id", "id = '1' AND space = 'id'"),
        ("event", "body", "seq = 1"),
        ("counter", "name", "name = 'nodes 1'"),
    ] {
        let change = format!(
            "UPDATE {table} SET {column} = \
             CAST(unhex('FB' || substr(hex({column}), 3)) AS TEXT) WHERE {which}"
        );
        assert_eq!(conn.execute(&change, []).unwrap(), 1, "{change}");
    }
    drop(conn);

    let store = open(&path).unwrap();
    let damaged = |e: Option<Error>| assert_eq!(e.unwrap().stable_code(), "store-damaged");
    damaged(store.resource(first).await.err());
    assert!(store.resource(resource_id(2)).await.unwrap().is_some());
    for space in ["body", "indexes"] {
        damaged(store.document(space, "1").await.err());
        assert!(store.document(space, "2").await.unwrap().is_some());
    }
    damaged(store.documents("id", None, None, 9).await.err());
    assert!(store.document("id", "2").await.unwrap().is_some());
    let events = store.since(0, None, 9).await.unwrap();
    assert_eq!(events[0].event, NewEvent::unreadable(None));
    assert_eq!(events[1].event, support::event("told", None));
    assert_eq!(store.counter("nodes 2").await.unwrap(), 7);
    // Its indexes are whole, so that it can be written anew.
    let batch = keep(vec![document("body", "1", &[], "anew")]);
    done(&store, batch).await;
    assert!(store.document("body", "1").await.unwrap().is_some());
    let left = store.documents("body", Some(("i", "v")), None, 9).await;
    assert_eq!(left.unwrap().items.len(), 1);
}

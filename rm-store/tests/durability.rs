//! What was acknowledged stays, and nothing is ever there by half.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rm_core::event::Revision;
use rm_core::store::{Batch, By, Count, Due, Queue, Store, Version};
use rm_store::SqliteStore;
use support::{BEGIN, LEASE, TestEnv, document, done, engine, event, put, record, resource_id};

mod support;

/// Tells the test binary that it is the child, and where the store is.
const STORE: &str = "RM_STORE_TEST_PATH";
/// Which of the children it is.
const ROUND: &str = "RM_STORE_TEST_ROUND";

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, TestEnv::new()).unwrap()
}

/// Everything that a batch can hold, under one name.
fn whole(name: &str, n: u128) -> Batch {
    Batch {
        documents: vec![
            document("first", name, &[("half", "first")], name),
            document("second", name, &[("half", "second")], name),
        ],
        counts: vec![Count {
            counter: "batches".to_owned(),
            by: 1,
            at_most: None,
        }],
        events: vec![event(name, None)],
        ..put(record(n, "t", &["u"]), Due::At(BEGIN))
    }
}

/// The names of the batches that are there, each of them whole.
async fn names(store: &dyn Store) -> Vec<String> {
    let all = u32::MAX;
    let page = |half: &'static str| store.documents(half, Some(("half", half)), None, all);
    let (first, second) = (page("first").await.unwrap(), page("second").await.unwrap());
    let names = |items: &[rm_core::store::Versioned<rm_core::record::Document>]| {
        let names = items.iter().map(|d| d.record.id.clone());
        names.collect::<Vec<_>>()
    };
    let first = names(&first.items);
    assert_eq!(first, names(&second.items));
    let mut events: Vec<String> = store
        .since(0, None, all)
        .await
        .unwrap()
        .into_iter()
        .map(|e| e.event.what)
        .collect();
    assert_eq!(store.newest().await.unwrap(), events.len() as u64);
    events.sort();
    assert_eq!(first, events);
    assert_eq!(store.counter("batches").await.unwrap(), first.len() as u64);
    let resources = store.resources(&By::All, None, all).await.unwrap();
    assert_eq!(resources.items.len(), first.len());
    first
}

#[tokio::test]
async fn everything_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let env = TestEnv::new();
    let store = SqliteStore::open(&path, env.clone()).unwrap();
    for n in 1..=9 {
        done(&store, whole(&n.to_string(), n)).await;
    }
    let last = done(&store, put(record(1, "t2", &["v"]), Due::Keep)).await;
    assert_eq!(
        store
            .claim(engine(1), LEASE, Queue::Awaited, 4, &[])
            .await
            .unwrap()
            .len(),
        4
    );
    drop(store);

    let store = SqliteStore::open(&path, env).unwrap();
    assert_eq!(names(&store).await.len(), 9);
    let row = store.resource(resource_id(1)).await.unwrap().unwrap();
    assert_eq!(
        (row.version, &*row.record),
        (Version(2), &record(1, "t2", &["v"]))
    );
    let claims = store
        .claim(engine(2), LEASE, Queue::Awaited, 99, &[])
        .await
        .unwrap();
    assert_eq!(claims.len(), 9);
    assert_eq!(claims.iter().map(|c| c.epoch).sum::<u64>(), 9 + 4);
    assert!(done(&store, Batch::default()).await > last);
}

#[tokio::test]
async fn what_is_handed_over_is_written_although_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path);
    for n in 1..=200 {
        let mut commit = store.commit(whole(&n.to_string(), n));
        // Polled once, then dropped.
        let once = std::future::poll_fn(|cx| {
            let _ = commit.as_mut().poll(cx);
            std::task::Poll::Ready(())
        });
        once.await;
    }
    drop(store);
    assert_eq!(names(&open(&path)).await.len(), 200);
}

/// Not a test: what the next one starts and kills.
#[test]
#[ignore = "the child of another test"]
fn child() {
    let Ok(path) = std::env::var(STORE) else {
        return;
    };
    let round: u128 = std::env::var(ROUND).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(open(Path::new(&path)));
        let tasks: Vec<_> = (0..16_u128)
            .map(|task| {
                let store = store.clone();
                tokio::spawn(async move {
                    for n in 0.. {
                        let name = format!("{round}-{task}-{n}");
                        let id = (round << 64) + (task << 32) + n;
                        let Revision(revision) = done(&*store, whole(&name, id)).await;
                        let mut out = std::io::stdout().lock();
                        writeln!(out, "acknowledged {name} {revision}").unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut acknowledged = Vec::new();
    let mut newest = 0;
    for round in 0..20_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(STORE, &path)
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let before = acknowledged.len();
        for line in out.lines() {
            // The kill may have cut the last line.
            let line = line.unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            let ["acknowledged", name, revision] = words[..] else {
                continue;
            };
            newest = newest.max(revision.parse::<u64>().unwrap());
            acknowledged.push(name.to_owned());
            if acknowledged.len() == before + 1 {
                // Another phase of the disk's commits each time.
                std::thread::sleep(Duration::from_micros(1700 * round));
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(acknowledged.len() > before, "round {round} wrote nothing");

        let store = open(&path);
        let there = names(&store).await;
        for name in &acknowledged {
            assert!(there.binary_search(name).is_ok(), "{name} is lost");
        }
        // Its revision is newer than all that anybody was told.
        let Revision(next) = done(&store, Batch::default()).await;
        assert!(next > newest);
        newest = next;
    }
    println!("{} acknowledged batches", acknowledged.len());
}

/// A power cut leaves the log torn anywhere behind what the disk has confirmed.
#[tokio::test]
async fn a_torn_log_loses_whole_batches_from_its_end_only() {
    const MANY: usize = 12;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path);
    for n in 0..MANY {
        done(&store, whole(&format!("{n:03}"), n as u128 + 1)).await;
    }
    let file = std::fs::read(&path).unwrap();
    let log = std::fs::read(folder.path().join("store.db-wal")).unwrap();
    let torn = folder.path().join("torn.db");
    let mut found = std::collections::BTreeSet::new();
    for cut in 0..=64 {
        let end = log.len() * cut / 64;
        std::fs::write(&torn, &file).unwrap();
        std::fs::write(folder.path().join("torn.db-wal"), &log[..end]).unwrap();
        let store = open(&torn);
        let there = names(&store).await;
        let first: Vec<String> = (0..there.len()).map(|n| format!("{n:03}")).collect();
        assert_eq!(there, first);
        found.insert(there.len());
    }
    assert!(found.contains(&0) && found.contains(&MANY), "{found:?}");
    drop(store);
}

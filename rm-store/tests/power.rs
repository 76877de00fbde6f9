//! The power goes: whatever of the last writes has reached the disk, in
//! whatever order, each batch is whole or not there.
//!
//! A disk writes sectors of 512 bytes, and until a write is synced any of its
//! sectors may be on the disk and any may be missing. These tests take the
//! files as they were before a write and after it, and open every mixture of
//! the two: each prefix, each one sector that is missing, each one that is
//! there, and many by chance.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::path::{Path, PathBuf};

use rm_core::store::{Batch, Count, Due, Store};
use rm_store::SqliteStore;
use support::{BEGIN, TestEnv, document, done, event, put, record};

mod support;

const SECTOR: usize = 512;

/// What SQLite writes, and syncs, before the first frame of a log that begins
/// anew.
const LOG_HEADER: usize = 32;

/// The files of a store, as they would be found after the power went.
#[derive(Clone)]
struct Disk {
    store: Vec<u8>,
    log: Vec<u8>,
}

fn log_of(store: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", store.display()))
}

impl Disk {
    fn read(store: &Path) -> Self {
        Self {
            store: std::fs::read(store).unwrap(),
            log: std::fs::read(log_of(store)).unwrap(),
        }
    }

    /// What a program finds when it starts again on it: the names of the
    /// batches; and it can go on.
    async fn after_a_restart(&self) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        std::fs::write(&path, &self.store).unwrap();
        std::fs::write(log_of(&path), &self.log).unwrap();
        let store = SqliteStore::open(&path, TestEnv::new()).unwrap();
        let found = names(&store).await;
        done(&store, whole("next", 99)).await;
        let more = names(&store).await;
        assert_eq!(more.len(), found.len() + 1, "{found:?} {more:?}");
        drop(store);
        let conn = rusqlite::Connection::open(&path).unwrap();
        let sound: String = conn
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sound, "ok");
        found
    }
}

/// Everything that a batch can hold, under one name.
fn whole(name: &str, n: u128) -> Batch {
    let long = "x".repeat(3000);
    Batch {
        documents: vec![
            document("first", name, &[("half", "first")], &long),
            document("second", name, &[("half", "second")], &long),
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

/// The batches that are there; each must be there as a whole.
async fn names(store: &SqliteStore) -> Vec<String> {
    let events = store.since(0, None, 1000).await.unwrap();
    let names: Vec<String> = events.into_iter().map(|e| e.event.what).collect();
    for half in ["first", "second"] {
        let found = store.documents(half, None, None, 1000).await.unwrap();
        let mut ids: Vec<_> = found.items.iter().map(|d| d.record.id.clone()).collect();
        ids.sort_by_key(|id| names.iter().position(|n| n == id));
        assert_eq!(ids, names);
    }
    assert_eq!(
        store.counter("batches").await.unwrap(),
        u64::try_from(names.len()).unwrap()
    );
    names
}

/// Which sectors of a write have reached the disk: every prefix, every single
/// one missing, every single one there, and some by chance.
fn mixtures(sectors: usize) -> Vec<Vec<bool>> {
    let mut all: Vec<Vec<bool>> = (0..=sectors)
        .map(|n| (0..sectors).map(|s| s < n).collect())
        .collect();
    for one in 0..sectors {
        all.push((0..sectors).map(|s| s == one).collect());
        all.push((0..sectors).map(|s| s != one).collect());
    }
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..100 {
        let mut by_chance = Vec::with_capacity(sectors);
        for _ in 0..sectors {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            by_chance.push(dice & 1 == 1);
        }
        all.push(by_chance);
    }
    all
}

/// The old bytes with some sectors of the new ones. What was never written
/// and lies before something that was reads as zeros.
fn mixed(old: &[u8], new: &[u8], there: &[bool]) -> Vec<u8> {
    let mut mixed = old.to_vec();
    for (n, _) in there.iter().enumerate().filter(|(_, there)| **there) {
        let (from, to) = (n * SECTOR, ((n + 1) * SECTOR).min(new.len()));
        if mixed.len() < to {
            mixed.resize(to, 0);
        }
        mixed[from..to].copy_from_slice(&new[from..to]);
    }
    mixed
}

fn checkpoint(path: &Path) {
    let conn = rusqlite::Connection::open(path).unwrap();
    let busy: i64 = conn
        .query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(busy, 0);
    // The last connection to close would tidy up; the store is still open.
}

/// A store with the batches a and b in it.
async fn begun(path: &Path) -> SqliteStore {
    let store = SqliteStore::open(path, TestEnv::new()).unwrap();
    done(&store, whole("a", 1)).await;
    done(&store, whole("b", 2)).await;
    store
}

/// Opens every mixture and counts how often the last batch is there.
async fn lose_power(before: &Disk, after: &Disk) -> (usize, usize) {
    let sectors = after.log.len().div_ceil(SECTOR);
    let changed = |n: usize| {
        let range = n * SECTOR..((n + 1) * SECTOR).min(after.log.len());
        before.log.get(range.clone()) != after.log.get(range)
    };
    let first = (0..sectors).find(|n| changed(*n)).unwrap();
    let mut there = (0, 0);
    for mixture in mixtures(sectors - first) {
        let mut all = vec![false; first];
        all.extend(&mixture);
        let mut log = mixed(&before.log, &after.log, &all);
        if first == 0 && mixture.iter().any(|there| *there) {
            // A log that begins anew: its header is synced before the rest.
            log[..LOG_HEADER].copy_from_slice(&after.log[..LOG_HEADER]);
        }
        let disk = Disk {
            store: before.store.clone(),
            log,
        };
        let found = disk.after_a_restart().await;
        there.0 += 1;
        match found.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["a", "b"] => {}
            ["a", "b", "c"] => there.1 += 1,
            _ => panic!("{found:?} after {mixture:?}"),
        }
        let complete = all.iter().enumerate().all(|(n, t)| *t || !changed(n));
        assert!(!complete || found.len() == 3, "what was synced is there");
    }
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_of_the_last_batch_was_written_it_is_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = begun(&path).await;
    let before = Disk::read(&path);
    done(&store, whole("c", 3)).await;
    let after = Disk::read(&path);
    assert_eq!(before.store, after.store, "nothing but the log was written");
    let (mixtures, with_c) = lose_power(&before, &after).await;
    println!("{mixtures} mixtures, the last batch is there in {with_c}");
    assert!(with_c > 0 && with_c < mixtures);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_begins_anew_brings_back_nothing_old() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = begun(&path).await;
    checkpoint(&path);
    let before = Disk::read(&path);
    done(&store, whole("c", 3)).await;
    let after = Disk::read(&path);
    assert_eq!(before.store, after.store, "nothing but the log was written");
    assert_ne!(
        before.log[..LOG_HEADER],
        after.log[..LOG_HEADER],
        "it began anew"
    );
    let (mixtures, with_c) = lose_power(&before, &after).await;
    println!("{mixtures} mixtures, the last batch is there in {with_c}");
    assert!(with_c > 0 && with_c < mixtures);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_makes_good_what_a_checkpoint_wrote_by_half() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = begun(&path).await;
    let before = Disk::read(&path);
    checkpoint(&path);
    let after = Disk::read(&path);
    assert_ne!(before.store, after.store);
    for mixture in mixtures(after.store.len().div_ceil(SECTOR)) {
        let disk = Disk {
            store: mixed(&before.store, &after.store, &mixture),
            log: before.log.clone(),
        };
        assert_eq!(disk.after_a_restart().await, ["a", "b"], "{mixture:?}");
    }
    drop(store);
}

//! How fast it is; for people, on request:
//! `cargo test --release -p rm-store --test speed -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use rm_core::life::State;
use rm_core::store::{Batch, By, Due, Queue, Store};
use rm_store::SqliteStore;
use support::{BEGIN, LEASE, TestEnv, done, engine, event, put, record, resource_id};

mod support;

const FOR: Duration = Duration::from_secs(3);

/// One transition: a resource written and an event.
async fn transitions(store: Arc<SqliteStore>, callers: u128) -> f64 {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut written = 0_u32;
                while begun.elapsed() < FOR {
                    let id = (caller << 32) + u128::from(written % 100);
                    let mut batch = put(record(id, "t", &["u"]), Due::At(BEGIN));
                    batch.events = vec![event("cluster.ready", Some(resource_id(id)))];
                    done(&*store, batch).await;
                    written += 1;
                }
                written
            })
        })
        .collect();
    let mut written = 0.0;
    for task in tasks {
        written += f64::from(task.await.unwrap());
    }
    written / begun.elapsed().as_secs_f64()
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS"));
    line.unwrap_or("VmRSS: ?").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures"]
async fn commits_a_second() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = SqliteStore::open(folder.path().join("store.db"), TestEnv::new()).unwrap();
    let store = Arc::new(store);
    for callers in [1, 8, 64, 256] {
        let rate = transitions(store.clone(), callers).await;
        println!("{callers:4} callers: {rate:8.0} commits/s   {}", resident());
    }

    let begun = Instant::now();
    for n in 0..10_000_u128 {
        let id = resource_id(n % 100);
        assert!(store.resource(id).await.unwrap().is_some());
    }
    let each = begun.elapsed() / 10_000;
    println!("one resource, one caller: {each:?}");

    let begun = Instant::now();
    let page = store
        .resources(&By::Tenant("t".to_owned()), None, 1000)
        .await;
    let found = page.unwrap().items.len();
    println!("a page of {found}: {:?}", begun.elapsed());

    let begun = Instant::now();
    let claims = store
        .claim(engine(1), LEASE, Queue::Awaited, 256, &[])
        .await
        .unwrap();
    println!("{} claims: {:?}", claims.len(), begun.elapsed());
    let begun = Instant::now();
    for _ in 0..1000 {
        store.next_due(Queue::Awaited, &[]).await.unwrap();
    }
    println!("next_due: {:?}   {}", begun.elapsed() / 1000, resident());
    let file = std::fs::metadata(store.path()).unwrap().len();
    println!("the file has {} MiB", file >> 20);
}

/// How long it takes to hear what is in quarantine among so many, for everybody
/// and for a tenant that all of them belong to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures"]
async fn quarantine_among_a_million() {
    const MANY: u128 = 1_000_000;
    const AT_ONCE: usize = 5_000;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, TestEnv::new()).unwrap();
    let all: Vec<u128> = (0..MANY).collect();
    for some in all.chunks(AT_ONCE) {
        let row = |n: &u128| {
            let mut r = record(*n, "t", &["u"]);
            r.seen = match n % 250_000 {
                17 => State::Quarantined,
                _ => State::Ready,
            };
            (Arc::new(r), Due::Rest)
        };
        let batch = Batch {
            resources: some.iter().map(row).collect(),
            ..Batch::default()
        };
        done(&store, batch).await;
    }
    let begun = Instant::now();
    drop(store);
    let store = SqliteStore::open(&path, TestEnv::new()).unwrap();
    println!("{MANY} records; opened again in {:?}", begun.elapsed());
    for by in [By::Held(None), By::Held(Some("t".to_owned()))] {
        let begun = Instant::now();
        for _ in 0..1000 {
            let page = store.resources(&by, None, 100).await.unwrap();
            assert_eq!(page.items.len(), 4);
        }
        println!("{by:?}: {:?} each   {}", begun.elapsed() / 1000, resident());
    }
}

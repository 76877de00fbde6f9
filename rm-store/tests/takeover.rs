//! The claims of a process that ended are free at once, those of one that is
//! merely slow are not.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rm_core::env::Env;
use rm_core::store::{Due, Fence, Outcome, Queue, Refusal, Store};
use rm_store::SqliteStore;
use support::{BEGIN, LEASE, TestEnv, done, engine, put, record, resource_id};

mod support;

const STORE: &str = "RM_STORE_TEST_PATH";
const MANY: u128 = 3;

/// Not a test: claims everything, says so, and lives on.
#[test]
#[ignore = "the child of other tests"]
fn child() {
    let Ok(path) = std::env::var(STORE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(path, TestEnv::new()).unwrap();
        let claims = store
            .claim(engine(1), LEASE, Queue::Awaited, 99, &[])
            .await
            .unwrap();
        println!("claimed {}", claims.len());
        std::thread::sleep(Duration::from_secs(600));
    });
}

struct Claimer(Child);

impl Claimer {
    fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(STORE, path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let claimed = out
            .lines()
            .map(Result::unwrap)
            .find(|line| line.contains("claimed"));
        assert!(claimed.unwrap().contains(&format!("claimed {MANY}")));
        Self(child)
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Like kill -9, and waits until it is gone.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A store in which there is work, and nobody has it open.
async fn with_work(folder: &Path) -> PathBuf {
    let path = folder.join("store.db");
    let store = SqliteStore::open(&path, TestEnv::new()).unwrap();
    for n in 1..=MANY {
        done(&store, put(record(n, "t", &["u"]), Due::At(BEGIN))).await;
    }
    path
}

fn lock_files(folder: &Path) -> usize {
    std::fs::read_dir(folder)
        .unwrap()
        .filter(|f| {
            let name = f.as_ref().unwrap().file_name();
            name.to_string_lossy().contains("lock-")
        })
        .count()
}

#[tokio::test]
async fn what_a_killed_process_held_is_claimed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_work(folder.path()).await;
    let env = TestEnv::new();
    let store = SqliteStore::open(&path, env.clone()).unwrap();
    let claimer = Claimer::start(&path);

    // While it lives, working or stopped, its claims are its own.
    let end = BEGIN.plus(LEASE);
    for signal in ["-CONT", "-STOP"] {
        claimer.signal(signal);
        assert_eq!(
            store
                .claim(engine(2), LEASE, Queue::Awaited, 99, &[])
                .await
                .unwrap(),
            []
        );
        assert_eq!(
            store.next_due(Queue::Awaited, &[]).await.unwrap(),
            Some(end)
        );
    }
    assert_eq!(lock_files(folder.path()), 1);
    claimer.kill();

    let begun = Instant::now();
    assert_eq!(
        store.next_due(Queue::Awaited, &[]).await.unwrap(),
        Some(env.now())
    );
    let claims = store
        .claim(engine(2), LEASE, Queue::Awaited, 99, &[])
        .await
        .unwrap();
    assert_eq!(claims.len(), usize::try_from(MANY).unwrap());
    assert!(claims.iter().all(|c| c.epoch == 2));
    assert!(begun.elapsed() < Duration::from_secs(5));
    // Only ours is left, and what the dead one might still write is refused.
    assert_eq!(lock_files(folder.path()), 1);
    let mut late = put(record(1, "t", &["u"]), Due::Rest);
    late.fence = vec![Fence {
        resource: resource_id(1),
        epoch: 1,
    }];
    let late = store.commit(late).await.unwrap();
    assert_eq!(late, Outcome::Refused(Refusal::Fenced(resource_id(1))));
    drop(store);
    assert_eq!(lock_files(folder.path()), 0);
}

#[tokio::test]
async fn who_starts_after_a_kill_finds_the_work_free() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_work(folder.path()).await;
    Claimer::start(&path).kill();
    assert_eq!(lock_files(folder.path()), 1);
    let store = SqliteStore::open(&path, TestEnv::new()).unwrap();
    assert_eq!(lock_files(folder.path()), 0);
    assert_eq!(
        store.next_due(Queue::Awaited, &[]).await.unwrap(),
        Some(BEGIN)
    );
    let claims = store
        .claim(engine(2), LEASE, Queue::Awaited, 99, &[])
        .await
        .unwrap();
    assert_eq!(claims.len(), usize::try_from(MANY).unwrap());
}

#[tokio::test]
async fn a_stalled_process_loses_its_work_when_the_lease_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_work(folder.path()).await;
    let env = TestEnv::new();
    let store = SqliteStore::open(&path, env.clone()).unwrap();
    let claimer = Claimer::start(&path);
    claimer.signal("-STOP");
    env.forward(LEASE);
    let claims = store
        .claim(engine(2), LEASE, Queue::Awaited, 99, &[])
        .await
        .unwrap();
    assert_eq!(claims.len(), usize::try_from(MANY).unwrap());
    // What it loses when it dies later is not ours.
    claimer.kill();
    assert_eq!(
        store
            .claim(engine(3), LEASE, Queue::Awaited, 99, &[])
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn a_lock_file_that_is_missing_proves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_work(folder.path()).await;
    let store = SqliteStore::open(&path, TestEnv::new()).unwrap();
    let claimer = Claimer::start(&path);
    let lock = format!("store.db.lock-{}", engine(1));
    std::fs::remove_file(folder.path().join(lock)).unwrap();
    assert_eq!(
        store
            .claim(engine(2), LEASE, Queue::Awaited, 99, &[])
            .await
            .unwrap(),
        []
    );
    claimer.kill();
    assert_eq!(
        store
            .claim(engine(2), LEASE, Queue::Awaited, 99, &[])
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn a_store_that_is_closed_gives_back_what_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_work(folder.path()).await;
    let one = SqliteStore::open(&path, TestEnv::new()).unwrap();
    let two = SqliteStore::open(&path, TestEnv::new()).unwrap();
    assert_eq!(
        one.claim(engine(1), LEASE, Queue::Awaited, 1, &[])
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        one.claim(engine(2), LEASE, Queue::Awaited, 1, &[])
            .await
            .unwrap()
            .len(),
        1
    );
    // Two engines of one process do not take each other for dead.
    assert_eq!(
        one.claim(engine(1), LEASE, Queue::Awaited, 9, &[])
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        two.claim(engine(3), LEASE, Queue::Awaited, 9, &[])
            .await
            .unwrap(),
        []
    );
    drop(one);
    assert_eq!(
        two.claim(engine(3), LEASE, Queue::Awaited, 9, &[])
            .await
            .unwrap()
            .len(),
        3
    );
    drop(two);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

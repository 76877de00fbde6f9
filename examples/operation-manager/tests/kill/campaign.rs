//! Kills at random moments while several clusters are made, resized and
//! destroyed, over and over.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::daemon::{Client, Daemon};
use crate::dice::{Dice, age};
use crate::eyes::Eyes;
use crate::ground::Ground;
use crate::number;

/// Clusters that live at the same time.
const CLUSTERS: usize = 6;

/// What is under way, and since when.
type UnderWay = Arc<Mutex<BTreeMap<usize, (&'static str, Instant)>>>;

/// What the clusters have gone through.
#[derive(Debug, Default)]
struct Tally {
    lives: u32,
    operations: BTreeMap<&'static str, u32>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_at_random_moments_lose_and_leak_nothing() {
    let Some(ground) = Ground::heat("kills_at_random_moments") else {
        return;
    };
    campaign(ground).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_at_random_moments_lose_and_leak_no_container() {
    let Some(ground) = Ground::lxc("kills_at_random_moments_lose_and_leak_no_container") else {
        return;
    };
    campaign(ground).await;
}

async fn campaign(ground: Ground) {
    let kills = number("RM_KILLS", 8);
    let mut dice = Dice::of_this_run(kills);
    let folder = tempfile::TempDir::new().unwrap();
    let mut daemon = Daemon::first(folder.path(), &ground).await;
    let (under_way, over) = (UnderWay::default(), Arc::new(AtomicBool::new(false)));
    let tally = Arc::new(Mutex::new(Tally::default()));
    let lives: Vec<_> = (0..CLUSTERS)
        .map(|n| {
            let life = Life {
                n,
                client: daemon.client(),
                under_way: Arc::clone(&under_way),
                tally: Arc::clone(&tally),
            };
            tokio::spawn(life.repeat(ground.clone(), Arc::clone(&over)))
        })
        .collect();

    let began = Instant::now();
    let mut hit: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for kill in 1..=kills {
        sleep(Duration::from_millis(200 + dice.below(3000))).await;
        while under_way.lock().unwrap().is_empty() {
            assert!(lives.iter().all(|l| !l.is_finished()), "a life has ended");
            sleep(Duration::from_millis(10)).await;
        }
        let now: Vec<_> = under_way.lock().unwrap().values().copied().collect();
        for (what, since) in now {
            *hit.entry((what, age(since.elapsed()))).or_default() += 1;
        }
        daemon.kill_and_start().await;
        if kill % 10 == 0 || kill == kills {
            println!("{kill} of {kills} kills after {:.0?}", began.elapsed());
        }
        assert!(lives.iter().all(|l| !l.is_finished()), "a life has ended");
    }
    over.store(true, Ordering::Relaxed);
    for life in lives {
        life.await.unwrap();
    }

    let left = daemon.client().must("GET", "/clusters", None).await;
    assert_eq!(left["items"], serde_json::json!([]), "{left:#}");
    let left = Eyes::open(&ground).left(&daemon.installation()).await;
    assert_eq!(left, [""; 0], "left over at the site");
    let tally = tally.lock().unwrap();
    println!(
        "{kills} kills in {:.0?}: {} clusters lived, each there exactly once, none left over",
        began.elapsed(),
        tally.lives
    );
    println!("operations that went through: {:?}", tally.operations);
    println!("operations under way when killed, by how long they had been so:");
    for ((what, age), times) in &hit {
        println!("  {what:6} {age:12} {times:5}");
    }
}

/// One cluster after the other.
struct Life {
    n: usize,
    client: Client,
    under_way: UnderWay,
    tally: Arc<Mutex<Tally>>,
}

impl Life {
    async fn repeat(self, ground: Ground, over: Arc<AtomicBool>) {
        let eyes = Eyes::open(&ground);
        while !over.load(Ordering::Relaxed) {
            self.once(&eyes).await;
            self.tally.lock().unwrap().lives += 1;
        }
    }

    async fn once(&self, eyes: &Eyes) {
        let id = self
            .during("create", async {
                let id = self.client.create().await;
                self.client.ready(&id).await;
                id
            })
            .await;
        assert_eq!(eyes.sizes(&id).await, [1], "after a create");
        for slaves in [3, 2] {
            self.during("resize", async {
                self.client.resize(&id, slaves).await;
                let cluster = self.client.ready(&id).await;
                assert_eq!(cluster["slaves"], slaves);
            })
            .await;
            let size = usize::try_from(slaves).unwrap();
            assert_eq!(eyes.sizes(&id).await, [size], "after a resize");
        }
        self.during("delete", async {
            self.client.delete(&id).await;
            self.client.gone(&id).await;
        })
        .await;
        assert_eq!(eyes.sizes(&id).await, [0; 0], "after a delete");
    }

    async fn during<T>(&self, what: &'static str, operation: impl Future<Output = T>) -> T {
        let entry = (what, Instant::now());
        self.under_way.lock().unwrap().insert(self.n, entry);
        let done = operation.await;
        self.under_way.lock().unwrap().remove(&self.n);
        let mut tally = self.tally.lock().unwrap();
        *tally.operations.entry(what).or_default() += 1;
        done
    }
}

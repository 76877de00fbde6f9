//! Whole lives of clusters on the simulated cloud, everything in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use rm_core::clusters::{ClusterRequest, Reuse, Size};
use rm_core::env::Env;
use rm_core::model::Cluster;
use rm_core::policy::{Policy, Quota};
use rm_core::resource::Resource;
use rm_core::store::{Batch, MemoryStore, Outcome, Store};
use rm_core::{Caller, Host};
use rm_testkit::{API, MEDIA_TYPE, SimCloud, SimConfig, World};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::recorder::{Recorder, Step};
use crate::site::{APPLIANCE, Site, load};
use benches::Result;
use benches::numbers::{Samples, count};

/// A cluster that is not as wanted after so much simulated time never will be.
const PATIENCE: Duration = Duration::from_secs(3600);

/// How many lives one world sees. A simulated site remembers what it once had.
const LIVES: u32 = 256;

#[derive(Debug, Default)]
pub(super) struct Lifecycle {
    callers: u32,
    commits: f64,
    /// A second of one core.
    ours: Samples,
    bare: Samples,
}

/// A host with its engine in a world of its own.
struct Stage {
    world: World,
    host: Arc<Host>,
    user: Caller,
}

impl Stage {
    fn new(seed: u64, store: impl FnOnce(Arc<dyn Env>) -> Arc<dyn Store>) -> Result<Self> {
        let world = World::new(seed);
        let env: Arc<dyn Env> = world.env();
        let mut builder = Host::builder(Arc::clone(&env))
            .store(store(env))
            .policy(Policy {
                quota: Quota {
                    clusters: None,
                    nodes: None,
                    lease_seconds: None,
                },
                ..Policy::default()
            });
        SimCloud::new(SimConfig::default()).install(builder.registries())?;
        let host = Arc::new(builder.build()?);
        let user = Caller::user("user", "users");
        let site = Site {
            api: API,
            media_type: MEDIA_TYPE,
            body: "{}",
        };
        world.block_on(load(&host, &user, &site))?;
        let engine = host.engine();
        world.spawn("engine", async move {
            if let Err(e) = engine.run(std::future::pending()).await {
                eprintln!("bench: the engine ended: {e}");
            }
        });
        Ok(Self { world, host, user })
    }

    /// So many callers side by side, each of whom sees through so many lives.
    fn play(&self, callers: u32, each: u32) -> Result<()> {
        let lives = (0..callers).map(|_| async {
            for _ in 0..each {
                self.life().await?;
            }
            Result::Ok(())
        });
        self.world.block_on(try_join_all(lives)).map(drop)
    }

    /// Create, ready, resize, delete.
    async fn life(&self) -> Result<()> {
        let clusters = self.host.clusters();
        let request = ClusterRequest {
            reuse: Reuse::Never,
            ..ClusterRequest::of(APPLIANCE, 1)
        };
        let id = clusters.create(&self.user, &request).await?.cluster.id();
        ready(&clusters.settled(&self.user, id, PATIENCE).await?)?;
        clusters.resize(&self.user, id, Size::To(2)).await?;
        let cluster = clusters.settled(&self.user, id, PATIENCE).await?;
        ready(&cluster)?;
        cluster.release(&self.user, None).await?;
        match clusters.gone(&self.user, id, PATIENCE).await? {
            true => Ok(()),
            false => Err("a simulated cluster does not go".into()),
        }
    }
}

fn ready(cluster: &Resource<Cluster>) -> Result<()> {
    match cluster.is_ready() {
        true => Ok(()),
        false => Err(format!("{}: {}", cluster.record().seen, cluster.record().reason).into()),
    }
}

fn in_memory(env: Arc<dyn Env>) -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(env))
}

/// How long this thread has been at work: what else the machine does counts
/// for nobody.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// What is written in the course of some lives, and before.
struct Script {
    setup: Vec<Batch>,
    lives: Vec<Batch>,
}

impl Script {
    fn of(callers: u32, each: u32) -> Result<Self> {
        let mut recorder = None;
        let stage = Stage::new(0, |env| {
            let made = Recorder::around(in_memory(env));
            recorder = Some(Arc::clone(&made));
            made
        })?;
        let recorder = recorder.ok_or("nothing was recorded")?;
        let setup = recorder.take().batches;
        stage.play(callers, each)?;
        // Nobody claims anything in a bare loop.
        let unclaimed = |mut batch: Batch| {
            batch.fence.clear();
            batch.prolong.clear();
            batch
        };
        Ok(Self {
            setup,
            lives: recorder.take().batches.into_iter().map(unclaimed).collect(),
        })
    }

    /// The same records and events, straight into the store; how long that
    /// took.
    fn replay(&self) -> Result<Duration> {
        let world = World::new(0);
        let store = MemoryStore::new(world.env());
        let (setup, lives) = (self.setup.clone(), self.lives.clone());
        world.block_on(write(&store, setup))?;
        let begun = worked();
        world.block_on(write(&store, lives))?;
        Ok(worked().saturating_sub(begun))
    }
}

async fn write(store: &MemoryStore, batches: Vec<Batch>) -> Result<()> {
    for batch in batches {
        if let Outcome::Refused(why) = store.commit(batch).await? {
            return Err(format!("a batch that was recorded is refused: {why:?}").into());
        }
    }
    Ok(())
}

pub(super) fn measure(
    rounds: u32,
    worlds: u32,
    callers: u32,
    say: &impl Fn(&str),
) -> Result<Lifecycle> {
    let each = (LIVES / callers).max(1);
    let lives = callers * each;
    let script = Script::of(callers, each)?;
    let mut all = Lifecycle {
        callers,
        commits: count(script.lives.len()) / f64::from(lives),
        ..Lifecycle::default()
    };
    for round in 1..=rounds {
        let (mut ours, mut bare) = (Duration::ZERO, Duration::ZERO);
        for seed in 0..worlds {
            let stage = Stage::new(u64::from(seed), in_memory)?;
            let begun = worked();
            stage.play(callers, each)?;
            ours += worked().saturating_sub(begun);
            drop(stage);
            bare += script.replay()?;
        }
        let done = f64::from(lives * worlds);
        all.ours.push(done / ours.as_secs_f64());
        all.bare.push(done / bare.as_secs_f64());
        say(&format!(
            "lives in memory, round {round} of {rounds}: ours {:.0}, bare commits {:.0} a second of one core",
            all.ours.last(),
            all.bare.last()
        ));
    }
    Ok(all)
}

/// What one caller's life costs in commits: each step, from claim to release.
pub(super) fn steps() -> Result<Vec<Step>> {
    let mut recorder = None;
    let stage = Stage::new(1, |env| {
        let made = Recorder::around(in_memory(env));
        recorder = Some(Arc::clone(&made));
        made
    })?;
    stage.play(1, 3)?;
    Ok(recorder.ok_or("nothing was recorded")?.take().steps)
}

impl Lifecycle {
    pub(super) fn per_second(&self) -> f64 {
        self.ours.median()
    }

    pub(super) fn to_bare(&self) -> f64 {
        self.ours.ratio(&self.bare)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "callers": self.callers,
            "commits_each": self.commits,
            "ours_per_core_second": self.ours,
            "bare_per_core_second": self.bare,
            "median": self.ours.median(),
            "bare_median": self.bare.median(),
            "ours_to_bare": self.to_bare(),
        })
    }

    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let row = |name: &str, samples: &Samples| {
            vec![
                name.to_owned(),
                format!("{:.0}", samples.median()),
                format!("{:.0}", samples.min()),
                format!("{:.0}", samples.max()),
            ]
        };
        let head = ["lives a second of one core", "median", "min", "max"];
        vec![
            head.map(str::to_owned).to_vec(),
            row("ours", &self.ours),
            row("bare commits of the same", &self.bare),
        ]
    }
}

/// How often a step with an effect, and one without, took how many commits.
pub(super) fn counted(steps: &[Step]) -> BTreeMap<(bool, u32), usize> {
    let mut counted = BTreeMap::new();
    for step in steps {
        *counted.entry((step.has_effect, step.commits)).or_default() += 1;
    }
    counted
}

//! Operations that wait, in a process of their own: what one more costs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use rm_adapters::TokioEnv;
use rm_core::backend::Serves;
use rm_core::clusters::{ClusterRequest, Reuse};
use rm_core::env::Env;
use rm_core::life::State;
use rm_core::model::Cluster;
use rm_core::policy::{Policy, Quota};
use rm_core::store::{By, Queue, Store};
use rm_core::{Caller, Host, Kind};
use rm_store::{AeadSealer, SqliteStore, generate_key};
use rm_testkit::{MEDIA_TYPE, SimBody};
use serde::{Deserialize, Serialize};

use crate::site::{APPLIANCE, Site, load};
use crate::slow::{API, Slow};
use benches::{Result, status};

/// How many ask at once.
const CALLERS: u32 = 64;

/// Nobody looks before everything is measured.
const LATER: Duration = Duration::from_secs(3600);

/// What is measured.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    /// How many operations wait.
    pub(super) operations: u32,
    /// What each of them takes of this process's memory.
    pub(super) bytes_each: f64,
    /// How many threads there are more than before.
    pub(super) threads_more: u32,
    /// How many threads there are.
    pub(super) threads: u32,
    /// The memory of the whole process with all of them, in MiB.
    pub(super) resident_mib: f64,
}

/// The host of this process.
struct Station {
    host: Arc<Host>,
    store: Arc<SqliteStore>,
    site: Arc<Slow>,
    env: Arc<dyn Env>,
    user: Caller,
}

/// Measures it in this process.
pub(super) async fn waiting(folder: &Path, operations: u32) -> Result<()> {
    let station = Station::open(folder).await?;
    let engine = station.host.engine();
    let running = tokio::spawn(async move { engine.run(std::future::pending()).await });
    // Caches and connections, and whatever else does not grow any more.
    let warm = (operations / 50).max(CALLERS);
    station.ask(warm).await?;
    let before = (status::resident()?, status::threads()?);
    station.ask(operations).await?;
    let after = (status::resident()?, status::threads()?);
    let wait = station.count_waiting().await?;
    running.abort();
    if wait != operations + warm {
        return Err(format!("{wait} operations wait, not {}", operations + warm).into());
    }
    let measured = Waiting {
        operations,
        bytes_each: (after.0 - before.0).max(0.0) / f64::from(operations),
        threads_more: after.1.saturating_sub(before.1),
        threads: after.1,
        resident_mib: after.0 / 1024.0 / 1024.0,
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

impl Station {
    async fn open(folder: &Path) -> Result<Self> {
        let env: Arc<dyn Env> = Arc::new(TokioEnv::new());
        let store = Arc::new(SqliteStore::open(
            folder.join("waiting.db"),
            Arc::clone(&env),
        )?);
        let site = Arc::new(Slow::default());
        let mut builder = Host::builder(Arc::clone(&env))
            .store(Arc::clone(&store) as Arc<dyn Store>)
            .sealer(Arc::new(AeadSealer::new(&[generate_key()?])?))
            .policy(Policy {
                quota: Quota {
                    clusters: None,
                    nodes: None,
                    lease_seconds: None,
                },
                first_look: LATER,
                slowest_look: LATER,
                ..Policy::default()
            });
        let serves = Serves {
            kind: Kind::CLUSTER,
            api: API.to_owned(),
            media: vec![MEDIA_TYPE.to_owned()],
        };
        let registries = builder.registries();
        registries.media(Arc::new(SimBody))?;
        registries.backend::<Cluster>(API, serves, Arc::clone(&site) as _)?;
        let host = Arc::new(builder.build()?);
        let user = Caller::user("user", "users");
        let catalog = Site {
            api: API,
            media_type: MEDIA_TYPE,
            body: "{}",
        };
        load(&host, &user, &catalog).await?;
        Ok(Self {
            host,
            store,
            site,
            env,
            user,
        })
    }

    /// Asks for so many clusters, and waits until the engine has begun all of
    /// them and waits itself.
    async fn ask(&self, many: u32) -> Result<()> {
        let wanted = self.site.creates() + many;
        let callers = (0..CALLERS).map(|caller| async move {
            let request = ClusterRequest {
                reuse: Reuse::Never,
                ..ClusterRequest::of(APPLIANCE, 3)
            };
            let mine = many / CALLERS + u32::from(caller < many % CALLERS);
            for _ in 0..mine {
                self.host.clusters().create(&self.user, &request).await?;
            }
            Result::Ok(())
        });
        try_join_all(callers).await?;
        loop {
            // Claimed work is due when its lease ends.
            let begun = self.site.creates() >= wanted;
            let quiet = self.env.now().plus(LATER / 2);
            match self.store.next_due(Queue::Awaited, &[]).await? {
                Some(due) if begun && due > quiet => return Ok(()),
                _ => self.env.sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// How many of them wait for their site.
    async fn count_waiting(&self) -> Result<u32> {
        let mut waiting = 0;
        let mut after = None;
        loop {
            let page = self.store.resources(&By::All, after.as_ref(), 500).await?;
            let building = page.items.iter().filter(|row| {
                let r = &row.record;
                r.seen == State::Building && r.attempt.as_ref().is_some_and(|a| a.accepted)
            });
            waiting += u32::try_from(building.count())?;
            after = page.next;
            if after.is_none() {
                return Ok(waiting);
            }
        }
    }
}

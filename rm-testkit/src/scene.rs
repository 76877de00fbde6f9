//! A simulated world put together: a cloud, a store, a catalog, callers, and
//! as many engines as somebody starts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rm_core::catalog::{NewAppliance, NewCredential, NewImage, NewImplementation, NewSite};
use rm_core::clusters::{ClusterRequest, Clusters, Reuse};
use rm_core::model::Cluster;
use rm_core::nodes;
use rm_core::policy::Policy;
use rm_core::record::Document;
use rm_core::resource::Resource;
use rm_core::store::{Batch, MemoryStore, Store};
use rm_core::{Caller, Host, ResourceId, Result, Tenant};
use serde_json::json;

use crate::cloud::{API, BROKEN_IMAGE, MEDIA_TYPE, NODES_API, SimCloud, SimConfig};
use crate::store::SimStore;
use crate::world::{SimEnv, TaskId, World};

mod check;

pub(crate) use check::at_rest;

/// The longest that anything may take before it counts as stuck.
const STUCK: Duration = Duration::from_secs(2 * 3600);

/// A cloud, a store, a catalog with the appliance `hadoop`, and callers.
///
/// Requests go through a process of their own, the door; engines are other
/// processes on the same store, so that any of them can crash.
#[derive(Debug)]
pub struct Scene {
    /// Time and order.
    pub world: World,
    /// The real things.
    pub cloud: Arc<SimCloud>,
    /// The store as it really is.
    pub truth: Arc<dyn Store>,
    /// The clock of the store.
    pub truth_env: Arc<SimEnv>,
    /// The process that takes requests.
    pub door: Arc<Host>,
    /// The door's way to the store.
    pub door_store: Arc<SimStore>,
    door_env: Arc<SimEnv>,
    /// Loads the catalog; owns nothing.
    pub operator: Caller,
    /// A user of the tenant `physics`.
    pub alice: Caller,
    /// Another user of the tenant `physics`.
    pub bob: Caller,
    /// A user of the tenant `biology`.
    pub carol: Caller,
    policy: Policy,
    installation: String,
    engines: AtomicU32,
    running: Mutex<Vec<EngineTask>>,
}

/// One engine: a process of its own, or the door's.
#[derive(Debug, Clone)]
pub struct EngineTask {
    /// Its task.
    pub id: TaskId,
    /// The label under which its points are counted: `engine-1`, `engine-2`...
    pub label: String,
    /// Its way to the store.
    pub store: Arc<SimStore>,
    /// Its clock.
    pub env: Arc<SimEnv>,
}

/// Puts a [`Scene`] together.
#[derive(Debug)]
pub struct SceneBuilder {
    seed: u64,
    sites: Vec<String>,
    node_sites: Vec<String>,
    nodes_body: String,
    config: SimConfig,
    policy: Policy,
    body: String,
    ready_port: Option<u16>,
    catalog: Vec<Arc<Document>>,
}

impl SceneBuilder {
    /// With these sites instead of the one called `north`.
    #[must_use]
    pub fn sites(mut self, names: &[&str]) -> Self {
        self.sites = names.iter().map(|n| (*n).to_owned()).collect();
        self
    }

    /// With these sites besides, which have nodes and not clusters, and an
    /// implementation of the appliance for them. The catalog has an image
    /// `debian`, and one that breaks whatever is made of it.
    #[must_use]
    pub fn node_sites(mut self, names: &[&str], body: &serde_json::Value) -> Self {
        self.node_sites = names.iter().map(|n| (*n).to_owned()).collect();
        self.nodes_body = body.to_string();
        self
    }

    /// With another policy.
    #[must_use]
    pub fn policy(mut self, edit: impl FnOnce(&mut Policy)) -> Self {
        edit(&mut self.policy);
        self
    }

    /// With sites that behave otherwise.
    #[must_use]
    pub fn config(mut self, edit: impl FnOnce(&mut SimConfig)) -> Self {
        edit(&mut self.config);
        self
    }

    /// With another implementation of the appliance.
    #[must_use]
    pub fn body(mut self, body: &serde_json::Value) -> Self {
        self.body = body.to_string();
        self
    }

    /// With a port of the master that must answer.
    #[must_use]
    pub fn ready_port(mut self, port: u16) -> Self {
        self.ready_port = Some(port);
        self
    }

    /// With a catalog that another scene has loaded: see [`Scene::catalog`].
    #[must_use]
    pub(crate) fn catalog(mut self, catalog: Vec<Arc<Document>>) -> Self {
        self.catalog = catalog;
        self
    }

    /// Done.
    ///
    /// # Errors
    ///
    /// What the catalog refuses.
    pub fn build(self) -> Result<Scene> {
        let world = World::new(self.seed);
        let cloud = SimCloud::in_world(self.config, world.points());
        let truth_env = world.env();
        let truth: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::clone(&truth_env) as _));
        let door_store = SimStore::new(Arc::clone(&truth), world.points());
        let installation = "lab".to_owned();
        let env = world.env();
        let door = host(&env, &cloud, &door_store, &self.policy, &installation)?;
        let scene = Scene {
            world,
            cloud,
            truth,
            truth_env,
            door,
            door_store,
            door_env: env,
            operator: Caller::operator("root", "operations"),
            alice: Caller::user("alice", "physics"),
            bob: Caller::user("bob", "physics"),
            carol: Caller::user("carol", "biology"),
            policy: self.policy,
            installation,
            engines: AtomicU32::new(0),
            running: Mutex::default(),
        };
        if self.catalog.is_empty() {
            let load = async {
                scene.load(&self.sites, &self.body, self.ready_port).await?;
                scene.load_nodes(&self.node_sites, &self.nodes_body).await
            };
            scene.world.block_on(load)?;
        } else {
            let batch = Batch {
                documents: self.catalog,
                ..Batch::default()
            };
            scene.world.block_on(scene.truth.commit(batch))?;
        }
        Ok(scene)
    }
}

/// A process that shares the store of these points.
pub(crate) fn host(
    env: &Arc<SimEnv>,
    cloud: &Arc<SimCloud>,
    store: &Arc<SimStore>,
    policy: &Policy,
    installation: &str,
) -> Result<Arc<Host>> {
    let mut builder = Host::builder(Arc::clone(env) as _)
        .store(Arc::clone(store) as Arc<dyn Store>)
        .policy(policy.clone())
        .installation(installation);
    cloud.install(builder.registries())?;
    cloud.install_nodes(builder.registries())?;
    Ok(Arc::new(builder.build()?))
}

impl Scene {
    /// The usual scene: one site called `north`.
    ///
    /// # Panics
    ///
    /// Never: what it loads is legal.
    #[allow(clippy::new_ret_no_self, reason = "the shortest way to the usual one")]
    pub fn new(seed: u64) -> Self {
        match Self::builder(seed).build() {
            Ok(scene) => scene,
            Err(e) => unreachable!("the usual scene is refused: {e}"),
        }
    }

    /// Begins to put another one together.
    pub fn builder(seed: u64) -> SceneBuilder {
        SceneBuilder {
            seed,
            sites: vec!["north".to_owned()],
            node_sites: Vec::new(),
            nodes_body: String::new(),
            config: SimConfig::default(),
            policy: Policy::default(),
            body: json!({
                "parameters": ["flavor", "network"],
                "outputs": {"console": "http://10.0.0.10:8088"},
            })
            .to_string(),
            ready_port: None,
            catalog: Vec::new(),
        }
    }

    /// Every entry of the catalog, as it is kept.
    pub(crate) async fn catalog(&self) -> Result<Vec<Arc<Document>>> {
        let mut all = Vec::new();
        for entry in ["site", "credential", "appliance", "implementation"] {
            for space in [
                format!("catalog.{entry}"),
                format!("catalog.{entry}.unique"),
            ] {
                let page = self.truth.documents(&space, None, None, 1000).await?;
                all.extend(page.items.into_iter().map(|found| found.record));
            }
        }
        Ok(all)
    }

    async fn load(&self, sites: &[String], body: &str, ready_port: Option<u16>) -> Result<()> {
        let (catalog, who) = (self.door.catalog(), &self.operator);
        for name in sites {
            self.load_site(name, API).await?;
        }
        catalog
            .add_appliance(
                who,
                NewAppliance {
                    name: "hadoop".to_owned(),
                    description: String::new(),
                    ready_port,
                    images: Vec::new(),
                },
            )
            .await?;
        catalog
            .add_implementation(
                who,
                NewImplementation {
                    appliance: "hadoop".to_owned(),
                    site: None,
                    site_type: Some(API.to_owned()),
                    media_type: MEDIA_TYPE.to_owned(),
                    body: body.to_owned(),
                    scripts: Vec::new(),
                    environment: BTreeMap::new(),
                },
            )
            .await?;
        Ok(())
    }

    async fn load_site(&self, name: &str, api: &str) -> Result<()> {
        let (catalog, who) = (self.door.catalog(), &self.operator);
        let site = NewSite::new(name, api, &format!("sim:{name}"));
        catalog.add_site(who, site).await?;
        for user in [&self.alice, &self.carol] {
            catalog
                .add_credential(
                    who,
                    NewCredential {
                        name: format!("{}-{name}", user.tenant),
                        site: name.to_owned(),
                        user: Some(user.user.clone()),
                        tenant: Some(Tenant(user.tenant.0.clone())),
                        secret: json!({"account": user.tenant, "password": "right"}),
                    },
                )
                .await?;
        }
        Ok(())
    }

    async fn load_nodes(&self, sites: &[String], body: &str) -> Result<()> {
        if sites.is_empty() {
            return Ok(());
        }
        let (catalog, who) = (self.door.catalog(), &self.operator);
        for name in sites {
            self.load_site(name, NODES_API).await?;
        }
        for name in ["debian", BROKEN_IMAGE] {
            let image = NewImage {
                name: name.to_owned(),
                source: format!("file:/images/{name}"),
                sha256: "ab".repeat(32),
                disk_format: "raw".to_owned(),
            };
            catalog.add_image(who, image).await?;
        }
        let new = NewImplementation::new("hadoop", NODES_API, nodes::MEDIA_TYPE, body);
        catalog.add_implementation(who, new).await.map(drop)
    }

    /// Runs until `main` is done.
    pub fn run<T>(&self, main: impl AsyncFnOnce(&Self) -> T) -> T {
        self.world.block_on(main(self))
    }

    /// The door for clusters.
    pub fn clusters(&self) -> Clusters<'_> {
        self.door.clusters()
    }

    /// A request for the appliance, with so many slaves.
    pub fn request(&self, slaves: u32) -> ClusterRequest {
        ClusterRequest {
            appliance: "hadoop".to_owned(),
            slaves: Some(slaves),
            ..ClusterRequest::default()
        }
    }

    /// The same for a cluster of its own.
    pub fn own(&self, slaves: u32) -> ClusterRequest {
        ClusterRequest {
            reuse: Reuse::Never,
            ..self.request(slaves)
        }
    }

    /// Starts an engine in a process of its own.
    ///
    /// # Panics
    ///
    /// Never: the host is built as the door's was.
    pub fn start_engine(&self) -> EngineTask {
        let store = SimStore::new(Arc::clone(&self.truth), self.world.points());
        let env = self.world.env();
        let host = match host(&env, &self.cloud, &store, &self.policy, &self.installation) {
            Ok(host) => host,
            Err(e) => unreachable!("a second host is refused: {e}"),
        };
        self.start(&host, store, env)
    }

    /// Starts an engine in the door's process, as a small host has it.
    pub fn start_engine_here(&self) -> EngineTask {
        let env = Arc::clone(&self.door_env);
        self.start(&self.door, Arc::clone(&self.door_store), env)
    }

    fn start(&self, host: &Arc<Host>, store: Arc<SimStore>, env: Arc<SimEnv>) -> EngineTask {
        let n = self.engines.fetch_add(1, Ordering::Relaxed) + 1;
        let label = format!("engine-{n}");
        let engine = host.engine();
        let id = self.world.spawn_by(&label, &env, async move {
            let ended = engine.run(std::future::pending()).await;
            assert!(ended.is_ok(), "a scene has one installation: {ended:?}");
        });
        let task = EngineTask {
            id,
            label,
            store,
            env,
        };
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(task.clone());
        task
    }

    /// The engines that were started and have not been replaced.
    pub fn engines(&self) -> Vec<EngineTask> {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Starts a new engine for each one that has crashed; answers how many
    /// there were.
    pub fn restart_crashed(&self) -> usize {
        let crashed = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let before = running.len();
            running.retain(|engine| self.world.is_alive(engine.id));
            before - running.len()
        };
        for _ in 0..crashed {
            self.start_engine();
        }
        crashed
    }

    /// Waits until a cluster is as wanted, has failed, or an hour is over.
    pub async fn ready(&self, who: &Caller, id: ResourceId) -> Result<Resource<Cluster>> {
        self.clusters()
            .settled(who, id, Duration::from_secs(3600))
            .await
    }

    /// Waits until a cluster is gone; false where it is in quarantine or still
    /// there after an hour.
    pub async fn gone(&self, who: &Caller, id: ResourceId) -> Result<bool> {
        self.clusters()
            .gone(who, id, Duration::from_secs(3600))
            .await
    }
}

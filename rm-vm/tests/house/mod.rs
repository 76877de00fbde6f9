//! A host program with one host of machines or containers as its site, and the
//! real environment that it lives in.

#![allow(dead_code, reason = "each kind of host is tested by a part of it")]

pub(crate) mod conformance;
pub(crate) mod hostile;
pub(crate) mod lost;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::future::{BoxFuture, FutureExt};
use rm_core::catalog::{Catalog, NewCredential, NewImage, NewSite};
use rm_core::env::{Env, Timestamp};
use rm_core::life::State;
use rm_core::manager::{ResourceManager, Terms, Want};
use rm_core::model::{Node, NodeImage, NodeSpec, Power};
use rm_core::policy::Policy;
use rm_core::resource::Resource;
use rm_core::secret::Secret;
use rm_core::store::{Batch, Outcome, Store};
use rm_core::{Caller, Host, Kind, ResourceId, Result};
use rm_store::{AeadSealer, SqliteStore};
use serde_json::{Value, json};

/// A boot command after which a guest of the labs leaves the file `/told` when it
/// is asked to stop, from its next start on.
pub(crate) const TELLS: &str =
    "sed -i 's:# For tests of what will not go.*:echo asked > /told:' /sbin/init";

/// A key for stores of tests.
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

#[derive(Debug)]
pub(crate) struct RealEnv;

#[async_trait]
impl Env for RealEnv {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    }

    fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(d).boxed()
    }

    fn random(&self) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        std::hash::RandomState::new().build_hasher().finish()
    }

    async fn reaches(&self, address: &str, port: u16) -> bool {
        let connected = tokio::net::TcpStream::connect((address, port));
        tokio::time::timeout(Duration::from_secs(2), connected)
            .await
            .is_ok_and(|c| c.is_ok())
    }
}

/// Where nodes are made, and of what.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) api: &'static str,
    /// Its address.
    pub(crate) url: String,
    /// The section `[vm]`, in which it is the site `lab`.
    pub(crate) section: Value,
    pub(crate) image: NewImage,
    /// What a small node of the image has of memory.
    pub(crate) memory_mib: u64,
}

impl Place {
    /// The same with addresses of other ends, where others take from its pools,
    /// too.
    pub(crate) fn with_last(mut self, four: [u8; 2]) -> Self {
        let pools = self.section["sites"]["lab"]["pools"].as_array_mut();
        for pool in pools.into_iter().flatten() {
            for (end, last) in ["first", "last"].into_iter().zip(four) {
                let text = pool[end].as_str().unwrap();
                let at = text.rfind(['.', ':']).unwrap() + 1;
                pool[end] = json!(format!("{}{last}", &text[..at]));
            }
        }
        self
    }

    pub(crate) fn site(&self) -> NewSite {
        NewSite::new("lab", self.api, &self.url)
    }

    /// Puts its image into a catalog.
    pub(crate) async fn load(&self, catalog: &Catalog, who: &Caller) -> Result<()> {
        catalog.add_image(who, self.image.clone()).await.map(|_| ())
    }

    /// A small node of its image.
    pub(crate) fn spec(&self) -> NodeSpec {
        let image = NodeImage {
            name: self.image.name.clone(),
            sha256: self.image.sha256.clone(),
        };
        let memory = self.memory_mib;
        serde_json::from_value(json!({"image": image, "vcpus": 1, "memory_mib": memory})).unwrap()
    }
}

/// A host program with a place as its site.
pub(crate) struct Program {
    pub(crate) host: Arc<Host>,
    pub(crate) operator: Caller,
    pub(crate) user: Caller,
    pub(crate) place: Place,
    pub(crate) installation: String,
    engine: tokio::task::JoinHandle<Result<()>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        self.engine.abort();
    }
}

impl Program {
    pub(crate) async fn on(place: impl Into<Place>) -> Self {
        let installation = format!("t{:012x}", RealEnv.random() >> 16);
        Self::of(place, &installation).await
    }

    /// Of an installation of this name, and a new store.
    pub(crate) async fn of(place: impl Into<Place>, installation: &str) -> Self {
        Self::with(place.into(), installation, Duration::from_secs(1)).await
    }

    /// One that lists what is there only so often.
    pub(crate) async fn sweeping(place: impl Into<Place>, sweep: Duration) -> Self {
        let installation = format!("t{:012x}", RealEnv.random() >> 16);
        Self::with(place.into(), &installation, sweep).await
    }

    async fn with(place: Place, installation: &str, sweep: Duration) -> Self {
        let program = Self::begin(place, installation, sweep, None);
        program.know().await;
        program
    }

    /// One whose store is this file: it goes on with what is in it.
    pub(crate) async fn kept(place: Place, installation: &str, store: &Path) -> Self {
        let is_new = !store.exists();
        let store = SqliteStore::open(store, Arc::new(RealEnv)).unwrap();
        let sweep = Duration::from_secs(1);
        let program = Self::begin(place, installation, sweep, Some(Arc::new(store)));
        if is_new {
            program.know().await;
        }
        program
    }

    fn begin(
        place: Place,
        installation: &str,
        sweep: Duration,
        store: Option<Arc<dyn Store>>,
    ) -> Self {
        let env: Arc<dyn Env> = Arc::new(RealEnv);
        let policy = Policy {
            sweep,
            ..Policy::default()
        };
        let mut builder = Host::builder(env).policy(policy).installation(installation);
        if let Some(store) = store {
            let sealer = AeadSealer::new(&[Secret::new(KEY.to_owned())]).unwrap();
            builder = builder.store(store).sealer(Arc::new(sealer));
        }
        builder
            .registries()
            .install(&rm_vm::PLUGIN, Some(&place.section))
            .unwrap();
        let host = Arc::new(builder.build().unwrap());
        let engine = host.engine();
        let engine = tokio::spawn(async move { engine.run(std::future::pending()).await });
        Self {
            host,
            operator: Caller::operator("op", "ops"),
            user: Caller::user("ada", "physics"),
            engine,
            place,
            installation: installation.to_owned(),
        }
    }

    /// Puts its site into its catalog, and how that is reached, and its image.
    async fn know(&self) {
        let catalog = self.host.catalog();
        let site = catalog.add_site(&self.operator, self.place.site());
        site.await.unwrap();
        let means = NewCredential::new("mine", "lab", json!({}));
        catalog.add_credential(&self.user, means).await.unwrap();
        self.place.load(catalog, &self.operator).await.unwrap();
    }

    pub(crate) fn manager(&self) -> Arc<dyn ResourceManager<Node>> {
        let all = self
            .host
            .managers()
            .serving::<Node>(&self.place.kind)
            .unwrap();
        all.into_iter()
            .find(|manager| manager.serves().api == self.place.api)
            .unwrap()
    }

    /// Asks for a node; the refusal of what cannot be.
    pub(crate) async fn ask(&self, spec: NodeSpec, reserve: bool) -> Result<ResourceId> {
        let catalog = self.host.catalog();
        let want = Want::<Node> {
            site: catalog.site("lab").await?,
            credential: catalog.credential(&self.user, "mine").await?.id,
            spec,
            key: None,
            asking: None,
        };
        let offers = self.manager().offers(&self.user, &want).await?;
        let terms = Terms {
            name: "a node".to_owned(),
            reserve,
            ..Terms::default()
        };
        let mut batch = Batch::default();
        let (id, _) = self
            .manager()
            .prepare(&self.user, &offers, &terms, &mut batch)?;
        let done = self.host.commit(batch).await?;
        assert!(matches!(done, Outcome::Done(_)));
        Ok(id)
    }

    pub(crate) async fn get(&self, id: ResourceId) -> Resource<Node> {
        self.manager().get(&self.user, id).await.unwrap()
    }

    /// As it is when what is wanted of it is seen, or it has failed.
    pub(crate) async fn settled(&self, id: ResourceId) -> Resource<Node> {
        for _ in 0..1200 {
            let node = self.get(id).await;
            let r = node.record();
            if r.seen.is_settled() && r.seen_generation == r.generation {
                return node;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "not settled within a minute: {:#?}",
            self.get(id).await.record()
        );
    }

    pub(crate) async fn ready(&self, id: ResourceId) -> Resource<Node> {
        let node = self.settled(id).await;
        assert_eq!(node.record().seen, State::Ready, "{:#?}", node.record());
        node
    }

    /// Gives it up and waits until it is gone.
    pub(crate) async fn end(&self, id: ResourceId) {
        let node = self.get(id).await;
        node.release(&self.user, None).await.unwrap();
        for _ in 0..600 {
            if self.host.store().resource(id).await.unwrap().is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not gone: {:#?}", self.get(id).await.record());
    }

    /// A node that runs, and its name at the host.
    pub(crate) async fn node(&self, spec: NodeSpec) -> (ResourceId, String) {
        assert_eq!(spec.power, Power::Running);
        let id = self.ask(spec, false).await.unwrap();
        let node = self.ready(id).await;
        (id, node.view().unwrap().name)
    }
}

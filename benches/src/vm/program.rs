//! The host program that is measured: the library with a durable store, as the
//! daemon has it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rm_adapters::TokioEnv;
use rm_core::catalog::NewCredential;
use rm_core::env::Env;
use rm_core::life::State;
use rm_core::manager::{ResourceManager, Terms, Want};
use rm_core::model::Node;
use rm_core::policy::Policy;
use rm_core::resource::Resource;
use rm_core::signal::Subscription;
use rm_core::store::{Batch, Outcome};
use rm_core::{Caller, Host, ResourceId};
use rm_store::{AeadSealer, SqliteStore, generate_key};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::lab::Place;
use benches::Result;

/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) struct Program {
    pub(crate) host: Arc<Host>,
    pub(crate) user: Caller,
    place: Place,
    want: Want<Node>,
    manager: Arc<dyn ResourceManager<Node>>,
    engine: JoinHandle<rm_core::Result<()>>,
    // Goes away last.
    _dir: TempDir,
}

impl Drop for Program {
    fn drop(&mut self) {
        self.engine.abort();
    }
}

impl Program {
    pub(crate) async fn start(folder: &Path, place: Place) -> Result<Self> {
        let dir = TempDir::new_in(folder)?;
        let env: Arc<dyn Env> = Arc::new(TokioEnv::new());
        let store = SqliteStore::open(dir.path().join("store.db"), Arc::clone(&env))?;
        let name = format!("bench-{:x}", env.random() >> 16);
        let sealer = AeadSealer::new(&[generate_key()?])?;
        let mut policy = Policy::default();
        policy.quota.clusters = None;
        policy.quota.nodes = None;
        let mut builder = Host::builder(env)
            .policy(policy)
            .store(Arc::new(store))
            .sealer(Arc::new(sealer))
            .installation(name);
        let section = Some(&place.section);
        builder.registries().install(&rm_vm::PLUGIN, section)?;
        let host = Arc::new(builder.build()?);
        let operator = Caller::operator("operator", "operators");
        let user = Caller::user("user", "users");
        let catalog = host.catalog();
        let site = catalog.add_site(&operator, place.site.clone()).await?;
        let means = NewCredential::new("mine", &site.name, json!({}));
        let credential = catalog.add_credential(&user, means).await?.id;
        catalog.add_image(&operator, place.image.clone()).await?;
        let all = host.managers().serving::<Node>(&place.kind)?;
        let serves = |m: &Arc<dyn ResourceManager<Node>>| m.serves().api == site.api;
        let manager = all.into_iter().find(serves);
        let engine = host.engine();
        Ok(Self {
            manager: manager.ok_or("nothing serves the place")?,
            want: Want {
                site,
                credential,
                spec: place.spec()?,
                key: None,
                asking: None,
            },
            engine: tokio::spawn(async move { engine.run(std::future::pending()).await }),
            host,
            user,
            place,
            _dir: dir,
        })
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Asks for one more, as of an only place.
    pub(crate) async fn ask(&self) -> Result<ResourceId> {
        let offers = [self.manager.only(&self.want).await?];
        let terms = Terms {
            name: "measured".to_owned(),
            ..Terms::default()
        };
        let mut batch = Batch::default();
        let (id, _) = self
            .manager
            .prepare(&self.user, &offers, &terms, &mut batch)?;
        match self.host.commit(batch).await? {
            Outcome::Done(_) => Ok(id),
            Outcome::Refused(why) => Err(format!("refused: {why:?}").into()),
        }
    }

    pub(crate) async fn get(&self, id: ResourceId) -> Result<Resource<Node>> {
        Ok(self.manager.get(&self.user, id).await?)
    }

    pub(crate) async fn events(&self) -> Result<Subscription> {
        Ok(self.host.subscribe(None).await?)
    }

    /// Waits until all of these are seen as this, as the events tell.
    pub(crate) async fn until(
        &self,
        events: &mut Subscription,
        these: &[ResourceId],
        what: &str,
    ) -> Result<()> {
        let mut left: std::collections::BTreeSet<_> = these.iter().copied().collect();
        let all = async {
            while !left.is_empty() {
                for event in events.next().await? {
                    let event = event.event;
                    let Some(id) = event.resource.filter(|id| left.contains(id)) else {
                        continue;
                    };
                    match event.what.rsplit_once('.') {
                        Some((_, verb)) if verb == what => {
                            left.remove(&id);
                        }
                        // What failed before somebody asked to try again may be
                        // told after that.
                        Some((_, "failed")) if self.has_failed(id).await? => {
                            return Err(format!("{id} has failed: {}", event.data).into());
                        }
                        _ => {}
                    }
                }
            }
            Ok(())
        };
        match tokio::time::timeout(PATIENCE, all).await {
            Ok(done) => done,
            Err(_) => Err(format!("not {what} after {} s", PATIENCE.as_secs()).into()),
        }
    }

    /// Waits until there is nothing more to be seen of it, and nobody is at it.
    pub(crate) async fn rests(&self, id: ResourceId) -> Result<()> {
        let rests = async {
            while self.get(id).await?.record().told > 0 || self.host.store().is_claimed(id).await? {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        };
        match tokio::time::timeout(PATIENCE, rests).await {
            Ok(done) => done,
            Err(_) => Err(format!("{id} does not come to rest").into()),
        }
    }

    async fn has_failed(&self, id: ResourceId) -> Result<bool> {
        let node = self.get(id).await?;
        let r = node.record();
        Ok(r.seen == State::Failed && r.seen_generation == r.generation)
    }

    /// So many nodes that run, and their names at the host.
    pub(crate) async fn nodes(&self, count: u32) -> Result<Vec<(ResourceId, String)>> {
        let mut events = self.events().await?;
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.ask().await?);
        }
        self.until(&mut events, &ids, "ready").await?;
        let mut nodes = Vec::new();
        for id in ids {
            nodes.push((id, self.get(id).await?.view()?.name));
        }
        Ok(nodes)
    }

    /// Gives them up, and waits until they are gone.
    pub(crate) async fn end(&self, ids: &[ResourceId]) -> Result<()> {
        let mut events = self.events().await?;
        for id in ids {
            self.get(*id).await?.release(&self.user, None).await?;
        }
        self.until(&mut events, ids, "gone").await
    }
}

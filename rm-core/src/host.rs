//! The Rust door: a host links plugins, gives a store, and gets everything.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::accounts::Accounts;
use crate::backend::{Capability, Serves};
use crate::bell::Bell;
use crate::caller::{Caller, Directory, Everybody};
use crate::calls::{Observed, WatchCalls};
use crate::catalog::Catalog;
use crate::clusters::Clusters;
use crate::copies::Copies;
use crate::driver::Driver;
use crate::engine::{self, Engine};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Events, NewEvent};
use crate::history::History;
use crate::id::{InstanceId, ResourceId};
use crate::installation;
use crate::operations::Operations;
use crate::orphans::Orphans;
use crate::outbox::Outbox;
use crate::policy::{CheapestThenRoomiest, Placement, Policy};
use crate::quarantine::Quarantine;
use crate::quota::{allows, over_quota};
use crate::rebuild::Rebuild;
use crate::record::ResourceRecord;
use crate::registry::{AdapterRegistry, Registries, ResourceManagerRegistry};
use crate::secret::{Sealer, Unsealed};
use crate::signal::Subscription;
use crate::store::{Batch, MemoryStore, Outcome, Refusal, Store};

mod aside;

/// What everything in core shares. Managers and the engine hold it; it holds
/// neither.
#[derive(Debug)]
pub struct Core {
    pub(crate) env: Arc<dyn Env>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) catalog: Catalog,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) policy: Policy,
    pub(crate) placement: Arc<dyn Placement>,
    pub(crate) installation: String,
    pub(crate) instance: InstanceId,
    pub(crate) bell: Bell,
    pub(crate) drivers: BTreeMap<String, Arc<dyn Driver>>,
    pub(crate) serves: BTreeMap<String, Serves>,
}

impl Core {
    /// Writes a batch and wakes whoever waits in this process.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<Outcome> {
        let settled = batch.settles();
        let work = batch.wants_work(self.env.now().plus(engine::AT_MOST));
        let outcome = self.store.commit(batch).await?;
        if matches!(outcome, Outcome::Done(_)) {
            self.bell.ring(&settled, work);
        }
        Ok(outcome)
    }

    /// What serves a record.
    pub(crate) fn driver(&self, manager: &str) -> Result<&Arc<dyn Driver>> {
        self.drivers.get(manager).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("the backend {manager:?} is not linked into this program"),
            )
            .advice(format!(
                "linked are: {}",
                self.drivers.keys().cloned().collect::<Vec<_>>().join(", ")
            ))
        })
    }

    /// Ends with an error of unknown effect when the call takes too long.
    pub(crate) async fn timed<T>(
        &self,
        what: &'static str,
        limit: Duration,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        // The call is polled first, so an answer that is there always counts.
        match select(std::pin::pin!(call), self.env.sleep(limit)).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => Err(Error::new(
                ErrorKind::Timeout,
                format!("the site did not answer within {} s", limit.as_secs()),
            )
            .operation(what)
            .effect_unknown()),
        }
    }

    /// An event about a resource.
    pub(crate) fn event(
        &self,
        r: &ResourceRecord,
        verb: &str,
        data: impl serde::Serialize,
    ) -> NewEvent {
        NewEvent::of(&*self.env, r, verb, data)
    }

    /// Waits until something was committed, or a while, whatever comes first.
    /// `heard` is what [`Bell::rung`] said before the caller looked.
    pub(crate) async fn news(&self, heard: u64, at_most: Duration) {
        select(
            std::pin::pin!(self.bell.after(heard)),
            self.env.sleep(at_most),
        )
        .await;
    }

    /// The same, until there is work. `heard` is what [`Bell::works`] said.
    pub(crate) async fn work(&self, heard: u64, at_most: Duration) {
        select(
            std::pin::pin!(self.bell.after_work(heard)),
            self.env.sleep(at_most),
        )
        .await;
    }

    /// The same, until one resource comes to rest or is gone.
    pub(crate) async fn news_of(&self, of: ResourceId, heard: u64, at_most: Duration) {
        select(
            std::pin::pin!(self.bell.after_of(heard, of)),
            self.env.sleep(at_most),
        )
        .await;
    }
}

/// A complete resource manager without its doors.
#[derive(Debug)]
pub struct Host {
    core: Arc<Core>,
    managers: ResourceManagerRegistry,
    adapters: AdapterRegistry,
}

impl Host {
    /// Begins to build one. `env` is time, randomness and reach; programs that
    /// run on tokio take the one of `rm-adapters`.
    pub fn builder(env: Arc<dyn Env>) -> HostBuilder {
        HostBuilder {
            env,
            store: None,
            sealer: None,
            directory: Arc::new(Everybody),
            policy: Policy::default(),
            placement: Arc::new(CheapestThenRoomiest),
            installation: "default".to_owned(),
            calls: None,
            registries: Registries::new(),
        }
    }

    /// Sites, credentials, appliances, implementations, images.
    pub fn catalog(&self) -> &Catalog {
        &self.core.catalog
    }

    /// Clusters by the name of an appliance.
    pub fn clusters(&self) -> Clusters<'_> {
        Clusters::new(&self.core, &self.managers)
    }

    /// Copies of images at sites, for operators.
    pub fn copies(&self) -> Copies<'_> {
        Copies::new(&self.core)
    }

    /// The managers, by model and kind.
    pub fn managers(&self) -> &ResourceManagerRegistry {
        &self.managers
    }

    /// The adapters, by contract.
    pub fn adapters(&self) -> &AdapterRegistry {
        &self.adapters
    }

    /// Writes into an empty store that it belongs to this installation. The
    /// engine does so before it works; a host that wants to be told before it
    /// opens its doors asks here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] where the store is another installation's.
    pub async fn own_store(&self) -> Result<()> {
        installation::own(&self.core).await
    }

    /// The engine. Somebody must poll [`Engine::run`], or nothing happens.
    pub fn engine(&self) -> Engine {
        Engine::new(Arc::clone(&self.core))
    }

    /// What has happened, as far as a caller may hear of it.
    pub fn events(&self) -> Events<'_> {
        Events::new(&self.core)
    }

    /// What has become of what callers wanted.
    pub fn operations(&self) -> Operations<'_> {
        Operations::new(&self.core)
    }

    /// Makes the records of a lost store anew, for operators.
    pub fn rebuild(&self) -> Rebuild<'_> {
        Rebuild::new(&self.core)
    }

    /// What was believed of a resource when, and why; also of what is gone.
    pub fn history(&self) -> History<'_> {
        History::new(&self.core)
    }

    /// What waits for a person to decide, and its ways out.
    pub fn quarantine(&self) -> Quarantine<'_> {
        Quarantine::new(&self.core)
    }

    /// What bears our mark and is no record's, for operators.
    pub fn orphans(&self) -> Orphans<'_> {
        Orphans::new(&self.core)
    }

    /// Accounts of callers on clusters.
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts::new(&self.core)
    }

    /// Events as they are committed: from now on, or after a cursor. All of
    /// them, for the program itself; callers get theirs by [`Host::events`].
    pub async fn subscribe(&self, after: Option<u64>) -> Result<Subscription> {
        let after = match after {
            Some(after) => after,
            None => self.core.store.newest().await?,
        };
        Ok(Subscription::new(Arc::clone(&self.core), after))
    }

    /// Events brought outside. Somebody must poll [`Outbox::run`].
    pub fn outbox(&self) -> Outbox {
        Outbox::new(Arc::clone(&self.core))
    }

    /// The store, for what an adapter keeps in a space of its own. Resources,
    /// events, operations and accounts have services of their own.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.core.store
    }

    /// Time, randomness, reach.
    pub fn env(&self) -> &Arc<dyn Env> {
        &self.core.env
    }

    /// What the operator decided.
    pub fn policy(&self) -> &Policy {
        &self.core.policy
    }

    /// Writes a batch that managers, resources and adapters have put something
    /// into, and wakes whoever waits for it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Quota`] where a limit would be passed, and
    /// [`ErrorKind::NoCapacity`] where room that the batch takes was given to others
    /// meanwhile: sites that are asked again say what is left. What is refused for
    /// another reason is an outcome.
    pub async fn commit(&self, batch: Batch) -> Result<Outcome> {
        match self.core.commit(batch).await? {
            Outcome::Refused(Refusal::Limit {
                counter,
                value,
                at_most,
            }) => Err(over_quota(&counter, value, at_most)),
            outcome => Ok(outcome),
        }
    }

    /// Refuses what the caller's quota does not allow as things stand, with what is
    /// in the batch already: for who would ask sites before anything is written.
    /// The commit decides, for others are charged meanwhile.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Quota`], and where the store cannot be asked.
    pub async fn allows(
        &self,
        who: &Caller,
        resources: u64,
        nodes: u64,
        with: &Batch,
    ) -> Result<()> {
        allows(&self.core, who, (resources, nodes), with).await
    }

    /// How offers are ranked.
    pub fn placement(&self) -> &Arc<dyn Placement> {
        &self.core.placement
    }

    /// Waits until something was committed in this process after `heard`, or
    /// a while. See [`Host::heard`].
    pub async fn news(&self, heard: u64, at_most: Duration) {
        self.core.news(heard, at_most).await;
    }

    /// How many commits this process has made; read it before you look, give
    /// it to [`Host::news`] to wait for more.
    pub fn heard(&self) -> u64 {
        self.core.bell.rung()
    }

    /// What a door brings to every call of an adapter.
    pub fn call<'a>(&'a self, who: &'a Caller) -> Call<'a> {
        Call { who, host: self }
    }

    /// What the backend that serves a site type declares there.
    pub fn capability(&self, manager: &str, site: &crate::catalog::Site) -> Result<Capability> {
        Ok(self.core.driver(manager)?.capability(site))
    }
}

/// Brought to every call of an adapter.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Who is asking.
    pub who: &'a Caller,
    /// Managers, catalog, store.
    pub host: &'a Host,
}

/// Puts a [`Host`] together.
#[derive(Debug)]
pub struct HostBuilder {
    env: Arc<dyn Env>,
    store: Option<Arc<dyn Store>>,
    sealer: Option<Arc<dyn Sealer>>,
    directory: Arc<dyn Directory>,
    policy: Policy,
    placement: Arc<dyn Placement>,
    installation: String,
    calls: Option<Arc<dyn WatchCalls>>,
    registries: Registries,
}

impl HostBuilder {
    /// Where everything durable is kept; in memory if nothing is said.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// What seals credentials; nothing does if nothing is said, which a
    /// durable store does not allow.
    #[must_use]
    pub fn sealer(mut self, sealer: Arc<dyn Sealer>) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// Who there is, so that a credential or a grant for somebody unknown is
    /// refused; everybody is known if nothing is said.
    #[must_use]
    pub fn directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.directory = directory;
        self
    }

    /// Quotas, leases, paces.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How offers are ranked.
    #[must_use]
    pub fn placement(mut self, placement: Arc<dyn Placement>) -> Self {
        self.placement = placement;
        self
    }

    /// The installation's name: part of every mark, so that several
    /// installations can share an account. Give each its own, and never change
    /// it while resources exist.
    #[must_use]
    pub fn installation(mut self, name: impl Into<String>) -> Self {
        self.installation = name.into();
        self
    }

    /// Who is told of every call on a backend.
    #[must_use]
    pub fn watch_calls(mut self, calls: Arc<dyn WatchCalls>) -> Self {
        self.calls = Some(calls);
        self
    }

    /// Plugins, backends and adapters.
    pub fn registries(&mut self) -> &mut Registries {
        &mut self.registries
    }

    /// Done.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for an installation name that could not be put
    /// into a mark, and for a durable store into which secrets would go
    /// unsealed.
    pub fn build(mut self) -> Result<Host> {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
        if self.installation.is_empty()
            || self.installation.len() > 24
            || !self.installation.chars().all(good)
        {
            return Err(Error::invalid(format!(
                "{:?} cannot be the name of an installation",
                self.installation
            ))
            .advice("use 1 to 24 letters, digits, \"-\", \"_\" and \".\""));
        }
        let store = self
            .store
            .unwrap_or_else(|| Arc::new(MemoryStore::new(Arc::clone(&self.env))));
        let sealer = match self.sealer {
            Some(sealer) => sealer,
            None if store.is_durable() => {
                return Err(Error::invalid(
                    "credentials would be kept unsealed in a durable store",
                )
                .advice("give the builder a sealer, or a store in memory"));
            }
            None => Arc::new(Unsealed),
        };
        self.registries.clusters_of_nodes()?;
        let catalog = Catalog::new(
            Arc::clone(&self.env),
            Arc::clone(&store),
            sealer,
            self.registries.all_media(),
            self.registries.apis(),
        )
        .with_directory(Arc::clone(&self.directory));
        let (registrations, adapters) = self.registries.take();
        let core = Arc::new(Core {
            instance: InstanceId::new(&*self.env),
            env: self.env,
            store,
            catalog,
            directory: self.directory,
            policy: self.policy,
            placement: self.placement,
            installation: self.installation,
            bell: Bell::default(),
            serves: registrations
                .iter()
                .map(|(name, r)| (name.clone(), r.serves.clone()))
                .collect(),
            drivers: registrations
                .iter()
                .map(|(name, r)| {
                    let driver = Arc::clone(&r.driver);
                    let driver = match &self.calls {
                        Some(calls) => Observed::wrap(name, driver, Arc::clone(calls)),
                        None => driver,
                    };
                    (name.clone(), driver)
                })
                .collect(),
        });
        let managers = ResourceManagerRegistry::build(registrations, &core);
        Ok(Host {
            core,
            managers,
            adapters,
        })
    }
}

//! What the suite is told about the backend under test.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use rm_core::backend::{Backend, Mark, Serves};
use rm_core::calls::WatchCalls;
use rm_core::catalog::{Catalog, NewAppliance, NewImplementation, NewSite};
use rm_core::env::{Env, Timestamp};
use rm_core::model::{Cluster, ClusterSpec, Model, NodeUser};
use rm_core::registry::{Media, Registries};
use rm_core::{Caller, Kind, RemoteId, Result};
use serde_json::{Value, json};

/// The backend under test: how to get one, and what to ask of it.
#[async_trait]
pub trait Subject: Send + Sync + 'static {
    /// The backend's model.
    type Model: Model;

    /// How the scorecard calls it.
    fn name(&self) -> String;

    /// In which time it lives.
    fn time(&self) -> Time {
        Time::Simulated
    }

    /// The backend, and a site at which nothing of ours is. It is asked once
    /// for each check; sites may share an account, for each check has an
    /// installation of its own.
    async fn fresh(&self) -> Result<Ground<Self::Model>>;

    /// What is made at the site. Whatever the specs refer to is loaded into
    /// the catalog first, by `who`, who may do so.
    async fn specs(&self, catalog: &Catalog, who: &Caller) -> Result<Specs<Self::Model>>;
}

/// In which time a subject lives.
#[derive(Debug, Clone)]
pub enum Time {
    /// In a simulated world of its own for each check: it waits by `cx.env`
    /// alone, and an hour passes at once.
    Simulated,
    /// In the time of this environment, with whatever executor drives the
    /// suite.
    Real {
        /// The environment.
        env: Arc<dyn Env>,
        /// So many seconds pass for engine and backend in one of the
        /// environment's: what they wait for is waited for in less.
        speed: u32,
    },
}

/// A backend and a site for it.
pub struct Ground<M: Model> {
    pub(super) backend: Arc<dyn Backend<M>>,
    pub(super) serves: Serves,
    pub(super) media: Vec<Arc<dyn Media>>,
    pub(super) site: NewSite,
    pub(super) secret: Value,
    pub(super) eyes: Option<Arc<dyn Eyes>>,
    pub(super) beside: Option<Beside>,
    pub(super) calls: Option<Arc<dyn WatchCalls>>,
}

/// Contributes more to the host of a check.
pub(super) type Beside = Arc<dyn Fn(&mut Registries) -> Result<()> + Send + Sync>;

impl<M: Model> fmt::Debug for Ground<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground")
            .field("backend", &self.backend)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

impl<M: Model> Ground<M> {
    /// A backend that needs no address and no secret.
    pub fn new(backend: Arc<dyn Backend<M>>) -> Self {
        Self {
            backend,
            serves: Serves {
                kind: Kind::new(M::NAME),
                api: "subject".to_owned(),
                media: Vec::new(),
            },
            media: Vec::new(),
            site: NewSite::new("ground", "subject", "sim:ground"),
            secret: json!({}),
            eyes: None,
            beside: None,
            calls: None,
        }
    }

    /// What it serves, where that is not the model's own name.
    #[must_use]
    pub fn serves(mut self, serves: Serves) -> Self {
        self.site.api.clone_from(&serves.api);
        self.serves = serves;
        self
    }

    /// What understands the implementations that the specs refer to.
    #[must_use]
    pub fn media(mut self, media: Arc<dyn Media>) -> Self {
        self.media.push(media);
        self
    }

    /// The site as an operator would add it, and the secret by which it is
    /// used.
    #[must_use]
    pub fn site(mut self, site: NewSite, secret: Value) -> Self {
        self.site = site;
        self.secret = secret;
        self
    }

    /// The same site by way of a wrapper around the backend.
    #[must_use]
    pub fn through<B: Backend<M>>(mut self, wrap: impl FnOnce(Arc<dyn Backend<M>>) -> B) -> Self {
        self.backend = Arc::new(wrap(self.backend));
        self
    }

    /// For a backend whose things are resources of the same store: what makes
    /// those. An engine works at them while a check waits.
    #[must_use]
    pub fn beside(
        mut self,
        install: impl Fn(&mut Registries) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.beside = Some(Arc::new(install));
        self
    }

    /// Who is told of every call, as in a daemon that counts them: the engine
    /// then gets the backend wrapped as it is there.
    #[must_use]
    pub fn calls(mut self, calls: Arc<dyn WatchCalls>) -> Self {
        self.calls = Some(calls);
        self
    }

    /// Who looks at the site by other means. Without, the suite believes what
    /// the backend lists.
    #[must_use]
    pub fn eyes(mut self, eyes: Arc<dyn Eyes>) -> Self {
        self.eyes = Some(eyes);
        self
    }
}

/// What is made at a site.
#[derive(Debug, Clone)]
pub struct Specs<M: Model> {
    /// Something small that becomes ready soon.
    pub sample: M::Spec,
    /// The same with another size, where that can be changed.
    pub bigger: Option<M::Spec>,
}

/// Looks at the real site by other means than the backend under test.
#[async_trait]
pub trait Eyes: Send + Sync + 'static {
    /// Everything that is there now and bears a mark.
    async fn everything(&self, now: Timestamp) -> Result<Vec<Real>>;

    /// Who can log in to a node now, with which keys; nothing where nobody
    /// looks into it. Then what [`Backend::recall`] tells is believed. Accounts of
    /// the guest's own may be among them: those count that the suite names, and
    /// those that its keys open.
    async fn users(&self, _id: &RemoteId, _now: Timestamp) -> Result<Option<Vec<NodeUser>>> {
        Ok(None)
    }
}

/// One real thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Real {
    /// How the site names it.
    pub id: RemoteId,
    /// Whose it is.
    pub mark: Mark,
}

/// A subject without a catalog: how a backend is made, and its specs.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use rm_core::backend::Backend;
/// # use rm_core::model::{ImageSpec, SiteImage};
/// use rm_testkit::conformance::{Level, Plain, suite};
///
/// # async fn example(backend: fn() -> Arc<dyn Backend<SiteImage>>, spec: ImageSpec) {
/// suite(Plain::new("mine", backend, spec)).await.assert(Level::Exact);
/// # }
/// ```
pub struct Plain<M: Model> {
    name: String,
    make: Box<dyn Fn() -> Arc<dyn Backend<M>> + Send + Sync>,
    specs: Specs<M>,
}

impl<M: Model> fmt::Debug for Plain<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plain").field(&self.name).finish()
    }
}

impl<M: Model> Plain<M> {
    /// `make` is called for each check and brings a backend at whose site
    /// nothing is.
    pub fn new(
        name: &str,
        make: impl Fn() -> Arc<dyn Backend<M>> + Send + Sync + 'static,
        sample: M::Spec,
    ) -> Self {
        Self {
            name: name.to_owned(),
            make: Box::new(make),
            specs: Specs {
                sample,
                bigger: None,
            },
        }
    }

    /// With a spec of another size.
    #[must_use]
    pub fn bigger(mut self, spec: M::Spec) -> Self {
        self.specs.bigger = Some(spec);
        self
    }
}

#[async_trait]
impl<M: Model> Subject for Plain<M> {
    type Model = M;

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn fresh(&self) -> Result<Ground<M>> {
        Ok(Ground::new((self.make)()))
    }

    async fn specs(&self, _catalog: &Catalog, _who: &Caller) -> Result<Specs<M>> {
        Ok(Specs {
            sample: self.specs.sample.clone(),
            bigger: self.specs.bigger.clone(),
        })
    }
}

/// Specs of clusters that one implementation makes: loads it, and asks for so
/// many slaves.
///
/// # Errors
///
/// What the catalog refuses.
pub async fn clusters(
    catalog: &Catalog,
    who: &Caller,
    implementation: NewImplementation,
    (few, more): (u32, u32),
) -> Result<Specs<Cluster>> {
    let appliance = implementation.appliance.clone();
    catalog
        .add_appliance(who, NewAppliance::new(&appliance))
        .await?;
    let added = catalog.add_implementation(who, implementation).await?;
    let spec = |slaves| ClusterSpec {
        appliance: appliance.clone(),
        implementation: added.id,
        revision: added.revision,
        slaves,
        others: 0,
        users: Vec::new(),
        parameters: BTreeMap::new(),
        ready_port: None,
        images: BTreeMap::new(),
    };
    Ok(Specs {
        sample: spec(few),
        bigger: Some(spec(more)),
    })
}

//! Where one check is played: a site, a store, a host, and the backend under
//! test, plain and as the engine gets it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rm_core::backend::{Backend, Capability, Cx, Mark, Progress, Serves};
use rm_core::calls::WatchCalls;
use rm_core::catalog::{Catalog, Credential, NewCredential, Site};
use rm_core::env::Env;
use rm_core::model::{Model, Node};
use rm_core::policy::{Policy, Repair};
use rm_core::registry::Media;
use rm_core::secret::{Secret, Unsealed};
use rm_core::store::{MemoryStore, Store};
use rm_core::{Caller, Host, Kind, RemoteId, ResourceId, Result};

use super::check::Declared;
use super::faulty::Faulty;
use super::subject::{Beside, Eyes, Specs, Subject};

mod direct;
mod drive;
mod truth;

pub(super) use direct::target;
use drive::Helper;

/// What the specs need that must be ready first: nothing.
static NEEDS: BTreeMap<String, RemoteId> = BTreeMap::new();

/// How long a site may work on one request.
const WORK: Duration = Duration::from_secs(8);

/// Under which name the host knows the backend.
const BACKEND: &str = "subject";

/// How time goes, and who else is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// So many times faster than the site's own.
    pub(super) speed: u32,
    /// Whether nobody else uses the site meanwhile.
    pub(super) alone: bool,
}

/// Where one check is played.
pub(super) struct Stage<M: Model> {
    pub(super) env: Arc<dyn Env>,
    pub(super) declared: Declared,
    pub(super) specs: Specs<M>,
    pub(super) site: Site,
    pub(super) credential: Credential,
    pub(super) secret: Secret,
    pub(super) who: Caller,
    pub(super) store: Arc<dyn Store>,
    pub(super) host: Arc<Host>,
    /// As the subject gave it.
    pub(super) backend: Arc<dyn Backend<M>>,
    /// As the engine gets it.
    pub(super) faulty: Arc<Faulty<M>>,
    pub(super) policy: Policy,
    pub(super) installation: String,
    pub(super) catalog: Arc<Catalog>,
    serves: Serves,
    media: Vec<Arc<dyn Media>>,
    eyes: Option<Arc<dyn Eyes>>,
    beside: Option<Beside>,
    calls: Option<Arc<dyn WatchCalls>>,
    helper: Helper,
    progress: Arc<Progress>,
    known: Mutex<Known>,
}

/// What this check has made, for the truth and for cleaning up.
#[derive(Debug, Default)]
struct Known {
    made: Vec<(RemoteId, Mark)>,
    marks: BTreeSet<Mark>,
    resources: BTreeSet<ResourceId>,
}

impl<M: Model> Stage<M> {
    /// Sets it up, in time that goes so many times faster than the site's own.
    pub(super) async fn open<S: Subject<Model = M>>(
        subject: &S,
        env: Arc<dyn Env>,
        pace: Pace,
    ) -> Result<Self> {
        let Pace { speed, alone } = pace;
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::clone(&env)));
        let ground = subject.fresh().await?;
        let catalog = Arc::new(Catalog::new(
            Arc::clone(&env),
            Arc::clone(&store),
            Arc::new(Unsealed),
            ground.media.clone(),
            vec![ground.site.api.clone()],
        ));
        let who = Caller::operator("conformance", "suite");
        let site = catalog.add_site(&who, ground.site).await?;
        let new = NewCredential::new("conformance", &site.name, ground.secret.clone());
        let credential = catalog.add_credential(&who, new).await?;
        let specs = subject.specs(&catalog, &who).await?;
        let faulty = Faulty::new(Arc::clone(&ground.backend), Arc::clone(&catalog));
        let mut cap = ground.backend.capability(&site);
        // The site answers as fast as ever, although time goes faster.
        cap.call_timeout *= speed;
        cap.change_timeout = cap.change_timeout.map(|d| d * speed);
        // Nor is it faster with what has reached it late.
        cap.late += WORK * (speed - 1);
        faulty.declare(cap);
        let mut policy = Policy::default();
        policy.first_look *= speed;
        policy.slowest_look *= speed;
        policy.sweep = Duration::from_secs(20);
        policy.destroy_tries = 6;
        if cap.billing_commit {
            // Whatever the policy says of what is gone.
            policy.repair = Repair::Recreate;
        }
        let mut stage = Self {
            declared: Declared {
                cap,
                sizes: specs.bigger.is_some(),
                users: cap.users && M::NAME == Node::NAME,
                alone,
            },
            installation: format!("c{:011x}", env.random() & 0xfff_ffff_ffff),
            host: Arc::new(Host::builder(Arc::clone(&env)).build()?),
            secret: Secret::new(ground.secret.to_string()),
            backend: ground.backend,
            serves: ground.serves,
            media: ground.media,
            eyes: ground.eyes,
            beside: ground.beside,
            calls: ground.calls,
            helper: Helper::default(),
            progress: Arc::default(),
            known: Mutex::default(),
            env,
            specs,
            site,
            credential,
            who,
            store,
            faulty,
            policy,
            catalog,
        };
        stage.host = stage.another_host()?;
        Ok(stage)
    }

    /// One more process on the same store.
    fn another_host(&self) -> Result<Arc<Host>> {
        let mut builder = Host::builder(Arc::clone(&self.env))
            .store(Arc::clone(&self.store))
            .policy(self.policy.clone())
            .installation(&*self.installation);
        if let Some(calls) = &self.calls {
            builder = builder.watch_calls(Arc::clone(calls));
        }
        let registries = builder.registries();
        for media in &self.media {
            registries.media(Arc::clone(media))?;
        }
        let faulty: Arc<dyn Backend<M>> = Arc::clone(&self.faulty) as _;
        registries.backend::<M>(BACKEND, self.serves.clone(), faulty)?;
        if let Some(install) = &self.beside {
            install(registries)?;
        }
        Ok(Arc::new(builder.build()?))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.serves.kind
    }

    pub(super) fn cap(&self) -> &Capability {
        &self.declared.cap
    }

    /// Declares something else to the engine than the backend does.
    pub(super) fn declare(&self, edit: impl FnOnce(&mut Capability)) {
        let mut cap = self.declared.cap;
        edit(&mut cap);
        self.faulty.declare(cap);
    }

    /// What a call on the backend gets.
    pub(super) fn cx(&self) -> Cx<'_> {
        self.cx_by(&self.credential, &self.secret)
    }

    /// The same by another credential.
    pub(super) fn cx_by<'a>(&'a self, credential: &'a Credential, secret: &'a Secret) -> Cx<'a> {
        Cx {
            env: &self.env,
            site: &self.site,
            credential,
            secret,
            catalog: &self.catalog,
            quick: false,
            asking: None,
            needs: &NEEDS,
            owner: None,
            progress: &self.progress,
            timeout: self.cap().call_timeout,
        }
    }

    /// A mark that nothing bears yet.
    pub(super) fn mark(&self) -> Mark {
        self.mark_of(&self.installation)
    }

    /// One of another installation on the same account.
    pub(super) fn sibling_mark(&self) -> Mark {
        self.mark_of(&self.sibling())
    }

    pub(super) fn sibling(&self) -> String {
        format!("{}.sibling", self.installation)
    }

    fn mark_of(&self, installation: &str) -> Mark {
        Mark {
            installation: installation.to_owned(),
            resource: ResourceId::new(&*self.env),
            incarnation: 1,
            generation: 1,
        }
    }

    /// How late a list may be, with something for the look itself.
    pub(super) fn visible(&self) -> Duration {
        self.cap().visibility + Duration::from_secs(1)
    }
}

//! A cloud that exists in memory only, and does what it is told to do wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rm_core::backend::{Capability, CreateKey, Serves};
use rm_core::model::{Cluster, SiteImage};
use rm_core::registry::Registries;
use rm_core::{Kind, Result};

use crate::world::Points;

mod backend;
mod behind;
mod call;
mod config;
mod fault;
mod images;
mod look;
mod media;
mod nodes;
mod site;
mod tell;
mod thing;
mod watched;

pub use config::{PLUGIN, SimConfig, SimSite};
pub use fault::{Answer, Fault, Rule, SimCall, Verb};
pub use images::{Fill, SimImage};
pub use media::{MEDIA_TYPE, SimBody};
pub(crate) use nodes::SPEC;
pub use nodes::{BROKEN_IMAGE, NODE, NODES_API};
pub use tell::Telling;
pub use thing::Thing;

use fault::Faults;
use site::Site;
use tell::Tellers;

/// The API type of simulated sites.
pub const API: &str = "sim";

/// Simulated sites, and a backend for them.
///
/// Sites come into being when they are first used, by their name in the
/// catalog; the accounts of a site are told apart by the word `account` in the
/// credential's secret. What is there lives in the memory of this process and
/// is lost with it.
#[derive(Debug)]
pub struct SimCloud {
    config: SimConfig,
    points: Points,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    capability: Capability,
    sites: BTreeMap<String, Site>,
    accounts: BTreeMap<String, Account>,
    faults: Faults,
    tellers: Tellers,
    named: u64,
}

/// What is particular to an account, at all sites.
#[derive(Debug, Default)]
struct Account {
    /// The only password that is accepted; any but `wrong` where absent.
    password: Option<String>,
    /// What its credential may not do.
    forbidden: Vec<Verb>,
}

impl SimCloud {
    /// A cloud of a real process.
    pub fn new(config: SimConfig) -> Arc<Self> {
        Self::in_world(config, Points::none())
    }

    /// A cloud of a simulated world.
    pub fn in_world(config: SimConfig, points: Points) -> Arc<Self> {
        let mut capability = Capability::new();
        capability.create_key = CreateKey::UniqueName;
        capability.absence = rm_core::backend::Absence::NotListed;
        capability.visibility = Duration::from_millis(config.visibility_ms);
        capability.late = Duration::from_secs(60);
        capability.list_by_owner = true;
        capability.resize = rm_core::backend::Resize::InPlace;
        capability.concurrency = config.concurrency;
        capability.page = 100;
        Arc::new(Self {
            config,
            points,
            state: Mutex::new(State {
                capability,
                sites: BTreeMap::new(),
                accounts: BTreeMap::new(),
                faults: Faults::default(),
                tellers: Tellers::default(),
                named: 0,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Contributes the backends `sim`, of clusters, and `sim-images`, and what
    /// understands the implementations.
    pub fn install(self: &Arc<Self>, registries: &mut Registries) -> Result<()> {
        let serves = Serves {
            kind: Kind::CLUSTER,
            api: API.to_owned(),
            media: vec![MEDIA_TYPE.to_owned()],
        };
        let watched = watched::Watched::<Cluster>::wrap(self, self.points.clone());
        registries.backend(API, serves, watched)?;
        let serves = Serves {
            kind: Kind::IMAGE,
            api: API.to_owned(),
            media: Vec::new(),
        };
        let watched = watched::Watched::<SiteImage>::wrap(self, self.points.clone());
        registries.backend("sim-images", serves, watched)?;
        registries.media(Arc::new(SimBody))
    }

    /// What is declared.
    pub fn declared(&self) -> Capability {
        self.lock().capability
    }

    /// Declares something else than what is true by default: unique names,
    /// complete lists, changes in place. Names are unique only while the
    /// declared key says so.
    pub fn declare(&self, edit: impl FnOnce(&mut Capability)) {
        edit(&mut self.lock().capability);
    }
}

impl State {
    fn site(&mut self, config: &SimConfig, name: &str) -> &mut Site {
        self.sites
            .entry(name.to_owned())
            .or_insert_with(|| Site::new(config.site(name)))
    }
    /// Tells of what has happened at a site.
    fn tell(&mut self, name: &str) {
        if let Some(site) = self.sites.get_mut(name) {
            let happened = std::mem::take(&mut site.happened);
            if self.capability.events {
                self.tellers.tell(name, happened);
            }
        }
    }
}

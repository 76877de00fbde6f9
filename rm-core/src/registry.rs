//! Registries: values that are filled while a host is built and passed along
//! afterwards; nobody asks one for anything while it is being filled.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::backend::{Backend, Serves};
use crate::driver::{Driver, Erased};
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::Kind;
use crate::manager::{Managed, ResourceManager};
use crate::model::{Cluster, Model, Node};
use crate::nodes::{self, NodeClusters, NodesBody};

mod adapters;
mod media;
mod plugin;

pub use adapters::{Adapter, AdapterRegistry, Contract};
#[cfg(feature = "inventory")]
#[doc(hidden)]
pub use inventory;
pub use media::{Media, SURROUNDINGS};
pub use plugin::{Plugin, PluginEntry, PluginFn, PluginInfo, nearest};

/// What a plugin contributes while it is installed.
#[derive(Debug, Default)]
pub struct Registries {
    plugins: Vec<PluginInfo>,
    /// Whose contributions these are; the host's own where absent.
    installing: Option<PluginInfo>,
    backends: BTreeMap<String, Registration>,
    adapters: AdapterRegistry,
    media: BTreeMap<String, (PluginInfo, Arc<dyn Media>)>,
}

type MakeManager =
    Box<dyn Fn(&Arc<Core>, Arc<dyn Driver>) -> Arc<dyn Any + Send + Sync> + Send + Sync>;

/// One backend as it was registered.
pub(crate) struct Registration {
    plugin: PluginInfo,
    pub(crate) serves: Serves,
    pub(crate) driver: Arc<dyn Driver>,
    make: MakeManager,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("plugin", &self.plugin)
            .field("serves", &self.serves)
            .finish_non_exhaustive()
    }
}

impl Registries {
    /// Empty ones.
    pub fn new() -> Self {
        Self::default()
    }

    /// Installs a plugin with its section of the configuration. Installing
    /// the same plugin of the same crate again changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`] where another crate brings a plugin of that name;
    /// the message names both crates.
    pub fn install(
        &mut self,
        plugin: &dyn Plugin,
        section: Option<&serde_json::Value>,
    ) -> Result<()> {
        let info = plugin.info();
        if let Some(known) = self.plugins.iter().find(|p| p.name == info.name) {
            if *known == info {
                return Ok(());
            }
            let what = format!("two plugins are called {:?}", info.name);
            return Err(both(&what, known, &info).advice("link only one of them"));
        }
        self.plugins.push(info);
        let outer = self.installing.replace(info);
        let installed = plugin.install(section, self);
        self.installing = outer;
        if installed.is_err() {
            self.plugins.retain(|p| *p != info);
        }
        installed
    }

    /// Installs every plugin that was linked and submitted itself, in the
    /// order of their names. A crate that the program never mentions is not
    /// linked: write `use rm_openstack as _;` in the binary.
    #[cfg(feature = "inventory")]
    pub fn install_linked(&mut self, sections: &BTreeMap<String, serde_json::Value>) -> Result<()> {
        let mut linked: Vec<&'static dyn Plugin> = inventory::iter::<PluginEntry>
            .into_iter()
            .map(|entry| entry.0)
            .collect();
        linked.sort_by_key(|p| {
            let info = p.info();
            (info.name, info.crate_name, info.crate_version)
        });
        for plugin in linked {
            self.install(plugin, sections.get(plugin.info().name))?;
        }
        Ok(())
    }

    /// Contributes a backend under a name of its own.
    pub fn backend<M: Model>(
        &mut self,
        name: &str,
        serves: Serves,
        backend: Arc<dyn Backend<M>>,
    ) -> Result<()> {
        let plugin = self.contributor();
        if let Some(known) = self.backends.get(name) {
            let what = format!("two backends are called {name:?}");
            return Err(both(&what, &known.plugin, &plugin).advice("give one of them another name"));
        }
        let driver: Arc<dyn Driver> = Arc::new(Erased::<M>(backend));
        let for_manager = (name.to_owned(), serves.clone());
        self.backends.insert(
            name.to_owned(),
            Registration {
                plugin,
                serves,
                driver,
                make: Box::new(move |core, driver| {
                    let (name, serves) = for_manager.clone();
                    let manager: Arc<dyn ResourceManager<M>> =
                        Arc::new(Managed::<M>::new(Arc::clone(core), name, serves, driver));
                    Arc::new(manager)
                }),
            },
        );
        Ok(())
    }

    /// Clusters made of nodes, for every type of site that has nodes.
    pub(crate) fn clusters_of_nodes(&mut self) -> Result<()> {
        let mut by_api: BTreeMap<String, NodeClusters> = BTreeMap::new();
        for (name, r) in &self.backends {
            if r.driver.model() == TypeId::of::<Node>() {
                let (kind, driver) = (r.serves.kind.clone(), Arc::clone(&r.driver));
                let clusters = by_api.entry(r.serves.api.clone()).or_default();
                clusters.add(name, kind, driver);
            }
        }
        if !by_api.is_empty() && !self.media.contains_key(nodes::MEDIA_TYPE) {
            self.media(Arc::new(NodesBody))?;
        }
        for (api, clusters) in by_api {
            let serves = Serves {
                kind: Kind::CLUSTER,
                media: vec![nodes::MEDIA_TYPE.to_owned()],
                api,
            };
            // A host that brings its own is left alone.
            if self.backends.values().all(|r| r.serves != serves) {
                let name = format!("{}.clusters", serves.api);
                self.backend::<Cluster>(&name, serves, Arc::new(clusters))?;
            }
        }
        Ok(())
    }

    /// Contributes what understands a media type.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`] where something else understands it already; the
    /// message names both crates.
    pub fn media(&mut self, media: Arc<dyn Media>) -> Result<()> {
        let plugin = self.contributor();
        let media_type = media.media_type().to_owned();
        if let Some((known, _)) = self.media.get(&media_type) {
            let what = format!("two plugins understand {media_type:?}");
            return Err(both(&what, known, &plugin).advice("link only one of them"));
        }
        self.media.insert(media_type, (plugin, media));
        Ok(())
    }

    /// Contributes an adapter for a contract.
    pub fn adapter<C: ?Sized + Contract>(&mut self, adapter: Arc<C>) -> Result<()> {
        self.adapters.add(adapter)
    }

    /// Who contributes now: the plugin that is being installed, or the host.
    fn contributor(&self) -> PluginInfo {
        self.installing.unwrap_or(PluginInfo {
            name: "host",
            crate_name: "the host itself",
            crate_version: "",
        })
    }

    /// The plugins installed so far.
    pub fn plugins(&self) -> &[PluginInfo] {
        &self.plugins
    }

    pub(crate) fn apis(&self) -> Vec<String> {
        let mut apis: Vec<String> = self
            .backends
            .values()
            .map(|b| b.serves.api.clone())
            .collect();
        apis.sort();
        apis.dedup();
        apis
    }

    pub(crate) fn all_media(&self) -> Vec<Arc<dyn Media>> {
        self.media
            .values()
            .map(|(_, media)| Arc::clone(media))
            .collect()
    }

    pub(crate) fn take(self) -> (BTreeMap<String, Registration>, AdapterRegistry) {
        (self.backends, self.adapters)
    }
}

/// Of two contributions that exclude each other, from whom each is.
fn both(what: &str, one: &PluginInfo, other: &PluginInfo) -> Error {
    let of = |p: &PluginInfo| format!("{} {}", p.crate_name, p.crate_version);
    let (one, other) = (of(one), of(other));
    Error::new(
        ErrorKind::Exists,
        format!("{what}: one of {}, one of {}", one.trim(), other.trim()),
    )
}

/// Managers, by the model and kind they serve.
#[derive(Default)]
pub struct ResourceManagerRegistry {
    managers: BTreeMap<String, (Serves, TypeId, Arc<dyn Any + Send + Sync>)>,
}

impl fmt::Debug for ResourceManagerRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.managers.keys()).finish()
    }
}

impl ResourceManagerRegistry {
    pub(crate) fn build(registrations: BTreeMap<String, Registration>, core: &Arc<Core>) -> Self {
        Self {
            managers: registrations
                .into_iter()
                .filter_map(|(name, r)| {
                    let driver = Arc::clone(core.drivers.get(&name)?);
                    let model = driver.model();
                    Some((name, (r.serves, model, (r.make)(core, driver))))
                })
                .collect(),
        }
    }

    /// The managers that serve a kind of this model, by name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] where none does; the message lists the kinds
    /// that are served.
    pub fn serving<M: Model>(&self, kind: &Kind) -> Result<Vec<Arc<dyn ResourceManager<M>>>> {
        let found: Vec<_> = self
            .managers
            .values()
            .filter(|(serves, model, _)| serves.kind == *kind && *model == TypeId::of::<M>())
            .filter_map(|(_, _, any)| any.downcast_ref::<Arc<dyn ResourceManager<M>>>())
            .cloned()
            .collect();
        if found.is_empty() {
            let mut kinds: Vec<&str> = self
                .managers
                .values()
                .map(|(serves, ..)| serves.kind.as_str())
                .collect();
            kinds.sort_unstable();
            kinds.dedup();
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("nothing here serves the kind {:?}", kind.as_str()),
            )
            .advice(if kinds.is_empty() {
                "no backend is linked at all".to_owned()
            } else {
                format!("the kinds are: {}", kinds.join(", "))
            }));
        }
        Ok(found)
    }

    /// All managers with what they serve, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Serves)> {
        self.managers
            .iter()
            .map(|(name, (serves, ..))| (name.as_str(), serves))
    }

    /// The names of all managers, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.all().map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests;

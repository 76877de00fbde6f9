//! Registries: values that are filled while a host is built and passed along
//! afterwards; nobody asks one for anything while it is being filled.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::backend::{Backend, Serves};
use crate::catalog::Script;
use crate::driver::{Driver, Erased};
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::Kind;
use crate::manager::{Managed, ResourceManager};
use crate::model::{Cluster, Model, Node};
use crate::nodes::{self, NodeClusters, NodesBody};

mod plugin;

#[cfg(feature = "inventory")]
#[doc(hidden)]
pub use inventory;
pub use plugin::{Plugin, PluginEntry, PluginFn, PluginInfo, nearest};

/// A translator for one contract and some kinds.
pub trait Adapter: fmt::Debug + Send + Sync + 'static {
    /// Unique among the adapters of its contract.
    fn name(&self) -> &'static str;
    /// Which kinds it translates.
    fn kinds(&self) -> &[Kind];
}

/// What an Rpc asks of an adapter: a trait of the Rpc's own. Implement it for
/// the `dyn` type alone, so that a registration under the wrong type does not
/// compile:
///
/// ```
/// # use std::sync::Arc;
/// # use rm_core::Kind;
/// use rm_core::registry::{Adapter, Contract, Registries};
///
/// trait Translates: Adapter {}
/// impl Contract for dyn Translates {
///     const NAME: &'static str = "translates";
/// }
///
/// #[derive(Debug)]
/// struct Mine;
/// impl Translates for Mine {}
/// # impl Adapter for Mine {
/// #     fn name(&self) -> &'static str { "mine" }
/// #     fn kinds(&self) -> &[Kind] { &[] }
/// # }
///
/// Registries::new().adapter::<dyn Translates>(Arc::new(Mine))?;
/// # Ok::<(), rm_core::Error>(())
/// ```
///
/// Under its own type nobody would find it:
///
/// ```compile_fail,E0277
/// # use std::sync::Arc;
/// # use rm_core::Kind;
/// # use rm_core::registry::{Adapter, Contract, Registries};
/// # trait Translates: Adapter {}
/// # impl Contract for dyn Translates {
/// #     const NAME: &'static str = "translates";
/// # }
/// # #[derive(Debug)]
/// # struct Mine;
/// # impl Translates for Mine {}
/// # impl Adapter for Mine {
/// #     fn name(&self) -> &'static str { "mine" }
/// #     fn kinds(&self) -> &[Kind] { &[] }
/// # }
/// Registries::new().adapter(Arc::new(Mine))?;
/// # Ok::<(), rm_core::Error>(())
/// ```
pub trait Contract: Adapter {
    /// The contract's name, for messages.
    const NAME: &'static str;
}

/// What requests call that which surrounds a cluster: it is said by the site, or
/// by whose credential is used there.
pub const SURROUNDINGS: [&str; 5] = ["network", "key", "image", "flavor", "allowed_ip"];

/// Understands one media type of implementations.
pub trait Media: fmt::Debug + Send + Sync + 'static {
    /// The media type.
    fn media_type(&self) -> &str;
    /// Refuses a body that could never become a resource.
    fn check(&self, body: &str) -> Result<()>;
    /// Refuses scripts and an environment that the body has no place for. By
    /// default no body has one.
    fn takes(
        &self,
        _body: &str,
        scripts: &[Script],
        environment: &BTreeMap<String, serde_json::Value>,
    ) -> Result<()> {
        if scripts.is_empty() && environment.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "implementations of the type {:?} take neither scripts nor an environment",
            self.media_type()
        ))
        .advice("leave them out, or make them part of the body"))
    }
    /// Refuses parameters of a caller that the body does not declare.
    fn accepts(&self, body: &str, parameters: &BTreeMap<String, serde_json::Value>) -> Result<()>;
    /// Whether a parameter says what surrounds a cluster, which who uses the means
    /// of somebody else must not choose. A type that knows other names for
    /// [`SURROUNDINGS`] knows them here, too.
    fn is_surroundings(&self, name: &str) -> bool {
        SURROUNDINGS.contains(&name)
    }
    /// How many slaves the body makes where a request does not say.
    fn default_slaves(&self, _body: &str) -> Option<u32> {
        None
    }
    /// Refuses a number of slaves that the body says itself it cannot make. By
    /// default only its site can tell.
    fn fits(&self, _body: &str, _slaves: u32) -> Result<()> {
        Ok(())
    }
    /// How many hosts the body makes beside the master and the slaves.
    fn others(&self, _body: &str) -> u32 {
        0
    }
    /// Whether the site must hold the appliance's images before anything is
    /// made of the body.
    fn needs_copies(&self) -> bool {
        true
    }
    /// Whether who asks for a cluster can say who logs in to its hosts. By
    /// default only the body says that.
    fn takes_users(&self) -> bool {
        false
    }
    /// A body made around an image of the site, for who brings no body; absent
    /// where this type has no such thing.
    fn around_image(&self, _image: &str) -> Option<String> {
        None
    }
    /// The image that a body was made around; absent for any other body.
    fn image_of(&self, _body: &str) -> Option<String> {
        None
    }
    /// The body as JSON, for who shows it; absent where it has no such form.
    fn as_json(&self, _body: &str) -> Option<serde_json::Value> {
        None
    }
}

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

/// Adapters, by the contract they fulfil.
#[derive(Default)]
pub struct AdapterRegistry {
    // TypeId of the contract's dyn type -> Vec<Arc<that dyn type>>.
    by_contract: BTreeMap<TypeId, Box<dyn Any + Send + Sync>>,
    names: Vec<(&'static str, &'static str)>,
}

impl fmt::Debug for AdapterRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AdapterRegistry").field(&self.names).finish()
    }
}

impl AdapterRegistry {
    fn add<C: ?Sized + Contract>(&mut self, adapter: Arc<C>) -> Result<()> {
        let entry = (C::NAME, adapter.name());
        if self.names.contains(&entry) {
            return Err(Error::new(
                ErrorKind::Exists,
                format!("two adapters for {} are called {:?}", entry.0, entry.1),
            )
            .advice("link only one of them"));
        }
        self.names.push(entry);
        self.names.sort_unstable();
        let list = self
            .by_contract
            .entry(TypeId::of::<C>())
            .or_insert_with(|| Box::new(Vec::<Arc<C>>::new()));
        if let Some(list) = list.downcast_mut::<Vec<Arc<C>>>() {
            list.push(adapter);
            list.sort_by_key(|a| a.name());
        }
        Ok(())
    }

    /// The adapters that fulfil the contract, by name.
    pub fn all<C: ?Sized + Contract>(&self) -> Vec<Arc<C>> {
        self.by_contract
            .get(&TypeId::of::<C>())
            .and_then(|list| list.downcast_ref::<Vec<Arc<C>>>())
            .cloned()
            .unwrap_or_default()
    }

    /// Those of them that translate the kind.
    pub fn supporting<C: ?Sized + Contract>(&self, kind: &Kind) -> Vec<Arc<C>> {
        let mut all = self.all::<C>();
        all.retain(|a| a.kinds().contains(kind));
        all
    }

    /// Contracts and adapters there are, as (contract, adapter), sorted.
    pub fn names(&self) -> &[(&'static str, &'static str)] {
        &self.names
    }
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

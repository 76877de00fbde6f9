//! Nodes as slivers: containers and virtual machines, whoever runs them.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use rm_core::catalog::{Image, Site};
use rm_core::manager::ResourceManager;
use rm_core::model;
use rm_core::record::ResourceRecord;
use rm_core::registry::{Adapter, Registries};
use rm_core::store::Batch;
use rm_core::{Call, Caller, ErrorKind, Kind, Result};

use super::Urn;
use super::rspec::{Available, DiskImage, HardwareType, Node, Rspec, SliverType};
use super::sliver::{GeniSliver, Joined, Refusal, Sliver, SliverTerms};
use super::states::{self, Standing};

mod admit;
mod fit;
mod held;
mod linked;
mod place;
mod roomy;
mod shape;

use held::NodeSliver;
use roomy::Roomy;

/// How many entries of the catalog, and how many resources, are read at once.
const PAGE: u32 = 200;

type Manager = Arc<dyn ResourceManager<model::Node>>;

/// Offers nodes of some kinds, each by the name of its type of sliver.
#[derive(Debug)]
pub struct NodeSlivers {
    /// Those that are offered come first. The others are what there may be of
    /// earlier days: who has it keeps it, and can do with it whatever can be done.
    kinds: Vec<Kind>,
    types: Vec<&'static str>,
    offered: usize,
    roomy: Roomy,
}

impl NodeSlivers {
    /// Offers these kinds, each with what RSpecs call it. Slivers of the usual
    /// kinds that are not among them are served all the same, and no more of them
    /// are made.
    pub fn new(types: impl IntoIterator<Item = (Kind, &'static str)>) -> Self {
        let (mut kinds, mut types): (Vec<Kind>, Vec<&'static str>) = types.into_iter().unzip();
        let offered = kinds.len();
        for (kind, name) in usual() {
            if !kinds.contains(&kind) {
                kinds.push(kind);
                types.push(name);
            }
        }
        Self {
            kinds,
            types,
            offered,
            roomy: Roomy::default(),
        }
    }

    /// The managers of the types of slivers that are offered and linked, each
    /// with what RSpecs call it.
    fn managers(&self, call: &Call<'_>) -> Result<Vec<(&'static str, Manager)>> {
        self.first(self.offered, call)
    }

    /// The same of so many of the kinds.
    fn first(&self, kinds: usize, call: &Call<'_>) -> Result<Vec<(&'static str, Manager)>> {
        let mut all = Vec::new();
        for (kind, name) in self.kinds.iter().zip(&self.types).take(kinds) {
            match call.host.managers().serving::<model::Node>(kind) {
                Ok(managers) => all.extend(managers.into_iter().map(|m| (*name, m))),
                Err(e) if e.kind() == ErrorKind::Unsupported => {}
                Err(e) => return Err(e),
            }
        }
        Ok(all)
    }
}

impl Default for NodeSlivers {
    fn default() -> Self {
        Self::new(usual())
    }
}

/// The kinds of nodes that are known here, each with what RSpecs call it.
fn usual() -> [(Kind, &'static str); 3] {
    [
        (Kind::from_static("vm.lxc"), "lxc"),
        (Kind::from_static("vm.xen"), "xen"),
        (Kind::from_static("vm.kvm"), "kvm"),
    ]
}

impl Adapter for NodeSlivers {
    fn name(&self) -> &'static str {
        "geni.nodes"
    }

    fn kinds(&self) -> &[Kind] {
        &self.kinds
    }
}

#[async_trait]
impl GeniSliver for NodeSlivers {
    async fn advertise(
        &self,
        call: &Call<'_>,
        aggregate: &Urn,
        means: &Caller,
        available: bool,
        into: &mut Rspec,
    ) -> Result<()> {
        // Which API is spoken by who makes which type.
        let managers = self.managers(call)?;
        let made = || managers.iter().map(|(name, m)| (*name, &*m.serves().api));
        let catalog = call.host.catalog();
        let known = images(call).await?;
        let images: Vec<DiskImage> = known
            .iter()
            .map(|image| DiskImage {
                name: Some(urn_of(aggregate, image).as_str().into()),
                description: Some(image.name.as_str().into()),
                ..DiskImage::default()
            })
            .collect();
        // Whoever asks for what can be had asks for room, too.
        let roomy = match available {
            true => Some(
                self.roomy
                    .sites(&managers, call, means, aggregate, &known)
                    .await?,
            ),
            false => None,
        };
        let mut after = None;
        loop {
            let page = catalog.sites(after.as_ref(), PAGE).await?;
            for site in &page.items {
                let types: BTreeSet<&str> = made()
                    .filter(|(_, api)| *api == site.api)
                    .map(|(name, _)| name)
                    .collect();
                if types.is_empty() || roomy.as_ref().is_some_and(|r| !r.contains(&site.id)) {
                    continue;
                }
                let means = catalog.credentials_for(means, site.id).await?;
                let now = match means.is_empty() {
                    true => "false",
                    false => "true",
                };
                into.nodes
                    .push(offered(site, aggregate, now, &types, &images));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let types: BTreeSet<&str> = made().map(|(name, _)| name).collect();
        if !types.is_empty() {
            into.extra.add(states::extension(aggregate, types));
        }
        Ok(())
    }

    fn sliver_types(&self, call: &Call<'_>) -> Vec<&'static str> {
        let mut types: Vec<&'static str> = Vec::new();
        for (name, _) in self.managers(call).unwrap_or_default() {
            if !types.contains(&name) {
                types.push(name);
            }
        }
        types
    }

    async fn prepare(
        &self,
        call: &Call<'_>,
        nodes: &[&Node],
        links: &[Joined<'_>],
        terms: &SliverTerms<'_>,
        into: &mut Batch,
    ) -> Result<Vec<Arc<ResourceRecord>>, Refusal> {
        place::prepare(self.managers(call)?, call, (nodes, links), terms, into).await
    }

    async fn admits(
        &self,
        call: &Call<'_>,
        slivers: &[&ResourceRecord],
        users: &[model::NodeUser],
    ) -> Result<()> {
        admit::admits(&self.first(self.kinds.len(), call)?, call, slivers, users).await
    }

    async fn held(&self, call: &Call<'_>) -> Result<Vec<Box<dyn Sliver>>> {
        let mut held: Vec<Box<dyn Sliver>> = Vec::new();
        for (_, manager) in self.first(self.kinds.len(), call)? {
            let mut after = None;
            loop {
                let page = manager.find(call.who, false, after.as_ref(), PAGE).await?;
                held.extend(
                    page.items
                        .into_iter()
                        .map(|node| Box::new(NodeSliver(node)) as Box<dyn Sliver>),
                );
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(held)
    }

    fn standing(&self, record: &ResourceRecord) -> Standing {
        held::standing(record)
    }

    fn tell(&self, record: &ResourceRecord, aggregate: &Urn, ends: &[usize], node: &mut Node) {
        held::tell(record, aggregate, ends, node);
    }
}

/// A site as a component that makes slivers, and whether it can be used.
fn offered(
    site: &Site,
    aggregate: &Urn,
    now: &str,
    types: &BTreeSet<&str>,
    images: &[DiskImage],
) -> Node {
    let urn = component(aggregate, &site.name);
    Node {
        component_id: Some(urn.as_str().into()),
        component_manager_id: Some(aggregate.as_str().into()),
        component_name: Some(site.name.as_str().into()),
        exclusive: Some("false".into()),
        available: vec![Available {
            now: Some(now.into()),
            ..Available::default()
        }],
        hardware_types: vec![HardwareType {
            name: Some("pc".into()),
            ..HardwareType::default()
        }],
        sliver_types: types
            .iter()
            .map(|name| SliverType {
                name: Some((*name).into()),
                disk_images: images.to_vec(),
                ..SliverType::default()
            })
            .collect(),
        ..Node::default()
    }
}

async fn images(call: &Call<'_>) -> Result<Vec<Image>> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = call.host.catalog().images(after.as_ref(), PAGE).await?;
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// What RSpecs call an image.
fn urn_of(aggregate: &Urn, image: &Image) -> Urn {
    Urn::new(aggregate.authority(), "image", &image.name)
}

/// What RSpecs call a site.
fn component(aggregate: &Urn, site: &str) -> Urn {
    Urn::new(aggregate.authority(), "node", site)
}

/// Registers what is here for GENI.
///
/// # Errors
///
/// Where an adapter of this name is registered already.
pub fn register(registries: &mut Registries) -> Result<()> {
    registries.adapter::<dyn GeniSliver>(Arc::new(NodeSlivers::default()))
}

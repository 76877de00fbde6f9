//! Nodes as slivers: containers and virtual machines, whoever runs them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use rm_core::catalog::Image;
use rm_core::manager::ResourceManager;
use rm_core::model;
use rm_core::record::ResourceRecord;
use rm_core::registry::Adapter;
use rm_core::store::Batch;
use rm_core::{Call, CatalogId, ErrorKind, Kind, Result};

use super::Urn;
use super::component::{Components, PAGE};
use super::fresh::Fresh;
use super::rspec::{DiskImage, Node, Rspec, SliverType};
use super::sliver::{GeniSliver, Joined, Refusal, Sliver, SliverTerms, Unfit};
use super::states::{self, Family, Standing};

mod admit;
mod fit;
mod held;
mod linked;
mod place;
mod roomy;
mod shape;

use held::NodeSliver;
use roomy::roomy;

type Manager = Arc<dyn ResourceManager<model::Node>>;

/// Offers nodes of some kinds, each by the name of its type of sliver.
#[derive(Debug)]
pub struct NodeSlivers {
    /// Those that are offered come first. The others are what there may be of
    /// earlier days: who has it keeps it, and can do with it whatever can be done.
    kinds: Vec<Kind>,
    types: Vec<&'static str>,
    offered: usize,
    roomy: Fresh<BTreeSet<CatalogId>>,
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
            roomy: Fresh::default(),
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
        there: &Components,
        available: bool,
        into: &mut Rspec,
    ) -> Result<()> {
        let aggregate = &there.aggregate;
        let managers = self.managers(call)?;
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
            true => {
                let ask = roomy(&managers, call, there, &known);
                Some(self.roomy.answer(call, &there.means, ask).await?)
            }
            false => None,
        };
        // Of which types it can be changed who logs in, wherever they are listed:
        // what is told of a type is told of it at every component.
        let (mut with_users, mut without) = (BTreeSet::new(), BTreeSet::new());
        for site in &there.sites {
            let here = managers.iter().filter(|(_, m)| m.serves().api == site.api);
            let here: Vec<&(&str, Manager)> = here.collect();
            let types: BTreeSet<&str> = here.iter().map(|(name, _)| *name).collect();
            if types.is_empty() || roomy.as_ref().is_some_and(|r| !r.contains(&site.id)) {
                continue;
            }
            for (name, manager) in here {
                match held::changes_users(&manager.capability(site)) {
                    true => with_users.insert(*name),
                    false => without.insert(*name),
                };
            }
            let node = there.advertised(site, into)?;
            node.sliver_types
                .extend(types.iter().map(|name| SliverType {
                    name: Some((*name).into()),
                    disk_images: images.clone(),
                    ..SliverType::default()
                }));
        }
        with_users.retain(|name| !without.contains(name));
        let all = managers.iter().map(|(name, _)| *name);
        let plain: BTreeSet<&str> = all.filter(|name| !with_users.contains(name)).collect();
        for (types, family) in [
            (plain, Family::NODES),
            (with_users, Family::NODES_WITH_USERS),
        ] {
            if !types.is_empty() {
                into.extra.add(states::extension(aggregate, types, family));
            }
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

    async fn unfit(
        &self,
        call: &Call<'_>,
        slivers: &[&ResourceRecord],
        users: &[model::NodeUser],
    ) -> Result<Vec<Unfit>> {
        admit::unfit(&self.first(self.kinds.len(), call)?, call, slivers, users).await
    }

    async fn held(&self, call: &Call<'_>) -> Result<Vec<Box<dyn Sliver>>> {
        let mut held: Vec<Box<dyn Sliver>> = Vec::new();
        for (_, manager) in self.first(self.kinds.len(), call)? {
            // Of each site, whether who logs in can be changed there.
            let mut families: BTreeMap<CatalogId, Family> = BTreeMap::new();
            let mut after = None;
            loop {
                let page = manager.find(call.who, false, after.as_ref(), PAGE).await?;
                for node in page.items {
                    // A node of a cluster is no sliver: the cluster is.
                    if node.record().part_of.is_some() {
                        continue;
                    }
                    let at = node.record().place.site;
                    let family = match families.get(&at) {
                        Some(family) => *family,
                        None => {
                            let family = held::family(call, &*manager, at).await?;
                            *families.entry(at).or_insert(family)
                        }
                    };
                    held.push(Box::new(NodeSliver { node, family }));
                }
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

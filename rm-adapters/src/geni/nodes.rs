//! Nodes as slivers: containers and virtual machines, whoever runs them.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use rm_core::catalog::Site;
use rm_core::model;
use rm_core::registry::{Adapter, Registries};
use rm_core::{Call, ErrorKind, Kind, Result};

use super::Urn;
use super::rspec::{Available, DiskImage, HardwareType, Node, Rspec, SliverType};
use super::sliver::GeniSliver;
use super::states;

/// How many entries of the catalog are read at once.
const PAGE: u32 = 200;

/// Offers nodes of some kinds, each by the name of its type of sliver.
#[derive(Debug)]
pub struct NodeSlivers {
    kinds: Vec<Kind>,
    types: Vec<&'static str>,
}

impl NodeSlivers {
    /// These kinds, each with what RSpecs call it.
    pub fn new(types: impl IntoIterator<Item = (Kind, &'static str)>) -> Self {
        let (kinds, types) = types.into_iter().unzip();
        Self { kinds, types }
    }
}

impl Default for NodeSlivers {
    fn default() -> Self {
        Self::new([
            (Kind::from_static("vm.lxc"), "lxc"),
            (Kind::from_static("vm.xen"), "xen"),
            (Kind::from_static("vm.kvm"), "kvm"),
        ])
    }
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
        _available: bool,
        into: &mut Rspec,
    ) -> Result<()> {
        // Which API is spoken by who makes which type.
        let mut made: Vec<(&str, String)> = Vec::new();
        for (kind, name) in self.kinds.iter().zip(&self.types) {
            match call.host.managers().serving::<model::Node>(kind) {
                Ok(managers) => {
                    made.extend(managers.iter().map(|m| (*name, m.serves().api.clone())));
                }
                Err(e) if e.kind() == ErrorKind::Unsupported => {}
                Err(e) => return Err(e),
            }
        }
        let images = images(call, aggregate).await?;
        let mut after = None;
        loop {
            let page = call.host.catalog().sites(after.as_ref(), PAGE).await?;
            for site in &page.items {
                let types: BTreeSet<&str> = made
                    .iter()
                    .filter(|(_, api)| *api == site.api)
                    .map(|(name, _)| *name)
                    .collect();
                if !types.is_empty() {
                    into.nodes.push(offered(site, aggregate, &types, &images));
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let types: BTreeSet<&str> = made.iter().map(|(name, _)| *name).collect();
        if !types.is_empty() {
            into.extra.add(states::extension(aggregate, types));
        }
        Ok(())
    }
}

/// A site as a component that makes slivers.
fn offered(site: &Site, aggregate: &Urn, types: &BTreeSet<&str>, images: &[DiskImage]) -> Node {
    let urn = Urn::new(aggregate.authority(), "node", &site.name);
    Node {
        component_id: Some(urn.as_str().into()),
        component_manager_id: Some(aggregate.as_str().into()),
        component_name: Some(site.name.as_str().into()),
        exclusive: Some("false".into()),
        available: vec![Available {
            now: Some("true".into()),
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

async fn images(call: &Call<'_>, aggregate: &Urn) -> Result<Vec<DiskImage>> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = call.host.catalog().images(after.as_ref(), PAGE).await?;
        for image in &page.items {
            let urn = Urn::new(aggregate.authority(), "image", &image.name);
            found.push(DiskImage {
                name: Some(urn.as_str().into()),
                description: Some(image.name.as_str().into()),
                ..DiskImage::default()
            });
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// Registers what is here for GENI.
///
/// # Errors
///
/// Where an adapter of this name is registered already.
pub fn register(registries: &mut Registries) -> Result<()> {
    registries.adapter::<dyn GeniSliver>(Arc::new(NodeSlivers::default()))
}

//! Components: what RSpecs call a site, by whose means it is used, and which of
//! them a node of a request may be at.

use std::collections::BTreeMap;
use std::sync::Arc;

use rm_core::catalog::{Credential, Site};
use rm_core::{Caller, CatalogId, Error, ErrorKind, Host, Result};

use super::Urn;
use super::rspec::{Available, HardwareType, Node, Rspec, Text};
use super::xml::short;

/// How many entries of the catalog, and how many resources, are read at once.
pub(super) const PAGE: u32 = 200;

/// What RSpecs call the hardware here: none of anybody's own.
pub(super) const HARDWARE: &str = "pc";

/// What RSpecs call a site.
pub(super) fn component(aggregate: &Urn, site: &str) -> Urn {
    Urn::new(aggregate.authority(), "node", site)
}

/// All sites there are.
pub(super) async fn sites(host: &Host) -> Result<Vec<Site>> {
    let mut sites = Vec::new();
    let mut after = None;
    loop {
        let page = host.catalog().sites(after.as_ref(), PAGE).await?;
        sites.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(sites);
        }
    }
}

/// By what each site can be used by these means: by the caller's own credential
/// before those of others, the oldest first. All of them are read at once, and not
/// site by site: there may be many sites.
pub(super) async fn usable(
    host: &Host,
    means: &Caller,
) -> Result<BTreeMap<CatalogId, Arc<Credential>>> {
    let mut usable: BTreeMap<CatalogId, Arc<Credential>> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = host
            .catalog()
            .credentials(means, after.as_ref(), PAGE)
            .await?;
        for one in page.items {
            let own = one.user == means.user;
            let better = |had: &Arc<Credential>| own && had.user != means.user;
            if usable.get(&one.site).is_none_or(better) {
                usable.insert(one.site, Arc::new(one));
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(usable);
        }
    }
}

/// All components there are, read once for whoever tells of them.
#[derive(Debug, Clone)]
pub struct Components {
    /// The aggregate, after which they are named.
    pub aggregate: Urn,
    /// By whose credentials their sites are used.
    pub means: Caller,
    /// Their sites.
    pub sites: Vec<Site>,
    pub(super) usable: BTreeMap<CatalogId, Arc<Credential>>,
}

impl Components {
    /// Those of an aggregate that uses sites by these means.
    ///
    /// # Errors
    ///
    /// Where the catalog cannot be read.
    pub async fn read(host: &Host, aggregate: &Urn, means: Caller) -> Result<Self> {
        Ok(Self {
            aggregate: aggregate.clone(),
            sites: sites(host).await?,
            usable: usable(host, &means).await?,
            means,
        })
    }

    /// The component of an advertisement that a site is: the one that is there, or
    /// another one. It can be had where there are means for it.
    pub(super) fn advertised<'a>(&self, site: &Site, into: &'a mut Rspec) -> Result<&'a mut Node> {
        let urn = component(&self.aggregate, &site.name);
        let named = |node: &Node| node.component_id.as_deref() == Some(urn.as_str());
        let at = match into.nodes.iter().position(named) {
            Some(at) => at,
            None => {
                let now = match self.usable.contains_key(&site.id) {
                    true => "true",
                    false => "false",
                };
                into.nodes.push(Node {
                    component_id: Some(urn.as_str().into()),
                    component_manager_id: Some(self.aggregate.as_str().into()),
                    component_name: Some(site.name.as_str().into()),
                    exclusive: Some("false".into()),
                    available: vec![Available {
                        now: Some(now.into()),
                        ..Available::default()
                    }],
                    hardware_types: vec![HardwareType {
                        name: Some(HARDWARE.into()),
                        ..HardwareType::default()
                    }],
                    ..Node::default()
                });
                into.nodes.len() - 1
            }
        };
        let node = into.nodes.get_mut(at);
        node.ok_or_else(|| Error::new(ErrorKind::Internal, "a component is lost"))
    }
}

/// Whether a node may be at this site: it names no component, or this one.
pub(super) fn may_be_at(node: &Node, site: &str, aggregate: &Urn) -> bool {
    let said = |text: &Text| {
        text.as_deref()
            .map(str::trim)
            .unwrap_or_default()
            .to_owned()
    };
    let (id, name) = (said(&node.component_id), said(&node.component_name));
    if !id.is_empty() {
        let ours = component(aggregate, site);
        return id.parse::<Urn>().is_ok_and(|urn| urn == ours);
    }
    name.is_empty() || name == site
}

/// Whether a node names the component that it is to be at.
pub(super) fn is_placed(node: &Node) -> bool {
    let said = |text: &Text| text.as_deref().is_some_and(|t| !t.trim().is_empty());
    said(&node.component_id) || said(&node.component_name)
}

/// Tells where a node of a request is made.
pub(super) fn tell_place(node: &mut Node, aggregate: &Urn, site: &str) {
    node.component_id = Some(component(aggregate, site).as_str().into());
    node.component_name = Some(site.into());
    node.exclusive = Some("false".into());
}

/// Refuses who wants a machine of their own.
pub(super) fn shares(node: &Node) -> Result<()> {
    if !node.exclusive.as_deref().is_some_and(is_true) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("{} asks for a machine of its own", named(node)),
    )
    .code("not-exclusive")
    .advice("write exclusive=\"false\": what is made here shares its host"))
}

/// What people call it.
pub(super) fn named(node: &Node) -> String {
    format!("node {:?}", short(node.client_id.as_deref().unwrap_or("")))
}

fn is_true(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "1")
}

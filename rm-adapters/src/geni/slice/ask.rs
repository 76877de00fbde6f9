//! What becomes of a request: it is read and checked, split among the adapters
//! of its types of slivers, and prepared by all of them into one batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rm_core::env::Env;
use rm_core::record::ResourceRecord;
use rm_core::store::Batch;
use rm_core::{Error, ErrorKind, Host, Result};

use super::granted::can_be_granted;
use super::{Asked, Listed, Opened, Told};
use crate::geni::Urn;
use crate::geni::rspec::{Kind, Link, Node, Rspec, Severity, faults, is_ours, our_links};
use crate::geni::sliver::{GeniSliver, Joined, Refusal, SliverTerms};
use crate::geni::xml::short;

/// The ends of a link: each a node and one of its interfaces, by their places.
type Ends = Vec<(usize, usize)>;

/// A request that can be granted as far as it says itself.
#[derive(Debug, Clone)]
pub(in crate::geni) struct Wish {
    text: Arc<str>,
    /// What is for this aggregate.
    nodes: Arc<[Node]>,
    /// Its links.
    links: Arc<[(Link, Ends)]>,
}

/// Reads a request.
///
/// # Errors
///
/// `bad-arguments` where it is none, or what it says cannot be meant; the first
/// fault with its line.
pub(in crate::geni) fn read_request(text: &str, aggregate: &Urn) -> Result<Wish> {
    let ours = Some(aggregate.as_str());
    let rspec = Rspec::parse(text)?;
    if rspec.kind() != Some(Kind::Request) {
        return Err(Error::invalid("this RSpec is no request")
            .code("no-request")
            .advice("send one with type=\"request\""));
    }
    let all = faults(&rspec, ours);
    let mut errors = all.iter().filter(|f| f.severity == Severity::Error);
    if let Some(first) = errors.next() {
        let more = match errors.count() {
            0 => String::new(),
            n => format!(" (and {n} more)"),
        };
        return Err(
            Error::invalid(format!("the request is wrong: {first}{more}"))
                .code(first.code)
                .advice("the command rspec lint tells all of it"),
        );
    }
    let whose = our_links(&rspec, ours);
    let nodes: Vec<Node> = rspec
        .nodes
        .into_iter()
        .filter(|node| is_ours(node, ours))
        .collect();
    if nodes.is_empty() {
        return Err(
            Error::invalid("the request asks for nothing of this aggregate")
                .code("nothing-for-us")
                .advice(format!(
                    "write component_manager_id={:?}",
                    aggregate.as_str()
                )),
        );
    }
    let links = rspec.links.into_iter().zip(whose);
    let links: Vec<Link> = links.filter_map(|(l, ours)| ours.then_some(l)).collect();
    can_be_granted(&nodes, &links)?;
    let at = ends(&nodes, &links)?;
    Ok(Wish {
        text: text.into(),
        nodes: nodes.into(),
        links: links.into_iter().zip(at).collect(),
    })
}

/// Where each link ends: at which node, and at which of its interfaces. All of
/// that must be here, and an interface is the end of one link.
fn ends(nodes: &[Node], links: &[Link]) -> Result<Vec<Ends>> {
    let mut there = BTreeMap::new();
    for (at, node) in nodes.iter().enumerate() {
        for (place, interface) in node.interfaces.iter().enumerate() {
            if let Some(id) = interface.client_id.as_deref() {
                there.insert(id, (at, place));
            }
        }
    }
    let mut used = BTreeSet::new();
    let mut all = Vec::with_capacity(links.len());
    for link in links {
        let named = short(link.client_id.as_deref().unwrap_or_default());
        let mut ends = Vec::with_capacity(link.interface_refs.len());
        for end in &link.interface_refs {
            let id = end.client_id.as_deref().unwrap_or_default();
            let end = there.get(id).copied().ok_or_else(|| {
                Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "link {named:?} ends at {:?}, at another aggregate",
                        short(id)
                    ),
                )
                .code("link-to-elsewhere")
                .advice("links are made between nodes of this aggregate")
            })?;
            if !used.insert(end) {
                return Err(Error::invalid(format!(
                    "the interface {:?} is the end of two links",
                    short(id)
                ))
                .code("two-links")
                .advice("give the node another interface"));
            }
            ends.push(end);
        }
        if ends.is_empty() {
            return Err(Error::invalid(format!("link {named:?} has no ends"))
                .code("no-ends")
                .advice("write an interface_ref for each interface that it connects"));
        }
        all.push(ends);
    }
    Ok(all)
}

/// A request that is prepared, and not committed yet.
#[derive(Debug)]
pub(in crate::geni) struct Prepared {
    /// What the slice has to keep of it.
    pub(in crate::geni) asked: Asked,
    /// What there will be, in the order of the request.
    pub(in crate::geni) slivers: Vec<(Arc<dyn GeniSliver>, Arc<ResourceRecord>)>,
}

impl Prepared {
    /// For its manifest.
    pub(in crate::geni) fn told(&self) -> Told {
        let names = self.asked.slivers.iter().map(|l| l.client_id.clone());
        Told {
            rspec: Arc::clone(&self.asked.rspec),
            slivers: names.zip(self.slivers.iter().cloned()).collect(),
        }
    }
}

impl Wish {
    /// What is asked for by name: nodes and their interfaces, and links.
    pub(super) fn names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let nodes = self.nodes.iter().flat_map(|node| {
            let ends = node.interfaces.iter().map(|i| ("interface", &i.client_id));
            std::iter::once(("node", &node.client_id)).chain(ends)
        });
        let links = self.links.iter().map(|(link, _)| ("link", &link.client_id));
        let all = nodes.chain(links);
        all.filter_map(|(what, name)| Some((what, name.as_deref()?)))
    }

    /// Writes all that is asked for into a batch.
    pub(in crate::geni) async fn prepare(
        &self,
        host: &Host,
        slice: &Opened,
        terms: &SliverTerms<'_>,
        into: &mut Batch,
    ) -> Result<Prepared, Refusal> {
        let name = |node: &Node| node.client_id.as_deref().unwrap_or_default().to_owned();
        let call = host.call(&slice.owner);
        let adapters = host.adapters().all::<dyn GeniSliver>();
        let types: Vec<Vec<&str>> = adapters.iter().map(|a| a.sliver_types(&call)).collect();
        // Which adapter makes which nodes, by their places in the request.
        let mut split: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let wanted = node.sliver_types.first().and_then(|t| t.name.as_deref());
            let makes = match wanted {
                Some(name) => types.iter().position(|types| types.contains(&name)),
                None => usual(&adapters, &types),
            };
            let makes = makes.ok_or_else(|| unknown_type(node, wanted, &types))?;
            split.entry(makes).or_default().push(at);
        }
        let mut links = self.links(&**host.env(), &split)?;
        // Each is a resource of one node at the least. No site is asked for what
        // the slice may not have anyway.
        let least = u64::try_from(self.nodes.len()).unwrap_or(u64::MAX);
        host.allows(&slice.owner, least, least, into).await?;
        let mut made = BTreeMap::new();
        for (which, places) in split {
            let Some(adapter) = adapters.get(which) else {
                continue;
            };
            let nodes: Vec<&Node> = places.iter().filter_map(|at| self.nodes.get(*at)).collect();
            let links = links.remove(&which).unwrap_or_default();
            let records = adapter.prepare(&call, &nodes, &links, terms, into).await?;
            if records.len() != places.len() {
                return Err(Error::new(
                    ErrorKind::Internal,
                    format!("the adapter {:?} left out a node", adapter.name()),
                )
                .into());
            }
            for (at, record) in places.into_iter().zip(records) {
                made.insert(at, (Arc::clone(adapter), record));
            }
        }
        let slivers: Vec<_> = made.into_values().collect();
        let listed = self.nodes.iter().zip(&slivers);
        Ok(Prepared {
            asked: Asked {
                rspec: Arc::clone(&self.text),
                end: None,
                slivers: listed
                    .map(|(node, (adapter, record))| Listed {
                        client_id: name(node),
                        adapter: adapter.name().to_owned(),
                        resource: record.id,
                    })
                    .collect(),
            },
            slivers,
        })
    }

    /// The links of each adapter, with the places of nodes as it gets them.
    fn links(
        &self,
        env: &dyn Env,
        split: &BTreeMap<usize, Vec<usize>>,
    ) -> Result<BTreeMap<usize, Vec<Joined<'_>>>> {
        let mut whose = BTreeMap::new();
        for (adapter, places) in split {
            for (place, at) in places.iter().enumerate() {
                whose.insert(*at, (*adapter, place));
            }
        }
        let mut links: BTreeMap<usize, Vec<Joined<'_>>> = BTreeMap::new();
        for (link, ends) in self.links.iter() {
            let name = link.client_id.as_deref().unwrap_or_default();
            let mut of = None;
            let mut joined = Vec::with_capacity(ends.len());
            for (node, interface) in ends {
                let Some((adapter, place)) = whose.get(node).copied() else {
                    continue;
                };
                if *of.get_or_insert(adapter) != adapter {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        format!("link {:?} is between kinds that nothing links", short(name)),
                    )
                    .code("no-such-link")
                    .advice("link slivers of types that one adapter makes"));
                }
                joined.push((place, *interface));
            }
            links
                .entry(of.unwrap_or_default())
                .or_default()
                .push(Joined {
                    link,
                    name: format!("{:016x}{:016x}", env.random(), env.random()),
                    ends: joined,
                });
        }
        Ok(links)
    }
}

/// Which of the adapters makes what names no type.
fn usual(adapters: &[Arc<dyn GeniSliver>], types: &[Vec<&str>]) -> Option<usize> {
    let mut all = adapters.iter().zip(types);
    all.position(|(adapter, types)| adapter.is_usual() && !types.is_empty())
}

fn unknown_type(node: &Node, wanted: Option<&str>, types: &[Vec<&str>]) -> Error {
    let named = short(node.client_id.as_deref().unwrap_or_default());
    let there: Vec<&str> = types.iter().flatten().copied().collect();
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "node {named:?} wants the sliver_type {:?}, which nothing here makes",
            short(wanted.unwrap_or_default())
        ),
    )
    .code("unknown-sliver-type")
    .advice(match there.is_empty() {
        true => "this aggregate makes no slivers yet".to_owned(),
        false => format!("the types are: {}", there.join(", ")),
    })
}

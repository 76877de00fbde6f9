//! Names that a slice uses already: what comes by several requests is one slice in
//! its manifest, where a name means one thing.

use std::collections::{BTreeMap, BTreeSet};

use rm_core::{Error, ErrorKind, Result};

use super::Opened;
use super::ask::Wish;
use super::contract::SliceCall;
use crate::geni::rspec::{Rspec, is_ours, our_links};
use crate::geni::xml::short;

/// The names that are used: of nodes and links, and of interfaces.
#[derive(Debug, Default)]
struct Names {
    things: BTreeSet<String>,
    interfaces: BTreeSet<String>,
}

impl Names {
    /// Those of a request of which these nodes are left.
    fn read(&mut self, request: &str, aggregate: &str, nodes: &BTreeSet<String>) -> Result<()> {
        let ours = Some(aggregate);
        let request = Rspec::parse(request)?;
        let whose = our_links(&request, ours);
        let mut ends = BTreeSet::new();
        for node in request.nodes.iter().filter(|node| is_ours(node, ours)) {
            let left = node.client_id.as_deref().filter(|id| nodes.contains(*id));
            if let Some(id) = left {
                self.things.insert(id.to_owned());
                ends.extend(
                    node.interfaces
                        .iter()
                        .filter_map(|i| i.client_id.as_deref()),
                );
            }
        }
        // A link is there as long as one of its ends is.
        for (link, _) in request.links.iter().zip(whose).filter(|(_, ours)| *ours) {
            let mut of = link
                .interface_refs
                .iter()
                .filter_map(|r| r.client_id.as_deref());
            if of.any(|end| ends.contains(end)) {
                self.things
                    .extend(link.client_id.as_deref().map(str::to_owned));
            }
        }
        self.interfaces.extend(ends.into_iter().map(str::to_owned));
        Ok(())
    }
}

impl SliceCall<'_> {
    /// Refuses what has a name that the slice uses already.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`] with the name.
    pub(super) async fn is_apart(&self, opened: &Opened, wish: &Wish) -> Result<()> {
        let mut left: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for have in &opened.slivers {
            let of = left.entry(have.request).or_default();
            of.insert(have.client_id.clone());
        }
        let mut used = Names::default();
        for (request, nodes) in left {
            let text = opened.rspec(self.host, self.bench, request).await?;
            let aggregate = self.aggregate.urn.clone();
            let read = move || used.read(&text, aggregate.as_str(), &nodes).map(|()| used);
            used = self.bench.take(read).await??;
        }
        let twice = |what: &str, name: &str| {
            Error::new(
                ErrorKind::Exists,
                format!("{} has a {what} {:?} already", opened.urn, short(name)),
            )
            .code("already-exists")
            .advice("delete it first, or ask for things of other names")
        };
        for (what, name) in wish.names() {
            let used = match what {
                "interface" => &used.interfaces,
                _ => &used.things,
            };
            if used.contains(name) {
                return Err(twice(what, name));
            }
        }
        Ok(())
    }
}

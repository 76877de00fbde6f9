//! Manifests: what was asked for, with what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rm_core::Result;
use rm_core::env::Timestamp;
use rm_core::record::ResourceRecord;

use super::sliver_urn;
use crate::geni::Urn;
use crate::geni::rspec::{Interface, Kind, Link, Rspec, Text, is_ours, our_links};
use crate::geni::sliver::GeniSliver;
use crate::geni::xml::Content;

/// A request, and the slivers of it that are told of, by the node's name.
#[derive(Debug)]
pub(in crate::geni) struct Told {
    /// The request as it came.
    pub(in crate::geni) rspec: Arc<str>,
    /// The slivers.
    pub(in crate::geni) slivers: BTreeMap<String, (Arc<dyn GeniSliver>, Arc<ResourceRecord>)>,
}

/// The manifest of these requests, each with some of its slivers; what is not
/// for this aggregate stands in it as it came.
///
/// # Errors
///
/// Where a request that was granted cannot be read any more.
pub(in crate::geni) fn manifest(
    aggregate: &Urn,
    requests: &[Told],
    now: Timestamp,
    expires: Option<Timestamp>,
) -> Result<Rspec> {
    let ours = Some(aggregate.as_str());
    let mut manifest = Rspec::new(Kind::Manifest);
    manifest.generated = Some(now.to_string().into());
    manifest.expires = expires.map(|end| end.to_string().into());
    let (mut nodes, mut links) = (Once::default(), Once::default());
    let (mut beside, mut elements) = (Once::default(), Vec::new());
    for told in requests {
        let request = Rspec::parse(&told.rspec)?;
        let whose = our_links(&request, ours);
        let joined: BTreeSet<&str> = request
            .links
            .iter()
            .zip(&whose)
            .filter_map(|(link, ours)| ours.then_some(link))
            .flat_map(|link| &link.interface_refs)
            .filter_map(|end| end.client_id.as_deref())
            .collect();
        for mut node in request.nodes {
            if !is_ours(&node, ours) {
                nodes.tell(node.client_id.clone(), node, &mut manifest.nodes);
                continue;
            }
            let sliver = node.client_id.as_deref().and_then(|n| told.slivers.get(n));
            let Some((adapter, record)) = sliver else {
                continue;
            };
            let urn = sliver_urn(aggregate, record.id);
            node.sliver_id = Some(urn.as_str().into());
            node.component_manager_id = Some(aggregate.as_str().into());
            // As the request was granted: each end is an interface of the node, by
            // the place at which it is named.
            let is_end = |i: &Interface| i.client_id.as_deref().is_some_and(|c| joined.contains(c));
            let interfaces = node.interfaces.iter().enumerate();
            let ends: Vec<usize> = interfaces
                .filter(|(_, interface)| is_end(interface))
                .map(|(place, _)| place)
                .collect();
            adapter.tell(record, aggregate, &ends, &mut node);
            manifest.nodes.push(node);
        }
        let there: BTreeSet<&str> = manifest
            .nodes
            .iter()
            .flat_map(|n| &n.interfaces)
            .filter_map(|i| i.client_id.as_deref())
            .collect();
        let is_there = |link: &Link| {
            let mut ends = link.interface_refs.iter();
            ends.any(|end| end.client_id.as_deref().is_some_and(|e| there.contains(e)))
        };
        for (mut link, ours) in request.links.into_iter().zip(whose) {
            if ours && !is_there(&link) {
                continue;
            }
            if ours {
                // The schema wants one; what is here needs none.
                link.vlantag = Some("0".into());
                manifest.links.push(link);
            } else {
                links.tell(link.client_id.clone(), link, &mut manifest.links);
            }
        }
        for child in request.extra.children() {
            if let Content::Element(element) = child {
                let name = Some(element.name.local.to_string().into());
                beside.tell(name, element.clone(), &mut elements);
            }
        }
        nodes.next();
        links.next();
        beside.next();
    }
    for element in elements {
        manifest.extra.add(element);
    }
    Ok(manifest)
}

/// What is not for this aggregate and is said with each request of a slice is
/// told once: of each name, the last that an earlier request has said.
#[derive(Debug, Default)]
struct Once {
    before: BTreeMap<Text, usize>,
    now: Vec<(Text, usize)>,
}

impl Once {
    fn tell<T: PartialEq>(&mut self, name: Text, one: T, into: &mut Vec<T>) {
        let before = self.before.get(&name).and_then(|at| into.get(*at));
        if before != Some(&one) {
            self.now.push((name, into.len()));
            into.push(one);
        }
    }

    /// Another request begins.
    fn next(&mut self) {
        self.before.extend(self.now.drain(..));
    }
}

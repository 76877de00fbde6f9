//! Which nodes and links of a document are this aggregate's, and which are none
//! of its business: those are repeated as they came.

use std::collections::BTreeSet;

use super::model::{Link, Node, Rspec};

/// Whether a node is to be served here: it names nobody, or us.
pub(crate) fn is_ours(node: &Node, ours: Option<&str>) -> bool {
    match (node.component_manager_id.as_deref(), ours) {
        (Some(theirs), Some(ours)) => theirs.is_empty() || theirs.eq_ignore_ascii_case(ours),
        _ => true,
    }
}

/// Of each link of a document whether it has to do with us: it names us among
/// those that have a part in it, or it names nobody and does not lead from others
/// to others.
pub(crate) fn our_links(rspec: &Rspec, ours: Option<&str>) -> Vec<bool> {
    let mut ends = [BTreeSet::new(), BTreeSet::new()];
    let strange = |node: &Node| !is_ours(node, ours);
    if rspec.nodes.iter().any(strange) {
        for node in &rspec.nodes {
            let [here, elsewhere] = &mut ends;
            let of = if strange(node) { elsewhere } else { here };
            of.extend(
                node.interfaces
                    .iter()
                    .filter_map(|i| i.client_id.as_deref()),
            );
        }
    }
    let [here, elsewhere] = &ends;
    let one = |link: &Link| match is_said_ours(link, ours) {
        Some(said) => said,
        None => {
            let names = || {
                link.interface_refs
                    .iter()
                    .filter_map(|r| r.client_id.as_deref())
            };
            names().any(|end| here.contains(end)) || !names().any(|end| elsewhere.contains(end))
        }
    };
    rspec.links.iter().map(one).collect()
}

/// Whether a link names us among others; nothing where it names nobody.
fn is_said_ours(link: &Link, ours: Option<&str>) -> Option<bool> {
    let Some(ours) = ours else { return Some(true) };
    let mut named = link
        .component_managers
        .iter()
        .filter_map(|m| m.name.as_deref())
        .filter(|name| !name.is_empty())
        .peekable();
    named.peek()?;
    Some(named.any(|name| name.eq_ignore_ascii_case(ours)))
}

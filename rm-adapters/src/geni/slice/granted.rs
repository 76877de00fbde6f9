//! What a request may say and nothing here can grant. A manifest repeats what was
//! asked for: what is not so is refused, for it would be told as if it were.

use std::collections::BTreeMap;

use rm_core::{Error, ErrorKind, Result};

use crate::geni::component::{HARDWARE, named};
use crate::geni::rspec::{Link, Node, Text};
use crate::geni::xml::short;

/// What links are: networks of their own, as of Ethernet.
const LINKS: [&str; 2] = ["lan", "ethernet"];
/// The namespace of networks that slices share.
const SHARED: &str = "http://www.geni.net/resources/rspec/ext/shared-vlan/1";

/// Refuses what cannot be granted of nodes and links of ours.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] with what it is, where it stands, and what to write.
pub(super) fn can_be_granted(nodes: &[Node], links: &[Link]) -> Result<()> {
    for node in nodes {
        let hardware = node.hardware_types.iter();
        if let Some(name) = strange(hardware.map(|h| &h.name), &[HARDWARE]) {
            let what = format!("{} wants hardware of the type {name:?}", named(node));
            return Err(refused("hardware-type", what).advice(format!(
                "leave it out, or write {HARDWARE:?}: it is virtual"
            )));
        }
        if let Some(relation) = node.relations.first() {
            let kind = short(relation.kind.as_deref().unwrap_or_default());
            let what = format!(
                "{} is to have the relation {kind:?} to another",
                named(node)
            );
            return Err(refused("relation", what)
                .advice("leave it out: nodes have to do with each other by links alone"));
        }
    }
    together(nodes)?;
    for link in links {
        let id = short(link.client_id.as_deref().unwrap_or_default());
        if let Some(name) = strange(link.link_types.iter().map(|t| &t.name), &LINKS) {
            let what = format!("link {id:?} is to be of the type {name:?}");
            return Err(refused("link-type", what)
                .advice("leave the type out, or write \"lan\": a link is an Ethernet of its own"));
        }
        if link.extra.element(SHARED, "link_shared_vlan").is_some() {
            let what = format!("link {id:?} is to be a network that slices share");
            return Err(refused("shared-vlan", what)
                .advice("leave that out: what is linked here is of one slice"));
        }
    }
    Ok(())
}

/// Refuses nodes that are to be on one component, but for those that name it: a
/// place is looked for with other things in mind.
fn together(nodes: &[Node]) -> Result<()> {
    let mut words: BTreeMap<&str, &Node> = BTreeMap::new();
    for node in nodes {
        let word = node.colocate.as_deref().map(str::trim).unwrap_or_default();
        if word.is_empty() {
            continue;
        }
        let first = *words.entry(word).or_insert(node);
        let one = std::ptr::eq(first, node);
        let named_alike = node.component_id.is_some() && node.component_id == first.component_id;
        if !one && !named_alike {
            let what = format!(
                "{} and {} are to be on one component",
                named(first),
                named(node)
            );
            return Err(refused("colocate", what)
                .advice("give both the component_id where they are to be, or link them"));
        }
    }
    Ok(())
}

/// The first that is said and is none of these.
fn strange<'a>(
    mut said: impl Iterator<Item = &'a Text>,
    known: &[&str],
) -> Option<std::borrow::Cow<'a, str>> {
    let is_known =
        |name: &str| name.is_empty() || known.iter().any(|k| k.eq_ignore_ascii_case(name));
    let found = said.find_map(|name| name.as_deref().filter(|name| !is_known(name.trim())));
    found.map(short)
}

fn refused(code: &'static str, what: String) -> Error {
    let what = format!("{what}, which nothing here makes");
    Error::new(ErrorKind::Unsupported, what).code(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geni::rspec::Rspec;

    fn asked(inside: &str) -> Result<(), String> {
        let rspec = Rspec::parse(&format!(
            "<rspec type=\"request\" xmlns=\"http://www.geni.net/resources/rspec/3\" \
             xmlns:s=\"{SHARED}\">{inside}</rspec>"
        ))
        .unwrap();
        can_be_granted(&rspec.nodes, &rspec.links).map_err(|e| {
            assert!(e.next().is_some(), "{e}");
            e.stable_code().to_owned()
        })
    }

    #[test]
    fn what_nobody_makes_is_refused_by_its_name() {
        let at =
            |name: &str, site: &str| format!("<node client_id=\"{name}\" colocate=\"x\" {site}/>");
        let there = "component_id=\"urn:publicid:IDN+lab+node+rack\"";
        let two = |a: &str, b: &str| format!("{}{}", at("a", a), at("b", b));
        let typed =
            |kind: &str| format!("<link client_id=\"l\"><link_type name=\"{kind}\"/></link>");
        let hard =
            |kind: &str| format!("<node client_id=\"a\"><hardware_type name=\"{kind}\"/></node>");
        for (inside, wanted) in [
            (hard("raspberrypi"), "hardware-type"),
            (
                "<node client_id=\"a\"><relation type=\"parent\" client_id=\"b\"/></node>"
                    .to_owned(),
                "relation",
            ),
            (two("", ""), "colocate"),
            (two(there, ""), "colocate"),
            (typed("gre-tunnel"), "link-type"),
            (
                "<link client_id=\"l\"><s:link_shared_vlan name=\"v\"/></link>".to_owned(),
                "shared-vlan",
            ),
        ] {
            assert_eq!(asked(&inside), Err(wanted.to_owned()), "{inside}");
        }
        for inside in [hard("pc"), hard(" PC "), at("a", ""), two(there, there)] {
            assert_eq!(asked(&inside), Ok(()), "{inside}");
        }
        for kind in ["lan", "LAN", "ethernet", ""] {
            assert_eq!(asked(&typed(kind)), Ok(()), "{kind}");
        }
    }
}

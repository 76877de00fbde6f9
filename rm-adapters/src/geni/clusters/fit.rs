//! What a node of a request means that asks for a cluster.

use std::collections::BTreeMap;

use rm_core::catalog::Site;
use rm_core::clusters::{ClusterRequest, MOST_PARAMETERS, MOST_SLAVES, Reuse};
use rm_core::{Error, ErrorKind, Result};
use serde_json::Value;

use super::CLUSTER;
use crate::geni::Urn;
use crate::geni::component::{is_placed, may_be_at, named, shares};
use crate::geni::rspec::Node;
use crate::geni::xml::{Element, short};

/// How many parameters one cluster takes.
const PARAMETERS: usize = 100;

/// The cluster that a node asks for.
pub(super) fn request(node: &Node, sites: &[Site], aggregate: &Urn) -> Result<ClusterRequest> {
    shares(node)?;
    plain(node)?;
    let Some(asked) = node.extra.element(CLUSTER, "cluster") else {
        return Err(Error::invalid(format!(
            "{} does not say of which appliance it is to be",
            named(node)
        ))
        .code("no-appliance")
        .advice(format!(
            "write <cluster xmlns={CLUSTER:?} appliance=\"NAME\" slaves=\"2\"/> into it"
        )));
    };
    let appliance = asked.attribute("appliance").map(str::trim);
    let appliance = appliance.filter(|name| !name.is_empty()).ok_or_else(|| {
        wrong(node, asked, "it names no appliance").advice("the advertisement has their names")
    })?;
    let slaves = asked
        .attribute("slaves")
        .map(|text| slaves(node, asked, text));
    let names: Vec<String> = match is_placed(node) {
        true => at(node, sites, aggregate)?,
        false => Vec::new(),
    };
    let name = node.client_id.as_deref().unwrap_or_default();
    Ok(ClusterRequest {
        appliance: appliance.to_owned(),
        name: Some(short(name).into_owned()),
        slaves: slaves.transpose()?,
        sites: names,
        parameters: parameters(node, asked)?,
        reuse: Reuse::Never,
        ..ClusterRequest::default()
    })
}

/// Refuses what an appliance says itself.
fn plain(node: &Node) -> Result<()> {
    let images = node.sliver_types.iter().any(|t| !t.disk_images.is_empty());
    let services = node.services.iter();
    let mut told = services.map(|s| s.installs.len() + s.executes.len());
    if !images && told.all(|n| n == 0) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("{} wants an image, or something to be run", named(node)),
    )
    .code("not-for-clusters")
    .advice("leave it out: what a cluster is made of and runs is its appliance's"))
}

/// The component that it names.
fn at(node: &Node, sites: &[Site], aggregate: &Urn) -> Result<Vec<String>> {
    let meant = sites.iter().find(|s| may_be_at(node, &s.name, aggregate));
    meant.map(|site| vec![site.name.clone()]).ok_or_else(|| {
        let names: Vec<&str> = sites.iter().map(|s| s.name.as_str()).collect();
        Error::invalid(format!(
            "{} names a component that is not here",
            named(node)
        ))
        .code("unknown-component")
        .advice(format!("the components are: {}", names.join(", ")))
    })
}

fn slaves(node: &Node, asked: &Element, text: &str) -> Result<u32> {
    let slaves: u32 = text.trim().parse().map_err(|_| {
        wrong(
            node,
            asked,
            &format!("slaves is {:?}, which is no number", short(text)),
        )
        .advice("write slaves=\"2\", or leave it out")
    })?;
    if u64::from(slaves) > MOST_SLAVES {
        return Err(wrong(node, asked, "it wants more slaves than anybody gets")
            .advice(format!("ask for {MOST_SLAVES} at most")));
    }
    Ok(slaves)
}

fn parameters(node: &Node, asked: &Element) -> Result<BTreeMap<String, Value>> {
    let mut parameters = BTreeMap::new();
    let mut bytes = 0_usize;
    for element in asked.elements() {
        if !element.name.is(CLUSTER, "parameter") {
            continue;
        }
        let (name, value) = (element.attribute("name"), element.attribute("value"));
        let (Some(name), Some(value)) = (name, value) else {
            return Err(wrong(node, element, "a parameter has no name or no value")
                .advice("write <parameter name=\"greeting\" value=\"hello\"/>"));
        };
        bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
        if bytes > MOST_PARAMETERS {
            return Err(wrong(node, element, "its parameters are too long")
                .code("too-large")
                .advice(format!("give {MOST_PARAMETERS} bytes of them at most")));
        }
        let value = Value::String(value.to_owned());
        if parameters.insert(name.to_owned(), value).is_some() {
            return Err(wrong(node, element, "a parameter is there twice").advice("give it once"));
        }
        if parameters.len() > PARAMETERS {
            return Err(wrong(node, element, "it has too many parameters")
                .advice(format!("give {PARAMETERS} at most")));
        }
    }
    Ok(parameters)
}

fn wrong(node: &Node, at: &Element, what: &str) -> Error {
    let line = at.line.0;
    Error::invalid(format!("line {line}, {}: {what}", named(node))).code("wrong-cluster")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geni::rspec::Rspec;

    fn read(inside: &str) -> Result<ClusterRequest> {
        let rspec = Rspec::parse(&format!(
            "<rspec type=\"request\" xmlns=\"http://www.geni.net/resources/rspec/3\" \
             xmlns:c=\"{CLUSTER}\"><node client_id=\"a\" {inside}</node></rspec>"
        ))
        .unwrap();
        let aggregate = Urn::new("lab", "authority", "am");
        request(&rspec.nodes[0], &[], &aggregate)
    }

    #[test]
    fn an_appliance_is_asked_for_by_name_with_its_size_and_parameters() {
        let asked = read(
            "><sliver_type name=\"cluster\"/><c:cluster appliance=\" web \" slaves=\"3\">\
             <c:parameter name=\"greeting\" value=\"a &amp; b\"/></c:cluster>",
        )
        .unwrap();
        assert_eq!((&*asked.appliance, asked.slaves), ("web", Some(3)));
        assert_eq!(asked.parameters["greeting"], "a & b");
        assert_eq!(
            read("><c:cluster appliance=\"web\"/>").unwrap().slaves,
            None
        );
    }

    #[test]
    fn parameters_are_so_long_together_and_no_longer() {
        let given = |n: usize| {
            let value = "v".repeat(n);
            read(&format!(
                "><c:cluster appliance=\"web\"><c:parameter name=\"x\" value=\"{value}\"/>\
                 <c:parameter name=\"y\" value=\"{value}\"/></c:cluster>"
            ))
        };
        assert_eq!(given(MOST_PARAMETERS / 2 - 1).unwrap().parameters.len(), 2);
        let e = given(MOST_PARAMETERS / 2).unwrap_err();
        assert_eq!(e.stable_code(), "too-large", "{e}");
        assert!(e.next().is_some());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_to_write() {
        for (inside, code) in [
            ("><sliver_type name=\"cluster\"/>", "no-appliance"),
            ("><cluster appliance=\"web\"/>", "no-appliance"),
            ("><c:cluster slaves=\"1\"/>", "wrong-cluster"),
            ("><c:cluster appliance=\"\"/>", "wrong-cluster"),
            (
                "><c:cluster appliance=\"web\" slaves=\"-1\"/>",
                "wrong-cluster",
            ),
            (
                "><c:cluster appliance=\"web\" slaves=\"many\"/>",
                "wrong-cluster",
            ),
            (
                "><c:cluster appliance=\"web\" slaves=\"10001\"/>",
                "wrong-cluster",
            ),
            (
                "><c:cluster appliance=\"web\"><c:parameter name=\"x\"/></c:cluster>",
                "wrong-cluster",
            ),
            (
                "><c:cluster appliance=\"web\"><c:parameter name=\"x\" value=\"1\"/>\
                 <c:parameter name=\"x\" value=\"2\"/></c:cluster>",
                "wrong-cluster",
            ),
            (
                "exclusive=\"true\"><c:cluster appliance=\"web\"/>",
                "not-exclusive",
            ),
            (
                "component_name=\"nowhere\"><c:cluster appliance=\"web\"/>",
                "unknown-component",
            ),
            (
                "><c:cluster appliance=\"web\"/><services><execute shell=\"sh\" command=\"x\"/>\
                 </services>",
                "not-for-clusters",
            ),
        ] {
            let e = read(inside).unwrap_err();
            assert_eq!(e.stable_code(), code, "{inside}: {e}");
            assert!(e.next().is_some(), "{inside}");
        }
    }
}

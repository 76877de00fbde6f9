//! What is wrong with a document, beyond being well-formed: everything at
//! once, with lines, for people and for calls that need it to be right.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::model::{Interface, Kind, Link, Node, Rspec, Version};
use super::part::{Extra, Text};
use super::parts::{Ip, Property, Services};
use super::whose::{is_ours, our_links};
use crate::geni::xml::{Content, Element, Line, UNDECLARED, short};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is understood as it was probably meant.
    Warning,
    /// A call with this document is refused.
    Error,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// How bad it is.
    pub severity: Severity,
    /// Where; 0 where the document was not read from a text.
    pub line: u32,
    /// In which element: `node "vm-1"`.
    pub element: String,
    /// A stable word for programs.
    pub code: &'static str,
    /// What, and what to write instead.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            element,
            what,
            ..
        } = self;
        write!(f, "line {line}, {element}: {what}")
    }
}

/// All that is wrong with a document, in its order. Nodes and links of other
/// aggregates than `ours` are not looked into: they are none of our business,
/// and are repeated as they are.
pub fn faults(rspec: &Rspec, ours: Option<&str>) -> Vec<Fault> {
    let mut check = Check {
        found: Vec::new(),
        at: (0, String::new()),
    };
    check.document(rspec, ours);
    check.found.sort_by_key(|f| f.line);
    check.found
}

struct Check {
    found: Vec<Fault>,
    at: (u32, String),
}

impl Check {
    fn document(&mut self, rspec: &Rspec, ours: Option<&str>) {
        let whose = our_links(rspec, ours);
        let links = || {
            let all = rspec.links.iter().zip(&whose);
            all.filter_map(|(link, ours)| ours.then_some(link))
        };
        self.enter(rspec.line, "rspec", &None);
        if rspec.version != Version::V3 {
            self.error("bad-version", "this is not version 3 of RSpec".to_owned());
        }
        match rspec.kind() {
            None => self.error(
                "wrong-type",
                format!(
                    "the type is {}; it should be request, advertisement or manifest",
                    said(&rspec.kind_name)
                ),
            ),
            Some(Kind::Request) => {
                if rspec.nodes.is_empty() && rspec.links.is_empty() {
                    self.error(
                        "empty-request",
                        "it asks for no node and no link".to_owned(),
                    );
                }
                self.names(rspec, ours, links());
            }
            Some(Kind::Manifest) => self.names(rspec, ours, links()),
            Some(Kind::Advertisement) => {}
        }
        self.extra(&rspec.extra);
        let asked = rspec.kind() == Some(Kind::Request);
        for node in &rspec.nodes {
            self.node(node, asked, is_ours(node, ours));
        }
        let interfaces: BTreeSet<&str> = rspec
            .nodes
            .iter()
            .flat_map(|n| &n.interfaces)
            .filter_map(|i| i.client_id.as_deref())
            .collect();
        for link in links() {
            self.link(link, asked, &interfaces);
        }
    }

    /// What has to have a name, and one of its own.
    fn names<'a>(
        &mut self,
        rspec: &'a Rspec,
        ours: Option<&str>,
        links: impl Iterator<Item = &'a Link>,
    ) {
        let mut things = BTreeSet::new();
        let mut interfaces = BTreeSet::new();
        for node in rspec.nodes.iter().filter(|n| is_ours(n, ours)) {
            self.enter(node.line, "node", &node.client_id);
            self.name(&node.client_id, &mut things);
            for interface in &node.interfaces {
                self.enter(interface.line, "interface", &interface.client_id);
                self.name(&interface.client_id, &mut interfaces);
            }
        }
        for link in links {
            self.enter(link.line, "link", &link.client_id);
            self.name(&link.client_id, &mut things);
        }
        self.enter(rspec.line, "rspec", &None);
    }

    fn name<'a>(&mut self, id: &'a Text, seen: &mut BTreeSet<&'a str>) {
        match id.as_deref() {
            None | Some("") => self.error("no-client-id", "it has no client_id".to_owned()),
            Some(id) => {
                if !seen.insert(id) {
                    self.error(
                        "duplicate-client-id",
                        format!("the client_id {:?} is there twice", short(id)),
                    );
                }
            }
        }
    }

    fn node(&mut self, node: &Node, asked: bool, ours: bool) {
        if !ours {
            return;
        }
        self.enter(
            node.line,
            "node",
            id_of(&node.client_id, &node.component_id),
        );
        self.flag("exclusive", &node.exclusive);
        self.extra(&node.extra);
        if asked && node.sliver_types.len() > 1 {
            self.error(
                "many-sliver-types",
                "it has more than one sliver_type; ask for one".to_owned(),
            );
        }
        for sliver in &node.sliver_types {
            self.enter(sliver.line, "sliver_type", &sliver.name);
            self.needs("name", &sliver.name);
            for image in &sliver.disk_images {
                self.enter(image.line, "disk_image", &image.name);
                if image.name.is_none() && image.url.is_none() {
                    // Some say where it is by an extension of theirs.
                    self.add(
                        Severity::Warning,
                        "missing-attribute",
                        "it has no name".to_owned(),
                    );
                }
            }
        }
        for available in &node.available {
            self.enter(available.line, "available", &None);
            self.needs("now", &available.now);
            self.flag("now", &available.now);
        }
        for services in &node.services {
            self.services(services, asked);
        }
        for interface in &node.interfaces {
            self.interface(interface);
        }
    }

    fn services(&mut self, services: &Services, asked: bool) {
        if !asked {
            return;
        }
        for install in &services.installs {
            self.enter(install.line, "install", &None);
            self.needs("url", &install.url);
            self.needs("install_path", &install.install_path);
        }
        for execute in &services.executes {
            self.enter(execute.line, "execute", &None);
            self.needs("shell", &execute.shell);
            self.needs("command", &execute.command);
        }
    }

    fn interface(&mut self, interface: &Interface) {
        for ip in &interface.ips {
            self.enter(ip.line, "ip", &ip.address);
            self.ip(ip);
        }
        self.enter(interface.line, "interface", &interface.client_id);
        self.extra(&interface.extra);
    }

    fn ip(&mut self, ip: &Ip) {
        self.needs("address", &ip.address);
        let address = ip.address.as_deref().map(str::parse::<IpAddr>);
        if let Some(Err(_)) = address {
            self.error(
                "wrong-address",
                format!("{} is no address; write 10.0.0.1", said(&ip.address)),
            );
        }
        match ip.kind.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "ipv4" | "ipv6") => {}
            Some(_) => self.error(
                "wrong-address-type",
                format!("the type {} is neither ipv4 nor ipv6", said(&ip.kind)),
            ),
        }
        if let (Some(mask), Some(Ok(IpAddr::V4(_)))) = (ip.netmask.as_deref(), address)
            && !mask.is_empty()
            && prefix_of(mask).is_none()
        {
            self.error(
                "wrong-netmask",
                format!("{} is no mask; write 255.255.255.0", said(&ip.netmask)),
            );
        }
    }

    fn link(&mut self, link: &Link, asked: bool, interfaces: &BTreeSet<&str>) {
        self.enter(
            link.line,
            "link",
            id_of(&link.client_id, &link.component_id),
        );
        self.extra(&link.extra);
        let mut ends: BTreeSet<&str> = link
            .interface_refs
            .iter()
            .filter_map(|r| r.client_id.as_deref())
            .collect();
        if asked {
            for end in &link.interface_refs {
                self.enter(end.line, "interface_ref", &end.client_id);
                match end.client_id.as_deref() {
                    None => self.error("no-client-id", "it has no client_id".to_owned()),
                    Some(id) if !interfaces.contains(id) => self.error(
                        "unknown-interface",
                        format!("no node has the interface {:?}", short(id)),
                    ),
                    Some(_) => {}
                }
            }
        }
        // In a LAN a property leads from an end into it, or out of it to one.
        ends.extend(link.client_id.as_deref());
        for property in &link.properties {
            self.property(property, asked.then_some(&ends));
        }
    }

    fn property(&mut self, property: &Property, ends: Option<&BTreeSet<&str>>) {
        self.enter(property.line, "property", &None);
        for (name, value) in [
            ("source_id", &property.source_id),
            ("dest_id", &property.dest_id),
        ] {
            self.needs(name, value);
            if let (Some(ends), Some(id)) = (ends, value.as_deref())
                && !ends.contains(id)
            {
                self.error(
                    "unknown-interface",
                    format!(
                        "{name} {:?} is neither an interface of this link nor the link",
                        short(id)
                    ),
                );
            }
        }
        for (name, value, most) in [
            ("capacity", &property.capacity, f64::MAX),
            ("latency", &property.latency, f64::MAX),
            ("packet_loss", &property.packet_loss, 1.0),
        ] {
            let Some(text) = value.as_deref().filter(|t| !t.is_empty()) else {
                continue;
            };
            let number = text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
            if number.is_none_or(|n| !(0.0..=most).contains(&n)) {
                self.error(
                    "wrong-number",
                    format!(
                        "{name} is {}; it should be a number, not negative{}",
                        said(value),
                        if most == 1.0 {
                            " and 1 at the most"
                        } else {
                            ""
                        }
                    ),
                );
            }
        }
    }

    fn extra(&mut self, extra: &Extra) {
        for attribute in extra.attributes() {
            self.declared(&attribute.name.namespace, &attribute.name.prefix);
        }
        for child in extra.children() {
            if let Content::Element(element) = child {
                self.element(element);
            }
        }
    }

    fn element(&mut self, element: &Element) {
        let before = self.at.clone();
        self.enter(element.line, &element.name.local, &None);
        self.declared(&element.name.namespace, &element.name.prefix);
        self.at = before;
    }

    fn declared(&mut self, namespace: &str, prefix: &str) {
        if namespace.starts_with(UNDECLARED) {
            self.add(
                Severity::Warning,
                "undeclared-prefix",
                format!("the prefix {:?} is not declared", short(prefix)),
            );
        }
    }

    fn flag(&mut self, name: &str, value: &Text) {
        if let Some(text) = value.as_deref()
            && flag_of(text).is_none()
        {
            self.error(
                "wrong-flag",
                format!("{name} is {}; it should be true or false", said(value)),
            );
        }
    }

    fn needs(&mut self, name: &str, value: &Text) {
        if value.is_none() {
            self.error("missing-attribute", format!("it has no {name}"));
        }
    }

    fn enter(&mut self, line: Line, element: &str, id: &Text) {
        self.at = (
            line.0,
            match id {
                Some(id) => format!("{} {:?}", short(element), short(id)),
                None => short(element).into_owned(),
            },
        );
    }

    fn error(&mut self, code: &'static str, what: String) {
        self.add(Severity::Error, code, what);
    }

    fn add(&mut self, severity: Severity, code: &'static str, what: String) {
        self.found.push(Fault {
            severity,
            line: self.at.0,
            element: self.at.1.clone(),
            code,
            what,
        });
    }
}

/// `true` or `false`, as `xs:boolean` and people write it.
pub(crate) fn flag_of(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// The length of the prefix that a mask such as `255.255.255.0` means.
pub(crate) fn prefix_of(mask: &str) -> Option<u8> {
    let bits = u32::from(mask.trim().parse::<Ipv4Addr>().ok()?);
    let length = bits.leading_ones();
    (bits.checked_shl(length).unwrap_or(0) == 0)
        .then(|| u8::try_from(length).ok())
        .flatten()
}

fn id_of<'a>(client: &'a Text, component: &'a Text) -> &'a Text {
    if client.is_some() { client } else { component }
}

fn said(value: &Text) -> String {
    match value {
        Some(text) => format!("{:?}", short(text)),
        None => "absent".to_owned(),
    }
}

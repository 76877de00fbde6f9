//! What there is in an RSpec: the document, nodes, links, interfaces. The
//! content models are those of the published schemas for requests,
//! advertisements and manifests together.

use std::sync::Arc;

use arcstr::ArcStr;
use rm_core::{Error, Result};

use super::NAMESPACE;
use super::part::{Extra, Part, Said, Text, part};
use super::parts::{
    Available, Cloud, ComponentHop, ComponentManager, ExternalRef, HardwareType, Host,
    InterfaceRef, Ip, LinkType, Location, Monitoring, Property, Relation, Services, SliverType,
    TypeRelation,
};
use crate::geni::xml::{Item, Limits, Line, Pull, Tag, Writer, short};

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What an experimenter wants.
    Request,
    /// What there is.
    Advertisement,
    /// What an experimenter has.
    Manifest,
}

/// Which dialect a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// GENI's version 3.
    #[default]
    V3,
    /// ProtoGENI's version 2, its predecessor of nearly the same form.
    ProtoGeni2,
}

impl Version {
    const ALL: [Self; 2] = [Self::V3, Self::ProtoGeni2];

    /// Its namespace.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::V3 => NAMESPACE,
            Self::ProtoGeni2 => "http://www.protogeni.net/resources/rspec/2",
        }
    }
}

part! {
    /// A whole document.
    Rspec = "rspec" {
        attributes {
            /// `request`, `advertisement` or `manifest`.
            kind_name = "type",
            /// When it was made, as `xs:dateTime`.
            generated = "generated",
            /// What made it.
            generated_by = "generated_by",
            /// Until when it holds, as `xs:dateTime`.
            expires = "expires",
        }
        parts {
            /// Machines.
            nodes: Node,
            /// What connects them.
            links: Link,
            /// Components that others manage; in advertisements.
            external_refs: ExternalRef,
            /// What makes which type of sliver; in advertisements.
            type_relations: TypeRelation,
        }
        own {
            /// Its dialect.
            version: Version,
        }
    }
}

impl Rspec {
    /// An empty document of version 3 with the schema that belongs to it.
    pub fn new(kind: Kind) -> Self {
        let (name, schema) = match kind {
            Kind::Request => ("request", "request.xsd"),
            Kind::Advertisement => ("advertisement", "ad.xsd"),
            Kind::Manifest => ("manifest", "manifest.xsd"),
        };
        let mut new = Self {
            kind_name: Some(name.into()),
            ..Self::default()
        };
        new.extra.add_attribute(crate::geni::xml::Attribute {
            name: crate::geni::xml::Name::new(
                "http://www.w3.org/2001/XMLSchema-instance",
                "xsi",
                "schemaLocation",
            ),
            value: format!("{NAMESPACE} {NAMESPACE}/{schema}").into(),
        });
        new
    }

    /// What it is, where it says so in a word that is known.
    pub fn kind(&self) -> Option<Kind> {
        match self.kind_name.as_deref()? {
            "request" => Some(Kind::Request),
            "advertisement" => Some(Kind::Advertisement),
            "manifest" => Some(Kind::Manifest),
            _ => None,
        }
    }

    /// Reads a document of at most 32 MiB, in time that grows with its length.
    ///
    /// # Errors
    ///
    /// [`rm_core::ErrorKind::Invalid`] where it is not well-formed, has a
    /// document type, exceeds a limit or is no RSpec; the message names line
    /// and element.
    pub fn parse(text: &str) -> Result<Self> {
        let whole = ArcStr::from(text);
        Self::pulled(&mut Pull::sharing(&whole, Limits::USUAL)?)
    }

    /// Reads all of a document.
    pub(super) fn pulled(pull: &mut Pull<'_>) -> Result<Self> {
        let Item::Start(tag) = pull.next()? else {
            return Err(pull.wrong("there is no element in this document"));
        };
        let version = Self::version_of(pull, &tag)?;
        let mut rspec = Self {
            version,
            ..Self::default()
        };
        rspec.read(pull, &tag, version.namespace())?;
        // What follows the root must be nothing.
        pull.next()?;
        Ok(rspec)
    }

    fn version_of(pull: &Pull<'_>, tag: &Tag<'_>) -> Result<Version> {
        let version = Version::ALL
            .into_iter()
            .find(|v| tag.is(v.namespace(), Self::NAME));
        version.ok_or_else(|| -> Error {
            let place = if tag.namespace.is_empty() {
                "no namespace".to_owned()
            } else {
                format!("the namespace {:?}", short(&tag.namespace))
            };
            pull.wrong(format!(
                "this is no RSpec, the root element is {:?} in {place}",
                short(tag.local())
            ))
            .code("no-rspec")
            .advice(format!("begin with <rspec xmlns={NAMESPACE:?}>"))
        })
    }

    /// The document as text, in ASCII, indented.
    pub fn print(&self) -> String {
        let mut out = self.begin();
        Part::print(self, &mut out);
        out.finish()
    }

    /// What is printed first.
    pub(super) fn begin(&self) -> Writer {
        let mut out = Writer::new();
        out.line(Self::NAME);
        out.default_namespace(&Arc::from(self.version.namespace()));
        out
    }
}

part! {
    /// A machine: what is wanted, offered, or there.
    Node = "node" {
        attributes {
            /// What the experimenter calls it.
            client_id = "client_id",
            /// What the aggregate calls that which it is on.
            component_id = "component_id",
            /// The aggregate that is to serve it.
            component_manager_id = "component_manager_id",
            /// A short name of the component.
            component_name = "component_name",
            /// Whether nobody else is on the component: `true` or `false`.
            exclusive = "exclusive",
            /// Nodes of one such word are put on one component.
            colocate = "colocate",
            /// The URN of the sliver.
            sliver_id = "sliver_id",
        }
        parts {
            /// Whether it can be had.
            available: Available,
            /// Marks a component that stands for many.
            cloud: Cloud,
            /// Other nodes it has to do with.
            relations: Relation,
            /// What hardware it is.
            hardware_types: HardwareType,
            /// What is wanted on it.
            sliver_types: SliverType,
            /// Where on Earth.
            locations: Location,
            /// How to log in, what to run.
            services: Services,
            /// Its names.
            hosts: Host,
            /// Its interfaces.
            interfaces: Interface,
        }
    }
}

part! {
    /// What connects interfaces of nodes.
    Link = "link" {
        attributes {
            /// What the experimenter calls it.
            client_id = "client_id",
            /// What the aggregate calls it.
            component_id = "component_id",
            /// A short name of the component.
            component_name = "component_name",
            /// The URN of the sliver.
            sliver_id = "sliver_id",
            /// The VLAN that carries it.
            vlantag = "vlantag",
        }
        parts {
            /// The aggregates that have a part in it.
            component_managers: ComponentManager,
            /// The interfaces that it connects.
            interface_refs: InterfaceRef,
            /// How fast, how late, how lossy, direction by direction.
            properties: Property,
            /// What it is made of.
            link_types: LinkType,
            /// The way it takes.
            component_hops: ComponentHop,
        }
    }
}

part! {
    /// An interface of a node.
    Interface = "interface" {
        attributes {
            /// What the experimenter calls it.
            client_id = "client_id",
            /// What the aggregate calls it.
            component_id = "component_id",
            /// A short name of the component.
            component_name = "component_name",
            /// `control`, `experimental` or `mixed`.
            role = "role",
            /// The address by which the world knows it.
            public_ipv4 = "public_ipv4",
            /// The URN of the sliver.
            sliver_id = "sliver_id",
            /// The hardware address.
            mac_address = "mac_address",
        }
        parts {
            /// Its addresses.
            ips: Ip,
            /// Its names.
            hosts: Host,
            /// What is measured at it.
            monitoring: Monitoring,
        }
    }
}

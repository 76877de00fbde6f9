//! Calls that find, describe and define domains.

use crate::client::Client;
use crate::domain::{Domain, Info, State};
use crate::error::Result;
use crate::flags::{Affect, ListFlags, UndefineFlags, XmlFlags};
use crate::procedure::{
    DEFINE_XML, INFO, LIST_ALL, LOOKUP_BY_NAME, LOOKUP_BY_UUID, METADATA, Procedure, SET_METADATA,
    STATE, UNDEFINE, XML_DESC,
};
use crate::uuid::Uuid;
use crate::xdr::Writer;

/// The metadata that is an XML element of a namespace.
const METADATA_ELEMENT: i32 = 2;

/// The beginning of the arguments of nearly every call.
pub(crate) fn of(domain: &Domain) -> Writer {
    let mut arguments = Writer::new();
    domain.encode(&mut arguments);
    arguments
}

impl Client {
    /// All domains, or some, in one call.
    pub async fn list_domains(&self, flags: ListFlags) -> Result<Vec<Domain>> {
        let mut arguments = Writer::new();
        arguments.u32(1).u32(flags.bits());
        self.call(LIST_ALL, arguments, |answer| {
            let count = answer.count(Domain::LEAST)?;
            let domains: Result<_, _> = (0..count).map(|_| Domain::decode(answer)).collect();
            let _the_count_again = answer.u32()?;
            domains
        })
        .await
    }

    /// The domain of this name; [`Code::NO_DOMAIN`](crate::Code::NO_DOMAIN) if there is none.
    pub async fn domain_by_name(&self, name: &str) -> Result<Domain> {
        let mut arguments = Writer::new();
        arguments.string(name);
        self.call(LOOKUP_BY_NAME, arguments, Domain::decode).await
    }

    /// The domain of this UUID; [`Code::NO_DOMAIN`](crate::Code::NO_DOMAIN) if there is none.
    pub async fn domain_by_uuid(&self, uuid: Uuid) -> Result<Domain> {
        let mut arguments = Writer::new();
        arguments.fixed(&uuid.0);
        self.call(LOOKUP_BY_UUID, arguments, Domain::decode).await
    }

    /// Define a domain, or define it anew. It is not started.
    pub async fn define_xml(&self, xml: &str) -> Result<Domain> {
        let mut arguments = Writer::new();
        arguments.string(xml);
        self.call(DEFINE_XML, arguments, Domain::decode).await
    }

    /// Remove a definition. A domain that runs goes on, and is gone when it stops.
    pub async fn undefine(&self, domain: &Domain, flags: UndefineFlags) -> Result<()> {
        let mut arguments = of(domain);
        arguments.u32(flags.bits());
        self.order(UNDEFINE, arguments).await
    }

    /// What the domain does and has.
    pub async fn info(&self, domain: &Domain) -> Result<Info> {
        self.call(INFO, of(domain), Info::decode).await
    }

    /// What the domain does, and libvirt's number of the reason.
    pub async fn state(&self, domain: &Domain) -> Result<(State, i32)> {
        let mut arguments = of(domain);
        arguments.u32(0);
        self.call(STATE, arguments, |answer| {
            Ok((State::new(answer.i32()?), answer.i32()?))
        })
        .await
    }

    /// The domain's XML.
    pub async fn xml(&self, domain: &Domain, flags: XmlFlags) -> Result<String> {
        let mut arguments = of(domain);
        arguments.u32(flags.bits());
        self.text(XML_DESC, arguments).await
    }

    /// The element of this namespace in the domain's metadata;
    /// [`Code::NO_DOMAIN_METADATA`](crate::Code::NO_DOMAIN_METADATA) if there is none.
    pub async fn metadata(&self, domain: &Domain, uri: &str, of_life: Affect) -> Result<String> {
        let mut arguments = of(domain);
        arguments
            .i32(METADATA_ELEMENT)
            .optional(Some(uri))
            .u32(of_life.bits());
        self.text(METADATA, arguments).await
    }

    /// Put an element of this namespace into the domain's metadata, in the
    /// place of the one before; `None` removes it. `prefix` is what libvirt
    /// writes before the element's name.
    pub async fn set_metadata(
        &self,
        domain: &Domain,
        uri: &str,
        prefix: &str,
        element: Option<&str>,
        of_life: Affect,
    ) -> Result<()> {
        let mut arguments = of(domain);
        arguments
            .i32(METADATA_ELEMENT)
            .optional(element)
            .optional(element.map(|_| prefix))
            .optional(Some(uri))
            .u32(of_life.bits());
        self.order(SET_METADATA, arguments).await
    }

    pub(crate) async fn text(&self, procedure: Procedure, arguments: Writer) -> Result<String> {
        self.call(procedure, arguments, |answer| answer.string())
            .await
    }
}

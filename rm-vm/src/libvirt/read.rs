//! What is read of a domain's XML, whoever wrote it.

use std::collections::BTreeSet;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::metadata;
use crate::driver::{Error, Result, Size};
use crate::links::is_link;

/// What a document says of a domain.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// The driver's number of what runs, another one for each start.
    pub(super) id: Option<String>,
    /// What it has now.
    pub(super) size: Size,
    /// The most that it can have while it runs.
    pub(super) most: Size,
    /// Our own element.
    pub(super) metadata: Option<String>,
    /// The networks of links that it is plugged into.
    pub(super) links: BTreeSet<String>,
}

/// Reads a whole `<domain>`.
pub(super) fn domain(xml: &str) -> Result<Read> {
    read(xml).ok_or_else(|| {
        Error::Failed("libvirt describes a domain in XML that cannot be read".to_owned())
    })
}

fn read(xml: &str) -> Option<Read> {
    let mut reader = Reader::from_str(xml);
    // Where we are, as in /domain/memory.
    let mut path = String::new();
    let mut unit = 1;
    let (mut most_kib, mut now_kib, mut most_vcpus, mut now_vcpus) = (None, None, None, None);
    let (mut id, mut ours, mut in_ours) = (None, None, false);
    let mut links = BTreeSet::new();
    loop {
        match reader.read_event().ok()? {
            Event::Empty(start)
                if path == "/domain/devices/interface" && start.name().as_ref() == "source" =>
            {
                links.extend(attribute(&start, "network").filter(|name| is_link(name)));
            }
            Event::Start(start) => {
                path.push('/');
                path.push_str(start.name().as_ref());
                match path.as_str() {
                    "/domain" => id = attribute(&start, "id"),
                    "/domain/memory" | "/domain/currentMemory" => {
                        unit = in_kib(attribute(&start, "unit").as_deref())?;
                    }
                    "/domain/vcpu" => {
                        now_vcpus = attribute(&start, "current").and_then(|n| n.parse().ok());
                    }
                    // libvirt keeps the prefix that it was given.
                    "/domain/metadata/rm:node" => {
                        let namespace = attribute(&start, "xmlns:rm");
                        in_ours = namespace.as_deref() == Some(metadata::NAMESPACE);
                    }
                    _ => {}
                }
            }
            Event::Text(text) => match path.as_str() {
                "/domain/memory" => most_kib = Some(kib(&text, unit)?),
                "/domain/currentMemory" => now_kib = Some(kib(&text, unit)?),
                "/domain/vcpu" => most_vcpus = text.trim().parse().ok(),
                "/domain/metadata/rm:node" if in_ours => ours = metadata::text(&text),
                _ => {}
            },
            Event::End(_) => {
                in_ours = false;
                path.truncate(path.rfind('/')?);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let most = Size {
        vcpus: most_vcpus.unwrap_or(1),
        memory_mib: most_kib.filter(|_| path.is_empty())? / 1024,
    };
    let size = Size {
        vcpus: now_vcpus.unwrap_or(most.vcpus),
        memory_mib: now_kib.map_or(most.memory_mib, |kib| kib / 1024),
    };
    Some(Read {
        id,
        size,
        most,
        metadata: ours,
        links,
    })
}

/// Our text in the element that libvirt gives alone.
pub(super) fn element(xml: &str) -> Option<String> {
    let (_, rest) = xml.split_once('>')?;
    let (text, _) = rest.split_once("</")?;
    metadata::text(text)
}

pub(super) fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = start.try_get_attribute(name).ok()??;
    Some(found.value.into_owned())
}

/// How many KiB a unit is; libvirt itself writes KiB.
fn in_kib(unit: Option<&str>) -> Option<u64> {
    match unit {
        None | Some("KiB" | "k") => Some(1),
        Some("MiB" | "M") => Some(1 << 10),
        Some("GiB" | "G") => Some(1 << 20),
        Some(_) => None,
    }
}

fn kib(text: &str, unit: u64) -> Option<u64> {
    text.trim().parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote() {
        let theirs = "<?xml version='1.0'?><domain type='xen' id='7'><name>a&amp;b</name>\
             <metadata><rm:node xmlns:rm='urn:other'>%7b</rm:node><x:y xmlns:x='urn:z'>1</x:y></metadata>\
             <memory unit='KiB'>131072</memory><currentMemory unit='KiB'>65536</currentMemory>\
             <vcpu placement='static' current='1'>4</vcpu><devices><x><memory>1</memory></x>\
             <interface type='network'><source network='default'/></interface></devices></domain>";
        let read = domain(theirs).unwrap();
        let size = |vcpus, memory_mib| Size { vcpus, memory_mib };
        assert_eq!((read.size, read.most), (size(1, 64), size(4, 128)));
        assert_eq!(read.id.as_deref(), Some("7"));
        assert_eq!((read.metadata, read.links), (None, BTreeSet::new()));
        let ours = theirs.replace("urn:other", metadata::NAMESPACE);
        assert_eq!(domain(&ours).unwrap().metadata.as_deref(), Some("{"));
    }

    #[test]
    fn what_is_no_domain_is_an_error() {
        for wrong in [
            "",
            "<",
            "<domain>",
            "<domain></domain>",
            "<domain><memory unit='KiB'>x</memory></domain>",
            "<domain><memory unit='furlong'>1</memory></domain>",
            "<domain><memory>1</memory></name></domain>",
            "<domain><memory unit='G'>18446744073709551615</memory></domain>",
        ] {
            assert!(domain(wrong).is_err(), "{wrong}");
        }
    }
}

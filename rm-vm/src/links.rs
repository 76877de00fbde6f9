//! Links between nodes of one host: to a driver each is a bridge that leads
//! nowhere else. It is known by its name; who makes it is the driver's affair.

use aws_lc_rs::digest::{SHA256, digest};
use rm_core::CatalogId;
use rm_core::model::Interface;

/// What the names of such bridges begin with.
const PREFIX: &str = "rml";
/// So many hexadecimal digits follow: a name of an interface has 15 bytes.
const DIGITS: usize = 12;

/// Whether a bridge of this name is a link's, and none of the host's.
pub(crate) fn is_link(bridge: &str) -> bool {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    bridge
        .strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() == DIGITS && rest.bytes().all(digit))
}

/// The interfaces, each end of a link plugged into the link's bridge. The same
/// link at another site, or of another installation, is another one.
pub(crate) fn plugged(interfaces: &[Interface], site: CatalogId) -> Vec<Interface> {
    let plug = |interface: &Interface| match &interface.link {
        None => interface.clone(),
        Some(link) => Interface {
            bridge: Some(bridge(link, site)),
            link: None,
            ..interface.clone()
        },
    };
    interfaces.iter().map(plug).collect()
}

fn bridge(link: &str, site: CatalogId) -> String {
    let hash = digest(&SHA256, format!("link/{site}/{link}").as_bytes());
    let digits = hash
        .as_ref()
        .iter()
        .take(DIGITS / 2)
        .map(|b| format!("{b:02x}"));
    digits.fold(PREFIX.to_owned(), |name, two| name + &two)
}

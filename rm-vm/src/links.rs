//! Links between nodes of one host: to a driver each is a bridge that leads
//! nowhere else. It is known by its name; who makes it is the driver's affair.

use aws_lc_rs::digest::{SHA256, digest};
use rm_core::CatalogId;
use rm_core::model::Interface;

/// What the names of such bridges begin with; what follows is twelve digits.
const PREFIX: &str = "rml";

/// Whether a bridge of this name is a link's, and no one of the host's.
pub(crate) fn is_link(bridge: &str) -> bool {
    bridge.starts_with(PREFIX)
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
    let digits = hash.as_ref().iter().take(6).map(|b| format!("{b:02x}"));
    digits.fold(PREFIX.to_owned(), |name, two| name + &two)
}

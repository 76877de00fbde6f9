//! Which bridge of its host an interface is plugged into: one that the site's
//! section names, the one that a VLAN is, or that of a link between nodes, which
//! leads nowhere else. Who makes the latter is the driver's affair.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use rm_core::model::Interface;
use rm_core::{CatalogId, Error, ErrorKind, Result};

use crate::config::SiteConfig;

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

/// The interfaces, each with the bridge that it is plugged into; none where
/// nobody says which. The same link at another site, or of another installation,
/// is another one.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] for a bridge or a VLAN that the site's section
/// does not name.
pub(crate) fn plugged(
    interfaces: &[Interface],
    site: CatalogId,
    config: &SiteConfig,
) -> Result<Vec<Interface>> {
    let plug = |interface: &Interface| {
        let into = match (&interface.link, interface.vlan) {
            (Some(link), _) => Some(bridge(link, site)),
            (None, Some(number)) => Some(of_vlan(number, interface, config)?),
            (None, None) => given(interface, config)?,
        };
        Ok::<_, Error>(Interface {
            bridge: into,
            link: None,
            ..interface.clone()
        })
    };
    interfaces.iter().map(plug).collect()
}

/// The bridge that this VLAN is.
fn of_vlan(number: u16, interface: &Interface, config: &SiteConfig) -> Result<String> {
    let on = |named: Option<&String>| named.or(config.bridge.as_ref()).cloned();
    let asked = on(interface.bridge.as_ref());
    let is_it =
        |vlan: &&crate::config::Vlan| vlan.number == number && on(vlan.on.as_ref()) == asked;
    if let Some(vlan) = config.vlans.iter().find(is_it) {
        return Ok(vlan.bridge.clone());
    }
    let all = config.vlans.iter().map(|vlan| match &vlan.on {
        Some(on) => format!("{} on {on}", vlan.number),
        None => vlan.number.to_string(),
    });
    Err(none_such(
        format!("nodes on this host cannot be in VLAN {number}"),
        "VLANs",
        all.collect(),
    ))
}

/// The bridge that is named, or the usual one.
fn given(interface: &Interface, config: &SiteConfig) -> Result<Option<String>> {
    let Some(named) = &interface.bridge else {
        return Ok(config.bridge.clone());
    };
    let pools = config.pools.iter().filter_map(|pool| pool.bridge.clone());
    let vlans = config.vlans.iter().map(|vlan| vlan.bridge.clone());
    let all: BTreeSet<String> = pools.chain(vlans).chain(config.bridge.clone()).collect();
    if all.contains(named) {
        return Ok(Some(named.clone()));
    }
    Err(none_such(
        format!("nodes on this host are not plugged into {named:?}"),
        "bridges",
        all.into_iter().collect(),
    ))
}

fn none_such(what: String, these: &str, all: Vec<String>) -> Error {
    let advice = match all.is_empty() {
        true => format!("leave it out; the site's section of the configuration names no {these}"),
        false => format!(
            "leave it out, or take one of the {these} {}",
            all.join(", ")
        ),
    };
    Error::new(ErrorKind::Unsupported, what).advice(advice)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config() -> SiteConfig {
        let pool = json!({"first": "10.0.0.1", "last": "10.0.0.9", "prefix": 24, "bridge": "br1"});
        let config = json!({
            "bridge": "br0",
            "pools": [pool],
            "vlans": [
                {"number": 10, "bridge": "br0v10"},
                {"number": 10, "on": "br1", "bridge": "br1v10"},
            ],
        });
        serde_json::from_value(config).unwrap()
    }

    fn one(interface: serde_json::Value, config: &SiteConfig) -> Result<Option<String>> {
        let site = "01a20300-2ed2-72a4-96f2-24d9f74b2bdd".parse().unwrap();
        let interface = serde_json::from_value(interface).unwrap();
        let all = plugged(&[interface], site, config)?;
        assert!(all[0].link.is_none());
        Ok(all[0].bridge.clone())
    }

    #[test]
    fn an_interface_is_plugged_into_what_the_host_gives_and_nothing_else() {
        let config = config();
        for (asked, into) in [
            (json!({}), "br0"),
            (json!({"bridge": "br1"}), "br1"),
            (json!({"bridge": "br1v10"}), "br1v10"),
            (json!({"vlan": 10}), "br0v10"),
            (json!({"vlan": 10, "bridge": "br0"}), "br0v10"),
            (json!({"vlan": 10, "bridge": "br1"}), "br1v10"),
        ] {
            let plugged = one(asked.clone(), &config).unwrap();
            assert_eq!(plugged.as_deref(), Some(into), "{asked}");
        }
        for (asked, told) in [
            (json!({"vlan": 11}), "10, 10 on br1"),
            (json!({"vlan": 10, "bridge": "br2"}), "10, 10 on br1"),
            (json!({"bridge": "br2"}), "br0, br0v10, br1, br1v10"),
        ] {
            let e = one(asked.clone(), &config).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Unsupported, "{asked}");
            assert!(e.next().is_some_and(|next| next.contains(told)), "{e}");
        }
        let nothing = SiteConfig::default();
        assert_eq!(one(json!({}), &nothing).unwrap(), None);
        for asked in [json!({"bridge": "br0"}), json!({"vlan": 10})] {
            let e = one(asked, &nothing).unwrap_err();
            assert!(
                e.next().is_some_and(|next| next.contains("names no")),
                "{e}"
            );
        }
        let link = one(json!({"link": "lan"}), &nothing).unwrap().unwrap();
        assert!(is_link(&link), "{link}");
    }
}

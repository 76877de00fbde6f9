//! Which addresses a node gets: the first free ones, from a place of the pool
//! that follows from its name.

use std::collections::BTreeSet;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use rm_core::model::{Address, Interface, NodeInterface};
use rm_core::{Error, ErrorKind, Result};

use crate::config::{Pool, SiteConfig};
use crate::driver::Nic;

mod pools;
mod taken;

use pools::{address, holds, is_for, network, number, size};
pub(crate) use taken::Taken;

/// Whether a node has no interface at all: nobody need be asked who has what.
pub(crate) fn are_none(wanted: &[Interface], site: &SiteConfig) -> bool {
    wanted.is_empty() && site.bridge.is_none()
}

/// The interfaces of a node of this name, complete.
///
/// # Errors
///
/// [`ErrorKind::Conflict`] where an address that is asked for is taken or
/// asked for twice, [`ErrorKind::NoCapacity`] where a pool is empty,
/// [`ErrorKind::Invalid`] where nobody says which bridge.
pub(crate) fn choose(
    name: &str,
    wanted: &[Interface],
    site: &SiteConfig,
    taken: &mut Taken,
) -> Result<Vec<NodeInterface>> {
    let usual = [Interface::default()];
    let wanted = match wanted {
        // A host without a network is good for nodes without one.
        _ if are_none(wanted, site) => &[],
        [] => &usual[..],
        some => some,
    };
    let mut nics = Vec::with_capacity(wanted.len());
    // What is asked for by name is not given to another interface first.
    for interface in wanted {
        let bridge = interface.bridge.as_deref().unwrap_or_default();
        let usual = site.bridge.as_deref().unwrap_or_default();
        for asked in &interface.addresses {
            let on = interface.bridge.as_deref().unwrap_or(usual);
            is_to_give(site, on, asked.ip)?;
            if !taken.take(bridge, asked.ip) {
                return Err(is_taken(&format!("the address {}", asked.ip)));
            }
        }
    }
    for (at, interface) in wanted.iter().enumerate() {
        let bridge = interface.bridge.as_ref().or(site.bridge.as_ref());
        let Some(bridge) = bridge.cloned() else {
            return Err(Error::invalid(
                "an interface names no bridge, and the host has no usual one",
            )
            .advice("name one, or say bridge in the site's section of the configuration"));
        };
        let mac = match &interface.mac {
            Some(mac) => mac.clone(),
            None => mac(name, at),
        };
        if !taken.macs.insert(mac.clone()) {
            return Err(is_taken(&format!("the hardware address {mac}")));
        }
        let mut addresses = interface.addresses.clone();
        if addresses.is_empty() {
            let fits = |pool: &&Pool| is_for(site, pool, &bridge);
            let pools: Vec<&Pool> = site.pools.iter().filter(fits).collect();
            for four in [true, false] {
                let family = pools.iter().filter(|p| p.first.is_ipv4() == four);
                addresses.extend(free(&format!("{name}/{at}"), family.copied(), taken)?);
            }
        }
        for address in &addresses {
            taken.take(&bridge, address.ip);
        }
        nics.push(NodeInterface {
            bridge,
            vlan: interface.vlan,
            mac,
            addresses,
            shaping: interface.shaping,
        });
    }
    Ok(nics)
}

/// As the driver wants them, with the gateways of the pools.
pub(crate) fn nics(given: &[NodeInterface], site: &SiteConfig) -> Vec<Nic> {
    let mut routed = BTreeSet::new();
    let mut gateways = |nic: &NodeInterface| -> Vec<IpAddr> {
        let of = |address: &Address| {
            let pool = site
                .pools
                .iter()
                .find(|p| is_for(site, p, &nic.bridge) && network(p, address.ip))?;
            // A guest has one way out a family.
            routed.insert(address.ip.is_ipv4()).then_some(pool.gateway?)
        };
        nic.addresses.iter().filter_map(of).collect()
    };
    given
        .iter()
        .map(|nic| Nic {
            bridge: nic.bridge.clone(),
            mac: nic.mac.clone(),
            addresses: nic.addresses.clone(),
            gateways: gateways(nic),
            shaping: nic.shaping,
        })
        .collect()
}

/// For how many nodes more of this shape the pools have addresses, at most;
/// absent where they take none.
pub(crate) fn room(wanted: &[Interface], site: &SiteConfig, taken: &Taken) -> Option<u64> {
    let usual = [Interface::default()];
    let wanted = if wanted.is_empty() {
        &usual[..]
    } else {
        wanted
    };
    // The bridges on which one node takes addresses, each as often as it does.
    let takes = wanted.iter().filter(|i| i.addresses.is_empty());
    let takes: Vec<&str> = takes
        .filter_map(|i| i.bridge.as_deref().or(site.bridge.as_deref()))
        .collect();
    let from = |on: &[&str], four: bool| -> Option<u64> {
        let of = |p: &Pool, bridge: &str| p.first.is_ipv4() == four && is_for(site, p, bridge);
        let pools = || site.pools.iter().filter(|p| on.iter().any(|b| of(p, b)));
        let all: u128 = pools().filter_map(size).fold(0, u128::saturating_add);
        let gateways = pools().filter_map(|p| p.gateway);
        let kept: BTreeSet<IpAddr> = taken.addresses.iter().copied().chain(gateways).collect();
        let used = kept.iter().filter(|ip| pools().any(|p| holds(p, **ip)));
        let each = takes
            .iter()
            .filter(|b| on.contains(b) && pools().any(|p| of(p, b)));
        let count = |n: usize| u128::try_from(n).unwrap_or(u128::MAX);
        let left = all.saturating_sub(count(used.count()));
        let left = left.checked_div(count(each.count()))?;
        (all > 0).then(|| u64::try_from(left).unwrap_or(u64::MAX))
    };
    // What one pool has may be taken on several bridges.
    let bridges: BTreeSet<&str> = takes.iter().copied().collect();
    let bridges: Vec<&str> = bridges.into_iter().collect();
    let each_and_all = bridges.chunks(1).chain([&bridges[..]]);
    each_and_all
        .flat_map(|on| [from(on, true), from(on, false)])
        .flatten()
        .min()
}

/// In words what the pools have left of which such a node would take addresses.
pub(crate) fn pools_for(wanted: &[Interface], site: &SiteConfig, taken: &Taken) -> String {
    let usual = [Interface::default()];
    let wanted = if wanted.is_empty() {
        &usual[..]
    } else {
        wanted
    };
    let takes = wanted.iter().filter(|i| i.addresses.is_empty());
    let takes: Vec<&str> = takes
        .filter_map(|i| i.bridge.as_deref().or(site.bridge.as_deref()))
        .collect();
    let mut told = Vec::new();
    for pool in &site.pools {
        let asked = takes.iter().filter(|on| is_for(site, pool, on)).count();
        if asked > 0 {
            let free = pools::free(pool, taken);
            told.push(format!("{free} and {asked} asked for"));
        }
    }
    told.join("; ")
}

/// A hardware address that follows from a name, of those that are nobody's.
fn mac(name: &str, at: usize) -> String {
    let hash = digest(&SHA256, format!("mac/{name}/{at}").as_bytes());
    let h = hash.as_ref();
    format!(
        "02:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
        h[0], h[1], h[2], h[3], h[4]
    )
}

/// The first address of these pools that nobody has, from a place that follows
/// from the seed; none where there are no pools.
fn free<'a>(
    seed: &str,
    pools: impl Iterator<Item = &'a Pool> + Clone,
    taken: &Taken,
) -> Result<Option<Address>> {
    for pool in pools.clone() {
        let Some(size) = size(pool) else { continue };
        let hash = digest(&SHA256, seed.as_bytes());
        let start = hash.as_ref()[..8]
            .iter()
            .fold(0u128, |n, b| n << 8 | u128::from(*b))
            % size;
        // Among one more than are taken at least one is free.
        let most = u128::try_from(taken.addresses.len()).unwrap_or(u128::MAX) + 2;
        let first = number(pool.first);
        for step in 0..size.min(most) {
            let ip = address(pool, first + (start + step) % size);
            let own = pool.gateway == Some(ip) || taken.addresses.contains(&ip);
            if let (false, prefix) = (own, pool.prefix) {
                return Ok(Some(Address { ip, prefix }));
            }
        }
    }
    let told: Vec<String> = pools.map(|pool| pools::free(pool, taken)).collect();
    if told.is_empty() {
        return Ok(None);
    }
    let told = told.join("; ");
    Err(Error::new(
        ErrorKind::NoCapacity,
        format!("no address is left for the node: {told}"),
    )
    .advice("delete a node there, or give the host's section of the configuration more"))
}

/// Refuses what is the host's own or somebody else's in the network of a bridge: of
/// that the pools are ours, but for the way out. What has no pools is the request's.
fn is_to_give(site: &SiteConfig, bridge: &str, ip: IpAddr) -> Result<()> {
    let same = |p: &&Pool| is_for(site, p, bridge) && p.first.is_ipv4() == ip.is_ipv4();
    let pools: Vec<&Pool> = site.pools.iter().filter(same).collect();
    let what = if pools.iter().any(|p| p.gateway == Some(ip)) {
        "is the gateway of the nodes of this host"
    } else if !pools.is_empty() && !pools.iter().any(|p| holds(p, ip)) {
        "is in no pool of this host, and so not its to give"
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("the address {ip} {what}"))
        .advice("ask for an address of a pool, or for none and take what is free"))
}

fn is_taken(what: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("{what} is another node's on this host already"),
    )
    .advice("ask for another one, or for none and take what is free")
}

#[cfg(test)]
mod tests;

//! Which addresses a pool has, and for whom.

use std::net::IpAddr;

use super::Taken;
use crate::config::{Pool, SiteConfig};
use crate::links::is_link;

/// Whether a pool's addresses are for interfaces on a bridge. One that names no
/// bridge has none for a VLAN, which is another network than the usual one.
pub(super) fn is_for(site: &SiteConfig, pool: &Pool, bridge: &str) -> bool {
    let is_vlan = || site.vlans.iter().any(|vlan| vlan.bridge == bridge);
    match &pool.bridge {
        _ if is_link(bridge) => false,
        Some(of) => of == bridge,
        None => site.bridge.as_deref() == Some(bridge) || !is_vlan(),
    }
}

/// How many addresses; none where the ends are of two families or swapped.
pub(super) fn size(pool: &Pool) -> Option<u128> {
    let same = pool.first.is_ipv4() == pool.last.is_ipv4();
    let between = number(pool.last).checked_sub(number(pool.first))?;
    same.then(|| between.saturating_add(1))
}

/// In words how many of its addresses are nobody's.
pub(super) fn free(pool: &Pool, taken: &Taken) -> String {
    let all = size(pool).unwrap_or(0);
    let own = |ip: &IpAddr| Some(*ip) != pool.gateway && holds(pool, *ip);
    let used = taken.addresses.iter().filter(|ip| own(ip)).count();
    let gateway = usize::from(pool.gateway.is_some_and(|ip| holds(pool, ip)));
    let used = u128::try_from(used.saturating_add(gateway)).unwrap_or(u128::MAX);
    format!(
        "{} of the {all} addresses {} to {} are free",
        all.saturating_sub(used),
        pool.first,
        pool.last
    )
}

pub(super) fn holds(pool: &Pool, ip: IpAddr) -> bool {
    pool.first.is_ipv4() == ip.is_ipv4() && pool.first <= ip && ip <= pool.last
}

/// Whether an address is in the network that the pool is a part of.
pub(super) fn network(pool: &Pool, ip: IpAddr) -> bool {
    let width: u32 = if ip.is_ipv4() { 32 } else { 128 };
    let host = width.saturating_sub(u32::from(pool.prefix));
    let net = |ip| number(ip).checked_shr(host).unwrap_or(0);
    pool.first.is_ipv4() == ip.is_ipv4() && net(pool.first) == net(ip)
}

pub(super) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

pub(super) fn address(pool: &Pool, number: u128) -> IpAddr {
    match pool.first {
        IpAddr::V4(_) => IpAddr::V4(u32::try_from(number).unwrap_or(u32::MAX).into()),
        IpAddr::V6(_) => IpAddr::V6(number.into()),
    }
}

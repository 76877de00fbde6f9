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
mod tests {
    use super::*;

    fn pool(first: &str, last: &str, prefix: u8) -> Pool {
        Pool {
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
            prefix,
            gateway: None,
            bridge: None,
        }
    }

    fn site(pools: Vec<Pool>) -> SiteConfig {
        SiteConfig {
            bridge: Some("br0".to_owned()),
            pools,
            ..SiteConfig::default()
        }
    }

    #[test]
    fn what_is_the_hosts_or_somebody_elses_is_not_given_by_name() {
        let mut pool = pool("10.0.0.1", "10.0.0.50", 24);
        pool.gateway = Some("10.0.0.1".parse().unwrap());
        let site = site(vec![pool]);
        let ask = |bridge: Option<&str>, address: &str| {
            let interface = Interface {
                bridge: bridge.map(str::to_owned),
                addresses: vec![address.parse().unwrap()],
                ..Interface::default()
            };
            choose("n", &[interface], &site, &mut Taken::default())
        };
        for (bad, why) in [
            ("10.0.0.1/24", "gateway"),
            ("10.0.0.60/24", "in no pool"),
            ("10.9.0.5/24", "in no pool"),
        ] {
            let e = ask(None, bad).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Invalid);
            assert!(e.to_string().contains(why) && e.next().is_some(), "{e}");
        }
        ask(None, "10.0.0.7/24").unwrap();
        // A link's are the request's, and so is what no pool says anything of.
        ask(Some("rml0123456789ab"), "10.0.0.1/24").unwrap();
        ask(None, "fd00::7/64").unwrap();
    }

    #[test]
    fn an_interface_in_a_vlan_gets_no_address_of_the_usual_network() {
        let mut site = site(vec![pool("10.0.0.10", "10.0.0.250", 24)]);
        site.vlans.push(crate::config::Vlan {
            number: 10,
            on: None,
            bridge: "br0v10".to_owned(),
        });
        let given = |site: &SiteConfig, bridge: &str| {
            let wanted = Interface {
                bridge: Some(bridge.to_owned()),
                ..Interface::default()
            };
            let mut nics = choose("a", &[wanted], site, &mut Taken::default()).unwrap();
            nics.remove(0).addresses.len()
        };
        let on = ["br0", "br1", "br0v10"];
        assert_eq!(on.map(|bridge| given(&site, bridge)), [1, 1, 0]);
        let mut own = pool("10.0.10.10", "10.0.10.250", 24);
        own.bridge = Some("br0v10".to_owned());
        site.pools.push(own);
        assert_eq!(on.map(|bridge| given(&site, bridge)), [1, 1, 1]);
    }

    #[test]
    fn each_gets_an_address_of_its_own_until_there_is_none() {
        let site = site(vec![
            pool("10.0.0.10", "10.0.0.13", 24),
            pool("fd00::1", "fd00::ffff:ffff:ffff", 64),
        ]);
        let mut taken = Taken::default();
        let mut seen = BTreeSet::new();
        for n in 0..4 {
            assert_eq!(room(&[], &site, &taken), Some(4 - n));
            let nics = choose(&format!("rm-{n}"), &[], &site, &mut taken).unwrap();
            assert_eq!(nics[0].addresses.len(), 2, "one of each family");
            assert_eq!(nics[0].addresses[0].prefix, 24);
            assert!(seen.insert(nics[0].addresses[0].ip));
        }
        let full = choose("rm-4", &[], &site, &mut taken).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::NoCapacity);
        let none = "0 of the 4 addresses 10.0.0.10 to 10.0.0.13 are free";
        assert!(full.what().ends_with(none), "{full}");
        let told = pools_for(&[], &site, &taken);
        assert!(
            told.starts_with(&format!("{none} and 1 asked for; ")),
            "{told}"
        );
        assert!(
            told.contains(" fd00::1 to fd00::ffff:ffff:ffff are free"),
            "{told}"
        );
    }

    #[test]
    fn only_the_pools_that_a_node_would_take_from_are_told() {
        let mut apart = pool("10.1.0.1", "10.1.0.2", 24);
        apart.bridge = Some("br1".to_owned());
        apart.gateway = Some("10.1.0.1".parse().unwrap());
        let site = site(vec![apart, pool("10.0.0.10", "10.0.0.10", 24)]);
        let into = |bridge: &str| Interface {
            bridge: Some(bridge.to_owned()),
            ..Interface::default()
        };
        let told = |wanted: &[Interface]| pools_for(wanted, &site, &Taken::default());
        let usual = "1 of the 1 addresses 10.0.0.10 to 10.0.0.10 are free and 1 asked for";
        assert_eq!(told(&[]), usual);
        let twice = told(&[into("br1"), into("br1")]);
        let apart = "1 of the 2 addresses 10.1.0.1 to 10.1.0.2 are free and 2 asked for";
        assert!(twice.starts_with(apart), "{twice}");
    }

    #[test]
    fn the_same_name_gets_the_same_again() {
        let site = site(vec![pool("10.0.0.10", "10.0.0.200", 24)]);
        let give = |name| choose(name, &[], &site, &mut Taken::default()).unwrap();
        assert_eq!(give("rm-a"), give("rm-a"));
        assert_ne!(give("rm-a")[0].mac, give("rm-b")[0].mac);
    }

    #[test]
    fn no_two_have_one_address() {
        let site = site(vec![pool("10.0.0.10", "10.0.0.12", 24)]);
        let asked = |ip: &str| Interface {
            addresses: vec![format!("{ip}/24").parse().unwrap()],
            ..Interface::default()
        };
        let mut taken = Taken::default();
        choose("rm-a", &[asked("10.0.0.11")], &site, &mut taken).unwrap();
        let again = choose("rm-b", &[asked("10.0.0.11")], &site, &mut taken).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
        let twice = [asked("10.0.0.12"), asked("10.0.0.12")];
        let twice = choose("rm-c", &twice, &site, &mut Taken::default()).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::Conflict);
        // What a request names is not given to its other interface.
        let both = [Interface::default(), asked("10.0.0.12")];
        let nics = choose("rm-d", &both, &site, &mut taken).unwrap();
        assert_eq!(nics[0].addresses[0].ip.to_string(), "10.0.0.10");
    }

    #[test]
    fn who_chose_what_another_one_has_too_chooses_again() {
        let site = site(vec![pool("10.0.0.10", "10.0.0.11", 24)]);
        let first = choose("rm-a", &[], &site, &mut Taken::default()).unwrap();
        let mut others = Taken::default();
        assert!(!others.any(&first));
        others.pass_over(&first);
        assert!(others.any(&first));
        let second = choose("rm-a", &[], &site, &mut others).unwrap();
        assert_eq!(second[0].mac, first[0].mac);
        assert_ne!(second[0].addresses, first[0].addresses);
    }

    #[test]
    fn each_link_has_addresses_of_its_own_and_none_of_a_pool() {
        let mut own = pool("10.0.0.1", "10.0.0.3", 24);
        own.gateway = Some("10.0.0.1".parse().unwrap());
        let site = site(vec![own]);
        let end = |link: &str, addresses: &[&str]| Interface {
            bridge: Some(link.to_owned()),
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            ..Interface::default()
        };
        let mut taken = Taken::default();
        let one = [
            Interface::default(),
            end("rmlaaaaaaaaaaaa", &["10.0.0.2/24"]),
            end("rmlbbbbbbbbbbbb", &[]),
        ];
        // The gateway is nobody's.
        assert_eq!(room(&one, &site, &taken), Some(2));
        let nics = choose("rm-a", &one, &site, &mut taken).unwrap();
        assert_eq!(nics[2].addresses, []);
        assert_eq!(super::nics(&nics, &site)[1].gateways, [] as [IpAddr; 0]);
        let other = [end("rmlbbbbbbbbbbbb", &["10.0.0.2/24"])];
        assert!(choose("rm-b", &other, &site, &mut taken).is_ok());
        let again = choose("rm-c", &other, &site, &mut taken).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
    }

    #[test]
    fn each_bridge_has_pools_of_its_own_and_the_smallest_counts() {
        let on = |bridge: &str, first: &str, last: &str| Pool {
            bridge: Some(bridge.to_owned()),
            ..pool(first, last, 24)
        };
        let site = site(vec![
            on("br0", "10.0.0.1", "10.0.0.9"),
            on("br1", "10.1.0.1", "10.1.0.3"),
        ]);
        let into = |bridge: &str| Interface {
            bridge: Some(bridge.to_owned()),
            ..Interface::default()
        };
        let both = [Interface::default(), into("br1")];
        let mut taken = Taken::default();
        for n in 0..3 {
            assert_eq!(room(&both, &site, &taken), Some(3 - n));
            let nics = choose(&format!("rm-{n}"), &both, &site, &mut taken).unwrap();
            let given: Vec<String> = nics.iter().map(|n| n.addresses[0].to_string()).collect();
            assert!(given[0].starts_with("10.0.0."), "{given:?}");
            assert!(given[1].starts_with("10.1.0."), "{given:?}");
        }
        assert_eq!(room(&both, &site, &taken), Some(0));
        // Who needs none of that one goes on; one that is nobody's pool has none.
        assert_eq!(room(&[], &site, &taken), Some(6));
        let apart = [Interface::default(), into("br2")];
        assert_eq!(room(&apart, &site, &taken), Some(6));
        let nics = choose("rm-apart", &apart, &site, &mut taken).unwrap();
        assert_eq!(nics[1].addresses, []);
        // One pool of all is taken on both.
        let shared = SiteConfig {
            pools: vec![pool("10.0.0.1", "10.0.0.9", 24)],
            ..site.clone()
        };
        assert_eq!(room(&both, &shared, &Taken::default()), Some(4));
    }

    #[test]
    fn a_gateway_is_given_to_nobody_and_to_everybody_as_the_way_out() {
        let mut own = pool("10.0.0.1", "10.0.0.2", 24);
        own.gateway = Some("10.0.0.1".parse().unwrap());
        let site = site(vec![own]);
        let given = choose("rm-a", &[], &site, &mut Taken::default()).unwrap();
        assert_eq!(given[0].addresses[0].ip.to_string(), "10.0.0.2");
        let nics = nics(&given, &site);
        assert_eq!(nics[0].gateways, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn absurd_pools_are_empty_and_no_panic() {
        for absurd in [
            pool("10.0.0.9", "10.0.0.1", 24),
            pool("10.0.0.9", "::1", 24),
        ] {
            let site = site(vec![absurd]);
            let e = choose("rm-a", &[], &site, &mut Taken::default()).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::NoCapacity);
        }
        let all = pool("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0);
        assert!(choose("rm-a", &[], &site(vec![all]), &mut Taken::default()).is_ok());
    }
}

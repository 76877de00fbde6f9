//! Links between nodes: which nodes have to be at one site, and with which
//! interfaces they are made.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use rm_core::model::{Address, Interface, Shaping};
use rm_core::{Error, Result};

use super::shape;
use crate::geni::rspec::{Ip, Node, prefix_of};
use crate::geni::sliver::Joined;
use crate::geni::xml::short;

/// The places of nodes that are linked with each other, however far, group by
/// group in the order of their first ones.
pub(super) fn groups(nodes: usize, links: &[Joined<'_>]) -> Vec<Vec<usize>> {
    // Each node knows one before it in its group, or that it is the first.
    let mut before: Vec<usize> = (0..nodes).collect();
    fn first(before: &mut [usize], mut of: usize) -> usize {
        while let Some(next) = before.get(of).copied().filter(|next| *next != of) {
            let further = before.get(next).copied().unwrap_or(next);
            if let Some(place) = before.get_mut(of) {
                *place = further;
            }
            of = next;
        }
        of
    }
    for link in links {
        let mut ends = link.ends.iter().map(|(node, _)| *node);
        let Some(one) = ends.next() else { continue };
        for other in ends {
            let (a, b) = (first(&mut before, one), first(&mut before, other));
            if let Some(place) = before.get_mut(a.max(b)) {
                *place = a.min(b);
            }
        }
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut of: Vec<Option<usize>> = vec![None; nodes];
    for node in 0..nodes {
        let head = first(&mut before, node);
        let group = match of.get(head).copied().flatten() {
            Some(group) => group,
            None => {
                groups.push(Vec::new());
                groups.len() - 1
            }
        };
        if let Some(of) = of.get_mut(head) {
            *of = Some(group);
        }
        if let Some(group) = groups.get_mut(group) {
            group.push(node);
        }
    }
    groups
}

/// One end of a link at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End<'a> {
    /// The place of the interface in its node.
    interface: usize,
    /// What no other link is called.
    link: &'a str,
    /// How what comes to it is held back.
    shaping: Option<Shaping>,
}

/// The ends of links by the place of their node.
///
/// # Errors
///
/// Where properties of a link ask for what cannot be; see [`shape::of`].
pub(super) fn ends<'a>(
    nodes: &[&Node],
    links: &'a [Joined<'_>],
) -> Result<BTreeMap<usize, Vec<End<'a>>>> {
    let mut ends: BTreeMap<usize, Vec<End<'_>>> = BTreeMap::new();
    for link in links {
        let shapes = shape::of(nodes, link)?;
        for ((node, interface), shaping) in link.ends.iter().zip(shapes) {
            ends.entry(*node).or_default().push(End {
                interface: *interface,
                link: &link.name,
                shaping,
            });
        }
    }
    ends.values_mut()
        .for_each(|of| of.sort_unstable_by_key(|end| end.interface));
    Ok(ends)
}

/// The interfaces of a node with these ends of links: the usual one, by which it
/// is reached, and one for each end. None where it has no end.
pub(super) fn interfaces(node: &Node, ends: &[End<'_>]) -> Result<Vec<Interface>> {
    let mut interfaces = Vec::with_capacity(ends.len() + 1);
    interfaces.extend(ends.first().map(|_| Interface::default()));
    for end in ends {
        let ips = node.interfaces.get(end.interface);
        let ips = ips.map_or(&[][..], |i| &i.ips);
        interfaces.push(Interface {
            link: Some(end.link.to_owned()),
            addresses: ips.iter().map(address).collect::<Result<_>>()?,
            shaping: end.shaping,
            ..Interface::default()
        });
    }
    Ok(interfaces)
}

/// Refuses links on which two interfaces have one address: their hosts would,
/// one node after the other, when all of the request is granted already.
pub(super) fn apart(nodes: &[&Node], links: &[Joined<'_>]) -> Result<()> {
    for link in links {
        let mut used = BTreeSet::new();
        for (node, place) in &link.ends {
            let node = nodes.get(*node);
            let interface = node.and_then(|n| n.interfaces.get(*place));
            for ip in interface.map_or(&[][..], |i| &i.ips) {
                let of = address(ip)?.ip;
                if !used.insert(of) {
                    let named = short(link.link.client_id.as_deref().unwrap_or_default());
                    return Err(Error::invalid(format!(
                        "two interfaces on link {named:?} have the address {of}"
                    ))
                    .code("one-address")
                    .advice("give each an address of its own"));
                }
            }
        }
    }
    Ok(())
}

fn address(ip: &Ip) -> Result<Address> {
    let text = ip.address.as_deref().unwrap_or_default().trim();
    let of: IpAddr = text.parse().map_err(|_| {
        Error::invalid(format!("{:?} is no address", short(text))).code("wrong-address")
    })?;
    let everybody = of == IpAddr::V4(Ipv4Addr::BROADCAST) || of.is_multicast();
    if everybody || of.is_unspecified() || of.is_loopback() {
        return Err(Error::invalid(format!(
            "{of} is no address that an interface on a link can have"
        ))
        .code("wrong-address")
        .advice("take one of a private network, as 10.10.1.2"));
    }
    let mask = ip.netmask.as_deref().and_then(prefix_of);
    let usual = if of.is_ipv4() { 24 } else { 64 };
    Ok(Address {
        ip: of,
        prefix: mask.filter(|_| of.is_ipv4()).unwrap_or(usual),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geni::rspec::Link;

    #[test]
    fn what_is_linked_however_far_is_one_group() {
        let link = Link::default();
        let joined = |ends: &[usize]| Joined {
            link: &link,
            name: "l".to_owned(),
            ends: ends.iter().map(|node| (*node, 0)).collect(),
        };
        let links = [
            joined(&[0, 3]),
            joined(&[5, 3]),
            joined(&[1, 2]),
            joined(&[]),
        ];
        assert_eq!(groups(6, &links), [vec![0, 3, 5], vec![1, 2], vec![4]]);
        assert_eq!(groups(2, &[]), [[0], [1]]);
        assert!(groups(0, &[]).is_empty());
    }
}

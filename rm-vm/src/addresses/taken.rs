//! Which addresses somebody has.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rm_core::model::NodeInterface;

use crate::links::is_link;
use crate::mark::Record;

/// What the domains of a host have, but one of them.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(super) addresses: BTreeSet<IpAddr>,
    /// Links have addresses of their own each.
    linked: BTreeSet<(String, IpAddr)>,
    pub(super) macs: BTreeSet<String>,
}

impl Taken {
    /// As the metadata of all domains say, of whatever installation.
    pub(crate) fn of(notes: &[(String, String)], but: &str) -> Self {
        let mut taken = Self::default();
        for (name, metadata) in notes {
            if name == but {
                continue;
            }
            taken.add(&Record::nics(metadata));
        }
        taken
    }

    /// These are somebody's, too.
    pub(crate) fn add(&mut self, nics: &[NodeInterface]) {
        self.pass_over(nics);
        self.macs.extend(nics.iter().map(|nic| nic.mac.clone()));
    }

    /// In words the first of these that somebody else has, too.
    pub(crate) fn first(&self, nics: &[NodeInterface]) -> Option<String> {
        nics.iter().find_map(|nic| {
            let mut addresses = nic.addresses.iter();
            let taken = addresses.find(|a| self.has(&nic.bridge, a.ip));
            let mac = || {
                let taken = self.macs.contains(&nic.mac);
                taken.then(|| format!("the hardware address {}", nic.mac))
            };
            taken.map_or_else(mac, |a| Some(format!("the address {}", a.ip)))
        })
    }

    /// Whether somebody else has one of these, too.
    pub(crate) fn any(&self, nics: &[NodeInterface]) -> bool {
        self.first(nics).is_some()
    }

    pub(super) fn has(&self, bridge: &str, ip: IpAddr) -> bool {
        match is_link(bridge) {
            true => self.linked.contains(&(bridge.to_owned(), ip)),
            false => self.addresses.contains(&ip),
        }
    }

    /// Whether nobody had it there.
    pub(super) fn take(&mut self, bridge: &str, ip: IpAddr) -> bool {
        match is_link(bridge) {
            true => self.linked.insert((bridge.to_owned(), ip)),
            false => self.addresses.insert(ip),
        }
    }

    /// The addresses of these are not to be chosen again.
    pub(crate) fn pass_over(&mut self, nics: &[NodeInterface]) {
        for nic in nics {
            for address in &nic.addresses {
                self.take(&nic.bridge, address.ip);
            }
        }
    }
}

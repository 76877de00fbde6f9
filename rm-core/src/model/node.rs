//! Nodes: virtual machines and containers, whatever runs them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Model;
use crate::error::{Error, ErrorKind, Result};

/// A virtual machine or a container.
#[derive(Debug, Clone, Copy)]
pub struct Node;

impl Model for Node {
    const NAME: &'static str = "node";
    type Spec = NodeSpec;
    type View = NodeView;

    fn power(spec: &mut NodeSpec) -> Option<&mut Power> {
        Some(&mut spec.power)
    }

    fn probe(spec: &NodeSpec, view: &NodeView) -> Option<(String, u16)> {
        if spec.power != Power::Running {
            return None;
        }
        let address = view.interfaces.iter().flat_map(|i| &i.addresses).next()?;
        Some((address.ip.to_string(), spec.ready_port?))
    }
}

/// What is wanted of a node.
///
/// Its image, hostname, users, user data and commands are what it is born
/// with: a change of them asks for an [`Action::Reimage`], too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// What it is made of.
    pub image: NodeImage,
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Room for its disk in GiB; the image's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<u64>,
    /// Its interfaces in order; one as the host has it where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Interface>,
    /// What it calls itself; its name at the host where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Who can log in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<NodeUser>,
    /// For the guest's own cloud-init, as it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_data: String,
    /// Commands for the guest's shell, run in order, all by one, when it first
    /// boots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boot_commands: Vec<String>,
    /// Whether it runs.
    #[serde(default)]
    pub power: Power,
    /// What was asked to be done once, by ascending numbers. What the host has
    /// done is told by [`NodeView::done`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Request>,
    /// A TCP port that must answer before a running node is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_port: Option<u16>,
}

impl NodeSpec {
    /// How many requests may wait to be carried out.
    pub const REQUESTS: usize = 16;

    /// Asks for something to be done once, after all that was asked for
    /// before; `done` is the number of the last request that the view shows as
    /// done. Answers the number of this one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where too many wait already.
    pub fn ask(&mut self, action: Action, done: u64) -> Result<u64> {
        let last = self.requests.last().map_or(0, |r| r.number);
        let number = last.max(done) + 1;
        let waiting = self.requests.iter().filter(|r| r.number > done).count();
        if waiting >= Self::REQUESTS {
            return Err(Error::new(
                ErrorKind::Busy,
                format!("{waiting} requests wait to be carried out on this node"),
            )
            .advice("wait until some are done, then ask again"));
        }
        self.requests.retain(|r| r.number > done);
        self.requests.push(Request { number, action });
        Ok(number)
    }
}

/// What a node is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeImage {
    /// Its name in the catalog.
    pub name: String,
    /// SHA-256 of its bytes, hexadecimal: a name may mean other bytes one day.
    pub sha256: String,
}

/// A user who can log in with any of these keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeUser {
    /// The name of the account, made where the image has none such.
    pub name: String,
    /// Public keys as in `authorized_keys`.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
}

/// One interface of a node; what is not said is the host's to choose.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// The bridge of the host that it is plugged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    /// The VLAN on that bridge, 1 to 4094, of those that the host has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// The link that it is an end of, in the place of a bridge: the interfaces
    /// of one site that name the same link reach each other, and nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Its addresses; one of each family that the host has pools of, where
    /// there is none and it is no end of a link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// Its hardware address, `02:00:0a:4d:00:02`; derived from the node's name
    /// where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// How what comes to the node by it is held back; not at all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shaping: Option<Shaping>,
}

/// How what comes to a node by an interface is held back. What is absent is as
/// the host has it; a host that cannot do what is said refuses the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shaping {
    /// So many kbit a second come through at the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_kbps: Option<u64>,
    /// It comes so many microseconds later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    /// Of a million packets so many are lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_ppm: Option<u32>,
}

impl Shaping {
    /// The code of an error that says that a host cannot do what is said.
    pub const UNSUPPORTED: &'static str = "no-shaping";

    /// Whether anything is to come late, or not at all.
    pub fn delays(&self) -> bool {
        self.latency_us.is_some_and(|us| us > 0) || self.loss_ppm.is_some_and(|ppm| ppm > 0)
    }
}

/// Whether a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// It runs.
    #[default]
    Running,
    /// It is there and does not run.
    Stopped,
    /// It is there, as it was, and stands still.
    Suspended,
}

/// Something to be done once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Counts the requests of this node.
    pub number: u64,
    /// What.
    pub action: Action,
}

/// What can be done once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Action {
    /// Stop it and start it again.
    Reboot,
    /// Keep its disk as it is now under this name.
    Snapshot(String),
    /// Make its disk again what it was under this name.
    Restore(String),
    /// Make its disk anew from the image that the spec names.
    Reimage,
}

/// What is seen of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeView {
    /// The host's name for it.
    pub name: String,
    /// The host it is on.
    pub host: String,
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Whether it runs.
    pub power: Power,
    /// Its interfaces, with the addresses that they have been given.
    pub interfaces: Vec<NodeInterface>,
    /// The number of the last request that was carried out.
    pub done: u64,
    /// Its snapshots by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<String>,
    /// How an operator of the host reads its console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<String>,
}

/// One interface as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInterface {
    /// The bridge of the host.
    pub bridge: String,
    /// The VLAN on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Its hardware address.
    pub mac: String,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// How what comes by it is held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shaping: Option<Shaping>,
}

/// An address and how many of its bits are the network's: `10.77.0.2/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// The length of the network's prefix.
    pub prefix: u8,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (ip, prefix) = text.split_once('/')?;
            let (ip, prefix) = (ip.parse::<IpAddr>().ok()?, prefix.parse::<u8>().ok()?);
            let most = if ip.is_ipv4() { 32 } else { 128 };
            (prefix <= most).then_some(Self { ip, prefix })
        };
        read().ok_or_else(|| {
            Error::invalid("that is no address with its prefix")
                .advice("write 10.0.0.5/24 or fd00::5/64")
        })
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> NodeSpec {
        serde_json::from_str(
            r#"{"image": {"name": "i", "sha256": "00"}, "vcpus": 1, "memory_mib": 64}"#,
        )
        .unwrap()
    }

    #[test]
    fn requests_are_numbered_in_order_and_forgotten_when_done() {
        let mut spec = small();
        assert_eq!(spec.ask(Action::Reboot, 0).unwrap(), 1);
        assert_eq!(spec.ask(Action::Snapshot("a".to_owned()), 0).unwrap(), 2);
        assert_eq!(spec.requests.len(), 2);
        assert_eq!(spec.ask(Action::Reimage, 2).unwrap(), 3);
        assert_eq!(spec.requests.len(), 1);
        // A spec that lost its requests does not use their numbers again.
        spec.requests.clear();
        assert_eq!(spec.ask(Action::Reboot, 7).unwrap(), 8);
    }

    #[test]
    fn a_node_takes_only_so_many_requests_that_are_not_done() {
        let mut spec = small();
        for _ in 0..NodeSpec::REQUESTS {
            spec.ask(Action::Reboot, 0).unwrap();
        }
        assert_eq!(
            spec.ask(Action::Reboot, 0).unwrap_err().kind(),
            ErrorKind::Busy
        );
        assert!(spec.ask(Action::Reboot, 1).is_ok());
    }

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for good in ["10.77.0.2/24", "fd00::5/64", "0.0.0.0/0", "::1/128"] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        for bad in ["10.77.0.2", "10.77.0.2/33", "::1/129", "x/8", "1.2.3.4/-1"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_spec_says_nothing_of_is_the_hosts_to_choose() {
        let spec = small();
        assert_eq!(spec.power, Power::Running);
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<NodeSpec>(&text).unwrap(), spec);
        assert!(!text.contains("interfaces"));
    }
}

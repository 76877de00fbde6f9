//! Which addresses a host calls on behalf of its users.
//!
//! Who may register an address to be called can make this host call things
//! that only this host can reach: the services of its own machine and of the
//! networks it stands in, and the metadata service of a cloud. So only public
//! addresses are called, and networks that the operator allows. The rule is for
//! the address that is connected to, not for the name it was found by.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use rm_core::Error;
use serde::{Deserialize, Serialize};

/// A network: an address and how many of its first bits count, as in
/// `10.0.0.0/8`. An address alone is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    const fn v4(a: u8, b: u8, c: u8, bits: u32) -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::new(a, b, c, 0)),
            bits,
        }
    }

    const fn v6(a: u16, b: u16, bits: u32) -> Self {
        Self {
            address: IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0)),
            bits,
        }
    }

    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        // Of all bits none is shifted out, and of none all are.
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(a)) => {
                let differ = net.to_bits() ^ a.to_bits();
                differ.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(a)) => {
                let differ = net.to_bits() ^ a.to_bits();
                differ.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::invalid(format!("{text:?} is not a network"))
                .advice("write an address and a number of bits, as in 10.0.0.0/8 or fd00::/8")
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().map_err(|_| wrong())?,
        };
        if bits > most {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|e: Error| e.to_string())
    }
}

/// Addresses that are not public: this machine, private and shared networks,
/// links, tests and documentation, groups, and what is reserved; of IPv6 also
/// those in which an address of IPv4 is hidden.
static NOT_PUBLIC: [Network; 27] = [
    Network::v4(0, 0, 0, 8),
    Network::v4(10, 0, 0, 8),
    Network::v4(100, 64, 0, 10),
    Network::v4(127, 0, 0, 8),
    Network::v4(169, 254, 0, 16),
    Network::v4(172, 16, 0, 12),
    Network::v4(192, 0, 0, 24),
    Network::v4(192, 0, 2, 24),
    Network::v4(192, 88, 99, 24),
    Network::v4(192, 168, 0, 16),
    Network::v4(198, 18, 0, 15),
    Network::v4(198, 51, 100, 24),
    Network::v4(203, 0, 113, 24),
    Network::v4(224, 0, 0, 4),
    Network::v4(240, 0, 0, 4),
    Network::v6(0, 0, 32),
    Network::v6(0x64, 0xff9b, 32),
    Network::v6(0x100, 0, 32),
    Network::v6(0x2001, 0, 32),
    Network::v6(0x2001, 0x2, 32),
    Network::v6(0x2001, 0x10, 28),
    Network::v6(0x2001, 0xdb8, 32),
    Network::v6(0x2002, 0, 16),
    Network::v6(0xfc00, 0, 7),
    Network::v6(0xfe80, 0, 10),
    Network::v6(0xfec0, 0, 10),
    Network::v6(0xff00, 0, 8),
];

/// Public addresses, and networks that are allowed beside them.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    allowed: Vec<Network>,
}

impl Networks {
    /// With these allowed, too.
    pub fn allowing(allowed: Vec<Network>) -> Self {
        Self { allowed }
    }

    /// Whether an address may be called.
    pub fn permit(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed.iter().any(|n| n.contains(address))
            || !NOT_PUBLIC.iter().any(|n| n.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(allowed: &[&str], address: &str) -> bool {
        let allowed = allowed.iter().map(|n| n.parse().unwrap()).collect();
        Networks::allowing(allowed).permit(address.parse().unwrap())
    }

    #[test]
    fn only_public_addresses_are_called() {
        for public in [
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.1",
            "192.167.1.1",
            "223.255.255.255",
            "2600::1",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(permits(&[], public), "{public}");
        }
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.19.255.255",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!permits(&[], inside), "{inside}");
        }
    }

    #[test]
    fn an_operator_allows_networks() {
        assert!(permits(&["127.0.0.0/8"], "127.0.0.1"));
        assert!(permits(&["127.0.0.0/8"], "::ffff:127.0.0.1"));
        assert!(!permits(&["127.0.0.0/8"], "::1"));
        assert!(permits(&["10.1.0.0/16", "::1"], "::1"));
        assert!(permits(&["10.1.0.0/16"], "10.1.255.255"));
        assert!(!permits(&["10.1.0.0/16"], "10.2.0.0"));
        assert!(permits(&["0.0.0.0/0"], "10.2.0.0"));
        assert!(permits(&["fd00::/8"], "fd12::1"));
        assert!(permits(&["10.1.2.3"], "10.1.2.3"));
        assert!(!permits(&["10.1.2.3"], "10.1.2.4"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "host",
            "10.0.0.0/",
            "1.2.3.4/-1",
        ] {
            let e = text.parse::<Network>().unwrap_err();
            assert!(e.next().is_some(), "{text:?}");
        }
        let network: Network = "10.0.0.0/8".parse().unwrap();
        assert_eq!(network.to_string(), "10.0.0.0/8");
    }
}

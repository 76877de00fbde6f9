//! The section `[vm]` of the configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};

/// What can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Effects at once on one host.
    pub concurrency: u32,
    /// How long one call may take, in seconds.
    pub call_timeout_seconds: u64,
    /// How long a guest may take to stop before it is stopped hard, in seconds.
    pub stop_grace_seconds: u64,
    /// How long a create, a change or a delete may take as a whole.
    pub patience_seconds: u64,
    /// To how many MiB an image may unpack.
    pub image_mib: u64,
    /// How many virtual processors are offered for each real one.
    pub vcpus_per_cpu: u32,
    /// The hosts, by the names of their sites.
    pub sites: BTreeMap<String, SiteConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrency: 8,
            call_timeout_seconds: 60,
            stop_grace_seconds: 20,
            patience_seconds: 900,
            image_mib: 16 * 1024,
            vcpus_per_cpu: 16,
            sites: BTreeMap::new(),
        }
    }
}

/// What a host has beside what it tells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SiteConfig {
    /// The bridge of interfaces that name none. Nodes are plugged into no other
    /// bridges than this one and those that pools and VLANs name.
    pub bridge: Option<String>,
    /// The VLANs that nodes may be in, each a bridge of its own.
    pub vlans: Vec<Vlan>,
    /// Of containers of libvirt: the folder on this machine where they and
    /// their images are kept. Of machines: the host's storage pool for what
    /// they boot, `default` where absent.
    pub storage: Option<PathBuf>,
    /// Machines of QEMU are emulated, whatever the processor could do.
    pub emulated: bool,
    /// Consoles of libvirt's domains are left to the operators of the host:
    /// nobody listens to them here, so that nothing is read of them either.
    pub leave_consoles: bool,
    /// What machines of Xen are.
    pub xen: XenGuest,
    /// Addresses that are ours to give to nodes on this host, and nobody
    /// else's.
    pub pools: Vec<Pool>,
}

/// How Xen runs its machines. The kernel of an image must be made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XenGuest {
    /// Paravirtualized: on every host, whatever its processor can do.
    #[default]
    Pv,
    /// By the processor, without any device that would be emulated.
    Pvh,
    /// By the processor, with the devices of a real machine.
    Hvm,
}

/// A VLAN: a bridge of the host over that VLAN of something that leads out of
/// it. Whoever looks after the host makes it, as every kernel and every driver
/// takes it; bridges that filter VLANs are not everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vlan {
    /// Its number, 1 to 4094.
    pub number: u16,
    /// The bridge by which requests name it; the usual one where absent.
    #[serde(default)]
    pub on: Option<String>,
    /// The bridge that it is.
    pub bridge: String,
}

/// Addresses in a row.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The first one.
    pub first: IpAddr,
    /// The last one.
    pub last: IpAddr,
    /// The length of the network's prefix.
    pub prefix: u8,
    /// Where other networks are reached.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// The bridge that they are for; every one that is no VLAN where absent.
    #[serde(default)]
    pub bridge: Option<String>,
}

/// The section's JSON schema.
pub(crate) fn schema() -> Value {
    let number = |description: &str, default: u64| json!({"type": "integer", "minimum": 1, "description": description, "default": default});
    let text = |description: &str| json!({"type": "string", "description": description});
    let pool = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["first", "last", "prefix"],
        "properties": {
            "first": text("the first address"),
            "last": text("the last address"),
            "prefix": {"type": "integer", "minimum": 0, "maximum": 128, "description": "the length of the network's prefix"},
            "gateway": text("where other networks are reached"),
            "bridge": text("the bridge that they are for; every one that is no VLAN where absent"),
        },
    });
    let vlan = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["number", "bridge"],
        "properties": {
            "number": {"type": "integer", "minimum": 1, "maximum": 4094, "description": "its number"},
            "on": text("the bridge by which requests name it; the usual one where absent"),
            "bridge": text("the bridge of the host that it is"),
        },
    });
    let site = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "bridge": text("the bridge of interfaces that name none"),
            "vlans": {"type": "array", "items": vlan, "description": "the VLANs that nodes may be in, each a bridge of its own"},
            "storage": text("of containers of libvirt: the folder on this machine where they and their images are kept; of machines: the host's storage pool for what they boot, \"default\" where absent"),
            "emulated": {"type": "boolean", "description": "machines of QEMU are emulated, whatever the processor could do", "default": false},
            "leave_consoles": {"type": "boolean", "description": "consoles of libvirt's domains are left to the operators of the host, and not listened to", "default": false},
            "xen": {"enum": ["pv", "pvh", "hvm"], "description": "how Xen runs its machines: paravirtualized, or by the processor, without or with emulated devices", "default": "pv"},
            "pools": {"type": "array", "items": pool, "description": "addresses that are ours to give to nodes on this host"},
        },
    });
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "concurrency": number("effects at once on one host", 8),
            "call_timeout_seconds": number("how long one call may take", 60),
            "stop_grace_seconds": number("how long a guest may take to stop before it is stopped hard", 20),
            "patience_seconds": number("how long a create, a change or a delete may take as a whole", 900),
            "image_mib": number("to how many MiB an image may unpack", 16 * 1024),
            "vcpus_per_cpu": number("how many virtual processors are offered for each real one", 16),
            "sites": {"type": "object", "additionalProperties": site, "description": "the hosts, by the names of their sites"},
        }
    })
}

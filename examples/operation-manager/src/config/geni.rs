//! The section `[geni]`: the door for GENI's experimenters. There is none
//! where the section is absent.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::schema::section;

/// How the door is, and who is behind it.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GeniSection {
    #[serde(default = "loopback")]
    pub(crate) address: IpAddr,
    #[serde(default = "port")]
    pub(crate) port: u16,
    #[serde(default)]
    pub(crate) address_file: Option<PathBuf>,
    /// Where clients reach it, where that is not the address itself.
    #[serde(default)]
    pub(crate) url: Option<String>,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The folder of the certificates that are trusted.
    pub(crate) roots: PathBuf,
    /// The aggregate's; that of its certificate where absent.
    #[serde(default)]
    pub(crate) urn: Option<String>,
    /// By whose credentials sites are used; the authority of the URN where
    /// absent.
    #[serde(default)]
    pub(crate) tenant: Option<String>,
    #[serde(default = "all_slivers")]
    pub(crate) slivers: Vec<SliverName>,
    /// Versions that list to who brings no credential.
    #[serde(default = "open")]
    pub(crate) open: Vec<u8>,
    #[serde(default)]
    pub(crate) allocate: AllocateName,
    #[serde(default)]
    pub(crate) single_allocation: bool,
    #[serde(default = "connections")]
    pub(crate) connections: u32,
}

/// How often a slice can ask for something, by version 3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AllocateName {
    Single,
    #[default]
    Disjoint,
}

/// What RSpecs call what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SliverName {
    Lxc,
    Xen,
    Kvm,
    Cluster,
}

impl SliverName {
    const ALL: [Self; 4] = [Self::Lxc, Self::Xen, Self::Kvm, Self::Cluster];

    /// The kind of node, and what RSpecs call it; a cluster is none.
    pub(crate) fn node(self) -> Option<(rm_core::Kind, &'static str)> {
        let kind = rm_core::Kind::from_static;
        match self {
            Self::Lxc => Some((kind("vm.lxc"), "lxc")),
            Self::Xen => Some((kind("vm.xen"), "xen")),
            Self::Kvm => Some((kind("vm.kvm"), "kvm")),
            Self::Cluster => None,
        }
    }
}

fn loopback() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}

fn port() -> u16 {
    8301
}

fn all_slivers() -> Vec<SliverName> {
    SliverName::ALL.to_vec()
}

fn open() -> Vec<u8> {
    vec![2]
}

fn connections() -> u32 {
    1024
}

/// Its part of the schema.
pub(super) fn schema() -> Value {
    let mut schema = section(
        "The door for GENI's experimenters: the aggregate manager API, versions 2 and 3. There is none where this is absent. \"geni init\" makes all that it needs, to try it.",
        &json!({
            "address": {"type": "string", "default": "127.0.0.1", "description": "The address of an interface of this machine."},
            "port": {"type": "integer", "minimum": 0, "maximum": 65535, "default": 8301, "description": "0 takes a free one."},
            "address_file": {"type": "string", "description": "A file that gets the address that was taken, before the daemon answers anywhere."},
            "url": {"type": "string", "examples": ["https://am.example.org:8301"], "description": "Where clients reach it, without a path; the address and port where absent. It must be there where the address is that of all interfaces."},
            "certificate": {"type": "string", "description": "A file with the door's certificate in PEM, and those above it."},
            "key": {"type": "string", "description": "A file that nobody else can read, with the key of the certificate in PEM."},
            "roots": {"type": "string", "description": "A folder with the certificates of those who are trusted (*.pem, *.crt, *.cer); it is looked at again as it changes."},
            "urn": {"type": "string", "examples": ["urn:publicid:IDN+example.org+authority+am"], "description": "The aggregate's name, of the type authority; that of its certificate where absent."},
            "tenant": {"type": "string", "description": "By whose credentials of the catalog sites are used for slices: this tenant's; where absent, that of the name of the aggregate's authority."},
            "slivers": {"type": "array", "items": {"type": "string", "enum": ["lxc", "xen", "kvm", "cluster"]}, "minItems": 1, "default": ["lxc", "xen", "kvm", "cluster"], "description": "Which kinds of nodes are offered, by the names of their types of sliver, and whether clusters are; what is there of others is served all the same."},
            "open": {"type": "array", "items": {"type": "integer", "minimum": 2, "maximum": 3}, "default": [2], "description": "The versions in which ListResources answers clients without a credential."},
            "allocate": {"type": "string", "enum": ["single", "disjoint"], "default": "disjoint", "description": "Whether a slice that has slivers can ask for more by version 3 (geni_allocate): not at all, or for what has nothing to do with them."},
            "single_allocation": {"type": "boolean", "default": false, "description": "Whether version 3 describes, provisions, renews and deletes slivers of a slice that have come as far as each other together only (geni_single_allocation)."},
            "connections": {"type": "integer", "minimum": 4, "maximum": 65535, "default": 1024, "description": "How many connections there are at once."},
        }),
    );
    schema["required"] = json!(["certificate", "key", "roots"]);
    schema
}

//! Models: the shapes that adapters and managers share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::id::CatalogId;
use crate::life::Wanted;

mod node;

pub use node::{
    Action, Address, Interface, Node, NodeImage, NodeInterface, NodeSpec, NodeUser, NodeView,
    Power, Request, Shaping,
};

/// Fixes what is wanted and what is seen of a family of kinds.
///
/// A plugin may bring a model of its own; core needs no change for it.
pub trait Model: fmt::Debug + Send + Sync + 'static {
    /// The model's name.
    const NAME: &'static str;
    /// What is wanted of a resource.
    type Spec: fmt::Debug + Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync;
    /// What can be seen of it, beside its state.
    type View: fmt::Debug + Clone + PartialEq + Default + Serialize + DeserializeOwned + Send + Sync;

    /// How many nodes the spec stands for, as quotas count them.
    fn nodes(_spec: &Self::Spec) -> u64 {
        1
    }

    /// Where the spec says whether the thing runs. A model that has no such
    /// place knows no start and no stop.
    fn power(_spec: &mut Self::Spec) -> Option<&mut Power> {
        None
    }

    /// What must accept a TCP connection before the resource counts as ready.
    fn probe(_spec: &Self::Spec, _view: &Self::View) -> Option<(String, u16)> {
        None
    }
}

/// What a spec means for the life of its resource: to be there, and to run or
/// not.
pub(crate) fn wanted<M: Model>(spec: &M::Spec) -> Wanted {
    match M::power(&mut spec.clone()) {
        None | Some(Power::Running) => Wanted::Running,
        Some(Power::Stopped | Power::Suspended) => Wanted::Stopped,
    }
}

/// A master and a number of slaves.
#[derive(Debug, Clone, Copy)]
pub struct Cluster;

impl Model for Cluster {
    const NAME: &'static str = "cluster";
    type Spec = ClusterSpec;
    type View = ClusterView;

    fn nodes(spec: &ClusterSpec) -> u64 {
        1 + u64::from(spec.slaves) + u64::from(spec.others)
    }

    fn probe(spec: &ClusterSpec, view: &ClusterView) -> Option<(String, u16)> {
        Some((view.address.clone()?, spec.ready_port?))
    }
}

/// What is wanted of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// The appliance's name.
    pub appliance: String,
    /// The implementation it is made by.
    pub implementation: CatalogId,
    /// The implementation's revision.
    pub revision: u32,
    /// How many hosts beside the master.
    pub slaves: u32,
    /// How many hosts there are that are neither the master nor a slave.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub others: u32,
    /// The caller's own parameters and those of the hints (`network`, `key`,
    /// `image`, `flavor`, `allowed_ip`); only what the implementation declares
    /// is handed on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Value>,
    /// A TCP port of the master that must answer before the cluster is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_port: Option<u16>,
    /// The images that the site must hold first: the SHA-256 of each, by the
    /// name under which the implementation and its parameters ask for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
    /// Who can log in to its hosts, beside those that the implementation names;
    /// only where its media type takes them
    /// ([`Media::takes_users`](crate::registry::Media::takes_users)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<NodeUser>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What is seen of a cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ClusterView {
    /// Where the master is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The hosts, the master first.
    #[serde(default)]
    pub hosts: Vec<ClusterHost>,
    /// What the implementation gives out, by name.
    #[serde(default)]
    pub outputs: BTreeMap<String, Value>,
}

/// One host of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterHost {
    /// Its name at the site.
    pub name: String,
    /// `master`, `slave`, or what the implementation calls it.
    pub role: String,
    /// Its address, as soon as it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// An image that a site must hold.
#[derive(Debug, Clone, Copy)]
pub struct SiteImage;

impl Model for SiteImage {
    const NAME: &'static str = "image";
    type Spec = ImageSpec;
    type View = ImageView;

    fn nodes(_spec: &ImageSpec) -> u64 {
        0
    }

    fn probe(_spec: &ImageSpec, _view: &ImageView) -> Option<(String, u16)> {
        None
    }
}

/// Which image, and where its bytes come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageSpec {
    /// The catalog's entry.
    pub image: CatalogId,
    /// The name by which implementations ask for it.
    pub name: String,
    /// `file:` path or http(s) URL.
    pub source: String,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
    /// Glance's disk format: `raw`, `qcow2`, ...
    pub disk_format: String,
}

/// What is seen of an image at a site.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ImageView {
    /// Bytes there so far.
    pub bytes: u64,
    /// The site's checksum, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// A value kept as JSON text: specs and views in records, whatever their model.
/// It was checked when it was made, and is copied as it is from then on.
#[derive(Clone)]
pub struct Json(Arc<RawValue>);

impl Json {
    /// Writes a value.
    pub fn of<T: Serialize>(value: &T) -> crate::Result<Self> {
        match serde_json::value::to_raw_value(value) {
            Ok(text) => Ok(Self(text.into())),
            Err(e) => Err(crate::Error::new(
                crate::ErrorKind::Internal,
                "a value cannot be written as JSON",
            )
            .because(e)),
        }
    }

    /// Reads it back.
    pub fn read<T: DeserializeOwned>(&self) -> crate::Result<T> {
        serde_json::from_str(self.as_str()).map_err(|e| {
            crate::Error::new(
                crate::ErrorKind::Corrupt,
                format!("the store holds a record that this version cannot read: {e}"),
            )
            .advice("was the store written by a newer version?")
        })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer)?.into()))
    }
}

//! Names and numbers of things.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::env::Env;
use crate::error::{Error, Result};

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new one; later ones sort behind earlier ones.
            pub fn new(env: &dyn Env) -> Self {
                Self(new_uuid(env))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Uuid::parse_str(text).map(Self).map_err(|_| {
                    Error::invalid(concat!("that is not the id of a ", $what))
                        .advice("ids look like 0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21")
                })
            }
        }
    };
}

uuid_id!(
    /// One reserved thing.
    ResourceId,
    "resource"
);
uuid_id!(
    /// One caller's claim on a resource.
    HoldId,
    "hold"
);
uuid_id!(
    /// One running engine; new with each start of a process.
    InstanceId,
    "engine"
);
uuid_id!(
    /// One entry of the catalog.
    CatalogId,
    "catalog entry"
);

/// A version 7 UUID from the environment's clock and randomness, so that a
/// simulated run makes the same ids every time.
fn new_uuid(env: &dyn Env) -> Uuid {
    let millis = u64::try_from(env.now().millis()).unwrap_or(0);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&env.random().to_be_bytes());
    random[8..].copy_from_slice(&env.random().to_be_bytes()[..2]);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// The variety of a resource: `cluster`, `vm.xen`, `gcube.context`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kind(std::borrow::Cow<'static, str>);

impl Kind {
    /// Clusters: one master and a number of slaves.
    pub const CLUSTER: Self = Self::from_static("cluster");
    /// Images that a site must hold before something can be made of them.
    pub const IMAGE: Self = Self::from_static("image");

    /// A kind known when the program is built.
    pub const fn from_static(name: &'static str) -> Self {
        Self(std::borrow::Cow::Borrowed(name))
    }

    /// A kind named by a record or a caller.
    pub fn new(name: impl Into<String>) -> Self {
        Self(std::borrow::Cow::Owned(name.into()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a site names a real thing: immutable, never used again for another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RemoteId(pub String);

impl fmt::Display for RemoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

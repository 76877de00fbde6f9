//! What a domain's metadata say: whose it is, what it was made to be, and what
//! it was given.

use rm_core::backend::Mark;
use rm_core::model::{NodeInterface, NodeSpec, Request};
use rm_core::owner::Owner;
use serde::{Deserialize, Serialize};

/// The record that a domain carries with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Whose it is; of generation 0 as long as it was never brought to its
    /// spec.
    pub(crate) mark: Mark,
    /// What it was last brought to.
    pub(crate) spec: NodeSpec,
    /// Its interfaces, with what it was given.
    pub(crate) nics: Vec<NodeInterface>,
    /// Whose it is, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<Owner>,
    /// The number of the last request that was carried out.
    #[serde(default)]
    pub(crate) done: u64,
    /// The request that is being carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) begun: Option<Begun>,
}

/// A request that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// Which.
    pub(crate) request: Request,
    /// In which boot of the domain it was begun; absent where it did not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) boot: Option<String>,
}

impl Record {
    /// What metadata say, where they are ours.
    pub(crate) fn read(metadata: Option<&str>) -> Option<Self> {
        serde_json::from_str(metadata?).ok()
    }

    /// As metadata.
    pub(crate) fn write(&self) -> rm_core::Result<String> {
        Ok(rm_core::model::Json::of(self)?.as_str().to_owned())
    }
}

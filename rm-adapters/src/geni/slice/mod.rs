//! Slices: what experimenters have here, over the resources of the house.
//!
//! A slice is a document that tells which resource is which node of which
//! request. What a sliver is and until when stands in the resource alone, so
//! that nothing can disagree with the engine; a resource that is gone, or on
//! its way out, is no sliver any more.
//!
//! | to know | read |
//! |---|---|
//! | what is kept | [`Kept`] |
//! | how it is read and written, so that calls on one slice are one after the other | `book.rs` |
//! | how something is done with its slivers while the engine is at work on them | `change.rs` |
//! | until when a sliver may be | `ends.rs` |
//! | which slices were shut down, and how one is opened again | `shut.rs` |
//! | what is told of it as a document | `manifest.rs` |
//! | what becomes of a request | `ask.rs` |

use rm_core::model::Json;
use rm_core::record::Document;
use rm_core::store::Key;
use rm_core::{Caller, ResourceId, Result};
use serde::{Deserialize, Serialize};

use super::Urn;

mod ask;
mod book;
mod change;
mod ends;
mod manifest;
mod shut;

pub(super) use ask::{Prepared, Wish, read_request};
pub(super) use book::{Have, Opened, Tries, tidy, until};
pub(super) use ends::Ends;
pub use ends::Lifetimes;
pub(super) use manifest::{Told, manifest};
use shut::Shut;
pub use shut::{ShutDown, lift_shutdown, shut_down};

/// The space of slices; the id is the spelling of the URN.
const SPACE: &str = "geni.slice";

/// What is kept of a slice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Its URN, as it was first written.
    pub(super) urn: String,
    /// Whether it was shut down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shut: Option<Shut>,
    /// What was asked for, in order, as long as there is a sliver of it.
    pub(super) requests: Vec<Asked>,
}

/// A request that was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// The RSpec as it came: manifests repeat what is not ours, too.
    pub(super) rspec: String,
    /// Its slivers, in its order.
    pub(super) slivers: Vec<Listed>,
}

/// A sliver of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    /// The node's name in the request.
    pub(super) client_id: String,
    /// The adapter that made it.
    pub(super) adapter: String,
    /// The resource that it is.
    pub(super) resource: ResourceId,
}

impl Kept {
    fn key(slice: &Urn) -> Key {
        Key::Document(SPACE.to_owned(), slice.spelling())
    }

    fn document(&self, slice: &Urn) -> Result<Document> {
        Ok(Document {
            space: SPACE.to_owned(),
            id: slice.spelling(),
            indexes: self
                .shut
                .iter()
                .map(|_| (shut::SHUT.0.to_owned(), shut::SHUT.1.to_owned()))
                .collect(),
            body: Json::of(self)?,
        })
    }
}

/// Who a slice is to the rest of the house: it owns and holds what is in it,
/// so that all its members act on the same slivers, and quotas are a slice's.
pub(super) fn owner(slice: &Urn) -> Caller {
    let name = slice.spelling();
    Caller::user(name.clone(), name)
}

/// What GENI calls a resource that is a sliver.
pub(super) fn sliver_urn(aggregate: &Urn, resource: ResourceId) -> Urn {
    Urn::new(aggregate.authority(), "sliver", &resource.to_string())
}

/// The resource that a sliver is, where its name is one of this aggregate's.
pub(super) fn resource_of(aggregate: &Urn, sliver: &Urn) -> Option<ResourceId> {
    let id = sliver.name().parse().ok()?;
    (*sliver == sliver_urn(aggregate, id)).then_some(id)
}

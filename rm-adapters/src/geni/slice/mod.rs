//! Slices: what experimenters have here, over the resources of the house.
//!
//! A slice is a document that tells which resource is which node of which
//! request. What a sliver is and until when stands in the resource alone, so
//! that nothing can disagree with the engine; a resource that is gone, or on
//! its way out, is no sliver any more.
//!
//! | to know | read |
//! |---|---|
//! | what each version of the API asks of slices | `contract.rs` |
//! | how each version is fulfilled | `v2.rs`, `v3.rs`, over what both do: `doing.rs` |
//! | what is kept, and as which documents | `kept.rs` |
//! | how it is read and written, so that calls on one slice are one after the other | `book.rs` |
//! | how something is done with its slivers while the engine is at work on them | `change.rs` |
//! | until when a sliver may be | `ends.rs` |
//! | how all that happens in one is ended | `end.rs` |
//! | what was deleted and does not go | `stuck.rs` |
//! | which slices were shut down, and how one is opened again | `shut.rs` |
//! | what is told of it as a document | `manifest.rs` |
//! | what becomes of a request | `ask.rs`, `names.rs` |
//! | what nobody can be granted, and is not to be told as if it were | `granted.rs` |

use rm_core::{Caller, ResourceId};

use super::Urn;

mod ask;
mod book;
mod change;
mod contract;
mod doing;
mod end;
mod ends;
mod granted;
mod kept;
mod manifest;
mod names;
mod shut;
mod stuck;
mod v2;
mod v3;

use ask::{Prepared, read_request};
pub(super) use book::tidy;
use book::{Have, Opened, Tries, until};
pub use contract::{
    About, Act, Described, Provision, Renewal, SliceCall, SliceTold, SliceV2, SliceV3, SliverTold,
};
pub(super) use doing::{of_one_slice, slice_of};
pub(super) use ends::Ends;
pub use ends::Lifetimes;
use kept::{Asked, Listed};
use manifest::{Told, manifest};
use shut::mark;
pub use shut::{ShutDown, lift_shutdown, shut_slices};
pub use v2::SlicesV2;
pub use v3::SlicesV3;

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

//! GENI: the aggregate manager API for the clients that exist.
//!
//! ```text
//! TLS with a client certificate -> XML-RPC -> Rpc v2, v3 -> credentials -> adapters of the kinds
//! ```
//!
//! | to know | read |
//! |---|---|
//! | which methods there are, and how they are answered | [`Aggregate`], `rpc` |
//! | which of our errors is which code | [`Code`] |
//! | what an experimenter asks for, is offered, and has | [`rspec`] |
//! | who may do what, and how that is proved | [`credentials`] |
//! | how calls and answers are written | [`xmlrpc`] |
//! | how clients reach it | [`GeniDoor`], `tls.rs` |
//! | what each version does with slices | [`SliceV2`], [`SliceV3`] |
//! | what the adapters of kinds do for it | [`GeniSliver`], [`NodeSlivers`], [`ClusterSlivers`] |
//! | what a slice is, and what is kept of it | `slice` |
//! | which site is which component, and what there is of them | `component.rs`, [`Components`] |
//! | in which state a sliver is, and what can be done then | [`states`] |
//! | names of users, slices, slivers, authorities | [`Urn`] |
//! | where long work is done, so that no line waits for another's | `bench.rs` |
//! | how calls are read, that none keeps another from being read | `body.rs` |
//! | how documents are read, whatever is in them | `xml` |

mod aggregate;
mod bench;
mod body;
mod clusters;
mod codes;
mod component;
pub mod credentials;
mod fresh;
mod nodes;
mod rpc;
pub mod rspec;
mod serve;
mod slice;
mod sliver;
pub mod states;
mod tls;
mod urn;
mod xml;
pub mod xmlrpc;

use std::sync::Arc;

use rm_core::Result;
use rm_core::registry::Registries;

pub use aggregate::{Aggregate, Allocating};
pub use clusters::{CLUSTER, ClusterSlivers};
pub use codes::Code;
pub use component::Components;
pub use nodes::NodeSlivers;
pub use rpc::Version;
pub use serve::GeniDoor;
pub use slice::{
    About, Act, Described, Lifetimes, Provision, Renewal, ShutDown, SliceCall, SliceTold, SliceV2,
    SliceV3, SlicesV2, SlicesV3, SliverTold, lift_shutdown, shut_slices,
};
pub use sliver::{Deed, GeniSliver, Joined, Refusal, Sliver, SliverTerms, Unfit};
pub use urn::Urn;
pub use xml::{Attribute, Content, Element, Line, Name};

/// Registers what is here for GENI: both versions, over nodes and clusters.
///
/// # Errors
///
/// Where an adapter of one of their names is registered already.
pub fn register(registries: &mut Registries) -> Result<()> {
    let nodes: Arc<dyn GeniSliver> = Arc::new(NodeSlivers::default());
    register_with(registries, [nodes, Arc::new(ClusterSlivers::default())])
}

/// Registers both versions, over these slivers.
///
/// # Errors
///
/// As for [`register`].
pub fn register_with(
    registries: &mut Registries,
    slivers: impl IntoIterator<Item = Arc<dyn GeniSliver>>,
) -> Result<()> {
    registries.adapter::<dyn SliceV2>(Arc::new(SlicesV2))?;
    registries.adapter::<dyn SliceV3>(Arc::new(SlicesV3))?;
    for adapter in slivers {
        registries.adapter(adapter)?;
    }
    Ok(())
}

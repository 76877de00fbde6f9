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
//! | what the adapters of kinds do for it | [`GeniSliver`], [`NodeSlivers`] |
//! | what a slice is, and what is kept of it | `slice` |
//! | in which state a sliver is, and what can be done then | [`states`] |
//! | names of users, slices, slivers, authorities | [`Urn`] |
//! | where long work is done, so that no line waits for another's | `bench.rs` |
//! | how documents are read, whatever is in them | `xml` |

mod bench;
mod codes;
pub mod credentials;
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

pub use codes::Code;
pub use nodes::{NodeSlivers, register};
pub use rpc::{Aggregate, Version};
pub use serve::GeniDoor;
pub use slice::{Lifetimes, ShutDown, lift_shutdown, shut_slices};
pub use sliver::{Deed, GeniSliver, Joined, Refusal, Sliver, SliverTerms};
pub use urn::Urn;
pub use xml::{Attribute, Content, Element, Line, Name};

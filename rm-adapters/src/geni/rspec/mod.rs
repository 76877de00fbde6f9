//! RSpec version 3: requests, advertisements, manifests.
//!
//! ```
//! use rm_adapters::geni::rspec::{Kind, Rspec};
//!
//! let mut request = Rspec::parse(
//!     r#"<rspec type="request" xmlns="http://www.geni.net/resources/rspec/3">
//!          <node client_id="a"><sliver_type name="lxc"/></node>
//!        </rspec>"#,
//! )?;
//! assert_eq!(request.kind(), Some(Kind::Request));
//! request.nodes[0].client_id = Some("b".into());
//! assert!(request.print().contains(r#"<node client_id="b">"#));
//! # Ok::<(), rm_core::Error>(())
//! ```
//!
//! The reader is as lenient as real documents are: any attribute may be absent
//! or hold anything, and what the schema does not know (extensions, attributes
//! and elements of others) is kept in [`Extra`] and printed again. What a call
//! needs to be true is checked apart, by [`faults`], so that a person gets
//! all of it at once, with lines.
//!
//! | to know | read |
//! |---|---|
//! | what there is in a document | [`Rspec`], `model.rs`, `parts.rs` |
//! | how a part is read and printed | `part.rs` |
//! | how a long one is read from a stream and written into one | `stream.rs` |
//! | what is wrong with a request | [`faults`], `check.rs` |

mod check;
mod model;
mod part;
mod parts;
mod stream;
mod whose;

pub use arcstr::Substr;
pub(crate) use check::prefix_of;
pub use check::{Fault, Severity, faults};
pub use model::{Interface, Kind, Link, Node, Rspec, Version};
pub use part::{Extra, Text};
pub use parts::{
    Available, Cloud, ComponentHop, ComponentManager, DiskImage, Execute, ExternalRef,
    HardwareType, Host, Install, InterfaceRef, Ip, LinkType, Location, Login, Monitoring, Property,
    Relation, Services, SliverType, TypeRelation, User,
};
pub(crate) use whose::{is_ours, our_links};

/// The namespace of version 3.
pub const NAMESPACE: &str = "http://www.geni.net/resources/rspec/3";

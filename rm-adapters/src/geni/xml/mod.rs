//! Documents as GENI's clients send them: read in one pass within limits, kept
//! as trees where they are not understood, printed in ASCII.
//!
//! Nothing that a document names is ever fetched: there are no document types,
//! no entities but the five of XML, no schemas.

mod letters;
mod pull;
mod tree;
mod write;

pub(crate) use letters::{is_name, short};
pub(crate) use pull::UNDECLARED;
pub(crate) use pull::{Item, Limits, Pull, Tag};
pub use tree::{Attribute, Content, Element, Line, Name};
pub(crate) use tree::{Declared, Manner, keep_attribute};
pub(crate) use write::{Writer, escape};

/// The namespace of `xml:id` and `xml:lang`.
pub(crate) const XML: &str = "http://www.w3.org/XML/1998/namespace";

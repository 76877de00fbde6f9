//! What is true of whatever comes from outside, whatever its bytes.
//!
//! Each [`Target`] takes any bytes and panics where one of its properties does
//! not hold. The same functions are called by the tests of this crate, with
//! every input in `corpus/` and with random ones, and by libFuzzer, which
//! `cargo xtask fuzz` builds around them.
//!
//! | to know | read |
//! |---|---|
//! | what is true of RSpecs, and of calls | `rspec.rs`, `xmlrpc.rs` |
//! | what is true of credentials, and who has really said what | `credentials.rs` |
//! | how credentials are forged, by a list of bytes | `edits.rs` |
//! | which words random documents are made of | `words/` |
//!
//! An input that once did harm belongs into `corpus/`, with a name that says
//! what it did.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a property that does not hold is a panic"
)]

// The federation of the tests of `rm-adapters`, and what it signs.
#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../../../rm-adapters/tests/geni/authority.rs"]
mod authority;
#[path = "../../../rm-adapters/tests/geni/chains.rs"]
mod chains;
#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../../../rm-adapters/tests/geni/corpus.rs"]
mod corpus;
mod credentials;
mod edits;
#[path = "../../../rm-adapters/tests/geni/passed.rs"]
mod passed;
mod rspec;
mod xmlrpc;

pub use credentials::{accepts, credentials, genuine};
pub use rspec::rspec;
pub use xmlrpc::{answered, as_written, xmlrpc};

use rm_core::Error;

/// What is fuzzed: its name, which is that of its folder in `corpus/`, and what
/// is to be done with any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All there are.
pub const TARGETS: [Target; 3] = [
    ("rspec", rspec),
    ("xmlrpc", xmlrpc),
    ("credentials", credentials),
];

/// Whoever sent megabytes is told what is wrong in a few lines.
fn is_short(refusal: &Error) {
    let length = refusal.to_string().len();
    assert!(length < 4_000, "a refusal of {length} bytes");
}

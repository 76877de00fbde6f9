//! GENI: documents, credentials and calls, against recorded ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod arguments;
mod authority;
mod chains;
mod corpus;
mod credentials;
mod door;
mod held;
mod issue;
mod kinds;
mod lab;
mod limits;
mod links;
mod older;
mod places;
mod remembered;
mod restless;
mod ring;
mod rspec;
mod slice;
mod slices;
mod strange;
mod table;
mod told;
mod xmlrpc;

//! What an operator does about a real Heat: orphans that somebody made by hand,
//! and a store that was lost; and an appliance that runs there or on containers.
//!
//! What is claimed about the cloud is read from Heat by a session of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

mod anywhere;
mod cloud;
mod lost;
mod orphans;
#[path = "../support/mod.rs"]
mod support;

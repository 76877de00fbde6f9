//! Bad input to a daemon that works on a real Heat: what is told, and that the
//! listings of the catalog, the store and the cloud are afterwards what they
//! were before.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

mod disk;
mod eyes;
mod input;
mod newer;
mod stage;
#[path = "../support/mod.rs"]
mod support;

//! Nodes as real containers of this machine, through the whole of core. The lab
//! is named by `RM_LAB_LXC`, the folder that has its `lab.json`.
//!
//! What is claimed about containers is read from LXC's own tools and from the
//! guests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests, and what they share"
)]

mod clusters;
mod conformance;
mod driver;
mod faults;
#[path = "../house/mod.rs"]
mod house;
mod interfaces;
mod kept;
mod killed;
mod lab;
mod left;
mod life;
mod shaping;
mod users;

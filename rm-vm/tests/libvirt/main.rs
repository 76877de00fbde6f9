//! The driver of libvirt against a real libvirtd: the lab that
//! `RM_LAB_LIBVIRT` names, as `lab/vm/up libvirt DIR` makes it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests, and what they share"
)]

mod booted;
mod clusters;
mod conformance;
mod consoles;
mod containers;
mod contract;
mod faults;
mod full;
#[path = "../house/mod.rs"]
mod house;
mod lab;
mod links;
mod lost;
mod machines;
mod pool;
mod refused;
mod unfinished;
mod xen;

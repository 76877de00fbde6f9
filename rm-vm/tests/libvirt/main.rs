//! The driver of libvirt against a real libvirtd: the lab that
//! `RM_LAB_LIBVIRT` names, as `lab/vm/up libvirt DIR` makes it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

mod containers;
mod contract;
mod lab;
mod machines;

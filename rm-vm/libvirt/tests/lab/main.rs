//! The client against a real libvirtd on this machine: the lab that
//! `RM_LAB_LIBVIRT` names, as `lab/vm/up libvirt DIR` makes it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests, and what they share"
)]

mod domains;
mod events;
mod lab;
mod lost;
mod tls;

//! Clusters on a real Keystone and Heat, through the whole of core: catalog,
//! engine and backend. The cloud is named by `RM_LAB_CLOUDS`, the path of a
//! `clouds.yaml` with the clouds `oslab` and `oslab-admin`.
//!
//! What is claimed about the cloud is read from Heat by a session of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests, and what they share"
)]

mod behind;
mod conformance;
mod crowd;
mod faults;
mod full;
mod lab;
mod life;
mod own;
mod refused;
mod resize;
mod room;
mod software;

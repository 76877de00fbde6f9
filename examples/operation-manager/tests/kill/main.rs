//! The daemon is killed with -9, or stopped, in the middle of create, resize and
//! delete on a real Heat and on real containers, and goes on: exactly one stack
//! a cluster, or one container a host of it, and none left over. The same where
//! GENI's experimenters ask for slivers. `cargo xtask crash` runs it with many
//! more kills. That public clients of GENI's get what they ask for where nobody
//! kills is shown beside.
//!
//! What is claimed about a site is read by other eyes than the daemon's: from
//! Heat by a session of its own, of containers from their folders and from the
//! tools of LXC.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

#[cfg(feature = "geni")]
mod aggregate;
mod campaign;
#[cfg(feature = "geni")]
mod clients;
mod daemon;
mod dice;
mod eyes;
mod ground;
#[cfg(feature = "geni")]
mod life;
mod phases;
#[cfg(feature = "geni")]
mod slices;
mod stopped;

/// A number from the environment.
fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok().and_then(|n| n.parse().ok());
    given.unwrap_or(otherwise)
}

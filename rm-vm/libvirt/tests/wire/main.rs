//! The client against a server of our own, which says what no libvirt would
//! say, and says what libvirt says when it suits the test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests, and what they share"
)]

mod calls;
mod console;
mod events;
mod hostile;
mod networks;
mod server;
mod storage;
#[cfg(feature = "tls")]
mod tls;

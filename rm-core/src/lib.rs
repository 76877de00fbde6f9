//! The heart of the resource manager: traits, registries, engine and catalog.
//!
//! It does no I/O of its own: no HTTP, no SQL, no XML, no TLS, no clock and no
//! runtime. A [`Host`] is built from plugins, a [`Store`](store::Store) and an
//! [`Env`](env::Env); doors call it through adapters, programs call it
//! directly.
//!
//! | to know | read |
//! |---|---|
//! | how a program uses it | [`host`], [`clusters`], [`catalog`] |
//! | what a plugin author writes | [`backend`], [`registry`] |
//! | what is wanted and what is seen | [`life`], [`model`], [`record`] |
//! | what is durable | [`store`], [`event`] |
//! | who is told | [`signal`], [`calls`] |
//! | what makes it happen | [`engine`] |

pub mod backend;
mod bell;
pub mod calls;
pub mod caller;
pub mod catalog;
pub mod clusters;
pub mod copies;
mod driver;
pub mod engine;
pub mod env;
pub mod error;
pub mod event;
pub mod host;
pub mod id;
pub mod life;
pub mod manager;
pub mod model;
pub mod name;
pub mod policy;
mod quota;
pub mod record;
pub mod registry;
pub mod resource;
pub mod secret;
pub mod signal;
pub mod store;
#[cfg(test)]
mod testing;
mod visible;

pub use caller::{Caller, Role, Tenant};
pub use error::{Effect, Error, ErrorKind, Result};
pub use host::{Call, Host, HostBuilder};
pub use id::{CatalogId, HoldId, Kind, RemoteId, ResourceId};

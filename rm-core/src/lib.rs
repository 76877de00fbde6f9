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
//! | clusters made of nodes | [`nodes`] |
//! | what is durable | [`store`], [`event`] |
//! | who is told | [`event`], [`signal`], [`outbox`], [`operations`], [`calls`] |
//! | what was believed when, and why | [`history`] |
//! | what is left over at sites | [`orphans`] |
//! | what waits for a person | [`quarantine`] |
//! | a store that is lost | [`rebuild`], [`owner`] |
//! | how users get accounts on a cluster | [`accounts`] |
//! | what makes it happen | [`engine`] |

pub mod accounts;
pub mod backend;
mod bell;
pub mod caller;
pub mod calls;
pub mod catalog;
pub mod clusters;
pub mod copies;
mod driver;
pub mod engine;
pub mod env;
pub mod error;
pub mod event;
pub mod history;
pub mod host;
pub mod id;
mod installation;
pub mod life;
pub mod manager;
pub mod model;
pub mod name;
pub mod nodes;
pub mod operations;
pub mod orphans;
pub mod outbox;
pub mod owner;
pub mod policy;
pub mod quarantine;
mod quota;
pub mod rebuild;
pub mod record;
pub mod registry;
pub mod resource;
pub mod secret;
pub mod signal;
pub mod store;
mod survey;
#[cfg(test)]
mod testing;
mod visible;

pub use caller::{Caller, Role, Tenant};
pub use error::{Effect, Error, ErrorKind, Result};
pub use host::{Call, Host, HostBuilder};
pub use id::{CatalogId, HoldId, Kind, RemoteId, ResourceId};

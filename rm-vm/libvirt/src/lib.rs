//! An async client of libvirt's RPC protocol, in Rust alone: no C library, no
//! thread for each call.
//!
//! ```no_run
//! use rm_libvirt::{Client, Config, CreateFlags, Event, ListFlags};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let uri = "qemu+unix:///system?socket=/run/libvirt/libvirt-sock".parse()?;
//! let (client, connection) = Client::new(Config::new(uri));
//! tokio::spawn(connection.run());
//!
//! let mut events = client.events();
//! for domain in client.list_domains(ListFlags::INACTIVE).await? {
//!     client.create(&domain, CreateFlags::default()).await?;
//! }
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Lifecycle(life) => println!("{}: {:?}", life.domain.name, life.change),
//!         // After a gap everything is listed again.
//!         Event::Connected | Event::Missed(_) => println!("{:?}", client.list_domains(ListFlags::default()).await?),
//!         _ => {}
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! * [`Uri`]: which libvirt, and by which way: a socket, TCP, or TLS with certificates on both sides.
//! * [`Config`]: deadlines, calls in flight, keepalive, pauses between attempts to connect.
//! * [`Client`]: the calls. They overlap on one connection; each has a deadline; each may be dropped.
//! * [`Connection`]: what somebody must run. It is made again whenever it ends.
//! * [`Event`]: what happens to domains, and when it is unknown what happened.
//! * [`Error`]: what went wrong, by libvirt's [`Code`], and whether the call may have had an effect.
//!
//! The crate spawns nothing, and reads no clock but tokio's.

mod client;
mod code;
mod config;
mod connection;
mod console;
mod domain;
mod domains;
mod error;
mod event;
mod flags;
mod host;
mod keepalive;
mod message;
mod network;
mod power;
mod procedure;
mod session;
mod snapshot;
mod stats;
mod storage;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod uri;
mod uuid;
mod xdr;

pub use client::Client;
pub use code::{Code, ErrorDomain, Level};
pub use config::{Config, Keepalive};
pub use connection::Connection;
pub use console::Console;
pub use domain::{Domain, Info, State};
pub use error::{Down, Effect, Error, Malformed, RemoteError, Result};
pub use event::{Change, Event, Events, Lifecycle, Stopped};
pub use flags::{
    Affect, ConsoleFlags, CreateFlags, DestroyFlags, ListFlags, RevertFlags, SaveFlags,
    ShutdownFlags, SnapshotDeleteFlags, SnapshotFlags, StatsFlags, UndefineFlags, XmlFlags,
};
pub use host::{NodeInfo, Version};
pub use network::Network;
pub use snapshot::Snapshot;
pub use stats::{Stats, Value};
pub use storage::{Pool, Volume};
pub use uri::{Transport, Uri};
pub use uuid::{NoUuid, Uuid};

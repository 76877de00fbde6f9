//! The HTTP/JSON door: receives, authenticates, limits, envelopes. It knows no
//! resource: what it serves is told by the route tables of the adapters that
//! fulfil [`JsonContract`].
//!
//! ```text
//! listener -> limits (connections, headers, body, time) -> route -> token -> role
//!          -> query and body against the table's schemas -> adapter -> JSON or problem
//! ```
//!
//! Its own routes are `/openapi.json`, `/health/live`, `/health/ready` and
//! `/metrics`.

mod body;
mod contract;
mod events;
mod handle;
pub(crate) mod lines;
mod mount;
mod openapi;
mod own;
pub mod problem;
mod request;
pub mod schema;
mod seats;
mod serve;
mod tokens;
mod unread;

pub use contract::{
    Access, Dialect, EventSource, JsonContract, Method, Param, ParamKind, Reply, Route,
    SignedHeader, TokenHeader,
};
pub use events::ServerEvent;
pub(crate) use request::no_such_operation;
pub use request::{Closing, Request};
pub use serve::{Door, DoorOptions, Metrics, listen};
pub use tokens::{TokenEntry, Tokens};

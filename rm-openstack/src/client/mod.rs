//! The wire client: what OpenStack's services are asked and what they answer.
//!
//! Nothing here waits, retries or decides. A call is one request (with one fresh login if the
//! token was refused), and a failure says whether it may have had an effect.

pub mod auth;
pub mod catalog;
pub mod clouds;
pub mod error;
pub mod glance;
pub mod heat;
pub mod http;
pub mod neutron;
pub mod nova;
pub mod pem;
pub mod secret;
pub mod session;
pub mod token;
pub mod usage;

mod failure;
mod lenient;
mod wire;

pub use auth::{Auth, Domain, Project, User};
pub use catalog::{Interface, Service};
pub use error::{Call, Effect, Error, Refusal};
pub use failure::tidy;
pub use glance::Glance;
pub use heat::Heat;
pub use http::{CallCounts, HttpConfig};
pub use lenient::unix_millis;
pub use neutron::Neutron;
pub use nova::Nova;
pub use secret::Secret;
pub use session::{Clock, Session, SessionConfig};
pub use token::Token;
pub use usage::Usage;

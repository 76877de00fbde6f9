//! The routes and fields of the original LambdaLink services, over the same
//! managers: what its clients ask for is written as the same intents.
//!
//! | original | here | why, where it is another |
//! |---|---|---|
//! | paths end with a slash; `/sites/`, `/appliances/`, `/implementations/`, `/credentials/`, `/clusters/`, `/resources/` | the same, below a prefix (`/lambdalink` where nothing else is said); without the slash, too | the main interface has paths of these names |
//! | `Dibbs-Authorization: TOKEN` | the same tokens as everywhere | |
//! | `Dibbs-Interservice: JWT`, on behalf of a user | the same where the host has the services' secret; the user must be in the table of tokens. It counts before a token | whom nobody knows owns nothing |
//! | reading is open to anybody | needs a token; only what is the caller's tenant's is shown | whose clusters there are is nobody else's business |
//! | lists are plain arrays | the same | |
//! | 400 `{"field": ["message"]}`, `{"non_field_errors": [...]}`; 403 and 404 `{"detail": "..."}` | the same | |
//! | unknown members are ignored | the same, here only | |
//! | `PUT` and `PATCH` change entries | 200 where nothing changes, else 400 naming the member; a credential takes another secret | the catalog is immutable: what a cluster was made by can be looked up as it was. Delete the entry and add another |
//! | `logo_url` of an implementation | kept and shown | |
//! | `POST /clusters/` makes a cluster | never reuses one | |
//! | `remote_id` is the id of Heat's stack | the same | |
//! | `remote_status` is Heat's `stack_status` | the same as far as it is known: what was seen last, not asked for anew; `UNKNOWN` while the site cannot be asked, and in quarantine | a list of clusters asks no site |
//! | `POST /resources/` reuses anybody's cluster | only one that the same user got by this route and the same credential | the first owner's means are not everybody's |
//! | a resource outlives its cluster | it ends with its hold: when either is given up, or at the end of the lease | there is nothing left that it gives access to |
//! | the registry makes a template around an `image` | the backend of the site does, if it can | the registry knows no site's templates |
//! | a cluster is forgotten as soon as its deletion is asked for | it is no more shown, and the engine goes on until it is seen to be gone; what will not go comes back as `ERROR` | nothing is left behind unseen |
//! | username and password come later | they are asked for when the resource is read, alone or in the list, and its cluster is ready | accounts are made for those who want them |

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderName;
use rm_core::registry::Registries;
use rm_core::{Error, ErrorKind, Result};

use crate::Parts;
use crate::agent::Agent;
use crate::door::{Dialect, JsonContract, SignedHeader, TokenHeader};

mod catalog;
mod interservice;
mod logos;
mod resources;
mod routes;
mod uses;
mod wire;

pub use catalog::LambdaLinkCatalog;
pub use interservice::Interservice;
pub use resources::LambdaLinkResources;
pub use uses::tidy;

/// What the host brings.
#[derive(Clone)]
pub struct LambdaLinkOptions {
    /// What every path begins with.
    pub prefix: String,
    /// Verifies tokens between services; they are not accepted where absent.
    pub interservice: Option<Interservice>,
    /// Asks clusters for accounts.
    pub agent: Option<Arc<dyn Agent>>,
}

impl fmt::Debug for LambdaLinkOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LambdaLinkOptions")
            .field("prefix", &self.prefix)
            .field("interservice", &self.interservice)
            .finish_non_exhaustive()
    }
}

impl Default for LambdaLinkOptions {
    fn default() -> Self {
        Self {
            prefix: "/lambdalink".to_owned(),
            interservice: None,
            agent: None,
        }
    }
}

impl LambdaLinkOptions {
    fn dialect(&self) -> Dialect {
        Dialect {
            prefix: self.prefix.clone(),
            token: TokenHeader::Own(HeaderName::from_static("dibbs-authorization")),
            signed: self
                .interservice
                .clone()
                .map(|i| Arc::new(i) as Arc<dyn SignedHeader>),
            slash: true,
            refuse: wire::refuse,
        }
    }
}

/// Registers the adapters of the parts: `lambdalink-catalog` (the original
/// Appliance Registry) and `lambdalink-resources` (its Resource Manager, which
/// keeps credentials, too).
///
/// # Errors
///
/// Where they are registered already.
pub fn register(
    registries: &mut Registries,
    parts: Parts,
    options: LambdaLinkOptions,
) -> Result<()> {
    if parts.catalog {
        registries.adapter::<dyn JsonContract>(Arc::new(LambdaLinkCatalog::new(&options)))?;
    }
    if parts.resources {
        registries.adapter::<dyn JsonContract>(Arc::new(LambdaLinkResources::new(&options)))?;
    }
    Ok(())
}

/// What is no id is nothing's id.
fn id_of<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| nothing())
}

fn nothing() -> Error {
    Error::new(ErrorKind::NotFound, "Not found.")
}

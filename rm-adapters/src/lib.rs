//! Doors and adapters of the resource manager.
//!
//! | to know | read |
//! |---|---|
//! | how HTTP is spoken, who is let in, how errors look | [`door`] |
//! | what the JSON interface offers, shape by shape | [`rest`] |
//! | how the original LambdaLink clients are served | [`lambdalink`] |
//! | how GENI's clients are served (feature `geni`) | `geni` |
//! | time, randomness and reach on tokio | [`mod@env`] |
//! | which addresses are called on behalf of users | [`networks`] |
//! | how a cluster is asked for an account | [`agent`] |

pub mod agent;
pub mod door;
pub mod env;
#[cfg(feature = "geni")]
pub mod geni;
pub mod lambdalink;
pub mod networks;
pub mod rest;

pub use door::{Door, DoorOptions, Tokens};
pub use env::TokioEnv;

/// Which services of the resource manager a process offers: the one that keeps
/// definitions, the one that manages what is active, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Sites, credentials, appliances, implementations, images.
    pub catalog: bool,
    /// Clusters, plans, events, accounts.
    pub resources: bool,
}

impl Parts {
    /// Both.
    pub const ALL: Self = Self {
        catalog: true,
        resources: true,
    };
    /// Definitions only.
    pub const CATALOG: Self = Self {
        catalog: true,
        resources: false,
    };
    /// What is active only.
    pub const RESOURCES: Self = Self {
        catalog: false,
        resources: true,
    };
}

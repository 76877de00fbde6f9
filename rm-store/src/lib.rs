//! SQLite behind the resource manager's Store, and credentials sealed at rest.
//!
//! | to know | read |
//! |---|---|
//! | how a store is opened, what it promises | [`SqliteStore`], [`Options`] |
//! | how credentials are sealed | [`AeadSealer`], [`KeySource`], [`generate_key`] |
//!
//! SQL is nowhere but in this crate.

mod seal;
mod sqlite;

pub use seal::{AeadSealer, KeySource, generate_key};
pub use sqlite::{Options, SqliteStore};

//! What all suites share.

pub mod goal;
pub mod machine;
pub mod numbers;
pub mod status;
pub mod table;

/// Whatever goes wrong ends the run with its message.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a suite's steps answer.
pub type Result<T> = std::result::Result<T, Error>;

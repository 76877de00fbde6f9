//! The doors and adapters over real HTTP, with a simulated cloud behind them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod callbacks;
mod events;
mod images;
mod interservice;
mod keys;
mod lambdalink;
mod limits;
#[path = "../shared/log.rs"]
mod log;
mod openapi;
mod operations;
mod orphans;
mod principals;
mod quarantine;
mod refusals;
mod secrets;
mod support;
mod uses;

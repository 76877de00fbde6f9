//! What is measured, and against whom.
//!
//! `cargo xtask bench` brings up what a suite needs and runs it. All contenders
//! of a suite are measured in one run, one after the other in rounds, so that
//! what else the machine does meets them alike.
//!
//! | to know | read |
//! |---|---|
//! | what the suite `openstack` measures | `openstack.rs` |
//! | what is compared with what, and which goals there are | `openstack/goals.rs` |
//! | the hand-written minimal client | `openstack/minimal.rs` |
//! | openstacksdk | `python/sdk.py` |

mod numbers;
mod openstack;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Whatever goes wrong ends the run with its message.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// Measures, side by side with others. `cargo xtask bench` calls it.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Debug, Subcommand)]
enum Suite {
    /// Clusters on a real OpenStack
    Openstack(openstack::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Suite::Openstack(options) = Cli::parse().suite;
    match openstack::run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e}");
            ExitCode::FAILURE
        }
    }
}

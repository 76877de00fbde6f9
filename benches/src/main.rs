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
//! | what the suite `engine` measures: a program of its own | `engine/main.rs` |
//! | what the suite `vm` measures: a program of its own | `vm/main.rs` |
//! | what the suite `geni` measures: a program of its own | `geni/main.rs` |

mod openstack;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use benches::Result;

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

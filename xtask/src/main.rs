//! The project's own commands: demo, test, crash, simulate, fuzz, bugs, bench, lab.

mod bench;
mod bugs;
mod checks;
mod crash;
mod demo;
mod error;
mod fuzz;
mod install;
mod lab;
mod linkage;
mod paths;
mod run;
mod simulate;
mod skips;
mod tests;
mod tree;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own commands. `cargo xtask test` is what CI runs.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Show an appliance becoming a running cluster, from nothing to nothing
    Demo(demo::Options),
    /// Check and test everything, against real clouds and hosts
    Test(tests::Options),
    /// Kill the real daemon many times while it works on a real cloud
    Crash(crash::Options),
    /// Put faults everywhere in simulated worlds, and see that no harm comes of it
    Simulate(simulate::Options),
    /// Try whatever bytes may come from outside, with an engine, for hours
    Fuzz(fuzz::Options),
    /// Put bugs into a copy of the workspace, and see that the suite catches them
    Bugs(bugs::Options),
    /// Measure, side by side with others
    Bench(bench::Options),
    /// Real systems on loopback: OpenStack, LXC, libvirt, Xen
    #[command(subcommand)]
    Lab(lab::Command),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Demo(options) => demo::demo(options),
        Command::Test(options) => tests::test(options),
        Command::Simulate(options) => simulate::simulate(options),
        Command::Fuzz(options) => fuzz::fuzz(options),
        Command::Bugs(options) => bugs::bugs(options),
        Command::Bench(options) => bench::bench(options),
        Command::Crash(options) => crash::crash(options),
        Command::Lab(command) => lab::command(command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

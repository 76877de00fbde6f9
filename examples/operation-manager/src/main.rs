//! A complete host of the resource manager: daemon and command line.

use std::process::ExitCode;

use clap::Parser;

mod cli;
mod client;
mod commands;
mod config;
mod duration;
mod failure;
mod files;
mod output;
mod plugins;
mod serve;
mod tokens;

fn main() -> ExitCode {
    commands::run(cli::Cli::parse())
}

//! `cargo xtask bench`: how fast, side by side with others in one run.
//!
//! A goal that is missed is told, and fails nothing: what else a machine does
//! decides about it, too.

mod engine;
mod geni;
mod openstack;
mod vm;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{fs, io};

use crate::error::{At, Error, Result};
use crate::paths;

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// What to measure
    #[arg(value_enum, default_value_t = Suite::Openstack)]
    suite: Suite,
    /// Print JSON, and progress to standard error
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    openstack: openstack::How,
    #[command(flatten)]
    engine: engine::How,
    #[command(flatten)]
    vm: vm::How,
    #[command(flatten)]
    geni: geni::How,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Suite {
    /// Stacks of a real Heat: ours, a minimal client, openstacksdk
    Openstack,
    /// The engine and its stores, beside bare loops that write the same
    Engine,
    /// Containers and machines on real hosts, beside their own tools
    Vm,
    /// Documents and calls of GENI, beside a bare pass and geni-lib
    Geni,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::Openstack => "openstack",
            Self::Engine => "engine",
            Self::Vm => "vm",
            Self::Geni => "geni",
        }
    }
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    if !options.json {
        return match options.suite {
            Suite::Openstack => openstack::bench(&options.openstack),
            Suite::Engine => engine::bench(&options.engine),
            Suite::Vm => vm::bench(&options.vm),
            Suite::Geni => geni::bench(&options.geni),
        };
    }
    // What this starts speaks on standard output, which is for the JSON now.
    quietly()?;
    let file = result(options.suite.name());
    print!("{}", fs::read_to_string(&file).at(file.display())?);
    Ok(())
}

/// The same once more, with its standard output in our standard error.
fn quietly() -> Result<()> {
    let own = std::env::current_exe().at("the path of this program")?;
    let args = std::env::args_os().skip(1).filter(|arg| arg != "--json");
    let status = Command::new(own)
        .args(args)
        .stdout(Stdio::from(io::stderr()))
        .status()
        .at("starting this program again")?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::new("the measurement failed; see above")),
    }
}

/// Where a suite's numbers are kept.
fn result(suite: &str) -> PathBuf {
    paths::target().join("bench").join(format!("{suite}.json"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[derive(clap::Parser, Debug)]
    struct Cli {
        #[command(flatten)]
        _options: super::Options,
    }

    #[test]
    fn the_words_are_sound() {
        Cli::command().debug_assert();
    }
}

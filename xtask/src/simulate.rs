//! `cargo xtask simulate`: the engine under faults, in simulated worlds.
//!
//! The schedules are those of `rm-testkit`; this builds its program by a
//! profile of its own and runs it.

use std::time::Instant;

use crate::error::{Error, Result};
use crate::paths;
use crate::run::{Run, say};

/// How many random schedules a test run has, and how many seconds they may
/// take on two cores. They shall be 100,000 (issue 3) as soon as these are seen
/// to take no longer on free cores; they do no harm.
const IN_TESTS: u64 = 30_000;
const SECONDS: u64 = 60;

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// So many random schedules, and nothing else
    #[arg(long, value_name = "N", conflicts_with_all = ["seed", "exhaustive"])]
    schedules: Option<u64>,
    /// One random schedule again, with its whole story
    #[arg(long, value_name = "S", conflicts_with = "exhaustive")]
    seed: Option<u64>,
    /// One trial of the enumeration again, by the words that were printed for it
    #[arg(long, value_name = "T", conflicts_with_all = ["schedules", "seed", "exhaustive"])]
    trial: Option<String>,
    /// Every fault and pair of faults at every boundary, and nothing else
    #[arg(long)]
    exhaustive: bool,
    /// Print JSON, and progress to standard error
    #[arg(long)]
    json: bool,
}

pub(crate) fn simulate(options: &Options) -> Result<()> {
    build(options.json)?;
    let mut run = program();
    for (name, number) in [("--schedules", options.schedules), ("--seed", options.seed)] {
        if let Some(number) = number {
            run = run.arg(name).arg(number.to_string());
        }
    }
    if let Some(trial) = &options.trial {
        run = run.arg("--trial").arg(trial.clone());
    }
    for (name, given) in [
        ("--exhaustive", options.exhaustive),
        ("--json", options.json),
    ] {
        if given {
            run = run.arg(name);
        }
    }
    let status = run.into_command().status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Error::new("the simulation found harm; see above")),
        Err(e) => Err(Error::new(format!("the simulation cannot be started: {e}"))),
    }
}

/// The part of it that belongs to a test run.
pub(crate) fn some() -> Result<()> {
    build(false)?;
    let begun = Instant::now();
    program()
        .args(["--schedules", &IN_TESTS.to_string()])
        .run()?;
    let took = begun.elapsed().as_secs();
    if took > SECONDS {
        // What else a machine does decides about it, too.
        say(format!(
            "{IN_TESTS} schedules took {took} s, more than the {SECONDS} s they may take on two free cores"
        ));
    }
    Ok(())
}

fn build(quiet: bool) -> Result<()> {
    let build = Run::cargo().args(["build", "--profile", "simulate", "--locked"]);
    let build = build.args(["--package", "rm-testkit", "--bin", "simulate"]);
    let build = build.args(["--features", "fast"]);
    match quiet {
        true => build.arg("--quiet").output().map(drop),
        false => build.run(),
    }
}

fn program() -> Run {
    Run::new(paths::target().join("simulate/simulate"))
}

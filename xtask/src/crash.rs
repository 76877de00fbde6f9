//! `cargo xtask crash`: the real daemon is killed, again and again, while it
//! works on a real Heat; and it is stopped for longer than its claims last.

use std::ffi::OsString;

use crate::error::Result;
use crate::install;
use crate::lab::{self, Guard, Kind, Lab};
use crate::run::{Run, say};

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// How often it is killed with -9
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// Repeat the moments of another run
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn crash(options: &Options) -> Result<()> {
    install::components()?;
    say(format!(
        "{} kills of the daemon in create, resize and delete on a real Keystone and Heat on \
         127.0.0.1",
        options.kills
    ));
    let lab = Lab::new(Kind::Min, lab::folder("crash"));
    lab.clear()?;
    test(&["--no-run"], &[])?;
    lab::fill_venv(Kind::Min)?;
    let guard = Guard::over(&[&lab])?;
    let done = lab
        .up(Some(lab::free_port_base(27700)?), &[])
        .and_then(|()| campaign(options, &lab));
    let stopped = guard.finish();
    done.and(stopped)
}

fn campaign(options: &Options, lab: &Lab) -> Result<()> {
    let mut environment = vec![
        ("RM_LAB_CLOUDS", OsString::from(lab.clouds())),
        ("RM_LAB_DIR", lab.dir.clone().into()),
        ("RM_LAB_REQUIRED", "1".into()),
        ("RM_KILLS", options.kills.to_string().into()),
    ];
    if let Some(seed) = options.seed {
        environment.push(("RM_SEED", seed.to_string().into()));
    }
    // One after the other, and everything that they say.
    let how = ["--", "--nocapture", "--test-threads", "1"];
    test(&how, &environment)
}

fn test(how: &[&str], environment: &[(&str, OsString)]) -> Result<()> {
    let mut run = Run::cargo().args(["test", "--locked", "--package", "operation-manager"]);
    run = run.args(["--test", "kill"]).args(how);
    for (name, value) in environment {
        run = run.env(name, value);
    }
    run.run()
}

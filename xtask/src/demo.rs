//! `cargo xtask demo`: an appliance becomes a running cluster, from nothing
//! to nothing, for a person to watch.

use crate::error::{Error, Result};
use crate::run::say;

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// With real servers: Nova, Neutron, Glance, Placement too
    #[arg(long, conflicts_with = "sim")]
    full: bool,
    /// In seconds, with no network, in the simulated world
    #[arg(long)]
    sim: bool,
}

const STEPS: &[&str] = &[
    "install what is missing, build, bring up the cloud",
    "load an appliance",
    "create a cluster of one master and three slaves; its address and hosts",
    "reuse it, resize it to five and back",
    "destroy it; what the cloud holds of ours, read with other credentials",
    "stop what was started",
];

pub(crate) fn demo(options: &Options) -> Result<()> {
    let world = match (options.full, options.sim) {
        (true, _) => "a full cloud",
        (_, true) => "the simulated world",
        _ => "Keystone and Heat",
    };
    say(format!("with {world}:"));
    for step in STEPS {
        say(format!("  {step}"));
    }
    Err(Error::new("not built yet"))
}

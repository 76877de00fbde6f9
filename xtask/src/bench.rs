//! `cargo xtask bench`: how fast, side by side with others in one run.

use crate::error::{Error, Result};
use crate::run::say;

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Interleaved pairs of each measurement
    #[arg(long, default_value_t = 10)]
    pairs: u32,
}

const STEPS: &[&str] = &[
    "one trivial stack from request to ready: ours, a minimal client, openstacksdk",
    "a hundred at once: ours, a minimal client",
    "calls as the cloud's access log has them; memory of the daemon",
];

pub(crate) fn bench(options: &Options) -> Result<()> {
    say(format!("medians of {} interleaved pairs:", options.pairs));
    for step in STEPS {
        say(format!("  {step}"));
    }
    Err(Error::new("not built yet"))
}

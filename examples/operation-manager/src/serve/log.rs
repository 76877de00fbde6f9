//! Structured logs to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};
use crate::failure::{Failure, Result};

/// Whether the level can be understood.
pub(super) fn filter(config: &Config) -> Result<EnvFilter> {
    let level = &config.sections.log.level;
    EnvFilter::builder().parse(level).map_err(|_| {
        Failure::usage(format!(
            "{}: log.level is not a level",
            config.file.display()
        ))
        .advice("write error, warn, info, debug or trace, or a list such as \"warn,rm_core=debug\"")
    })
}

/// Begins to write.
pub(super) fn begin(config: &Config) -> Result<()> {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter(config)?)
        .with_writer(std::io::stderr);
    let done = match config.sections.log.format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    done.map_err(|_| Failure::refused("somebody else writes the log already"))
}

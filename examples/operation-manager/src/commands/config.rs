//! The configuration: its schema, and whether it is right.

use serde_json::json;

use crate::cli::ConfigFile;
use crate::config;
use crate::failure::Result;
use crate::output::{Output, cell};
use crate::serve;

/// Prints the JSON schema.
pub(super) fn schema() -> Result<()> {
    Output { json: true }.show(&config::schema(), |_| String::new())
}

/// Reads a configuration as `serve` does, and everything it points to, and
/// touches nothing.
pub(super) fn check(file: ConfigFile, out: Output) -> Result<()> {
    let config = config::load(config::find(file.config)?, std::env::vars())?;
    serve::check(&config)?;
    let right = json!({"file": config.file, "tokens": config.sections.tokens.len()});
    out.show(&right, |right| format!("{} is right", cell(&right["file"])))
}

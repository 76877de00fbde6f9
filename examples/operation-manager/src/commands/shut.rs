//! Slices of GENI that were shut down. Daemons may serve meanwhile.

use rm_adapters::Parts;
use rm_adapters::geni::{Urn, lift_shutdown, shut_slices};
use rm_core::Caller;
use serde_json::{Value, json};

use crate::cli::{ConfigFile, ShutCommand};
use crate::config;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, cell, rows};
use crate::serve;

const COLUMNS: &[Column] = &[
    ("SLICE", |s| cell(&s["slice"])),
    ("BY", |s| cell(&s["by"])),
    ("AT", |s| cell(&s["at"])),
    ("SLIVERS", |s| cell(&s["slivers"])),
];

pub(super) async fn run(command: ShutCommand, out: Output) -> Result<()> {
    match command {
        ShutCommand::List(file) => list(file, out).await,
        ShutCommand::Lift { config, slice } => lift(config, &slice, out).await,
    }
}

async fn list(file: ConfigFile, out: Output) -> Result<()> {
    let config = load(file)?;
    let _serving = serve::serving(&config)?;
    let host = serve::host(&config, Parts::ALL, None)?;
    let all: Vec<Value> = shut_slices(&host, &operator())
        .await?
        .into_iter()
        .map(
            |s| json!({"slice": s.slice, "by": s.by, "at": s.at.to_string(), "slivers": s.slivers}),
        )
        .collect();
    out.show(&Value::Array(all), |all| {
        rows(all.as_array().map_or(&[][..], Vec::as_slice), COLUMNS)
    })
}

async fn lift(file: ConfigFile, slice: &str, out: Output) -> Result<()> {
    let slice: Urn = slice.parse()?;
    let config = load(file)?;
    let _serving = serve::serving(&config)?;
    let host = serve::host(&config, Parts::ALL, None)?;
    lift_shutdown(&host, &operator(), &slice).await?;
    let lifted = json!({"slice": slice.as_str()});
    out.show(&lifted, |lifted| {
        format!("{} is open again", cell(&lifted["slice"]))
    })
}

fn load(file: ConfigFile) -> Result<config::Config> {
    let config = config::load(config::find(file.config)?, std::env::vars())?;
    if config.sections.store.is_memory() {
        return Err(Failure::usage("a store in memory is its daemon's alone")
            .advice("a daemon that is started anew has forgotten its slices"));
    }
    Ok(config)
}

fn operator() -> Caller {
    Caller::operator("operation-manager", "operation-manager")
}

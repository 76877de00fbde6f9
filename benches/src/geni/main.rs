//! GENI: what documents and calls cost. `cargo xtask bench geni` calls it.
//!
//! | to know | read |
//! |---|---|
//! | the documents, small and large | `documents.rs` |
//! | reading them, beside a bare pass and geni-lib | `reading.rs` |

mod documents;
mod reading;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;

use benches::Result;
use benches::goal::{self, Goal};
use benches::machine::{load, machine};
use benches::table::table;

/// Nodes of the documents.
const SIZES: [u32; 4] = [10, 100, 1_000, 10_000];
/// Milliseconds for the largest request.
const REQUEST: f64 = 50.0;
/// The largest advertisement over a bare pass, and geni-lib over it.
const TO_BARE: f64 = 1.5;
const FASTER_THAN_GENI_LIB: f64 = 20.0;
/// Memory over the length of the document.
const MEMORY: f64 = 8.0;

/// Measures what GENI's documents and calls cost.
#[derive(Debug, Parser)]
#[command(name = "geni")]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    part: Option<Part>,
}

/// Parts of it, each in a process of its own.
#[derive(Debug, Subcommand)]
enum Part {
    /// Reads one document, and tells what memory that took
    #[command(hide = true)]
    Read {
        /// The document
        file: PathBuf,
    },
}

#[derive(clap::Args, Debug)]
struct Options {
    /// A folder for the documents
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// Rounds of whatever is measured side by side
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// A Python that has geni-lib; without it, that is not compared
    #[arg(long)]
    python: Option<PathBuf>,
    /// Also write what was measured into this file
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.part {
        None => run(&cli.options),
        Some(Part::Read { file }) => reading::read_one(file),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let before = load();
    let folder = tempfile::TempDir::new_in(&options.folder)?;
    let sizes = reading::measure(folder.path(), options)?;
    let largest = sizes.last().ok_or("nothing was read")?;
    let mut goals = vec![
        Goal::at_most(
            format!("request of {} nodes: parse, ms", largest.nodes),
            REQUEST,
            largest.request.median(),
        ),
        Goal::at_most(
            format!("advertisement of {} nodes: ours / bare pass", largest.nodes),
            TO_BARE,
            largest.advertisement.ratio(&largest.bare),
        ),
        Goal::at_most("memory / document", MEMORY, largest.memory),
    ];
    if let Some(theirs) = &largest.geni_lib {
        goals.push(Goal::at_least(
            "advertisement: geni-lib / ours",
            FASTER_THAN_GENI_LIB,
            theirs.median() / largest.advertisement.median(),
        ));
    }
    let json = json!({
        "suite": "geni",
        "machine": machine(),
        "load_before": before,
        "documents": sizes.iter().map(reading::Size::json).collect::<Vec<_>>(),
        "goals": goals.iter().map(Goal::json).collect::<Vec<_>>(),
    });
    if let Some(file) = &options.out {
        std::fs::write(file, format!("{json:#}\n"))
            .map_err(|e| format!("{}: {e}", file.display()))?;
    }
    println!("{}", table(&reading::rows(&sizes)));
    println!("{}", table(&goal::rows(&goals)));
    println!("load before: {before}; after: {}", load());
    Ok(())
}

//! GENI: what documents and calls cost. `cargo xtask bench geni` calls it.
//!
//! | to know | read |
//! |---|---|
//! | the documents, small and large | `documents.rs` |
//! | reading them, beside a bare pass and geni-lib | `reading.rs` |
//! | calls, by the processor that they take the server | `calls.rs` |
//! | the server, in a process of its own | `server.rs` |
//! | who gives out certificates and credentials for that | `authority.rs` |

mod authority;
mod calls;
mod documents;
mod reading;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;

use benches::Result;
use benches::goal::{self, Goal};
use benches::machine::{load, machine};
use benches::table::table;
use calls::{Calls, per_second};

/// Nodes of the documents.
const SIZES: [u32; 4] = [10, 100, 1_000, 10_000];
/// Milliseconds for the largest request.
const REQUEST: f64 = 50.0;
/// The largest advertisement over a bare pass, and geni-lib over it.
const TO_BARE: f64 = 1.5;
const FASTER_THAN_GENI_LIB: f64 = 20.0;
/// Memory over the length of the document.
const MEMORY: f64 = 8.0;
/// What a node costs among the most, over what it costs among a tenth of them: one
/// where growth is linear, and ten where it is with the square.
const GROWTH: f64 = 2.0;
/// Milliseconds of the server's processor for a call with a credential.
const AUTHORISED: f64 = 2.0;
/// Calls in a second of the server's processor.
const VERSIONS: f64 = 5_000.0;
const LISTS: f64 = 400.0;
const LISTS_REMEMBERED: f64 = 1_000.0;
/// Seconds for CreateSliver of the largest request.
const CREATED: f64 = 0.5;

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
    /// Serves GENI until its standard input ends
    #[command(hide = true)]
    Serve {
        /// Where its certificates are, and its store
        folder: PathBuf,
        /// What its store is called
        store: String,
        /// Remember which credentials were verified
        #[arg(long)]
        remembering: bool,
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
    /// Calls of one kind in a round
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    calls: u32,
    /// Nodes of the largest document: 10, 100, 1,000 or 10,000
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..))]
    largest: u32,
    /// A Python that has geni-lib; without it, that is not compared
    #[arg(long)]
    python: Option<PathBuf>,
    /// Also write what was measured into this file
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Options {
    /// How many nodes the documents have, the fewest first.
    fn sizes(&self) -> impl Iterator<Item = u32> {
        let largest = self.largest;
        SIZES.into_iter().filter(move |nodes| *nodes <= largest)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.part {
        None => run(&cli.options),
        Some(Part::Read { file }) => reading::read_one(file),
        Some(Part::Serve {
            folder,
            store,
            remembering,
        }) => server::serve(folder, store, *remembering),
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
    println!("calls");
    let calls = calls::measure(folder.path(), options)?;
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
        Goal::at_most(
            format!(
                "advertisement of {} nodes: memory / document",
                largest.nodes
            ),
            MEMORY,
            largest.memory,
        ),
        Goal::at_most(
            format!("request of {} nodes: memory / document", largest.nodes),
            MEMORY,
            largest.memory_of_request,
        ),
        // What was not compared is not met.
        Goal::at_least(
            "advertisement: geni-lib / ours",
            FASTER_THAN_GENI_LIB,
            largest.geni_lib.as_ref().map_or(f64::NAN, |theirs| {
                theirs.median() / largest.advertisement.median()
            }),
        ),
    ];
    goals.extend(of_calls(&calls));
    goals.extend(of_growth(&sizes, &calls));
    let json = json!({
        "suite": "geni",
        "machine": machine(),
        "load_before": before,
        "documents": sizes.iter().map(reading::Size::json).collect::<Vec<_>>(),
        "calls": calls.json(),
        "goals": goals.iter().map(Goal::json).collect::<Vec<_>>(),
    });
    if let Some(file) = &options.out {
        std::fs::write(file, format!("{json:#}\n"))
            .map_err(|e| format!("{}: {e}", file.display()))?;
    }
    println!("{}", table(&reading::rows(&sizes)));
    println!("{}", table(&calls.rows()));
    println!("{}", table(&calls.growth()));
    println!("{}", table(&goal::rows(&goals)));
    println!("load before: {before}; after: {}", load());
    Ok(())
}

/// How much more a node costs where there are ten times as many.
fn of_growth(sizes: &[reading::Size], calls: &Calls) -> Vec<Goal> {
    let of = |what: &str, each: Vec<(u32, f64)>| {
        let a_node = |(nodes, ms): &(u32, f64)| ms / f64::from(*nodes);
        let ratio = match &each[..] {
            [.., less, most] => a_node(most) / a_node(less),
            _ => f64::NAN,
        };
        Goal::at_most(
            format!("{what}: a node of the largest / of the one before"),
            GROWTH,
            ratio,
        )
    };
    let read = sizes.iter();
    let read = read.map(|size| (size.nodes, size.advertisement.median()));
    let asked = sizes.iter();
    let asked = asked.map(|size| (size.nodes, size.request.median()));
    let created = calls.created.iter();
    let created = created.map(|made| (made.nodes, made.cpu.median()));
    vec![
        of("advertisement, parse", read.collect()),
        of("request, parse", asked.collect()),
        of("CreateSliver, server CPU", created.collect()),
    ]
}

fn of_calls(calls: &Calls) -> Vec<Goal> {
    let mut goals = vec![
        Goal::at_most(
            "a call with a credential (Status): server CPU, ms",
            AUTHORISED,
            calls.status.median(),
        ),
        Goal::at_least(
            "GetVersion, a second of server CPU",
            VERSIONS,
            per_second(&calls.version),
        ),
        Goal::at_least(
            "ListResources of 20 nodes, a second of server CPU",
            LISTS,
            per_second(&calls.list),
        ),
        Goal::at_least(
            "the same, its credential remembered",
            LISTS_REMEMBERED,
            per_second(&calls.remembered),
        ),
    ];
    if let Some(largest) = calls.created.last() {
        let what = format!("CreateSliver of {} nodes, SQLite", largest.nodes);
        goals.extend([
            Goal::at_most(
                format!("{what}: server CPU, s"),
                CREATED,
                largest.cpu.median() / 1e3,
            ),
            Goal::at_most(
                format!("{what}: answered after, s"),
                CREATED,
                largest.answered.median() / 1e3,
            ),
        ]);
    }
    goals
}

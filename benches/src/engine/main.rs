//! The engine and its stores, beside bare loops that write the same.
//! `cargo xtask bench engine` calls it.
//!
//! | to know | read |
//! |---|---|
//! | whole lives in memory, and the bare loop | `lifecycle.rs`, `recorder.rs` |
//! | durable transitions, and SQLite alone | `durable.rs`, `bare.rs` |
//! | what an operation that waits costs | `waiting.rs`, `slow.rs` |
//! | a million clusters in one file | `million.rs`, `records.rs` |

mod bare;
mod durable;
mod lifecycle;
mod million;
mod process;
mod recorder;
mod records;
mod site;
mod slow;
mod waiting;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use serde_json::json;
use tempfile::TempDir;

use benches::Result;
use benches::goal::{self, Goal};
use benches::machine::{load, machine};
use benches::table::table;
use recorder::Step;
use waiting::Waiting;

/// Lives a second of one core, and over those of a bare loop.
const LIVES: f64 = 8000.0;
const LIVES_TO_BARE: f64 = 0.25;
/// Durable transitions over bare groups, and over one commit each.
const TO_GROUPS: f64 = 0.5;
const TO_SINGLE: f64 = 5.0;
/// Commits of a transition with an effect: intent and outcome.
const COMMITS: f64 = 2.0;
/// What an operation that waits takes: bytes, and threads.
const WAITS_IN: f64 = 1024.0;
const THREADS: f64 = 0.0;
/// Milliseconds for one cluster, and for a page of 100.
const GET: f64 = 0.2;
const PAGE: f64 = 1.0;
/// Seconds from starting a process to its first answers.
const RESTART: f64 = 0.5;
/// Memory of the whole process, in MiB.
const MEMORY: f64 = 128.0;

/// Measures the engine and its stores, beside bare loops that write the same.
#[derive(Debug, Parser)]
#[command(name = "engine")]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    part: Option<Part>,
}

/// Parts of it, each in a process of its own.
#[derive(Debug, Subcommand)]
enum Part {
    /// Operations that wait
    #[command(hide = true)]
    Waiting(Store),
    /// A host on very many clusters
    #[command(hide = true)]
    Serve(Store),
}

#[derive(clap::Args, Debug)]
struct Options {
    /// A folder on the disk that is measured
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// Rounds of whatever is measured side by side
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Simulated worlds in a round, of 256 lives each
    #[arg(long, default_value_t = 16)]
    worlds: u32,
    /// Callers at once
    #[arg(long, default_value_t = 64)]
    callers: u32,
    /// Seconds for which transitions are written in a round
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Operations that wait
    #[arg(long, default_value_t = 100_000)]
    waiting: u32,
    /// Clusters in one file
    #[arg(long, default_value_t = 1_000_000)]
    clusters: u32,
    /// Also write what was measured into this file
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// The store of a part.
#[derive(clap::Args, Debug)]
struct Store {
    /// Where it is
    #[arg(long)]
    folder: PathBuf,
    /// How many
    #[arg(long)]
    number: u32,
    /// Change something, then wait to be killed
    #[arg(long)]
    then_change: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.part {
        None => run(&cli.options).await,
        Some(Part::Waiting(store)) => waiting::waiting(&store.folder, store.number).await,
        Some(Part::Serve(store)) => {
            million::serve(&store.folder, store.number, store.then_change).await
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    let say = |text: &str| {
        if !options.json {
            println!("{text}");
        }
    };
    let (rounds, callers) = (options.rounds, options.callers.max(1));
    let before = load();
    let folder = TempDir::new_in(&options.folder)?;
    let folder = folder.path();
    let lives = lifecycle::measure(rounds, options.worlds, callers, &say)?;
    let steps = lifecycle::steps()?;
    let time = Duration::from_secs_f64(options.seconds);
    let durable = durable::measure(folder, rounds, callers, time, &say).await?;
    say(&format!("{} operations begin to wait", options.waiting));
    let waiting = process::this(&["waiting"], folder, options.waiting)?;
    let waiting: Waiting = process::measured(waiting).await?;
    let million = million::measure(folder, rounds, options.clusters, &say).await?;

    let commits = steps.iter().filter(|s| s.has_effect).map(|s| s.commits);
    let goals = [
        Goal::at_least("lives a second of one core", LIVES, lives.per_second()),
        Goal::at_least("lives: ours / bare", LIVES_TO_BARE, lives.to_bare()),
        Goal::at_least(
            "transitions: ours / bare groups",
            TO_GROUPS,
            durable.to_group(),
        ),
        Goal::at_least(
            "transitions: ours / one commit each",
            TO_SINGLE,
            durable.to_single(),
        ),
        Goal::at_most(
            "commits of a transition with an effect, most",
            COMMITS,
            commits.max().map_or(f64::NAN, f64::from),
        ),
        Goal::at_most("waiting: bytes each", WAITS_IN, waiting.bytes_each),
        Goal::at_most(
            "waiting: threads more",
            THREADS,
            f64::from(waiting.threads_more),
        ),
        Goal::at_most("get, p99, ms", GET, million.get()),
        Goal::at_most("a page of 100, p99, ms", PAGE, million.page()),
        Goal::at_most(
            "a tenant's page of 100, p99, ms",
            PAGE,
            million.tenant_page(),
        ),
        Goal::at_most("restart to serving, s", RESTART, million.restart()),
        Goal::at_most("resident memory, MiB", MEMORY, million.memory()),
    ];
    let json = json!({
        "suite": "engine",
        "machine": machine(),
        "load_before": before,
        "lives": lives.json(),
        "steps": counted(&steps),
        "transitions": durable.json(),
        "waiting": waiting,
        "clusters": million.json(),
        "goals": goals.iter().map(Goal::json).collect::<Vec<_>>(),
    });
    if let Some(file) = &options.out {
        std::fs::write(file, format!("{json:#}\n"))
            .map_err(|e| format!("{}: {e}", file.display()))?;
    }
    if options.json {
        println!("{json:#}");
        return Ok(());
    }
    println!("\n{}", table(&lives.rows()));
    println!("{}", table(&durable.rows()));
    println!("{}", table(&million.rows()));
    println!("{}", table(&goal::rows(&goals)));
    println!("load before: {before}; after: {}", load());
    Ok(())
}

/// How many steps, with an effect and without one, took how many commits.
fn counted(steps: &[Step]) -> Vec<serde_json::Value> {
    lifecycle::counted(steps)
        .into_iter()
        .map(|((has_effect, commits), count)| {
            json!({"has_effect": has_effect, "commits": commits, "count": count})
        })
        .collect()
}

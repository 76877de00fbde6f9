//! `cargo xtask bugs`: does the suite catch what went wrong elsewhere?
//!
//! Bugs that are modelled on incidents are put into a copy of the workspace,
//! each behind a switch, and the suite runs once over each: the conformance
//! suite, the tests of the engine, every single fault, and random schedules.

mod copy;
mod hunt;
mod list;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::paths;
use hunt::Stage;
use list::Bug;

/// So many of a hundred must be caught (issue 3).
const CAUGHT: usize = 95;

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Only bugs whose name has this in it
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Print JSON, and progress to standard error
    #[arg(long)]
    json: bool,
}

/// What came of one bug.
struct Tried<'a> {
    bug: &'a Bug,
    /// The stage and the test that caught it; nothing where it survived.
    by: Option<(String, String)>,
    took: Duration,
}

pub(crate) fn bugs(options: &Options) -> Result<()> {
    let all = list::read(&paths::root())?;
    let chosen: Vec<&Bug> = match &options.only {
        Some(name) => all.iter().filter(|b| b.name.contains(name)).collect(),
        None => all.iter().collect(),
    };
    if chosen.is_empty() {
        return Err(Error::new("no bug is called so: see tests/bugs/"));
    }
    tell(&format!(
        "{} bugs are put into a copy, which is built: minutes, the first time",
        all.len()
    ));
    let copy = copy::make(&all)?;
    let mut stages = copy::build(&copy)?;
    tell("without a bug the suite must be green");
    let healthy = side_by_side(&stages, |stage| {
        let begun = Instant::now();
        let found = stage.run(None);
        (begun.elapsed(), found)
    });
    for (stage, (took, found)) in stages.iter_mut().zip(healthy) {
        stage.took = took;
        if let Some(what) = found? {
            let name = &stage.name;
            return Err(Error::new(format!("without a bug: {name}: {what}")));
        }
    }
    // What is cheap comes first.
    stages.sort_by_key(|stage| stage.took);
    let whole: Duration = stages.iter().map(|stage| stage.took).sum();
    tell(&format!("it is, in {} s", whole.as_secs()));
    let tried = side_by_side(&chosen, |&bug| hunt(bug, &stages));
    let tried: Vec<Tried<'_>> = tried.into_iter().collect::<Result<_>>()?;
    match options.json {
        true => println!("{:#}", to_json(&tried)),
        false => show(&tried),
    }
    let caught = tried.iter().filter(|t| t.by.is_some()).count();
    if caught * 100 < tried.len() * CAUGHT {
        return Err(Error::new(format!(
            "{caught} of {} bugs are caught, which is less than {CAUGHT} %",
            tried.len()
        )));
    }
    Ok(())
}

/// Runs one bug through the stages, until one catches it.
fn hunt<'a>(bug: &'a Bug, stages: &[Stage]) -> Result<Tried<'a>> {
    let begun = Instant::now();
    let mut by = None;
    for stage in stages {
        if let Some(what) = stage.run(Some(&bug.name))? {
            by = Some((stage.name.clone(), what));
            break;
        }
    }
    let took = begun.elapsed();
    let end = match &by {
        Some((stage, what)) => format!("caught by {stage}: {what}"),
        None => "SURVIVES".to_owned(),
    };
    tell(&format!(
        "{}: {end} ({:.1} s)",
        bug.name,
        took.as_secs_f64()
    ));
    Ok(Tried { bug, by, took })
}

/// Works on as many at once as there are cores; what came of each, in order.
fn side_by_side<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let (done, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let (next, done, work) = (&next, done.clone(), &work);
            scope.spawn(move || {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = all.get(n) else { return };
                    if done.send((n, work(one))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let in_order: BTreeMap<usize, R> = results.into_iter().collect();
        in_order.into_values().collect()
    })
}

/// Progress goes to standard error, also where a table comes in the end.
fn tell(text: &str) {
    let at = crate::run::minutes(crate::run::elapsed());
    eprintln!("[{at}] {text}");
}

fn show(tried: &[Tried<'_>]) {
    println!("{:5} {:44} {:42} caught first by", "", "bug", "modelled on");
    for Tried { bug, by, .. } in tried {
        let by = match by {
            Some((stage, what)) => format!("{stage}: {what}"),
            None => format!("SURVIVES: {}", bug.what),
        };
        let invariant = bug.short_invariant();
        println!("{invariant:5} {:44} {:42} {by}", bug.name, bug.incident);
    }
    println!();
    println!("{:54} {:>5} {:>7}", "invariant", "bugs", "caught");
    for (invariant, (bugs, caught)) in by_invariant(tried) {
        println!("{invariant:54} {bugs:>5} {caught:>7}");
    }
    let caught = tried.iter().filter(|t| t.by.is_some()).count();
    println!("{:54} {:>5} {caught:>7}", "all", tried.len());
}

/// How many there were of each invariant, and how many were caught.
fn by_invariant<'a>(tried: &[Tried<'a>]) -> BTreeMap<&'a str, (usize, usize)> {
    let mut all: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for Tried { bug, by, .. } in tried {
        let (bugs, caught) = all.entry(&bug.invariant).or_default();
        *bugs += 1;
        *caught += usize::from(by.is_some());
    }
    all
}

fn to_json(tried: &[Tried<'_>]) -> Value {
    let bugs = tried.iter().map(|Tried { bug, by, took }| {
        let by = by
            .as_ref()
            .map(|(stage, what)| json!({"stage": stage, "what": what}));
        json!({
            "name": bug.name,
            "invariant": bug.short_invariant(),
            "incident": bug.incident,
            "file": bug.file,
            "what": bug.what,
            "caught_by": by,
            "seconds": took.as_secs_f64(),
        })
    });
    json!({
        "bugs": bugs.collect::<Vec<_>>(),
        "caught": tried.iter().filter(|t| t.by.is_some()).count(),
        "all": tried.len(),
    })
}

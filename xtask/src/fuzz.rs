//! `cargo xtask fuzz`: whatever bytes come from outside, for hours, with an
//! engine that looks for those which take another way through the code.
//!
//! What must be true is in `tests/fuzz`, where every test run tries it, too.
//! What was found last is in docs/reliability.md.

mod engine;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::{At, Error, Result};
use crate::paths;
use crate::run::{elapsed, minutes};
use engine::{Engine, Folders, Pulse};

/// Less than this of its share is left to a target, or added for the next one.
const CRUMB: Duration = Duration::from_secs(10);

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Only these targets
    #[arg(value_enum)]
    targets: Vec<Target>,
    /// Hours of one processor for all of them together; every processor is used
    #[arg(long, default_value_t = 4.0, value_name = "N")]
    hours: f64,
    /// Begin with the samples of the reference data, too
    #[arg(long, conflicts_with = "keep")]
    samples: bool,
    /// Put what takes another way than all before into tests/fuzz/corpus
    #[arg(long)]
    keep: bool,
    /// Print JSON, and progress to standard error
    #[arg(long)]
    json: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// Requests, advertisements, manifests
    Rspec,
    /// Calls
    Xmlrpc,
    /// Credentials, certificates, and forgeries of genuine ones
    Credentials,
}

impl Target {
    const ALL: [Self; 3] = [Self::Rspec, Self::Xmlrpc, Self::Credentials];

    fn name(self) -> &'static str {
        match self {
            Self::Rspec => "rspec",
            Self::Xmlrpc => "xmlrpc",
            Self::Credentials => "credentials",
        }
    }

    /// Where the reference data has samples for it.
    fn samples(self) -> &'static [&'static str] {
        match self {
            Self::Rspec => &["data/rspec/samples", "data/geni/samples"],
            Self::Xmlrpc => &["data/geni/wire"],
            Self::Credentials => &["data/geni/credentials"],
        }
    }
}

/// What came of one target.
#[derive(Debug)]
struct Fuzzed {
    target: Target,
    /// What processors worked for it.
    worked: Duration,
    took: Duration,
    pulse: Pulse,
    /// Inputs that do harm.
    harm: Vec<PathBuf>,
}

impl Fuzzed {
    /// Inputs tried in a second of one processor.
    fn speed(&self) -> f64 {
        self.pulse.runs as f64 / self.worked.as_secs_f64().max(0.01)
    }
}

pub(crate) fn fuzz(options: &Options) -> Result<()> {
    let hours = options.hours;
    let all = Duration::try_from_secs_f64(hours * 3_600.0)
        .map_err(|_| Error::new(format!("{hours} is no number of hours")))?;
    let targets = match &options.targets[..] {
        [] => Target::ALL.to_vec(),
        some => some.to_vec(),
    };
    let engine = Engine::build(options.json)?;
    let share = all / u32::try_from(targets.len()).unwrap_or(1);
    let mut done = Vec::new();
    for target in targets {
        done.push(one(&engine, target, share, options)?);
    }
    let file = paths::target().join("fuzz/last.json");
    let text = format!("{:#}\n", to_json(&done));
    fs::write(&file, &text).at(file.display())?;
    match options.json {
        true => print!("{text}"),
        false => show(&done),
    }
    let harm: Vec<String> = done.iter().flat_map(|one| again(&engine, one)).collect();
    if harm.is_empty() {
        return Ok(());
    }
    Err(Error::new(format!(
        "these inputs do harm; each belongs into tests/fuzz/corpus with its mending:\n{}",
        harm.join("\n")
    )))
}

/// One target, until processors have worked its share for it, or harm is found.
fn one(engine: &Engine, target: Target, share: Duration, options: &Options) -> Result<Fuzzed> {
    let name = target.name();
    let folders = Folders::of(name, options.samples)?;
    let samples = match options.samples {
        true => samples(target)?,
        false => Vec::new(),
    };
    let (began, before) = (Instant::now(), worked()?);
    let known = folders.harm()?;
    let mut fuzzed = Fuzzed {
        target,
        worked: Duration::ZERO,
        took: Duration::ZERO,
        pulse: Pulse::default(),
        harm: Vec::new(),
    };
    loop {
        let left = share.saturating_sub(fuzzed.worked).max(CRUMB);
        let earlier = fuzzed.pulse.runs;
        let mut told = Pulse::default();
        let end = minutes(began.elapsed() + left / engine.processors());
        engine.run(name, &folders, &samples, left, |pulse| {
            told = pulse;
            tell(&format!(
                "{name}: {} of {end} | {} runs | {} ways, {} in detail | {} inputs",
                minutes(began.elapsed()),
                earlier + pulse.runs,
                pulse.ways,
                pulse.features,
                pulse.inputs,
            ));
        })?;
        fuzzed.pulse = Pulse {
            runs: earlier + told.runs,
            ..told
        };
        fuzzed.worked = worked()?.saturating_sub(before);
        fuzzed.harm = folders.harm()?;
        fuzzed.harm.retain(|path| !known.contains(path));
        if !fuzzed.harm.is_empty() || share.saturating_sub(fuzzed.worked) < CRUMB {
            break;
        }
    }
    fuzzed.took = began.elapsed();
    if options.keep {
        engine.keep(name, &folders)?;
    }
    Ok(fuzzed)
}

/// The folders with samples for a target.
fn samples(target: Target) -> Result<Vec<PathBuf>> {
    let reference = std::env::var_os("RM_REFERENCE_DIR")
        .map_or_else(|| paths::root().join("../shared"), PathBuf::from);
    let found: Vec<PathBuf> = target.samples().iter().map(|f| reference.join(f)).collect();
    match found.iter().find(|folder| !folder.is_dir()) {
        None => Ok(found),
        Some(folder) => Err(Error::new(format!(
            "{} is no folder: set RM_REFERENCE_DIR",
            folder.display()
        ))),
    }
}

/// How long processors have worked for what this program started and saw end.
fn worked() -> Result<Duration> {
    let file = "/proc/self/stat";
    let text = fs::read_to_string(file).at(file)?;
    of_children(&text).ok_or_else(|| Error::new(format!("{file} was not understood")))
}

fn of_children(stat: &str) -> Option<Duration> {
    // The name may hold anything; behind it the third field comes first.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(16 - 3);
    let mut hundredths = || fields.next()?.parse::<u64>().ok();
    let (user, system) = (hundredths()?, hundredths()?);
    Some(Duration::from_millis((user + system) * 10))
}

/// How what does harm is tried again.
fn again(engine: &Engine, fuzzed: &Fuzzed) -> Vec<String> {
    let program = engine.program(fuzzed.target.name());
    let shown = |path: &PathBuf| format!("  {} {}", program.display(), path.display());
    fuzzed.harm.iter().map(shown).collect()
}

/// Progress goes to standard error, also where a table comes in the end.
fn tell(text: &str) {
    eprintln!("[{}] {text}", minutes(elapsed()));
}

fn show(done: &[Fuzzed]) {
    println!(
        "{:12} {:>9} {:>9} {:>14} {:>12} {:>8} {:>10} {:>8} {:>6}",
        "", "CPU s", "s", "runs", "a CPU second", "ways", "in detail", "inputs", "harm"
    );
    for one in done {
        let Pulse {
            runs,
            ways,
            features,
            inputs,
        } = one.pulse;
        println!(
            "{:12} {:>9} {:>9} {runs:>14} {:>12.0} {ways:>8} {features:>10} {inputs:>8} {:>6}",
            one.target.name(),
            one.worked.as_secs(),
            one.took.as_secs(),
            one.speed(),
            one.harm.len(),
        );
    }
}

fn to_json(done: &[Fuzzed]) -> Value {
    let targets = done.iter().map(|one| {
        json!({
            "target": one.target.name(),
            "cpu_seconds": one.worked.as_secs_f64(),
            "seconds": one.took.as_secs_f64(),
            "runs": one.pulse.runs,
            "runs_per_cpu_second": one.speed(),
            "ways": one.pulse.ways,
            "features": one.pulse.features,
            "inputs": one.pulse.inputs,
            "harm": one.harm,
        })
    });
    json!({ "targets": targets.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[derive(clap::Parser, Debug)]
    struct Cli {
        #[command(flatten)]
        _options: Options,
    }

    #[test]
    fn the_words_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_target_has_inputs_and_words() {
        let folder = paths::root().join("tests/fuzz");
        for target in Target::ALL {
            assert!(folder.join("corpus").join(target.name()).is_dir());
            let words = format!("words/{}.dict", target.name());
            assert!(folder.join(words).is_file());
        }
    }

    #[test]
    fn what_children_took_is_told_whatever_this_program_is_called() {
        let stat = "7 (a) b) R 1 1 1 0 -1 0 1 2 3 4 500 600 1234 66 20 0 1 0 9";
        assert_eq!(of_children(stat), Some(Duration::from_millis(13_000)));
        assert_eq!(of_children("7 (x) R 1"), None);
        assert!(worked().is_ok());
    }
}

//! What `cargo xtask simulate` runs.
//!
//! ```text
//! simulate                    every fault and pair of faults, then 1,000,000 random schedules
//! simulate --schedules N      N random schedules
//! simulate --seed S           one random schedule again, with its whole story
//! simulate --trial 'T'        one trial of the enumeration again, by its printed words
//! simulate --exhaustive       every fault and pair of faults only
//! simulate --single           every fault only, and no pairs
//! simulate ... --json         the result as JSON, and progress to standard error
//! ```

use std::process::ExitCode;
use std::time::{Duration, Instant};

use rm_testkit::simulate::{exhaustive, random, replay, replay_trial};
use serde_json::{Value, json};

/// A quarter of a world's time is memory that is taken and given back.
#[cfg(feature = "fast")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many random schedules there are where nothing is said.
const SCHEDULES: u64 = 1_000_000;

/// How often progress is told.
const EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Options {
    schedules: Option<u64>,
    seed: Option<u64>,
    trial: Option<String>,
    exhaustive: bool,
    single: bool,
    json: bool,
}

impl Options {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(arg) = args.next() {
            if arg == "--trial" {
                options.trial = Some(args.next().ok_or("--trial needs a trial")?);
                continue;
            }
            let mut number = || {
                let value = args.next().and_then(|n| n.parse().ok());
                value.ok_or_else(|| format!("{arg} needs a number"))
            };
            match arg.as_str() {
                "--schedules" => options.schedules = Some(number()?),
                "--seed" => options.seed = Some(number()?),
                "--exhaustive" => options.exhaustive = true,
                "--single" => options.single = true,
                "--json" => options.json = true,
                _ => return Err(format!("{arg:?} is not known")),
            }
        }
        Ok(options)
    }
}

/// Tells progress now and then.
struct Progress {
    begun: Instant,
    told: Instant,
}

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            begun: now,
            told: now,
        }
    }

    fn tell(&mut self, text: impl FnOnce() -> String) {
        if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            eprintln!("[{:>4} s] {}", self.begun.elapsed().as_secs(), text());
        }
    }

    fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
}

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(e) => {
            eprintln!("simulate: {e}; see `cargo xtask simulate --help`");
            return ExitCode::FAILURE;
        }
    };
    // A schedule that panics is told with its seed, at the end.
    std::panic::set_hook(Box::new(|_| {}));
    let mut result = json!({});
    let mut sound = true;
    if let Some(trial) = &options.trial {
        match one_trial(trial, &options, &mut result) {
            Ok(found) => sound = found,
            Err(e) => {
                eprintln!("simulate: {e}");
                return ExitCode::FAILURE;
            }
        }
    } else if let Some(seed) = options.seed {
        let all = replay(seed, !options.json);
        sound = all.failed.is_empty();
        result["random"] = all.to_json();
        show(&options, || format!("\n{all}"));
    } else {
        if options.schedules.is_none() {
            sound &= all_faults(&options, &mut result);
        }
        if !options.exhaustive && !options.single {
            sound &= by_chance(&options, &mut result);
        }
    }
    if options.json {
        println!("{result:#}");
    }
    match sound {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn show(options: &Options, text: impl FnOnce() -> String) {
    if !options.json {
        println!("{}", text());
    }
}

/// One trial of the enumeration again.
fn one_trial(words: &str, options: &Options, result: &mut Value) -> Result<bool, String> {
    let found = replay_trial(words)?;
    let lines = found
        .iter()
        .map(|f| format!("{}: {}", f.harm.as_str(), f.text));
    let lines: Vec<String> = lines.collect();
    result["trial"] = json!({"trial": words, "found": lines});
    show(options, || match lines.is_empty() {
        true => "no harm".to_owned(),
        false => lines.join("\n"),
    });
    Ok(found.is_empty())
}

/// Every fault and every pair of faults.
fn all_faults(options: &Options, result: &mut Value) -> bool {
    let mut progress = Progress::new();
    let all = exhaustive(!options.single, &mut |first, of, trials| {
        progress.tell(|| format!("{first} of {of} first faults, {trials} trials"));
    });
    let took = progress.seconds();
    result["exhaustive"] = all.to_json();
    result["exhaustive"]["seconds"] = json!(took);
    show(options, || format!("{all}\nin {took:.1} s\n"));
    all.failed.is_empty() && all.is_covered()
}

/// Random schedules.
fn by_chance(options: &Options, result: &mut Value) -> bool {
    let schedules = options.schedules.unwrap_or(SCHEDULES);
    let mut progress = Progress::new();
    let all = random(0, schedules, &mut |sofar| {
        progress.tell(|| {
            let done = sofar.schedules;
            let seeds: Vec<String> = sofar.failed.keys().map(u64::to_string).collect();
            match seeds.is_empty() {
                true => format!("{done} of {schedules} schedules"),
                false => format!(
                    "{done} of {schedules} schedules, harm in {}",
                    seeds.join(", ")
                ),
            }
        });
    });
    let took = progress.seconds();
    let rare = all.rare();
    result["random"] = all.to_json();
    result["random"]["seconds"] = json!(took);
    show(options, || format!("{all}\nin {took:.1} s"));
    for kind in &rare {
        let few = kind.as_str();
        eprintln!("simulate: less than 1 % of the schedules suffered: {few}");
    }
    all.failed.is_empty() && rare.is_empty()
}

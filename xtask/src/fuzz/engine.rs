//! libFuzzer around the targets of `tests/fuzz`, with nothing but what the
//! stable compiler offers.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::error::{At, Error, Result};
use crate::paths;
use crate::run::Run;

/// What the compiler adds, so that libFuzzer sees which way an input takes and
/// what it is compared with.
const FLAGS: [&str; 7] = [
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// A release that also looks after itself.
const PROFILE: [&str; 12] = [
    "--profile",
    "fuzz",
    "--config",
    "profile.fuzz.inherits=\"release\"",
    "--config",
    "profile.fuzz.lto=\"off\"",
    "--config",
    "profile.fuzz.codegen-units=1",
    "--config",
    "profile.fuzz.debug-assertions=true",
    "--config",
    "profile.fuzz.overflow-checks=true",
];

/// What one input may cost: an input of this many bytes, so many seconds and
/// MiB of memory. Whatever takes more does harm.
const LIMITS: [&str; 3] = ["-max_len=16384", "-timeout=5", "-rss_limit_mb=512"];

/// Lines of the engine that are shown where it ends badly.
const LAST: usize = 40;

/// Programs that were built to be fuzzed.
#[derive(Debug)]
pub(super) struct Engine {
    folder: PathBuf,
    processors: u32,
}

/// Where the inputs of a target are.
#[derive(Debug)]
pub(super) struct Folders {
    /// Those that belong to the project.
    own: PathBuf,
    /// Those that were found since `target` was empty.
    learnt: PathBuf,
    /// Those that do harm.
    harm: PathBuf,
}

/// What the engine tells now and then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pulse {
    /// Inputs that were tried.
    pub(super) runs: u64,
    /// Places of the code that were reached: edges.
    pub(super) ways: u64,
    /// The same, told apart by how often, and by what was compared.
    pub(super) features: u64,
    /// Inputs that each reach something that no other does.
    pub(super) inputs: u64,
}

impl Folders {
    /// What is learnt from samples of others stays apart: it is theirs, too.
    pub(super) fn of(target: &str, samples: bool) -> Result<Self> {
        let folder = paths::target().join("fuzz").join(target);
        let learnt = match samples {
            true => "learnt-from-samples",
            false => "learnt",
        };
        let this = Self {
            own: paths::root().join("tests/fuzz/corpus").join(target),
            learnt: folder.join(learnt),
            harm: folder.join("harm"),
        };
        for made in [&this.learnt, &this.harm] {
            fs::create_dir_all(made).at(made.display())?;
        }
        Ok(this)
    }

    /// The inputs that do harm.
    pub(super) fn harm(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.harm).at(self.harm.display())? {
            let path = entry.at(self.harm.display())?.path();
            let name = path.file_name().unwrap_or_default();
            let name = name.to_string_lossy().into_owned();
            // It also keeps what is merely slow.
            let harm = ["crash-", "timeout-", "oom-"];
            if harm.iter().any(|kind| name.starts_with(kind)) {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}

impl Engine {
    /// Builds all targets.
    pub(super) fn build(quiet: bool) -> Result<Self> {
        if paths::in_path("c++").is_none() {
            return Err(Error::new(
                "libFuzzer needs a C++ compiler: as root, apt-get install -y g++",
            ));
        }
        let host = host(&Run::cargo().arg("-vV").output()?)?;
        let build = Run::cargo()
            .args(["build", "--locked", "--package", "fuzz", "--bins"])
            // With a target named, programs of the build itself are left as they are.
            .args(["--target", &host])
            .args(PROFILE)
            .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
        match quiet {
            true => build.arg("--quiet").output().map(drop)?,
            false => build.run()?,
        }
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            folder: paths::target().join(host).join("fuzz"),
            processors: u32::try_from(processors).unwrap_or(1),
        })
    }

    /// How many work at once.
    pub(super) fn processors(&self) -> u32 {
        self.processors
    }

    /// The program of a target: given a file, it tries that one.
    pub(super) fn program(&self, target: &str) -> PathBuf {
        self.folder.join(format!("fuzz-{target}"))
    }

    /// Fuzzes for so long a time of all processors together, at most; less
    /// where harm is found.
    pub(super) fn run(
        &self,
        target: &str,
        folders: &Folders,
        more: &[PathBuf],
        work: Duration,
        mut told: impl FnMut(Pulse),
    ) -> Result<()> {
        let seconds = (work / self.processors).as_secs().max(1);
        let known = folders.harm()?;
        let mut command = self
            .start(target)?
            .args([
                format!("-fork={}", self.processors),
                format!("-max_total_time={seconds}"),
                format!("-artifact_prefix={}/", folders.harm.display()),
                format!("-dict={}", words(target).display()),
            ])
            .args([&folders.learnt, &folders.own])
            .args(more)
            .into_command();
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .at(target)?;
        let mut log = Log::create(&folders.harm.with_file_name("log.txt"))?;
        if let Some(output) = child.stderr.take() {
            // It may show bytes of an input.
            for line in BufReader::new(output).split(b'\n').map_while(|l| l.ok()) {
                let line = String::from_utf8_lossy(&line);
                match pulse(&line) {
                    Some(pulse) => told(pulse),
                    None => log.add(&line)?,
                }
            }
        }
        let status = child.wait().at(target)?;
        if status.success() {
            return Ok(());
        }
        log.show();
        if folders.harm()? != known {
            return Ok(());
        }
        Err(Error::new(format!(
            "{target}: {status}, and no new input in {}; see above",
            folders.harm.display()
        )))
    }

    /// Puts into the project what reaches more than what is there: as few
    /// inputs as will do, told apart by places alone.
    pub(super) fn keep(&self, target: &str, folders: &Folders) -> Result<()> {
        self.start(target)?
            .args(["-set_cover_merge=1", "-use_counters=0"])
            .args([&folders.own, &folders.learnt])
            .output()
            .map(drop)
    }

    fn start(&self, target: &str) -> Result<Run> {
        // What it writes meanwhile is removed with `target`, too.
        let scratch = paths::target().join("fuzz/tmp");
        fs::create_dir_all(&scratch).at(scratch.display())?;
        let run = Run::new(self.program(target)).args(LIMITS);
        Ok(run.env("TMPDIR", scratch))
    }
}

fn words(target: &str) -> PathBuf {
    let file = format!("tests/fuzz/words/{target}.dict");
    paths::root().join(file)
}

/// The system that cargo runs on, by its own words.
fn host(version: &str) -> Result<String> {
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(|host| host.trim().to_owned())
        .ok_or_else(|| Error::new("cargo -vV does not say its host"))
}

/// What a line of the engine tells, where it tells how far it is.
fn pulse(line: &str) -> Option<Pulse> {
    let (runs, rest) = line.strip_prefix('#')?.split_once(':')?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let behind = |name: &str| -> Option<u64> {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1)?.parse().ok()
    };
    Some(Pulse {
        runs: runs.parse().ok()?,
        ways: behind("cov:")?,
        features: behind("ft:")?,
        inputs: behind("corp:")?,
    })
}

/// What else the engine said: in a file, and the last of it to be shown.
#[derive(Debug)]
struct Log {
    file: fs::File,
    last: Vec<String>,
}

impl Log {
    fn create(path: &Path) -> Result<Self> {
        Ok(Self {
            file: fs::File::create(path).at(path.display())?,
            last: Vec::new(),
        })
    }

    fn add(&mut self, line: &str) -> Result<()> {
        writeln!(self.file, "{line}").at("the log of the engine")?;
        if self.last.len() == LAST {
            self.last.remove(0);
        }
        self.last.push(line.to_owned());
        Ok(())
    }

    fn show(&self) {
        for line in &self.last {
            eprintln!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_is_read_of_its_lines() {
        let line = "#480326: cov: 17 ft: 19 corp: 4 exec/s: 0 oom/timeout/crash: 0/0/2 time: 9s job: 3 dft_time: 0";
        let read = Pulse {
            runs: 480_326,
            ways: 17,
            features: 19,
            inputs: 4,
        };
        assert_eq!(pulse(line), Some(read));
        for other in ["", "#", "#x: cov: 1", "INFO: Seed: 574923370"] {
            assert_eq!(pulse(other), None);
        }
    }

    #[test]
    fn the_host_is_what_cargo_says() {
        let said = "cargo 1.95.0\nrelease: 1.95.0\nhost: x86_64-unknown-linux-gnu\nos: Debian\n";
        assert_eq!(host(said).unwrap(), "x86_64-unknown-linux-gnu");
        assert!(host("cargo 1.95.0").is_err());
    }
}

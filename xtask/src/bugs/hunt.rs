//! Running the suite over one bug, until something catches it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::copy::VARIABLE;
use crate::error::{At, Result};

/// What a stage may take at the least, whatever it takes without a bug.
const LEAST: Duration = Duration::from_secs(20);

/// One program of the suite.
#[derive(Debug)]
pub(super) struct Stage {
    /// Its name, for people.
    pub(super) name: String,
    program: PathBuf,
    args: Vec<String>,
    folder: PathBuf,
    /// How long it takes without a bug.
    pub(super) took: Duration,
}

impl Stage {
    pub(super) fn new(name: String, program: &str, args: &[&str], folder: &Path) -> Self {
        Self {
            name,
            program: program.into(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            folder: folder.to_owned(),
            took: Duration::from_secs(60),
        }
    }

    /// Runs it with this bug or with none: what has caught it, if something
    /// has. It is ended as soon as it fails, or when it takes much too long.
    pub(super) fn run(&self, bug: Option<&str>) -> Result<Option<String>> {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let Ran { text, end } = self.start(bug, &args)?;
        let End::Failed(how) = end else {
            return Ok(None);
        };
        if let Some(found) = of_simulation(&text) {
            return Ok(Some(found));
        }
        let Some(test) = failed(&text).or_else(|| under_way(&text)) else {
            return Ok(Some(how));
        };
        if how != FAILS {
            return Ok(Some(format!("{test} {how}")));
        }
        // Once more, for what it says.
        let again = self.start(bug, &["--exact", test])?;
        Ok(Some(match check(&again.text) {
            Some(check) => format!("{test}: {check}"),
            None => test.to_owned(),
        }))
    }

    fn start(&self, bug: Option<&str>, args: &[&str]) -> Result<Ran> {
        let limit = Instant::now() + LEAST.max(self.took * 10);
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(&self.folder);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command.stdout(Stdio::piped()).env_remove(VARIABLE);
        if let Some(bug) = bug {
            command.env(VARIABLE, bug);
        }
        let mut child = command.spawn().at(&self.name)?;
        let (pieces, heard) = mpsc::channel();
        if let Some(mut stdout) = child.stdout.take() {
            thread::spawn(move || {
                let mut buffer = [0; 16 * 1024];
                while let Ok(n @ 1..) = stdout.read(&mut buffer) {
                    let piece = buffer.get(..n).unwrap_or_default().to_owned();
                    if pieces.send(piece).is_err() {
                        break;
                    }
                }
            });
        }
        let mut text = String::new();
        let end = loop {
            let left = limit.saturating_duration_since(Instant::now());
            match heard.recv_timeout(left) {
                Ok(piece) => {
                    text.push_str(&String::from_utf8_lossy(&piece));
                    if failed(&text).is_some() && !args.contains(&"--exact") {
                        break End::Failed(FAILS.to_owned());
                    }
                }
                Err(RecvTimeoutError::Timeout) => break End::Failed("does not end".to_owned()),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = child.wait().at(&self.name)?;
                    break match status.success() {
                        true => End::Sound,
                        false => End::Failed(format!("ends with {status}")),
                    };
                }
            }
        };
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().at(&self.name)?;
        Ok(Ran { text, end })
    }
}

const FAILS: &str = "fails";

struct Ran {
    text: String,
    end: End,
}

enum End {
    Sound,
    Failed(String),
}

/// The first test that has failed.
fn failed(text: &str) -> Option<&str> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
}

/// The test that has begun and not ended.
fn under_way(text: &str) -> Option<&str> {
    let last = text.lines().last()?;
    last.strip_prefix("test ")?.strip_suffix(" ... ")
}

/// The check of a conformance suite that has failed first.
fn check(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim_start);
    let failed = lines.find_map(|line| line.strip_prefix("FAILED "))?;
    failed.split_whitespace().next()
}

/// What a simulation has found first.
fn of_simulation(text: &str) -> Option<String> {
    let said: Value = serde_json::from_str(text).ok()?;
    let first = |part: &str| said[part]["failed"].get(0).cloned();
    if let Some(failed) = first("random") {
        let harm = failed["found"][0]["harm"].as_str().unwrap_or_default();
        return Some(format!("seed {}: {harm}", failed["seed"]));
    }
    let failed = first("exhaustive")?;
    let harm = failed["found"][0]["harm"].as_str().unwrap_or_default();
    Some(format!("{}: {harm}", failed["faults"].as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_failed_is_read_from_what_a_test_program_says() {
        let text = "running 2 tests\ntest a::one ... ok\ntest a::two ... FAILED\n";
        assert_eq!(failed(text), Some("a::two"));
        assert_eq!(failed("test a::one ... ok\n"), None);
        assert_eq!(under_way("test one ... ok\ntest two ... "), Some("two"));
        assert_eq!(under_way("test one ... ok\n"), None);
        let card = "  FAILED create/keeps-its-id (needed for Basic, I1, seed 1)\n";
        assert_eq!(check(card), Some("create/keeps-its-id"));
    }

    #[test]
    fn what_has_failed_is_read_from_what_a_simulation_says() {
        let seed = r#"{"random": {"failed": [{"seed": 7, "found": [{"harm": "leaked"}]}]}}"#;
        assert_eq!(of_simulation(seed).as_deref(), Some("seed 7: leaked"));
        let fault =
            r#"{"exhaustive": {"failed": [{"faults": "F", "found": [{"harm": "stuck"}]}]}}"#;
        assert_eq!(of_simulation(fault).as_deref(), Some("F: stuck"));
        assert_eq!(of_simulation(r#"{"random": {"failed": []}}"#), None);
    }
}

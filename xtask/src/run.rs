//! Running commands so that a person can follow.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::error::{At, Error, Result};
use crate::paths;

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How long this program has been running.
pub(crate) fn elapsed() -> Duration {
    BEGAN.elapsed()
}

pub(crate) fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

pub(crate) fn say(text: impl AsRef<str>) {
    println!("[{}] {}", minutes(elapsed()), text.as_ref());
}

/// One command of the workspace.
#[derive(Debug)]
pub(crate) struct Run {
    command: Command,
    shown: String,
}

impl Run {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let mut command = Command::new(program);
        command.current_dir(paths::root()).stdin(Stdio::null());
        let shown = Path::new(program)
            .file_name()
            .unwrap_or(program)
            .to_string_lossy()
            .into_owned();
        Self { command, shown }
    }

    pub(crate) fn cargo() -> Self {
        // As `cargo run` set it, so that the same toolchain goes on.
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let arg = arg.as_ref();
        self.shown.push(' ');
        self.shown.push_str(&arg.to_string_lossy());
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// For what this does not offer.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }

    /// Run it with its output in ours.
    pub(crate) fn run(mut self) -> Result<()> {
        say(format!("$ {}", self.shown));
        let status = self.command.status().at(&self.shown)?;
        if status.success() {
            return Ok(());
        }
        Err(Error::new(format!("{}: {status}", self.shown)))
    }

    /// Run it with each line of its output after a name, for one that runs
    /// beside others.
    pub(crate) fn run_as(mut self, name: &str) -> Result<()> {
        say(format!("{name} | $ {}", self.shown));
        let mut child = self
            .command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .at(&self.shown)?;
        let errors = child.stderr.take();
        std::thread::scope(|scope| {
            if let Some(errors) = errors {
                scope.spawn(|| relay(errors, name));
            }
            if let Some(output) = child.stdout.take() {
                relay(output, name);
            }
        });
        let status = child.wait().at(&self.shown)?;
        if status.success() {
            return Ok(());
        }
        Err(Error::new(format!("{name}: {}: {status}", self.shown)))
    }

    /// Run it silently for its output.
    pub(crate) fn output(mut self) -> Result<String> {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command.output().at(&self.shown)?;
        if !status.success() {
            let errors = String::from_utf8_lossy(&stderr);
            return Err(Error::new(format!("{}: {status}\n{errors}", self.shown)));
        }
        String::from_utf8(stdout).at(&self.shown)
    }

    /// Whether it runs and succeeds, silently.
    pub(crate) fn works(mut self) -> bool {
        self.command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

fn relay(stream: impl std::io::Read, name: &str) {
    for line in BufReader::new(stream)
        .lines()
        .map_while(std::result::Result::ok)
    {
        println!("{name} | {line}");
    }
}

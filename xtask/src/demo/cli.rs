//! The command line of the daemon, each call shown before it is made.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::files::shown;
use crate::error::{At, Error, Result};
use crate::paths;

const PROGRAM: &str = "operation-manager";

/// One person's terminal.
#[derive(Debug)]
pub(super) struct Cli {
    pub(super) program: PathBuf,
    /// Where the tokens are.
    pub(super) home: PathBuf,
    server: Option<String>,
    /// Whose token is used.
    who: Option<&'static str>,
}

impl Cli {
    pub(super) fn new(program: PathBuf, home: PathBuf) -> Result<Self> {
        Ok(Self {
            program: std::path::absolute(&program).at(program.display())?,
            home,
            server: None,
            who: None,
        })
    }

    /// Talks to this daemon from now on.
    pub(super) fn reach(&mut self, server: String) {
        echo(&format!("export RM_SERVER={server}"));
        self.server = Some(server);
    }

    /// Is somebody else from now on.
    pub(super) fn speak_as(&mut self, who: &'static str) {
        if self.who != Some(who) {
            echo(&format!("export RM_TOKEN_FILE={}", shown(&self.token(who))));
            self.who = Some(who);
        }
    }

    pub(super) fn token(&self, who: &str) -> PathBuf {
        self.home.join(format!("{who}.token"))
    }

    /// Makes a call for people: its output and its progress are in ours.
    pub(super) fn run(&self, args: &[&str]) -> Result<()> {
        echo(&format!("{PROGRAM} {}", typed(args)));
        let status = self.command(args).status().at(self.program.display())?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::new(format!(
                "{PROGRAM} {}: {status}; what it said is above",
                typed(args)
            ))),
        }
    }

    /// Makes a call for this program, to check what people have seen.
    pub(super) fn json(&self, args: &[&str]) -> Result<Value> {
        let output = self
            .command(&["--json"])
            .args(args)
            .output()
            .at(self.program.display())?;
        if !output.status.success() {
            return Err(Error::new(format!(
                "{PROGRAM} --json {}: {}\n{}",
                typed(args),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )));
        }
        serde_json::from_slice(&output.stdout).at(typed(args))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .current_dir(paths::root())
            .stdin(Stdio::null());
        if let Some(server) = &self.server {
            command.env("RM_SERVER", server);
        }
        if let Some(who) = self.who {
            command.env("RM_TOKEN_FILE", self.token(who));
        }
        command
    }
}

pub(super) fn echo(line: &str) {
    println!("\n$ {line}");
}

/// As one types it.
fn typed(args: &[&str]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@".contains(c);
    let quoted = args.iter().map(|arg| {
        let arg = match Path::new(arg).is_absolute() {
            true => shown(Path::new(arg)),
            false => (*arg).to_owned(),
        };
        match !arg.is_empty() && arg.chars().all(plain) {
            true => arg,
            false => format!("'{}'", arg.replace('\'', r"'\''")),
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_shown_can_be_typed() {
        assert_eq!(
            super::typed(&["cluster", "show", "a b"]),
            "cluster show 'a b'"
        );
        assert_eq!(super::typed(&["it's", ""]), r"'it'\''s' ''");
    }
}

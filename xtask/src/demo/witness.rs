//! What the cloud holds, seen by somebody else than the daemon.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::Value;

use crate::error::{At, Error, Result};
use crate::lab::{self, Lab};
use crate::run::{Run, say};

const SCRIPT: &str = include_str!("witness.py");

/// A process with a user and a library of its own.
#[derive(Debug)]
pub(super) struct Witness {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    before: Value,
}

/// One cluster as the cloud has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) slaves: u64,
}

impl Witness {
    /// Makes the user, and takes down what the project has before anything
    /// happens.
    pub(super) fn start(lab: &Lab) -> Result<Self> {
        say("a second pair of eyes: user witness, who may only read project demo");
        let mut child = Run::new(lab::venv_python()?)
            .args(["-c", SCRIPT])
            .env("OS_CLIENT_CONFIG_FILE", lab.clouds())
            .into_command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .at("the witness")?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or_else(|| Error::new("no stdout"))?;
        let mut this = Self {
            child,
            input,
            output: BufReader::new(output),
            before: Value::Null,
        };
        this.answer()?;
        this.before = this.look()?;
        Ok(this)
    }

    fn look(&mut self) -> Result<Value> {
        let input = self.input.as_mut().ok_or_else(|| Error::new("no stdin"))?;
        input.write_all(b"look\n").at("the witness")?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line).at("the witness")?;
        if line.is_empty() {
            return Err(Error::new("the witness has ended; see above"));
        }
        serde_json::from_str(&line).at("the witness")
    }

    /// Says what the cloud holds of ours, and that it is this one cluster.
    /// Answers its stack's id.
    pub(super) fn sees(&mut self, expected: Expected) -> Result<String> {
        let seen = self.look()?;
        tell(&seen);
        let Some([stack]) = seen["stacks"].as_array().map(Vec::as_slice) else {
            return Err(Error::new("the cloud does not hold exactly one stack"));
        };
        let complete = stack["status"]
            .as_str()
            .is_some_and(|s| s.ends_with("_COMPLETE"));
        if !complete || stack["slaves"] != expected.slaves {
            return Err(Error::new(format!(
                "the cloud does not hold what was promised: {} slaves, complete",
                expected.slaves
            )));
        }
        if let Some(servers) = seen["servers"].as_array() {
            let before = self.before["servers"].as_array().map_or(0, Vec::len);
            if u64::try_from(servers.len().saturating_sub(before)) != Ok(expected.slaves + 1) {
                return Err(Error::new("the cloud holds another number of servers"));
            }
        }
        Ok(stack["id"].as_str().unwrap_or_default().to_owned())
    }

    /// Says that the cloud holds what it held at first, and nothing else.
    pub(super) fn sees_nothing_new(&mut self) -> Result<()> {
        let seen = self.look()?;
        tell(&seen);
        if seen != self.before {
            return Err(Error::new(format!(
                "the cloud is not as it was: {seen} now, {} at first",
                self.before
            )));
        }
        say("the cloud holds nothing of ours: all is as it was before");
        Ok(())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // Without input it ends by itself.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

fn tell(seen: &Value) {
    println!("\nwhat the cloud tells user witness:");
    let stacks = seen["stacks"].as_array().map_or(&[][..], Vec::as_slice);
    if stacks.is_empty() {
        println!("  no stack");
    }
    for stack in stacks {
        println!(
            "  stack {}: {}, {} slaves in Heat's own list",
            word(&stack["name"]),
            word(&stack["status"]),
            stack["slaves"]
        );
        println!("    id {}", word(&stack["id"]));
        let tags = stack["tags"].as_array().into_iter().flatten();
        let tags: Vec<&str> = tags.map(word).collect();
        println!("    tags {}", tags.join(" "));
    }
    if let Some(servers) = seen["servers"].as_array() {
        for server in servers {
            println!("  server {}", word(server));
        }
        let networks = seen["networks"].as_array().into_iter().flatten();
        let networks: Vec<&str> = networks.map(word).collect();
        println!(
            "  {} servers; networks {}; {} ports",
            servers.len(),
            networks.join(", "),
            seen["ports"]
        );
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

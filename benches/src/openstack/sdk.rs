//! openstacksdk in a Python that is started already.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::lab::Lab;
use crate::Result;

const SCRIPT: &str = include_str!("../../python/sdk.py");

const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(super) struct Sdk {
    // It ends with this.
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    pub(super) version: String,
}

impl Sdk {
    /// Starts it, and waits until it is connected.
    pub(super) async fn start(python: &Path, lab: &Lab, template: &str) -> Result<Self> {
        let mut child = Command::new(python)
            .args(["-c", SCRIPT, template])
            .env("OS_CLIENT_CONFIG_FILE", lab.clouds())
            .env("OS_CLOUD", "oslab")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("{}: {e}", python.display()))?;
        let input = child.stdin.take().ok_or("no stdin")?;
        let output = child.stdout.take().ok_or("no stdout")?;
        let mut this = Self {
            _child: child,
            input,
            output: BufReader::new(output).lines(),
            version: String::new(),
        };
        let hello = this.answer().await?;
        this.version = hello["version"].as_str().unwrap_or("unknown").to_owned();
        Ok(this)
    }

    /// One stack, from nothing to complete.
    pub(super) async fn one(&mut self, name: &str) -> Result<()> {
        let line = format!("{}\n", json!({"create": name}));
        self.input.write_all(line.as_bytes()).await?;
        self.answer().await.map(drop)
    }

    async fn answer(&mut self) -> Result<Value> {
        let line = tokio::time::timeout(PATIENCE, self.output.next_line())
            .await
            .map_err(|_| "openstacksdk does not answer")??
            .ok_or("openstacksdk has ended; see above")?;
        let answer: Value = serde_json::from_str(&line)?;
        match answer["error"].as_str() {
            Some(error) => Err(format!("openstacksdk: {error}").into()),
            None => Ok(answer),
        }
    }
}

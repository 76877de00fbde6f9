//! Other processes of this program.

use std::path::Path;
use std::process::Stdio;

use serde::de::DeserializeOwned;
use tokio::process::Command;

use benches::Result;

/// This program once more, with other words.
pub(super) fn this(words: &[&str], folder: &Path, number: u32) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(words)
        .arg("--folder")
        .arg(folder)
        .arg("--number")
        .arg(number.to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

/// Runs it to its end; the last line that it prints is what it has measured.
pub(super) async fn measured<T: DeserializeOwned>(mut command: Command) -> Result<T> {
    let output = command.spawn()?.wait_with_output().await?;
    if !output.status.success() {
        return Err(format!("a measuring process failed: {}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().unwrap_or_default();
    Ok(serde_json::from_str(last)?)
}

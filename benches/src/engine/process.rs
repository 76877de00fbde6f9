//! What the system says of this process, and other processes of this program.

use std::path::Path;
use std::process::Stdio;

use serde::de::DeserializeOwned;
use tokio::process::Command;

use benches::Result;

/// A line of the process's status: the first number in it.
fn status(name: &str) -> Result<u32> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| format!("/proc/self/status does not say {name}").into())
}

/// Resident memory in bytes.
pub(super) fn resident() -> Result<f64> {
    Ok(f64::from(status("VmRSS")?) * 1024.0)
}

/// The most there ever was of it, in bytes.
pub(super) fn most_resident() -> Result<f64> {
    Ok(f64::from(status("VmHWM")?) * 1024.0)
}

/// How many threads there are.
pub(super) fn threads() -> Result<u32> {
    status("Threads")
}

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

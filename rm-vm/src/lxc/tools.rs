//! The tools of LXC. What they print for people is told to people and never
//! read.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::driver::{Error, Result, State};

/// How one container is doing: its state, and the process that is its first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) state: State,
    pub(super) init: Option<u32>,
}

impl Info {
    /// It does not run.
    pub(super) const STOPPED: Self = Self {
        state: State::Stopped,
        init: None,
    };
}

/// The control sockets of all containers that run: one without it does not.
#[derive(Debug)]
pub(super) struct Sockets(Option<String>);

impl Sockets {
    /// As the kernel tells now.
    pub(super) fn now() -> Self {
        Self(std::fs::read_to_string("/proc/net/unix").ok())
    }

    /// Whether there is one. Of long names LXC keeps a sum, so that there may
    /// be one for all we know.
    pub(super) fn may_run(&self, path: &Path, name: &str) -> bool {
        const LONGEST: usize = 100;
        let socket = format!("@{}/{name}/command", path.display());
        match &self.0 {
            Some(all) if socket.len() <= LONGEST => all.lines().any(|line| line.ends_with(&socket)),
            _ => true,
        }
    }
}

/// A tool for the containers of a path, always the same text of it: the
/// control socket of a container is named by it.
pub(super) fn tool(tool: &str, path: &Path) -> Command {
    let mut command = Command::new(tool);
    command.arg("-P").arg(path).stdin(Stdio::null());
    command
}

/// Runs a tool to its end: what it printed where it says that it did it, and
/// else the last of its words, for people.
fn run(mut command: Command) -> Result<std::result::Result<String, String>> {
    let output = command.output().map_err(|e| not_begun(&e))?;
    if output.status.success() {
        return Ok(Ok(String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    Ok(Err(words(&output.stderr)))
}

/// A tool could not be started.
pub(super) fn not_begun(e: &std::io::Error) -> Error {
    Error::Unavailable(match e.kind() {
        std::io::ErrorKind::NotFound => {
            "the tools of LXC are not installed; install the package lxc".to_owned()
        }
        _ => format!("a tool of LXC cannot be started: {e}"),
    })
}

/// The last words of a tool, short and in one line.
pub(super) fn words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let last = lines[lines.len().saturating_sub(3)..].join(" | ");
    let plain: String = last.chars().filter(|c| !c.is_control()).take(500).collect();
    match plain.is_empty() {
        true => "the tool does not say why".to_owned(),
        false => plain,
    }
}

/// How a container is doing. One whose configuration is gone does not run.
pub(super) fn info(path: &Path, name: &str) -> Result<Info> {
    let mut command = tool("lxc-info", path);
    command.args(["-n", name, "-s", "-p", "-H"]);
    let Ok(told) = run(command)? else {
        return Ok(Info::STOPPED);
    };
    let mut info = Info::STOPPED;
    for word in told.split_whitespace() {
        match word.parse::<u32>() {
            Ok(init) => info.init = Some(init),
            Err(_) => info.state = state(word).unwrap_or(info.state),
        }
    }
    Ok(info)
}

/// A state as LXC writes it.
pub(super) fn state(word: &str) -> Option<State> {
    Some(match word {
        "STOPPED" => State::Stopped,
        "RUNNING" => State::Running,
        "FROZEN" => State::Suspended,
        "STARTING" | "STOPPING" | "ABORTING" | "FREEZING" | "THAWED" => State::Moving,
        _ => return None,
    })
}

/// Starts one in the background and answers when it runs, or the last words.
/// The number of the process that watches over it is written to `monitor`.
pub(super) fn start(
    path: &Path,
    name: &str,
    log: &Path,
    monitor: &Path,
) -> Result<std::result::Result<(), String>> {
    let mut command = tool("lxc-start", path);
    command
        .args(["-n", name, "-d", "-l", "ERROR", "-o"])
        .arg(log)
        .arg("-p")
        .arg(monitor);
    Ok(run(command)?.map(|_| ()))
}

/// Stops one: hard at once, or asked and hard when the grace is over.
pub(super) fn stop(
    path: &Path,
    name: &str,
    grace: Duration,
) -> Result<std::result::Result<(), String>> {
    let mut command = tool("lxc-stop", path);
    command.args(["-n", name]);
    match grace.as_secs() {
        0 => command.arg("-k"),
        seconds => command.args(["-t", &seconds.to_string()]),
    };
    Ok(run(command)?.map(|_| ()))
}

/// Waits until it is in one of these states (`STOPPED`, `RUNNING|FROZEN`).
pub(super) fn wait(path: &Path, name: &str, states: &str, most: Duration) -> Result<bool> {
    let mut command = tool("lxc-wait", path);
    let seconds = most.as_secs().max(1).to_string();
    command.args(["-n", name, "-s", states, "-t", &seconds]);
    Ok(run(command)?.is_ok())
}

/// Lets it stand still, or go on.
pub(super) fn freeze(
    path: &Path,
    name: &str,
    still: bool,
) -> Result<std::result::Result<(), String>> {
    let mut command = tool(if still { "lxc-freeze" } else { "lxc-unfreeze" }, path);
    command.args(["-n", name]);
    Ok(run(command)?.map(|_| ()))
}

/// Sets a limit of one that runs.
pub(super) fn limit(
    path: &Path,
    name: &str,
    key: &str,
    value: &str,
) -> Result<std::result::Result<(), String>> {
    let mut command = tool("lxc-cgroup", path);
    command.args(["-n", name, key, value]);
    Ok(run(command)?.map(|_| ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_tool_are_one_short_line() {
        let told = words(b"lxc-start: a\n\x1b[31mb\n\nc\nd\n");
        assert_eq!(told, "[31mb | c | d");
        assert_eq!(words(b" \n"), "the tool does not say why");
        assert!(words(&[b'x'; 9000]).len() <= 500);
    }
}

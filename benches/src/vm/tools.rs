//! The tools of LXC, as a person uses them.

use std::path::Path;
use std::process::Command;

use benches::Result;

/// Runs one to its end, and answers what it prints.
pub(crate) fn tool(tool: &str, path: &Path, args: &[&str]) -> Result<String> {
    run(Command::new(tool).arg("-P").arg(path).args(args))
}

/// The same for any program.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let out = command.output()?;
    if !out.status.success() {
        let why = String::from_utf8_lossy(&out.stderr);
        return Err(format!("{command:?}: {}", why.trim()).into());
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// A container's first process.
pub(crate) fn init(path: &Path, name: &str) -> Result<String> {
    tool("lxc-info", path, &["-n", name, "-p", "-H"])
}

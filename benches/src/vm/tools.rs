//! The tools of LXC, as a person uses them.

use std::path::Path;
use std::process::Command;

use benches::Result;

/// Runs one to its end, and answers what it prints.
pub(crate) fn tool(tool: &str, path: &Path, args: &[&str]) -> Result<String> {
    let out = Command::new(tool).arg("-P").arg(path).args(args).output()?;
    if !out.status.success() {
        let why = String::from_utf8_lossy(&out.stderr);
        return Err(format!("{tool} {args:?}: {}", why.trim()).into());
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// A container's first process.
pub(crate) fn init(path: &Path, name: &str) -> Result<String> {
    tool("lxc-info", path, &["-n", name, "-p", "-H"])
}

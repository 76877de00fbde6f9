//! What is missing on this machine, and how it gets here.
//!
//! The lab's scripts install what the lab needs; this is about tools of cargo,
//! the Python that runs those scripts, and programs of others to compare with.

use std::env;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::paths;
use crate::run::{Run, say};

/// A program that cargo can install: from PATH, from the cache, or built into
/// the cache now.
pub(crate) fn cargo_tool(name: &str) -> Result<PathBuf> {
    let tools = paths::cache()?.join("tools");
    let kept = tools.join("bin").join(name);
    // The kept one first: it does not change with the caller's PATH.
    let found = [Some(kept.clone()), paths::in_path(name)]
        .into_iter()
        .flatten()
        .find(|file| file.is_file());
    if let Some(file) = found {
        return Ok(file);
    }
    say(format!(
        "{name} is missing: building it once into {} (minutes)",
        tools.display()
    ));
    Run::cargo()
        .args(["install", "--locked", name, "--root"])
        .arg(&tools)
        // Not into the folder that a caller has set for the workspace.
        .env("CARGO_TARGET_DIR", paths::target().join("tools"))
        .run()?;
    Ok(kept)
}

/// rustfmt and clippy, which a minimal toolchain lacks.
pub(crate) fn components() -> Result<()> {
    let missing: Vec<&str> = [("rustfmt", "fmt"), ("clippy", "clippy")]
        .into_iter()
        .filter(|(_, verb)| !Run::cargo().args([verb, "--version"]).works())
        .map(|(component, _)| component)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if paths::in_path("rustup").is_none() {
        return Err(Error::new(format!(
            "this Rust toolchain lacks {}; install what your system calls so",
            missing.join(" and ")
        )));
    }
    Run::new("rustup")
        .args(["component", "add"])
        .args(missing)
        .run()
}

/// A Python for the lab's scripts.
pub(crate) fn python() -> Result<PathBuf> {
    if let Some(own) = env::var_os("OSLAB_PYTHON") {
        return Ok(PathBuf::from(own));
    }
    let usable = |python: &PathBuf| {
        let check = "import sys; sys.exit(sys.version_info < (3, 10))";
        Run::new(python).args(["-c", check]).works()
    };
    if let Some(python) = paths::in_path("python3").filter(usable) {
        return Ok(python);
    }
    apt(&["python3", "python3-venv"])?;
    paths::in_path("python3")
        .filter(usable)
        .ok_or_else(|| Error::new("no python3 of version 3.10 or newer in PATH"))
}

/// geni-lib as it is published, told which; the Python that has it.
pub(crate) fn geni_lib() -> Result<PathBuf> {
    Run::new(paths::root().join("lab/geni/install")).run()?;
    Ok(paths::cache()?.join("geni-venv/bin/python"))
}

/// The programs of others that judge what we write and read.
pub(crate) fn judges() -> Result<()> {
    let missing: Vec<&str> = [("xmllint", "libxml2-utils"), ("xmlsec1", "xmlsec1")]
        .into_iter()
        .filter(|(program, _)| paths::in_path(program).is_none())
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    apt(&missing)
}

/// Install Debian packages as root; otherwise name them and stop.
fn apt(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    let root = Run::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.trim() == "0");
    if !root || paths::in_path("apt-get").is_none() {
        return Err(Error::new(format!(
            "missing on this machine: {names}\nas root: apt-get install -y {names}"
        )));
    }
    say(format!("missing on this machine: {names}"));
    let apt = || {
        Run::new("apt-get")
            .args(["-o", "DPkg::Lock::Timeout=300", "-y", "-qq"])
            .env("DEBIAN_FRONTEND", "noninteractive")
    };
    let install = || {
        apt()
            .args(["install", "--no-install-recommends"])
            .args(packages)
            .run()
    };
    // A fresh machine knows no packages yet.
    install().or_else(|_| apt().arg("update").run().and_then(|()| install()))
}

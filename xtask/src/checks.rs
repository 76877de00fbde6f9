//! What needs no cloud: form, lints, licences, documentation, dependencies.

use crate::error::Result;
use crate::install;
use crate::linkage;
use crate::run::Run;
use crate::tree;

pub(crate) fn fmt() -> Result<()> {
    Run::cargo().args(["fmt", "--all", "--check"]).run()
}

pub(crate) fn clippy() -> Result<()> {
    Run::cargo()
        .args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ])
        .run()
}

pub(crate) fn deny() -> Result<()> {
    // Advisories change by the day and are no property of a commit.
    Run::new(install::cargo_tool("cargo-deny")?)
        .args([
            "--locked",
            "check",
            "--hide-inclusion-graph",
            "bans",
            "licenses",
            "sources",
        ])
        .run()
}

pub(crate) fn docs() -> Result<()> {
    Run::cargo()
        .args(["doc", "--workspace", "--no-deps", "--locked"])
        .env("RUSTDOCFLAGS", "-Dwarnings")
        .run()
}

pub(crate) fn dependencies() -> Result<()> {
    tree::check()
}

/// The same code runs in production: what is released is built of the same
/// crates without the simulated world.
pub(crate) fn release() -> Result<()> {
    tree::released()?;
    Run::cargo()
        .args(["build", "--locked"])
        .args(linkage::PROFILE)
        .args(RELEASED)
        .run()
}

/// The daemon as it is released: with every door and every backend, and
/// without the simulated sites.
pub(crate) const RELEASED: [&str; 5] = [
    "--package",
    "operation-manager",
    "--no-default-features",
    "--features",
    "geni,vm",
];

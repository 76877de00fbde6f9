//! The suite `engine`: needs nothing but this machine and its disk.

use std::fs;

use crate::error::{At, Result};
use crate::paths;
use crate::run::{Run, say};

#[derive(clap::Args, Debug)]
#[group(id = "engine")]
pub(super) struct How {
    /// Rounds of whatever is measured side by side
    #[arg(long, default_value_t = 5, help_heading = "Suite engine")]
    rounds: u32,
    /// Operations that wait at once
    #[arg(long, default_value_t = 100_000, help_heading = "Suite engine")]
    waiting: u32,
    /// Clusters in one SQLite file
    #[arg(long, default_value_t = 1_000_000, help_heading = "Suite engine")]
    clusters: u32,
}

pub(super) fn bench(how: &How) -> Result<()> {
    say(format!(
        "medians of {} rounds; {} operations that wait; {} clusters in SQLite, 2 GiB for a million",
        how.rounds, how.waiting, how.clusters
    ));
    Run::cargo()
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "benches",
            "--bin",
            "engine",
        ])
        .run()?;
    let file = super::result("engine");
    // The measured disk is that of `target`.
    let folder = file.parent().unwrap_or(&file);
    fs::create_dir_all(folder).at(folder.display())?;
    let mut run = Run::new(paths::target().join("release/engine"))
        .arg("--folder")
        .arg(folder)
        .arg("--out")
        .arg(&file);
    for (name, value) in [
        ("--rounds", how.rounds),
        ("--waiting", how.waiting),
        ("--clusters", how.clusters),
    ] {
        run = run.arg(name).arg(value.to_string());
    }
    run.run()?;
    say(format!("all numbers: {}", file.display()));
    Ok(())
}

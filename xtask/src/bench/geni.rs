//! The suite `geni`: needs nothing but this machine, and geni-lib to compare with.

use std::fs;

use crate::error::{At, Result};
use crate::paths;
use crate::run::{Run, say};

#[derive(clap::Args, Debug)]
#[group(id = "geni")]
pub(super) struct How {
    /// Rounds of whatever is measured side by side
    #[arg(long, default_value_t = 10, help_heading = "Suite geni")]
    document_rounds: u32,
}

pub(super) fn bench(how: &How) -> Result<()> {
    say(format!("medians of {} rounds", how.document_rounds));
    Run::cargo()
        .args(["build", "--release", "--locked", "--package", "benches"])
        .args(["--bin", "geni"])
        .run()?;
    let file = super::result("geni");
    let folder = file.parent().unwrap_or(&file);
    fs::create_dir_all(folder).at(folder.display())?;
    Run::new(paths::target().join("release/geni"))
        .arg("--folder")
        .arg(folder)
        .arg("--out")
        .arg(&file)
        .arg("--rounds")
        .arg(how.document_rounds.to_string())
        .run()?;
    say(format!("all numbers: {}", file.display()));
    Ok(())
}

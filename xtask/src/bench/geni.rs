//! The suite `geni`: needs nothing but this machine, and geni-lib to compare with,
//! which it gets where it is not there yet.

use std::fs;

use crate::error::{At, Result};
use crate::install;
use crate::paths;
use crate::run::{Run, say};

#[derive(clap::Args, Debug)]
#[group(id = "geni")]
pub(super) struct How {
    /// Rounds of whatever is measured side by side
    #[arg(long, default_value_t = 10, help_heading = "Suite geni")]
    document_rounds: u32,
    /// Calls of one kind in a round
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Suite geni")]
    calls: u32,
    /// Do not compare with geni-lib
    #[arg(long, help_heading = "Suite geni")]
    without_geni_lib: bool,
}

pub(super) fn bench(how: &How) -> Result<()> {
    say(format!(
        "medians of {} rounds, of {} calls of a kind",
        how.document_rounds, how.calls
    ));
    let geni_lib = match how.without_geni_lib {
        true => None,
        false => Some(install::geni_lib()?),
    };
    Run::cargo()
        .args(["build", "--release", "--locked", "--package", "benches"])
        .args(["--bin", "geni"])
        .run()?;
    let file = super::result("geni");
    let folder = file.parent().unwrap_or(&file);
    fs::create_dir_all(folder).at(folder.display())?;
    let mut run = Run::new(paths::target().join("release/geni"))
        .arg("--folder")
        .arg(folder)
        .arg("--out")
        .arg(&file)
        .arg("--rounds")
        .arg(how.document_rounds.to_string())
        .arg("--calls")
        .arg(how.calls.to_string());
    if let Some(python) = geni_lib {
        run = run.arg("--python").arg(python);
    }
    run.run()?;
    say(format!("all numbers: {}", file.display()));
    Ok(())
}

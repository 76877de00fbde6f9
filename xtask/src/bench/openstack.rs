//! The suite `openstack`, on a lab that nobody else uses.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{At, Result};
use crate::lab::{self, Guard, Kind, Lab};
use crate::paths;
use crate::run::{Run, say};

#[derive(clap::Args, Debug)]
pub(super) struct How {
    /// Rounds of one stack
    #[arg(long, default_value_t = 10, help_heading = "Suite openstack")]
    pairs: u32,
    /// Rounds of many stacks at once; 0 leaves them out
    #[arg(long, default_value_t = 10, help_heading = "Suite openstack")]
    crowd_pairs: u32,
    /// How many are many
    #[arg(long, default_value_t = 100, help_heading = "Suite openstack")]
    crowd: u32,
    /// Measure the library in the measuring process instead of the daemon
    #[arg(long, help_heading = "Suite openstack")]
    library: bool,
    /// Build quickly, without optimisation
    #[arg(long, help_heading = "Suite openstack")]
    dev: bool,
}

pub(super) fn bench(how: &How) -> Result<()> {
    say(format!(
        "medians of {} rounds of one stack and {} rounds of {} at once, on a real Keystone and \
         Heat on 127.0.0.1",
        how.pairs, how.crowd_pairs, how.crowd
    ));
    let lab = Lab::new(Kind::Min, lab::folder("bench"));
    lab.clear()?;
    // Before the lab is up, for a compiler beside it would be measured, too.
    let programs = build(how)?;
    lab::fill_venv(Kind::Min)?;
    let guard = Guard::over(&[&lab])?;
    let measured = lab
        .up(Some(lab::free_port_base(27400)?), &[])
        .and_then(|()| measure(how, &lab, &programs));
    let stopped = guard.finish();
    measured.and(stopped)
}

fn build(how: &How) -> Result<PathBuf> {
    let mut build = Run::cargo().args(["build", "--locked", "--package", "benches"]);
    if !how.library {
        build = build.args(["--package", "operation-manager"]);
    }
    if !how.dev {
        build = build.arg("--release");
    }
    build.run()?;
    let profile = if how.dev { "debug" } else { "release" };
    Ok(paths::target().join(profile))
}

fn measure(how: &How, lab: &Lab, programs: &Path) -> Result<()> {
    let file = super::result("openstack");
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).at(folder.display())?;
    }
    let mut run = Run::new(programs.join("benches"))
        .args(["openstack", "--lab"])
        .arg(&lab.dir)
        .arg("--python")
        .arg(lab::venv_python()?)
        .arg("--out")
        .arg(&file);
    for (name, value) in [
        ("--pairs", how.pairs),
        ("--crowd-pairs", how.crowd_pairs),
        ("--crowd", how.crowd),
    ] {
        run = run.arg(name).arg(value.to_string());
    }
    if !how.library {
        run = run.arg("--daemon").arg(programs.join("operation-manager"));
    }
    run.run()?;
    say(format!("all numbers: {}", file.display()));
    Ok(())
}

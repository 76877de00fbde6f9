//! The suite `vm`, on hosts that nobody else uses. It needs root.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{At, Result};
use crate::lab::{self, Guard, Kind, Lab};
use crate::paths;
use crate::run::{Run, say};

#[derive(clap::Args, Debug)]
#[group(id = "vm")]
pub(super) struct How {
    /// Changes behind our back, on each host; 0 leaves them out
    #[arg(long, default_value_t = 200, help_heading = "Suite vm")]
    changes: u32,
    /// Containers at once
    #[arg(long, default_value_t = 50, help_heading = "Suite vm")]
    containers: u32,
    /// Rounds beside the tools of LXC; 0 leaves them out
    #[arg(long, default_value_t = 5, help_heading = "Suite vm")]
    container_rounds: u32,
    /// Domains of libvirt's driver for tests; 0 leaves them out
    #[arg(long, default_value_t = 10_000, help_heading = "Suite vm")]
    domains: u32,
    /// Machines of Xen beside the bare calls; 0 leaves them out
    #[arg(long, default_value_t = 10, help_heading = "Suite vm")]
    machines: u32,
}

pub(super) fn bench(how: &How) -> Result<()> {
    say(format!(
        "{} changes behind our back; {} rounds of {} containers; {} domains for tests; \
         {} machines of Xen",
        how.changes, how.container_rounds, how.containers, how.domains, how.machines
    ));
    // Before the labs are up, for a compiler beside them would be measured, too.
    Run::cargo()
        .args(["build", "--release", "--locked", "--package", "benches"])
        .args(["--bin", "vm"])
        .run()?;
    let virt = build_virt()?;
    let labs = [Kind::Lxc, Kind::Libvirt, Kind::Xen]
        .map(|kind| Lab::new(kind, lab::folder(&format!("bench-{}", kind.name()))));
    labs.iter().try_for_each(Lab::clear)?;
    labs.iter().try_for_each(Lab::install)?;
    let guard = Guard::over(&labs.each_ref())?;
    let measured = labs
        .iter()
        .try_for_each(|lab| lab.up(None, &[]))
        .and_then(|()| measure(how, &labs, virt.as_deref()));
    let stopped = guard.finish();
    measured.and(stopped)
}

/// The program that lists by the `virt` crate. It links the C library of
/// libvirt, so it is no part of the workspace; where that library's headers
/// cannot be installed, it is not compared, and the table of goals says so.
fn build_virt() -> Result<Option<PathBuf>> {
    let install = Run::new(paths::root().join("lab/vm/install")).arg("virt");
    if let Err(e) = install.run() {
        say(format!("the virt crate is not compared: {e}"));
        return Ok(None);
    }
    let target = paths::target().join("virt");
    Run::cargo()
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(paths::root().join("benches/virt/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .run()?;
    Ok(Some(target.join("release/list-by-virt")))
}

fn measure(how: &How, labs: &[Lab], virt: Option<&Path>) -> Result<()> {
    let file = super::result("vm");
    // The store is on the disk of `target`.
    let folder = file.parent().unwrap_or(&file);
    fs::create_dir_all(folder).at(folder.display())?;
    let mut run = Run::new(paths::target().join("release/vm"))
        .arg("--folder")
        .arg(folder)
        .arg("--out")
        .arg(&file);
    for lab in labs {
        run = run.arg(format!("--{}", lab.kind.name())).arg(&lab.dir);
    }
    for (name, value) in [
        ("--changes", how.changes),
        ("--containers", how.containers),
        ("--rounds", how.container_rounds),
        ("--domains", how.domains),
        ("--machines", how.machines),
    ] {
        run = run.arg(name).arg(value.to_string());
    }
    if let Some(virt) = virt {
        run = run.arg("--virt").arg(virt);
    }
    run.run()?;
    say(format!("all numbers: {}", file.display()));
    Ok(())
}

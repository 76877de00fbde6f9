//! `cargo xtask test`: everything, against real clouds and hosts.

mod clouds;
mod hosts;
mod steps;

use clouds::Clouds;
use hosts::Hosts;
use steps::Steps;

use crate::checks;
use crate::demo;
use crate::error::Result;
use crate::install;
use crate::linkage;
use crate::run::{Run, minutes, say};
use crate::simulate;
use crate::skips::Skips;

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Only fmt, clippy and the tests that need no cloud
    #[arg(long)]
    fast: bool,
}

pub(crate) fn test(options: &Options) -> Result<()> {
    install::components()?;
    if options.fast { fast() } else { full() }
}

fn fast() -> Result<()> {
    say("starts: fmt, clippy, tests without a cloud (--fast; CI runs without it)");
    let skips = Skips::begin()?;
    let mut steps = Steps::default();
    steps.take("fmt", checks::fmt);
    steps.take("clippy", checks::clippy);
    steps.take("tests", || unit_tests(&skips, &[]));
    finish(steps, &skips)
}

fn full() -> Result<()> {
    say("starts, beside each other:");
    say(
        "  two real OpenStack clouds on 127.0.0.1: Keystone and Heat; and all of Nova, \
         Neutron, Glance, Placement",
    );
    say("  three hosts of machines and containers: LXC, libvirt, Xen in an emulated machine");
    say("  fmt, clippy, deny, docs, dependencies; then, with all of these, all tests");
    say("then two demos, random schedules in simulated worlds, and a release without them");
    let skips = Skips::begin()?;
    let mut steps = Steps::default();
    install::judges()?;
    let geni_lib = steps.take("geni-lib", install::geni_lib);
    let mut clouds = Clouds::start()?;
    let mut hosts = Hosts::start()?;
    steps.take("fmt", checks::fmt);
    steps.take("clippy", checks::clippy);
    steps.take("dependencies", checks::dependencies);
    steps.take("deny", checks::deny);
    steps.take("docs", checks::docs);
    let compiled = steps.take("compile tests", compile);
    let environment = steps.take("clouds are up", || clouds.wait());
    let of_hosts = steps.take("hosts are up", || hosts.wait());
    if let (Some(()), Some(mut environment), Some(of_hosts)) = (compiled, environment, of_hosts) {
        environment.extend(of_hosts);
        environment.extend(geni_lib.map(|python| ("RM_GENI_PYTHON", python.into())));
        steps.take("tests", || unit_tests(&skips, &environment));
        steps.take("doc tests", doc_tests);
        steps.take("linkage", linkage::test);
    } else {
        say("no tests: see above");
    }
    steps.take("clouds are down", || clouds.stop());
    steps.take("hosts are down", || hosts.stop());
    // These want the machine for themselves.
    steps.take("demos", demo::some);
    steps.take("simulated worlds", simulate::some);
    steps.take("release", checks::release);
    finish(steps, &skips)
}

fn nextest() -> Result<Run> {
    // It is called as cargo would call it, for it may not be in PATH.
    Ok(Run::new(install::cargo_tool("cargo-nextest")?).arg("nextest"))
}

fn compile() -> Result<()> {
    nextest()?
        .args(["run", "--workspace", "--locked", "--no-run"])
        .run()
}

fn unit_tests(skips: &Skips, environment: &[(&str, std::ffi::OsString)]) -> Result<()> {
    let mut run = nextest()?
        .args(["run", "--workspace", "--locked", "--no-fail-fast"])
        .env("RM_SKIP_LOG", skips.file());
    for (name, value) in environment {
        run = run.env(name, value);
    }
    run.run()
}

fn doc_tests() -> Result<()> {
    Run::cargo()
        .args(["test", "--workspace", "--locked", "--doc"])
        .run()
}

fn finish(steps: Steps, skips: &Skips) -> Result<()> {
    let skipped = skips.summary()?;
    for line in &skipped {
        println!("SKIPPED reference: {line}");
    }
    println!("skipped references: {}", skipped.len());
    let result = steps.summary();
    println!("total time: {}", minutes(crate::run::elapsed()));
    result
}

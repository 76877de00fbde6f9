//! `cargo xtask demo`: an appliance becomes a running cluster, or a slice of
//! GENI's is served, from nothing to nothing, for a person to watch.

mod cli;
mod containers;
mod daemon;
mod files;
mod geni;
mod story;
mod witness;
mod world;

use std::path::PathBuf;
use std::thread;

use crate::error::{Error, Result};
use crate::install;
use crate::lab::{self, Guard, Lab, Traces};
use crate::paths;
use crate::run::{Run, elapsed, minutes, say};

use cli::Cli;
use containers::Containers;
use daemon::Daemon;
use geni::Testbed;
use story::Story;
use witness::Witness;
use world::World;

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// With real servers: Nova, Neutron, Glance, Placement too
    #[arg(long, conflicts_with = "sim")]
    full: bool,
    /// In seconds, with no network, in the simulated world
    #[arg(long)]
    sim: bool,
    /// With containers of this machine, as root
    #[arg(long, conflicts_with_all = ["full", "sim"])]
    vm: bool,
    /// The same through GENI's door, with a small authority and public clients
    #[arg(long, conflicts_with_all = ["full", "sim", "vm"])]
    geni: bool,
}

pub(crate) fn demo(options: &Options) -> Result<()> {
    let world = match options {
        Options { full: true, .. } => World::Full,
        Options { sim: true, .. } => World::Sim,
        Options { vm: true, .. } => World::Vm,
        Options { geni: true, .. } => World::Geni,
        _ => World::Min,
    };
    play(world, build)
}

/// Those that every run of all tests plays, with the program that the tests
/// had: they need neither root nor more than is there by then.
pub(crate) fn some() -> Result<()> {
    let worlds = [World::Sim, World::Min];
    worlds
        .into_iter()
        .try_for_each(|w| play(w, || Ok(program())))
}

fn play(world: World, build: impl Fn() -> Result<PathBuf>) -> Result<()> {
    say(world.described());
    let told = match world.lab() {
        None => build().and_then(|program| tell(world, None, program)),
        Some(lab) if !lab.kind.is_cloud() => on_this_machine(world, &lab, build),
        Some(lab) => on_cloud(world, &lab, build),
    };
    // Said last, below everything that was stopped.
    match told {
        Ok(()) => say(format!("the demo has ended well ({})", minutes(elapsed()))),
        Err(_) => say("the demo has FAILED; what it had started is stopped"),
    }
    told
}

/// On a cloud that comes up while the program is built, and goes down
/// whatever happens.
fn on_cloud(world: World, lab: &Lab, build: impl Fn() -> Result<PathBuf>) -> Result<()> {
    lab::system_packages()?;
    lab.clear()?;
    let guard = Guard::over(&[lab])?;
    let told = thread::scope(|scope| {
        let coming = scope.spawn(|| bring_up(lab));
        let program = build();
        let cloud = coming
            .join()
            .map_err(|_| Error::new("the thread of the cloud ended badly"))?;
        // A cloud that does not come up is told before a program that is not
        // built.
        cloud.and(program)
    })
    .and_then(|program| tell(world, Some(lab), program));
    say("stopping the cloud");
    let stopped = guard.finish();
    told.and(stopped)
}

/// With containers of this machine, which is afterwards as it was before but
/// for the packages.
fn on_this_machine(world: World, lab: &Lab, build: impl Fn() -> Result<PathBuf>) -> Result<()> {
    containers::need_root()?;
    lab.clear()?;
    lab.install()?;
    if world == World::Geni {
        install::geni_lib()?;
    }
    let program = build()?;
    let more = [lab.dir.as_path()];
    let before = Traces::take(&more)?;
    let guard = Guard::over(&[lab])?;
    let told = lab
        .up(None, &[])
        .and_then(|()| tell(world, Some(lab), program));
    say("removing the bridge and the folder of the containers");
    told.and(guard.finish())?;
    before.none_new(&more)
}

fn bring_up(lab: &Lab) -> Result<()> {
    lab::fill_venv(lab.kind)?;
    lab.up(Some(lab::free_port_base(27500)?), &[])
}

fn build() -> Result<PathBuf> {
    Run::cargo()
        .args(["build", "--locked", "--package", "operation-manager"])
        .run()?;
    Ok(program())
}

fn program() -> PathBuf {
    paths::target().join("debug/operation-manager")
}

fn tell(world: World, lab: Option<&Lab>, program: PathBuf) -> Result<()> {
    let cloud = lab.filter(|lab| lab.kind.is_cloud());
    let mut witness = cloud.map(Witness::start).transpose()?;
    let host = lab.filter(|lab| !lab.kind.is_cloud());
    let containers = host.map(Containers::of).transpose()?;
    let home = files::fresh(world.name())?;
    let mut cli = Cli::new(program, home)?;
    let mut sections = Vec::new();
    if let Some(containers) = &containers {
        sections.push(containers.section()?);
    }
    let testbed = match world {
        World::Geni => Some(Testbed::make(&cli)?),
        _ => None,
    };
    if let Some(testbed) = &testbed {
        sections.push(testbed.section()?);
    }
    let daemon = Daemon::start(&mut cli, world, &sections)?;
    let told = match (&testbed, &containers) {
        (Some(testbed), Some(containers)) => testbed.tell(&mut cli, containers),
        _ => Story {
            cli: &mut cli,
            world,
            cloud,
            containers: containers.as_ref(),
            witness: witness.as_mut(),
        }
        .tell(),
    };
    if told.is_err() {
        daemon.show_log();
    }
    let stopped = daemon.stop();
    told.and(stopped)
}

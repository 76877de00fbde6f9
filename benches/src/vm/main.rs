//! Machines and containers on real hosts, beside their own tools.
//! `cargo xtask bench vm` calls it, as root.
//!
//! | to know | read |
//! |---|---|
//! | the host program that is measured, and its labs | `program.rs`, `lab.rs` |
//! | how soon a change behind our back is known | `told.rs` |
//! | containers beside the lxc-* tools | `containers.rs`, `tools.rs` |
//! | many domains of libvirt's driver for tests | `many.rs` |
//! | the list of them, beside the `virt` crate | `list.rs` |
//! | machines of Xen beside the bare calls | `xen.rs` |

mod containers;
mod lab;
mod list;
mod many;
mod program;
mod told;
mod tools;
mod xen;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use benches::Result;
use benches::goal::{self, Goal};
use benches::machine::machine;
use benches::table::table;
use lab::Lab;

/// Milliseconds until a change behind our back is known.
const KNOWN_P50: f64 = 100.0;
const KNOWN_P99: f64 = 200.0;
/// Our time over that of the tools for many containers, and for one.
const MANY_TO_TOOLS: f64 = 1.1;
const ONE_TO_TOOLS: f64 = 1.3;
/// Our time for a list over that of the `virt` crate.
const LIST_TO_VIRT: f64 = 1.1;
/// Our time for a machine of Xen over that of the calls on libvirt alone.
const XEN_TO_CALLS: f64 = 1.1;

/// Measures machines and containers on real hosts.
#[derive(Debug, Parser)]
#[command(name = "vm")]
pub(crate) struct Options {
    /// The folder of a lab of containers that nobody else uses
    #[arg(long)]
    lxc: PathBuf,
    /// The folder of a lab of libvirt that nobody else uses
    #[arg(long)]
    libvirt: PathBuf,
    /// The folder of a lab of Xen that nobody else uses
    #[arg(long)]
    xen: PathBuf,
    /// A folder on a disk, for the store
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// Changes behind our back, on each host
    #[arg(long, default_value_t = 200)]
    changes: u32,
    /// Containers at once
    #[arg(long, default_value_t = 50)]
    containers: u32,
    /// Rounds of whatever is measured side by side
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Domains of libvirt's driver for tests
    #[arg(long, default_value_t = 10_000)]
    domains: u32,
    /// Rounds beside the bare calls on Xen
    #[arg(long, default_value_t = 10)]
    machines: u32,
    /// The program that lists by the `virt` crate; without it, that goal is told
    /// to be left out
    #[arg(long)]
    virt: Option<PathBuf>,
    /// Also write what was measured into this file
    #[arg(long)]
    out: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    let (lxc, libvirt) = (Lab::open(&options.lxc)?, Lab::open(&options.libvirt)?);
    let mut goals = Vec::new();
    let mut all = serde_json::Map::new();

    println!("changes behind our back");
    let mut known = Vec::new();
    for place in [lxc.containers(), libvirt.tests()] {
        if options.changes > 0 {
            known.push(told::measure(&options.folder, place, options.changes).await?);
        }
    }
    for known in &known {
        let (name, ms) = (&known.name, &known.ms);
        let what = |percent| format!("{name}: known after, ms, p{percent}");
        goals.push(Goal::at_most(what(50), KNOWN_P50, ms.percentile(50)));
        goals.push(Goal::at_most(what(99), KNOWN_P99, ms.percentile(99)));
        println!("  {known}");
    }
    let known: Vec<_> = known.iter().map(told::Known::json).collect();
    all.insert("known".to_owned(), known.into());

    if options.rounds > 0 {
        println!("containers, beside the tools of LXC");
        let made = containers::measure(options, &lxc).await?;
        goals.push(Goal::at_most(
            format!(
                "{} containers, 8 at a time: ours / tools",
                options.containers
            ),
            MANY_TO_TOOLS,
            made.many.ratio(&made.many_by_tools),
        ));
        goals.push(Goal::at_most(
            "one container, request to running: ours / tools",
            ONE_TO_TOOLS,
            made.one.ratio(&made.one_by_tools),
        ));
        println!("{}", table(&made.rows()));
        all.insert("containers".to_owned(), made.json());
    }

    if options.domains > 0 {
        println!("{} domains of libvirt's driver for tests", options.domains);
        let many = many::measure(options, libvirt.tests()).await?;
        println!("{}", table(&many.rows()));
        goals.push(match &many.listed {
            Some(listed) => Goal::at_most(
                format!("list of {} domains: ours / virt", listed.domains),
                LIST_TO_VIRT,
                listed.ours.ratio(&listed.theirs),
            ),
            None => Goal::left_out(
                "list of domains: ours / virt",
                LIST_TO_VIRT,
                "the virt crate is not built, for which libvirt-dev and pkg-config are needed",
            ),
        });
        all.insert("domains".to_owned(), many.json());
    }

    if options.machines > 0 {
        println!("machines of Xen, beside the bare calls");
        let place = Lab::open(&options.xen)?.machines(&options.folder)?;
        let machines = xen::measure(&options.folder, place, options.machines).await?;
        for (what, ours, calls) in [
            ("request to running", &machines.made, &machines.made_barely),
            ("release to gone", &machines.gone, &machines.gone_barely),
        ] {
            let what = format!("one machine of Xen, {what}: ours / calls");
            goals.push(Goal::at_most(what, XEN_TO_CALLS, ours.ratio(calls)));
        }
        println!("{}", table(&machines.rows()));
        all.insert("xen".to_owned(), machines.json());
    }

    all.insert("suite".to_owned(), json!("vm"));
    all.insert("machine".to_owned(), machine());
    let told: Vec<_> = goals.iter().map(Goal::json).collect();
    all.insert("goals".to_owned(), told.into());
    if let Some(file) = &options.out {
        let text = serde_json::Value::Object(all);
        std::fs::write(file, format!("{text:#}\n"))
            .map_err(|e| format!("{}: {e}", file.display()))?;
    }
    println!("{}", table(&goal::rows(&goals)));
    Ok(())
}

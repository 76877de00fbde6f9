//! Clusters on a real OpenStack: ours, a hand-written minimal client, and
//! openstacksdk.

mod crowd;
mod goals;
mod lab;
mod minimal;
mod ours;
mod sdk;
mod single;

use std::path::PathBuf;

use serde_json::json;

use crate::Result;
use benches::goal::{self, Goal};
use benches::machine::machine;
use benches::table::table;
use lab::Lab;
use minimal::Minimal;
use ours::Ours;
use sdk::Sdk;

/// One resource that is ready at once, and an address.
const TEMPLATE: &str = "heat_template_version: 2018-08-31
resources:
  master:
    type: OS::Heat::Value
    properties: {value: 10.77.0.1}
outputs:
  master_ip: {value: {get_attr: [master, value]}}
";

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The folder of a lab that nobody else uses
    #[arg(long)]
    lab: PathBuf,
    /// A Python that has openstacksdk; without it, it is not compared
    #[arg(long)]
    python: Option<PathBuf>,
    /// The program operation-manager; without it, the library is measured
    #[arg(long)]
    daemon: Option<PathBuf>,
    /// Rounds of one stack
    #[arg(long, default_value_t = 10)]
    pairs: u32,
    /// Rounds of many stacks at once
    #[arg(long, default_value_t = 10)]
    crowd_pairs: u32,
    /// How many are many
    #[arg(long, default_value_t = 100)]
    crowd: u32,
    /// Also write what was measured into this file
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    let say = |text: &str| {
        if !options.json {
            println!("{text}");
        }
    };
    let lab = Lab::open(&options.lab)?;
    let minimal = Minimal::login(&lab.account, TEMPLATE).await?;
    if !minimal.is_alone().await? {
        return Err("there are stacks in this lab: measure on one that nobody else uses".into());
    }
    let ours = Ours::start(options.daemon.as_deref(), &lab, TEMPLATE).await?;
    let mut sdk = match &options.python {
        Some(python) => Some(Sdk::start(python, &lab, TEMPLATE).await?),
        None => None,
    };
    say(&format!("ours: {}", ours.name()));
    say("minimal: a hand-written client in Rust that can do nothing else");
    if let Some(sdk) = &sdk {
        say(&format!(
            "sdk: openstacksdk {}, create_stack and wait_for_status, in a Python that runs already",
            sdk.version
        ));
    }
    // Tokens, connections and the services' caches are warm before anything
    // is measured.
    let warm = ours.one("warm").await?;
    ours.delete(&[warm]).await?;
    let warm = minimal.one("warm").await?;
    minimal.delete(&[warm]).await?;
    if let Some(sdk) = &mut sdk {
        sdk.one("warm").await?;
        minimal.delete(&[minimal.named("warm").await?]).await?;
    }
    let single = single::measure(&lab, &ours, &minimal, sdk.as_mut(), options.pairs, &say).await?;
    drop(sdk);
    let peak_of_one = ours.peak();
    let names = options.crowd;
    let crowd = match options.crowd_pairs {
        0 => None,
        rounds => Some(crowd::measure(&lab, &ours, &minimal, rounds, names, &say).await?),
    };
    minimal.until_none().await?;
    say("the cloud holds nothing of this any more");
    let peak = ours.peak();
    let what = ours.name();
    ours.stop().await?;

    let goals = goals::judge(&single, crowd.as_ref(), peak);
    let json = json!({
        "suite": "openstack",
        "ours": what,
        "machine": machine(),
        "single": single.json(),
        "crowd": crowd.as_ref().map(crowd::Crowd::json),
        "peak_mib": {"after_single": peak_of_one, "at_the_end": peak},
        "goals": goals.iter().map(Goal::json).collect::<Vec<_>>(),
    });
    if let Some(file) = &options.out {
        std::fs::write(file, format!("{json:#}\n"))
            .map_err(|e| format!("{}: {e}", file.display()))?;
    }
    if options.json {
        println!("{json:#}");
        return Ok(());
    }
    println!("\none stack, request to ready\n{}", table(&single.rows()));
    if let Some(crowd) = &crowd {
        println!("{names} stacks at once\n{}", table(&crowd.rows()));
    }
    println!("{}", table(&goal::rows(&goals)));
    Ok(())
}

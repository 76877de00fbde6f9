//! The daemon: everything linked, one store, its doors, one engine.

use std::process::ExitCode;
use std::sync::Arc;

use rm_adapters::door::Metrics;
use rm_adapters::networks::Networks;
use rm_adapters::{Door, DoorOptions, Parts, door};

use crate::cli::{Half, Serve};
use crate::config::{self, Config};
use crate::failure::{Failure, Result};
use crate::tokens;

mod address;
mod alone;
mod beside;
mod calls;
mod deliver;
#[cfg(feature = "geni")]
mod geni;
mod log;
mod metrics;
mod open;
mod signals;
mod work;

pub(crate) use alone::alone;
#[cfg(feature = "geni")]
pub(crate) use alone::serving;
pub(crate) use open::{check, host};

/// Serves until a signal asks to stop.
pub(crate) fn serve(serve: Serve) -> Result<ExitCode> {
    let config = config::load(config::find(serve.config.config)?, std::env::vars())?;
    log::begin(&config)?;
    let parts = match serve.only {
        None => Parts::ALL,
        Some(Half::Catalog) => Parts::CATALOG,
        Some(Half::Resources) => Parts::RESOURCES,
    };
    // Two workers do the daemon's work: it waits far more than it computes,
    // and each thread more costs memory. Blocking threads look names up, read
    // images, and wait for the tools of containers, as long as a guest takes to
    // stop: they come when they are needed, and go.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(64)
        .thread_stack_size(1024 * 1024)
        .enable_all()
        .build()
        .map_err(|e| Failure::refused("cannot begin to work").detail(e.kind().to_string()))?;
    runtime.block_on(run(&config, parts))?;
    // What still blocks (a look-up of a name) is not waited for.
    runtime.shutdown_background();
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

async fn run(config: &Config, parts: Parts) -> Result<()> {
    let signals = signals::watch()?;
    let _serving = alone::serving(config)?;
    let tokens = tokens::table(config)?;
    let calls = Arc::new(calls::Calls::default());
    let host = Arc::new(host(config, parts, Some(Arc::clone(&calls) as _))?);
    host.own_store().await?;
    let numbers = Arc::new(metrics::Numbers::default());
    let mut beside = beside::Beside::default();
    #[cfg(feature = "geni")]
    if let (Some(section), true) = (&config.sections.geni, parts.resources) {
        geni::open(config, section, &host, &mut beside).await?;
    }
    let options = DoorOptions {
        metrics: {
            let (numbers, more) = (Arc::clone(&numbers), beside.numbers());
            Metrics::new(move || numbers.text() + &calls.text() + &more())
        },
        ..DoorOptions::default()
    };
    let door = Door::new(Arc::clone(&host), tokens, options)?;
    let listen = &config.sections.listen;
    let wanted = std::net::SocketAddr::new(listen.address, listen.port);
    let (listener, at) = door::listen(wanted).await?;
    if !at.ip().is_loopback() {
        tracing::warn!(
            address = %at,
            "tokens travel in clear text beyond this machine: put TLS in front"
        );
    }
    let networks = Networks::allowing(config.sections.callbacks.allow.clone());
    let work = parts.resources.then(|| work::begin(&host, networks));
    let counting = tokio::spawn(numbers.keep(Arc::clone(&host)));
    let _told = address::tell(config, listen.address_file.as_deref(), at)?;
    tracing::info!(
        address = %at,
        installation = config.sections.installation.name,
        catalog = parts.catalog,
        resources = parts.resources,
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );

    // The engine works on while the last answers are given: some of them wait
    // for what it does.
    let stop = async {
        tokio::select! {
            () = signals.first() => {}
            () = work::broken(work.as_ref()) => tracing::error!("the work has broken off"),
            () = beside.broken() => tracing::error!("a door has broken off"),
        }
        beside.stop();
    };
    door.serve(listener, stop).await;
    let closed = beside.end().await;
    let ended = match work {
        Some(work) => work.end().await,
        None => Ok(()),
    };
    counting.abort();
    let _ = counting.await;
    // The last one to let go of the host closes the store.
    drop(door);
    drop(host);
    ended.and(closed)
}

//! What a host does beside answering: the engine, the outbox, tidying up.

use std::sync::Arc;
use std::time::Duration;

use rm_adapters::lambdalink;
use rm_adapters::networks::Networks;
use rm_core::Host;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::deliver::Post;
use crate::failure::{Failure, Result};

/// How often is looked for what nobody needs any more.
const TIDY: Duration = Duration::from_secs(3600);

/// The work that is under way.
#[derive(Debug)]
pub(super) struct Work {
    stop: watch::Sender<bool>,
    engine: JoinHandle<rm_core::Result<()>>,
    outbox: JoinHandle<()>,
    tidying: JoinHandle<()>,
}

/// Begins it.
pub(super) fn begin(host: &Arc<Host>, networks: Networks) -> Work {
    let (stop, stopped) = watch::channel(false);
    let (engine, outbox, tidied) = (host.engine(), host.outbox(), Arc::clone(host));
    let (until_engine, until_outbox) = (until(stopped.clone()), until(stopped));
    Work {
        stop,
        engine: tokio::spawn(async move { engine.run(until_engine).await }),
        outbox: tokio::spawn(async move { outbox.run(&Post::new(networks), until_outbox).await }),
        tidying: tokio::spawn(async move {
            loop {
                tokio::time::sleep(TIDY).await;
                if let Err(e) = tidy(&tidied).await {
                    tracing::warn!(error = %e, "what belonged to clusters that are gone stays");
                }
            }
        }),
    }
}

async fn tidy(host: &Host) -> rm_core::Result<()> {
    host.accounts().tidy().await?;
    lambdalink::tidy(host).await?;
    Ok(())
}

/// Ends when the work has ended although nobody asked it to: a host that
/// answers and does nothing is worse than one that is started again.
pub(super) async fn broken(work: Option<&Work>) {
    let Some(work) = work else {
        return std::future::pending().await;
    };
    while !work.engine.is_finished() && !work.outbox.is_finished() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

impl Work {
    /// Ends it. A defect in it must not pass for a clean end.
    pub(super) async fn end(self) -> Result<()> {
        self.stop.send_replace(true);
        self.tidying.abort();
        let engine = self.engine.await;
        let outbox = self.outbox.await;
        // Somebody else's share of the host ends with it.
        let _ = self.tidying.await;
        engine.map_err(|_| Failure::refused("the engine has broken"))??;
        outbox.map_err(|_| Failure::refused("the outbox has broken"))
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that nobody is left who could say so: stop, too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

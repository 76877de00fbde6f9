//! SIGTERM and SIGINT: the first asks to end well, the second ends.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::{Failure, Result};

/// Whether the first signal has come.
#[derive(Debug)]
pub(super) struct Signals(watch::Receiver<bool>);

/// Begins to listen for them.
pub(super) fn watch() -> Result<Signals> {
    let cannot = |e: std::io::Error| {
        Failure::refused("cannot listen for signals").detail(e.kind().to_string())
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let (tell, told) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping; a second signal ends at once");
        tell.send_replace(true);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("ended at once");
        std::process::exit(1);
    });
    Ok(Signals(told))
}

impl Signals {
    /// Ends with the first signal.
    pub(super) async fn first(mut self) {
        // The sender lives as long as the runtime does.
        let _ = self.0.wait_for(|told| *told).await;
    }
}

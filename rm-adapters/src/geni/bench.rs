//! Where work is done that takes the processor for long: apart from the threads
//! that serve the lines, a few at a time.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use rm_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;

/// How long work may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bench with as many places as there are processors, and two at the least.
#[derive(Debug, Clone)]
pub(super) struct Bench(Arc<Semaphore>);

impl Default for Bench {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self(Arc::new(Semaphore::new(processors.max(2))))
    }
}

impl Bench {
    /// Does this, when there is a place.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where there was none for half a minute,
    /// [`ErrorKind::Internal`] where the work itself fell.
    pub(super) async fn take<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let place = Arc::clone(&self.0).acquire_owned();
        let Ok(Ok(place)) = tokio::time::timeout(PATIENCE, place).await else {
            return Err(
                Error::new(ErrorKind::Busy, "too many calls are being looked at")
                    .advice("call again in a minute"),
            );
        };
        // The place is kept until the work is done, whether or not somebody
        // still waits for it.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await
            .map_err(|_| Error::new(ErrorKind::Internal, "the call could not be looked at"))
    }
}

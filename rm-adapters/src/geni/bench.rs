//! Where work is done that takes the processor for long: apart from the threads
//! that serve the lines, a few at a time. Slices of which there is much are few
//! at a time, too.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use rm_core::{Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long work may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(30);
/// Up to which weight slices are looked at as many at once as there are calls,
/// in bytes.
const SMALL: usize = 256 * 1024;
/// How many there are at once of which there is more.
const LARGE: usize = 8;

/// A bench with as many places as there are processors, and two at the least.
#[derive(Debug, Clone)]
pub(super) struct Bench {
    work: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// A place among the slices of which there is much, until it is dropped.
#[derive(Debug)]
pub(super) struct Place(#[allow(dead_code, reason = "held")] OwnedSemaphorePermit);

impl Default for Bench {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            work: Arc::new(Semaphore::new(processors.max(2))),
            large: Arc::new(Semaphore::new(LARGE)),
        }
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
        let place = turn(&self.work).await?;
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

    /// Whether a slice of this weight, in bytes, needs no place.
    pub(super) fn is_small(weight: usize) -> bool {
        weight <= SMALL
    }

    /// A place for a slice that is not small, when there is one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where there was none for half a minute.
    pub(super) async fn place(&self) -> Result<Place> {
        turn(&self.large).await.map(Place)
    }
}

async fn turn(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    let place = Arc::clone(places).acquire_owned();
    match tokio::time::timeout(PATIENCE, place).await {
        Ok(Ok(place)) => Ok(place),
        _ => Err(
            Error::new(ErrorKind::Busy, "too many calls are being looked at")
                .advice("call again in a minute"),
        ),
    }
}

//! Where work is done that takes the processor for long: apart from the threads
//! that serve the lines, a few at a time. Slices of which there is much are few
//! at a time, too, and of the calls on one slice one has its turn.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rm_core::{Error, ErrorKind, Result};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::Urn;

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
    /// Of each slice on which a call has its turn, or waits for it, by its
    /// spelling.
    turns: Arc<Mutex<BTreeMap<String, Weak<OneTurn>>>>,
}

type OneTurn = tokio::sync::Mutex<()>;

/// A place among the slices of which there is much, until it is dropped.
#[derive(Debug)]
pub(super) struct Place(#[allow(dead_code, reason = "held")] OwnedSemaphorePermit);

/// The turn of one call on a slice, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn(#[allow(dead_code, reason = "held")] OwnedMutexGuard<()>);

impl Default for Bench {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            work: Arc::new(Semaphore::new(processors.max(2))),
            large: Arc::new(Semaphore::new(LARGE)),
            turns: Arc::default(),
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
        let place = place(&self.work).await?;
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
        place(&self.large).await.map(Place)
    }

    /// The turn on a slice, when no other call has it. Two that set aside the same
    /// slivers would keep each other from writing them. Who waits for it must hold
    /// no [`place`](Self::place): the calls on one slice would take all there are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where others had it for half a minute.
    pub(super) async fn turn(&self, slice: &Urn) -> Result<Turn> {
        match tokio::time::timeout(PATIENCE, self.turn_on(slice).lock_owned()).await {
            Ok(turn) => Ok(Turn(turn)),
            Err(_) => Err(too_many()),
        }
    }

    /// The same where no other call has it, or waits for it.
    pub(super) fn turn_now(&self, slice: &Urn) -> Option<Turn> {
        self.turn_on(slice).try_lock_owned().ok().map(Turn)
    }

    fn turn_on(&self, slice: &Urn) -> Arc<OneTurn> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        let of = turns.entry(slice.spelling()).or_default();
        of.upgrade().unwrap_or_else(|| {
            let turn = Arc::<OneTurn>::default();
            *of = Arc::downgrade(&turn);
            turn
        })
    }
}

async fn place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    let place = Arc::clone(places).acquire_owned();
    match tokio::time::timeout(PATIENCE, place).await {
        Ok(Ok(place)) => Ok(place),
        _ => Err(too_many()),
    }
}

fn too_many() -> Error {
    Error::new(ErrorKind::Busy, "too many calls are being looked at")
        .advice("call again in a minute")
}

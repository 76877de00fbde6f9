//! The bell: tells whoever waits in this process that something was committed.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::id::ResourceId;

/// Rings for every commit of this process. Other processes on the same store
/// are not heard; who waits looks now and then by itself as well.
#[derive(Debug, Default)]
pub(crate) struct Bell(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    rung: u64,
    /// Who waits for anything.
    waiting: Vec<Waker>,
    /// Who waits for a write of one resource, by the number of the wait: many
    /// callers may wait, and each write is of interest to a few.
    of: BTreeMap<ResourceId, Vec<(u64, Waker)>>,
    waits: u64,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everybody who waits for anything, or for one of these.
    pub(crate) fn ring(&self, of: &[ResourceId]) {
        let mut waiting;
        {
            let mut inner = self.lock();
            inner.rung += 1;
            waiting = std::mem::take(&mut inner.waiting);
            for id in of {
                let of = inner.of.remove(id).into_iter().flatten();
                waiting.extend(of.map(|(_, waker)| waker));
            }
        }
        for waker in waiting {
            waker.wake();
        }
    }

    /// How often it has rung.
    pub(crate) fn rung(&self) -> u64 {
        self.lock().rung
    }

    /// Ends as soon as it has rung more often than `heard`.
    pub(crate) fn after(&self, heard: u64) -> impl Future<Output = ()> + '_ {
        After { bell: self, heard }
    }

    /// Ends as soon as it rings for this resource; at once where it has rung,
    /// for whatever, more often than `heard`.
    pub(crate) fn after_of(&self, heard: u64, of: ResourceId) -> impl Future<Output = ()> + '_ {
        AfterOf {
            bell: self,
            heard,
            of,
            wait: None,
        }
    }
}

struct After<'a> {
    bell: &'a Bell,
    heard: u64,
}

impl Future for After<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.bell.lock();
        if inner.rung > self.heard {
            return Poll::Ready(());
        }
        if !inner.waiting.iter().any(|w| w.will_wake(cx.waker())) {
            inner.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

struct AfterOf<'a> {
    bell: &'a Bell,
    heard: u64,
    of: ResourceId,
    /// The number of this wait, once it has begun.
    wait: Option<u64>,
}

impl Future for AfterOf<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.bell.lock();
        if let Some(wait) = self.wait {
            let waiting = inner.of.get_mut(&self.of);
            let own = waiting.and_then(|all| all.iter_mut().find(|(n, _)| *n == wait));
            return match own {
                Some((_, waker)) => {
                    waker.clone_from(cx.waker());
                    Poll::Pending
                }
                None => Poll::Ready(()),
            };
        }
        if inner.rung > self.heard {
            return Poll::Ready(());
        }
        inner.waits += 1;
        let wait = inner.waits;
        let waker = cx.waker().clone();
        inner.of.entry(self.of).or_default().push((wait, waker));
        drop(inner);
        self.wait = Some(wait);
        Poll::Pending
    }
}

impl Drop for AfterOf<'_> {
    fn drop(&mut self) {
        let Some(wait) = self.wait else { return };
        let mut inner = self.bell.lock();
        if let Some(waiting) = inner.of.get_mut(&self.of) {
            waiting.retain(|(n, _)| *n != wait);
            if waiting.is_empty() {
                inner.of.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests;

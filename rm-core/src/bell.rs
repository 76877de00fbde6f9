//! The bell: tells whoever waits in this process that something was committed.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Rings for every commit of this process. Other processes on the same store
/// are not heard; who waits looks now and then by itself as well.
#[derive(Debug, Default)]
pub(crate) struct Bell(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    rung: u64,
    waiting: Vec<Waker>,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everybody who waits.
    pub(crate) fn ring(&self) {
        let waiting = {
            let mut inner = self.lock();
            inner.rung += 1;
            std::mem::take(&mut inner.waiting)
        };
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

#[cfg(test)]
mod tests;

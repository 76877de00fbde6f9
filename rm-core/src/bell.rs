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
    /// How often of these there was work.
    works: u64,
    /// Who waits for anything.
    waiting: Vec<Waker>,
    /// Who waits for work only: most commits bring none.
    working: Vec<Waker>,
    /// Who waits for one resource to come to rest, by the number of the wait:
    /// many callers may wait, and a commit is of interest to few of them.
    of: BTreeMap<(ResourceId, u64), Waker>,
    waits: u64,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everybody who waits for anything, or for one of these, which have
    /// come to rest, or for work, where there is some.
    pub(crate) fn ring(&self, of: &[ResourceId], work: bool) {
        let mut waiting;
        {
            let mut inner = self.lock();
            inner.rung += 1;
            waiting = std::mem::take(&mut inner.waiting);
            if work {
                inner.works += 1;
                waiting.append(&mut inner.working);
            }
            for id in of {
                let all = (*id, 0)..=(*id, u64::MAX);
                while let Some((wait, _)) = inner.of.range(all.clone()).next() {
                    let wait = *wait;
                    waiting.extend(inner.of.remove(&wait));
                }
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

    /// How often it has rung for work.
    pub(crate) fn works(&self) -> u64 {
        self.lock().works
    }

    /// Ends as soon as it has rung more often than `heard`.
    pub(crate) fn after(&self, heard: u64) -> impl Future<Output = ()> + '_ {
        let work = false;
        let bell = self;
        After { bell, heard, work }
    }

    /// Ends as soon as it has rung more often for work.
    pub(crate) fn after_work(&self, heard: u64) -> impl Future<Output = ()> + '_ {
        let work = true;
        let bell = self;
        After { bell, heard, work }
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
    /// Whether only for work.
    work: bool,
}

impl Future for After<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.bell.lock();
        let inner = &mut *inner;
        let (rung, waiting) = match self.work {
            true => (inner.works, &mut inner.working),
            false => (inner.rung, &mut inner.waiting),
        };
        if rung > self.heard {
            return Poll::Ready(());
        }
        if !waiting.iter().any(|w| w.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
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
            return match inner.of.get_mut(&(self.of, wait)) {
                Some(waker) => {
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
        inner.of.insert((self.of, wait), waker);
        drop(inner);
        self.wait = Some(wait);
        Poll::Pending
    }
}

impl Drop for AfterOf<'_> {
    fn drop(&mut self) {
        if let Some(wait) = self.wait {
            let waker = self.bell.lock().of.remove(&(self.of, wait));
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests;

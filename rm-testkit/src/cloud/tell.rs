//! What simulated sites tell by themselves, and what goes wrong with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::select;
use futures_util::stream;
use rm_core::backend::{Cx, Hint, Hints};
use rm_core::env::{Env, Timestamp};
use rm_core::{Error, ErrorKind, ResourceId, Result};

use super::SimCloud;
use super::call::{account, listens};
use super::fault::Verb;
use crate::rng::Rng;
use crate::world::Points;

/// How sites tell: what becomes of so many of a thousand hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Telling {
    /// Nobody hears them.
    pub lost: u64,
    /// They are told twice.
    pub twice: u64,
    /// They are told so much later.
    pub late: (u64, Duration),
    /// Another one is told besides, of something to which nothing happened.
    pub wrong: u64,
    /// Whoever listens hears nothing more, and must ask again.
    pub cut: u64,
    /// Some were dropped on their way, and it is told that they were.
    pub dropped: u64,
}

/// Who is told, and how.
#[derive(Debug)]
pub(super) struct Tellers {
    rng: Rng,
    manner: Telling,
    listeners: Vec<Listener>,
    /// What was told last, for what is told wrongly.
    before: Option<ResourceId>,
}

impl Default for Tellers {
    fn default() -> Self {
        Self {
            rng: Rng::new(1),
            manner: Telling::default(),
            listeners: Vec::new(),
            before: None,
        }
    }
}

#[derive(Debug)]
struct Listener {
    site: String,
    account: String,
    queue: Weak<Queue>,
}

/// Something that happens to a thing at this moment.
#[derive(Debug)]
pub(super) struct Happening {
    pub(super) at: Timestamp,
    pub(super) account: String,
    pub(super) resource: ResourceId,
}

/// What one listener has still to hear, by when.
#[derive(Debug, Default)]
struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    number: u64,
    to_come: BTreeMap<(Timestamp, u64), Option<Hint>>,
    waker: Option<Waker>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A hint, or the end.
    fn put(&self, at: Timestamp, hint: Option<Hint>) {
        let waker = {
            let mut waiting = self.lock();
            waiting.number += 1;
            let key = (at, waiting.number);
            waiting.to_come.insert(key, hint);
            waiting.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next one that is due, or how long it takes until one is.
    fn due(&self, now: Timestamp) -> std::result::Result<Option<Hint>, Option<Duration>> {
        let mut waiting = self.lock();
        match waiting.to_come.first_entry() {
            Some(first) if first.key().0 <= now => Ok(first.remove()),
            Some(first) => Err(Some(first.key().0.since(now))),
            None => Err(None),
        }
    }

    /// Ends when something was put after `number`.
    async fn more(&self, number: u64) {
        std::future::poll_fn(|cx| {
            let mut waiting = self.lock();
            if waiting.number > number {
                return Poll::Ready(());
            }
            waiting.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Tellers {
    /// Tells everybody who listens to it.
    pub(super) fn tell(&mut self, site: &str, happened: Vec<Happening>) {
        self.listeners.retain(|l| l.queue.strong_count() > 0);
        for what in happened {
            let manner = self.manner;
            let told = Hint::Look(what.resource);
            let wrong = self.before.replace(what.resource);
            let here = |l: &&Listener| l.site == site && l.account == what.account;
            let queues = self.listeners.iter().filter(here);
            for queue in queues.filter_map(|l| l.queue.upgrade()) {
                let mut chance = |per_mille| per_mille > 0 && self.rng.chance(per_mille);
                if chance(manner.cut) {
                    queue.put(what.at, None);
                    continue;
                }
                if chance(manner.dropped) {
                    queue.put(what.at, Some(Hint::LookAtAll));
                    continue;
                }
                if chance(manner.lost) {
                    continue;
                }
                let at = match chance(manner.late.0) {
                    true => what.at.plus(manner.late.1),
                    false => what.at,
                };
                queue.put(at, Some(told));
                if chance(manner.twice) {
                    queue.put(at, Some(told));
                }
                if chance(manner.wrong)
                    && let Some(other) = wrong
                {
                    queue.put(at, Some(Hint::Look(other)));
                }
            }
        }
    }
}

impl SimCloud {
    /// Makes the sites tell of what happens, and declares it; not everything
    /// may be told as it should be.
    pub fn tell(&self, seed: u64, manner: Telling) {
        let mut state = self.lock();
        state.capability.events = true;
        state.tellers.rng = Rng::new(seed);
        state.tellers.manner = manner;
    }

    /// Whoever listens hears nothing more, and must ask again.
    pub fn cut_off(&self, now: Timestamp) {
        let state = self.lock();
        for listener in &state.tellers.listeners {
            if let Some(queue) = listener.queue.upgrade() {
                queue.put(now, None);
            }
        }
    }

    /// Says something to whoever listens, whatever is true.
    pub fn hint(&self, site: &str, hint: Hint, now: Timestamp) {
        let state = self.lock();
        for listener in state.tellers.listeners.iter().filter(|l| l.site == site) {
            if let Some(queue) = listener.queue.upgrade() {
                queue.put(now, Some(hint));
            }
        }
    }

    /// How many listen to a site.
    pub fn listeners(&self, site: &str) -> usize {
        let mut state = self.lock();
        let listeners = &mut state.tellers.listeners;
        listeners.retain(|l| l.queue.strong_count() > 0);
        listeners.iter().filter(|l| l.site == site).count()
    }

    pub(super) async fn listen(&self, cx: &Cx<'_>) -> Result<Hints> {
        self.arrive(cx).await;
        let queue = {
            let mut state = self.lock();
            if !state.capability.events {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "this site does not tell what happens",
                ));
            }
            state.admit(cx, Verb::Observe)?;
            listens(state.site(&self.config, &cx.site.name), &cx.site.name)?;
            let queue = Arc::new(Queue::default());
            state.tellers.listeners.push(Listener {
                site: cx.site.name.clone(),
                account: account(cx)?,
                queue: Arc::downgrade(&queue),
            });
            queue
        };
        queue.put(self.now(cx), Some(Hint::LookAtAll));
        let hearing = (queue, Arc::clone(cx.env), self.points.clone());
        Ok(stream::unfold(hearing, next).boxed())
    }
}

type Hearing = (Arc<Queue>, Arc<dyn Env>, Points);

async fn next((queue, env, points): Hearing) -> Option<(Hint, Hearing)> {
    loop {
        let number = queue.lock().number;
        let now = points.now().unwrap_or_else(|| env.now());
        match queue.due(now) {
            Ok(hint) => return Some((hint?, (queue, env, points))),
            Err(None) => queue.more(number).await,
            Err(Some(wait)) => {
                let more = std::pin::pin!(queue.more(number));
                select(more, env.sleep(wait)).await;
            }
        }
    }
}

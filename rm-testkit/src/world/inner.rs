//! What a world knows: the clock, who is ready, who sleeps, who must crash.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rm_core::env::Timestamp;

use super::{MAIN, TaskId};
use crate::rng::Rng;

/// 2030-01-01T00:00:00Z.
const BEGIN: i64 = 1_893_456_000_000;

#[derive(Debug)]
pub(crate) struct Inner(Mutex<State>);

/// What happens to a task at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Crash,
    Stall,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    order: Rng,
    ids: Rng,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
    sleeper: u64,
    ready: Vec<TaskId>,
    labels: BTreeMap<TaskId, String>,
    task: u64,
    current: TaskId,
    stalled: BTreeSet<TaskId>,
    doomed: BTreeSet<TaskId>,
    passed: BTreeMap<String, BTreeMap<&'static str, u64>>,
    crash: Option<(String, u64, Trouble)>,
    crashed: Option<&'static str>,
    struck: Option<TaskId>,
    steps: u64,
    closed: BTreeSet<u16>,
}

impl Inner {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        Self(Mutex::new(State {
            now: Timestamp::from_millis(BEGIN),
            order: rng.fork(),
            ids: rng.fork(),
            sleepers: BTreeMap::new(),
            sleeper: 0,
            ready: Vec::new(),
            labels: BTreeMap::from([(MAIN, "main".to_owned())]),
            task: MAIN.0,
            current: MAIN,
            stalled: BTreeSet::new(),
            doomed: BTreeSet::new(),
            passed: BTreeMap::new(),
            crash: None,
            crashed: None,
            struck: None,
            steps: 0,
            closed: BTreeSet::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.lock().now
    }

    pub(crate) fn random(&self) -> u64 {
        self.lock().ids.next_u64()
    }

    pub(crate) fn sleep(inner: &Arc<Self>, d: Duration) -> BoxFuture<'static, ()> {
        // The clock knows milliseconds only: a part of one is a whole one.
        let millis = d.as_nanos().div_ceil(1_000_000);
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        Box::pin(Sleep {
            until: inner.now().plus(Duration::from_millis(millis)),
            inner: Arc::clone(inner),
            registered: None,
        })
    }

    pub(crate) fn register(&self, label: &str) -> TaskId {
        let mut state = self.lock();
        state.task += 1;
        let id = TaskId(state.task);
        state.labels.insert(id, label.to_owned());
        id
    }

    pub(crate) fn forget(&self, id: TaskId) {
        let mut state = self.lock();
        state.labels.remove(&id);
        state.stalled.remove(&id);
        state.doomed.remove(&id);
        state.ready.retain(|t| *t != id);
    }

    pub(crate) fn knows(&self, id: TaskId) -> bool {
        self.lock().labels.contains_key(&id)
    }

    pub(crate) fn wake(&self, id: TaskId) {
        let mut state = self.lock();
        if state.labels.contains_key(&id) && !state.ready.contains(&id) {
            state.ready.push(id);
        }
    }

    pub(crate) fn enter(&self, id: TaskId) {
        self.wake(id);
    }

    pub(crate) fn leave(&self, id: TaskId) {
        self.lock().ready.retain(|t| *t != id);
    }

    pub(crate) fn stall(&self, id: TaskId, stalled: bool) {
        let mut state = self.lock();
        if stalled {
            state.stalled.insert(id);
        } else {
            state.stalled.remove(&id);
        }
    }

    /// Who runs next.
    pub(crate) fn next(&self) -> Option<TaskId> {
        let mut state = self.lock();
        let state = &mut *state;
        let able: Vec<usize> = (0..state.ready.len())
            .filter(|i| !state.stalled.contains(&state.ready[*i]))
            .collect();
        let at = *state.order.pick(&able)?;
        state.steps += 1;
        state.current = state.ready.swap_remove(at);
        Some(state.current)
    }

    /// Lets time pass until the next sleeper wakes; false where nobody sleeps.
    pub(crate) fn advance(&self) -> bool {
        let mut due = Vec::new();
        {
            let mut state = self.lock();
            let Some((&(at, _), _)) = state.sleepers.first_key_value() else {
                return false;
            };
            state.now = state.now.max(at);
            while let Some(entry) = state.sleepers.first_entry()
                && entry.key().0 <= at
            {
                due.push(entry.remove());
            }
        }
        for waker in due {
            waker.wake();
        }
        true
    }

    pub(crate) fn steps(&self) -> u64 {
        self.lock().steps
    }

    pub(crate) fn trouble_at(&self, label: &str, n: u64, trouble: Trouble) {
        let mut state = self.lock();
        state.crashed = None;
        state.struck = None;
        let so_far = total(&state.passed, label);
        state.crash = Some((label.to_owned(), so_far + n, trouble));
    }

    pub(crate) fn disarm(&self) {
        self.lock().crash = None;
    }

    pub(crate) fn crashed(&self) -> Option<&'static str> {
        self.lock().crashed
    }

    pub(crate) fn struck(&self) -> Option<TaskId> {
        self.lock().struck
    }

    pub(crate) fn is_doomed(&self, id: TaskId) -> bool {
        self.lock().doomed.contains(&id)
    }

    pub(crate) fn passed(&self, label: &str) -> u64 {
        total(&self.lock().passed, label)
    }

    pub(crate) fn histogram(&self, label: &str) -> BTreeMap<&'static str, u64> {
        self.lock().passed.get(label).cloned().unwrap_or_default()
    }

    /// The current task passes a point; true where it must not get any
    /// further.
    pub(crate) fn pass(&self, name: &'static str) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        let id = state.current;
        if state.doomed.contains(&id) {
            return true;
        }
        let Some(label) = state.labels.get(&id) else {
            return false;
        };
        *state
            .passed
            .entry(label.clone())
            .or_default()
            .entry(name)
            .or_default() += 1;
        let Some((victim, n, trouble)) = &state.crash else {
            return false;
        };
        if !label.starts_with(victim.as_str()) || total(&state.passed, victim) < *n {
            return false;
        }
        let trouble = *trouble;
        state.crash = None;
        state.crashed = Some(name);
        state.struck = Some(id);
        match trouble {
            Trouble::Crash => state.doomed.insert(id),
            Trouble::Stall => state.stalled.insert(id),
        };
        trouble == Trouble::Crash
    }

    pub(crate) fn open_port(&self, port: u16, open: bool) {
        let mut state = self.lock();
        if open {
            state.closed.remove(&port);
        } else {
            state.closed.insert(port);
        }
    }

    pub(crate) fn reaches(&self, port: u16) -> bool {
        !self.lock().closed.contains(&port)
    }
}

fn total(passed: &BTreeMap<String, BTreeMap<&'static str, u64>>, label: &str) -> u64 {
    passed
        .iter()
        .filter(|(l, _)| l.starts_with(label))
        .flat_map(|(_, points)| points.values())
        .sum()
}

struct Sleep {
    until: Timestamp,
    inner: Arc<Inner>,
    registered: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.until;
        let key = {
            let mut state = self.inner.lock();
            if state.now >= until {
                None
            } else {
                let key = self.registered.unwrap_or_else(|| {
                    state.sleeper += 1;
                    state.sleeper
                });
                state.sleepers.insert((until, key), cx.waker().clone());
                Some(key)
            }
        };
        match key {
            None => Poll::Ready(()),
            Some(_) => {
                self.registered = key;
                Poll::Pending
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let waker = self
            .registered
            .and_then(|key| self.inner.lock().sleepers.remove(&(self.until, key)));
        drop(waker);
    }
}

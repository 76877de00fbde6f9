//! What a world knows: the clock, who is ready, who sleeps, who must crash.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rm_core::env::Timestamp;

use super::boundary::{Boundaries, Passed, Trouble};
use super::{MAIN, MOST_STEPS, TaskId};
use crate::rng::Rng;

/// 2030-01-01T00:00:00Z.
const BEGIN: i64 = 1_893_456_000_000;

#[derive(Debug)]
pub(crate) struct Inner {
    state: Mutex<State>,
    /// What time it is, once more: it is asked for more often than all else.
    now: AtomicI64,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    order: Rng,
    ids: Rng,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
    sleeper: u64,
    /// Who can run now, each once.
    ready: Vec<TaskId>,
    /// Every task there ever was, by its number.
    tasks: Vec<Task>,
    current: TaskId,
    /// Whose stall ends by itself, and when.
    resumes: Vec<(Timestamp, TaskId)>,
    boundaries: Boundaries,
    steps: u64,
    closed: Vec<u16>,
}

#[derive(Debug)]
struct Task {
    /// Where its boundaries are counted.
    place: usize,
    /// How wrong the clock of its process is.
    clock: Option<Arc<AtomicI64>>,
    waker: Waker,
    alive: bool,
    /// Somebody woke it since it was polled last.
    woken: bool,
    stalled: bool,
    doomed: bool,
}

/// It keeps the world's inner part, which keeps it, until the world is closed.
struct TaskWaker {
    id: TaskId,
    inner: Arc<Inner>,
}

/// Whose turn it is.
pub(crate) enum Turn {
    Of(TaskId),
    /// Whoever was polled last never goes on.
    Crashed(TaskId),
    Nobody,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.inner.wake(self.id);
    }
}

impl State {
    fn task(&mut self, id: TaskId) -> Option<&mut Task> {
        self.tasks.get_mut(usize::try_from(id.0).ok()?)
    }

    /// Puts it where the next one is chosen from, if it can run.
    fn enqueue(&mut self, id: TaskId) {
        let able = self
            .task(id)
            .is_some_and(|t| t.alive && t.woken && !t.stalled);
        if able && !self.ready.contains(&id) {
            self.ready.push(id);
        }
    }

    fn stall(&mut self, id: TaskId, stalled: bool) {
        if let Some(task) = self.task(id) {
            task.stalled = stalled;
        }
        if stalled {
            self.ready.retain(|t| *t != id);
        } else {
            self.resumes.retain(|(_, t)| *t != id);
            self.enqueue(id);
        }
    }

    /// A task was polled and is not done; true where it goes on living.
    fn pended(&mut self, id: TaskId) -> bool {
        let Some(task) = usize::try_from(id.0)
            .ok()
            .and_then(|at| self.tasks.get(at))
            .filter(|t| t.alive && !t.doomed)
        else {
            return false;
        };
        if let Some(trouble) = self.boundaries.pend(task.place, id, self.now) {
            self.meet(trouble);
        }
        self.task(id).is_some_and(|t| !t.doomed)
    }

    /// The current task meets a trouble.
    fn meet(&mut self, trouble: Trouble) {
        let id = self.current;
        match trouble {
            Trouble::Crash => {
                if let Some(task) = self.task(id) {
                    task.doomed = true;
                }
            }
            Trouble::Stall(lasts) => {
                self.stall(id, true);
                if let Some(lasts) = lasts {
                    let until = self.now.plus(lasts);
                    self.resumes.push((until, id));
                }
            }
            Trouble::Clock(millis) => {
                if let Some(clock) = self.task(id).and_then(|t| t.clock.as_ref()) {
                    clock.fetch_add(millis, Ordering::Relaxed);
                }
            }
            // Whoever does it lets the task go on.
            Trouble::Deed(_) => {
                self.stall(id, true);
                if let Some(main) = self.task(MAIN) {
                    main.woken = true;
                }
                self.enqueue(MAIN);
            }
            // Whoever asked at the boundary does these.
            Trouble::Store(_) | Trouble::Call(_) => {}
        }
    }
}

impl Inner {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let mut rng = Rng::new(seed);
        let state = Mutex::new(State {
            now: Timestamp::from_millis(BEGIN),
            order: rng.fork(),
            ids: rng.fork(),
            sleepers: BTreeMap::new(),
            sleeper: 0,
            ready: Vec::new(),
            tasks: Vec::new(),
            current: MAIN,
            resumes: Vec::new(),
            boundaries: Boundaries::default(),
            steps: 0,
            closed: Vec::new(),
        });
        let now = AtomicI64::new(BEGIN);
        let inner = Arc::new(Self { state, now });
        inner.register("main", None);
        inner
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What counts the boundaries that tasks pass.
    pub(crate) fn boundaries<T>(&self, act: impl FnOnce(&mut Boundaries) -> T) -> T {
        act(&mut self.lock().boundaries)
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Relaxed))
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

    pub(crate) fn register(self: &Arc<Self>, label: &str, clock: Option<Arc<AtomicI64>>) -> TaskId {
        let mut state = self.lock();
        let id = TaskId(u64::try_from(state.tasks.len()).unwrap_or(u64::MAX));
        let place = state.boundaries.place(label);
        state.tasks.push(Task {
            place,
            clock,
            waker: Waker::from(Arc::new(TaskWaker {
                id,
                inner: Arc::clone(self),
            })),
            alive: true,
            woken: false,
            stalled: false,
            doomed: false,
        });
        id
    }

    pub(crate) fn forget(&self, id: TaskId) {
        let mut state = self.lock();
        if let Some(task) = state.task(id) {
            task.alive = false;
        }
        state.ready.retain(|t| *t != id);
        state.resumes.retain(|(_, t)| *t != id);
    }

    pub(crate) fn knows(&self, id: TaskId) -> bool {
        self.lock().task(id).is_some_and(|t| t.alive)
    }

    pub(crate) fn wake(&self, id: TaskId) {
        let mut state = self.lock();
        if let Some(task) = state.task(id)
            && !std::mem::replace(&mut task.woken, true)
        {
            state.enqueue(id);
        }
    }

    pub(crate) fn stall(&self, id: TaskId, stalled: bool) {
        self.lock().stall(id, stalled);
    }

    /// When the last of those wakes that are stalled for a while.
    pub(crate) fn stalled_until(&self) -> Option<Timestamp> {
        self.lock().resumes.iter().map(|(at, _)| *at).max()
    }

    /// Who runs next. `waits` was polled last and is not done.
    pub(crate) fn turn(&self, waits: Option<TaskId>) -> Turn {
        let mut state = self.lock();
        let state = &mut *state;
        if let Some(id) = waits
            && !state.pended(id)
            && id != MAIN
        {
            return Turn::Crashed(id);
        }
        if state.ready.is_empty() {
            return Turn::Nobody;
        }
        let at = match state.ready.len() {
            1 => 0,
            several => state.order.index(several),
        };
        let id = state.ready.swap_remove(at);
        state.steps += 1;
        assert!(state.steps < MOST_STEPS, "{MOST_STEPS} polls and no end");
        state.current = id;
        state.boundaries.begin();
        if let Some(task) = state.task(id) {
            task.woken = false;
        }
        Turn::Of(id)
    }

    /// Adds the wakers of the tasks that are not among these yet.
    pub(crate) fn wakers(&self, known: &mut Vec<Waker>) {
        let state = self.lock();
        let new = state.tasks.iter().skip(known.len());
        known.extend(new.map(|task| task.waker.clone()));
    }

    /// Nobody runs here any more.
    pub(crate) fn close(&self) {
        let (tasks, sleepers) = {
            let mut state = self.lock();
            (
                std::mem::take(&mut state.tasks),
                std::mem::take(&mut state.sleepers),
            )
        };
        drop((tasks, sleepers));
    }

    /// Lets time pass until somebody can go on; false where nobody ever will.
    pub(crate) fn advance(&self) -> bool {
        let mut due = Vec::new();
        {
            let mut state = self.lock();
            let state = &mut *state;
            let sleeper = state.sleepers.first_key_value().map(|((at, _), _)| *at);
            let resume = state.resumes.iter().map(|(at, _)| *at).min();
            let Some(at) = sleeper.into_iter().chain(resume).min() else {
                return false;
            };
            state.now = state.now.max(at);
            self.now.store(state.now.millis(), Ordering::Relaxed);
            while let Some(entry) = state.sleepers.first_entry()
                && entry.key().0 <= at
            {
                due.push(entry.remove());
            }
            while let Some((_, id)) = state.resumes.iter().find(|(t, _)| *t <= at).copied() {
                state.stall(id, false);
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

    /// The current task passes a point. Whether it lets others run there: where
    /// nobody else can, or it only reads, that would be for nothing.
    pub(crate) fn pass(&self, name: &'static str, reads: bool) -> (Passed, bool) {
        let mut state = self.lock();
        let state = &mut *state;
        let id = state.current;
        let Some(task) = usize::try_from(id.0)
            .ok()
            .and_then(|at| state.tasks.get(at))
        else {
            return (Passed::On(None), false);
        };
        if task.doomed {
            return (Passed::Never, true);
        }
        let trouble = state.boundaries.pass(task.place, id, name, state.now);
        if let Some(trouble) = trouble {
            state.meet(trouble);
        }
        let stalled = matches!(trouble, Some(Trouble::Stall(_) | Trouble::Deed(_)));
        let yields = stalled || !reads || !state.ready.is_empty();
        if yields {
            state.boundaries.rest();
        }
        match trouble {
            Some(Trouble::Crash) => (Passed::Never, true),
            trouble => (Passed::On(trouble), yields),
        }
    }

    pub(crate) fn open_port(&self, port: u16, open: bool) {
        let mut state = self.lock();
        state.closed.retain(|p| *p != port);
        if !open {
            state.closed.push(port);
        }
    }

    pub(crate) fn reaches(&self, port: u16) -> bool {
        !self.lock().closed.contains(&port)
    }
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
                let waker = state
                    .sleepers
                    .entry((until, key))
                    .or_insert_with(|| cx.waker().clone());
                if !waker.will_wake(cx.waker()) {
                    waker.clone_from(cx.waker());
                }
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

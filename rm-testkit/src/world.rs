//! The simulated world: one thread, one clock, and an order that a seed
//! decides.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rm_core::env::Timestamp;

mod env;
mod inner;

pub use env::{Points, SimEnv};
use inner::{Inner, Trouble};

/// How many polls a world may take before it counts as going round in circles.
const MOST_STEPS: u64 = 20_000_000;

/// One task of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub(crate) u64);

/// The task that [`World::block_on`] drives.
const MAIN: TaskId = TaskId(0);

/// A clock, tasks, and the order in which they run. When nobody has anything
/// to do, time jumps to the next sleeper.
///
/// Whoever gets a [`SimEnv`] or [`Points`] of it does not keep it alive, so
/// that thousands of worlds can come and go in one process.
pub struct World {
    inner: Arc<Inner>,
    tasks: Mutex<BTreeMap<TaskId, BoxFuture<'static, ()>>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now())
            .field("tasks", &self.tasks().len())
            .finish_non_exhaustive()
    }
}

struct TaskWaker {
    id: TaskId,
    inner: Weak<Inner>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if let Some(inner) = self.inner.upgrade() {
            inner.wake(self.id);
        }
    }
}

impl World {
    /// A world that begins on 2030-01-01. The seed decides in which order
    /// tasks run, and the ids they make.
    pub fn new(seed: u64) -> Self {
        Self {
            inner: Arc::new(Inner::new(seed)),
            tasks: Mutex::default(),
        }
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<TaskId, BoxFuture<'static, ()>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time, randomness and reach of this world.
    pub fn env(&self) -> Arc<SimEnv> {
        Arc::new(SimEnv::new(Arc::clone(&self.inner), 0))
    }

    /// The same with a clock that is wrong by so many milliseconds.
    pub fn env_with_skew(&self, millis: i64) -> Arc<SimEnv> {
        Arc::new(SimEnv::new(Arc::clone(&self.inner), millis))
    }

    /// Where tasks of this world can be interrupted.
    pub fn points(&self) -> Points {
        Points::of(Arc::clone(&self.inner))
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.inner.now()
    }

    /// Ends after `d` of the world's time.
    pub fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
        Inner::sleep(&self.inner, d)
    }

    /// Begins a task. Tasks of one label are counted, and crashed, together.
    pub fn spawn(&self, label: &str, task: impl Future<Output = ()> + Send + 'static) -> TaskId {
        let id = self.inner.register(label);
        self.tasks().insert(id, Box::pin(task));
        self.inner.wake(id);
        id
    }

    /// Drops a task where it stands, as a crash would.
    pub fn kill(&self, id: TaskId) {
        let task = self.tasks().remove(&id);
        self.inner.forget(id);
        // What it owns is dropped while nothing is locked.
        drop(task);
    }

    /// Whether the task has neither ended nor crashed.
    pub fn is_alive(&self, id: TaskId) -> bool {
        self.inner.knows(id)
    }

    /// Stops polling a task, as if its process had been stopped.
    pub fn stall(&self, id: TaskId) {
        self.inner.stall(id, true);
    }

    /// Polls it again, with everything it has missed.
    pub fn resume(&self, id: TaskId) {
        self.inner.stall(id, false);
    }

    /// Crashes the task that passes point number `n` from now on, counted from
    /// 1 over all tasks whose label begins like this.
    pub fn crash_at(&self, label: &str, n: u64) {
        self.inner.trouble_at(label, n, Trouble::Crash);
    }

    /// Stalls it there instead; [`World::resume`] lets it go on.
    pub fn stall_at(&self, label: &str, n: u64) {
        self.inner.trouble_at(label, n, Trouble::Stall);
    }

    /// Takes back the crash or stall that has not happened yet.
    pub fn disarm(&self) {
        self.inner.disarm();
    }

    /// Where the crash or stall that was ordered happened, as soon as it has.
    pub fn crashed(&self) -> Option<&'static str> {
        self.inner.crashed()
    }

    /// The task that crashed or stalled there.
    pub fn struck(&self) -> Option<TaskId> {
        self.inner.struck()
    }

    /// How many points tasks have passed whose label begins like this.
    pub fn passed(&self, label: &str) -> u64 {
        self.inner.passed(label)
    }

    /// How often each point was passed by tasks of this label.
    pub fn histogram(&self, label: &str) -> BTreeMap<&'static str, u64> {
        self.inner.histogram(label)
    }

    /// How many polls there were.
    pub fn steps(&self) -> u64 {
        self.inner.steps()
    }

    /// Makes a port of every address accept connections, or not any more. All
    /// do at first.
    pub fn open_port(&self, port: u16, open: bool) {
        self.inner.open_port(port, open);
    }

    /// Runs everything until `main` is done, and answers what it answers.
    ///
    /// # Panics
    ///
    /// Where `main` waits for something that can never happen, and where the
    /// world goes round in circles.
    pub fn block_on<T>(&self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        self.inner.enter(MAIN);
        loop {
            let Some(id) = self.inner.next() else {
                assert!(
                    self.inner.advance(),
                    "everybody waits and nobody sleeps: it would never end"
                );
                continue;
            };
            assert!(
                self.inner.steps() < MOST_STEPS,
                "{MOST_STEPS} polls and no end"
            );
            let waker = Waker::from(Arc::new(TaskWaker {
                id,
                inner: Arc::downgrade(&self.inner),
            }));
            let mut cx = Context::from_waker(&waker);
            if id == MAIN {
                if let Poll::Ready(done) = main.as_mut().poll(&mut cx) {
                    self.inner.leave(MAIN);
                    return done;
                }
                continue;
            }
            let Some(mut task) = self.tasks().remove(&id) else {
                continue;
            };
            let ended = task.as_mut().poll(&mut cx).is_ready();
            if ended || self.inner.is_doomed(id) {
                self.inner.forget(id);
                drop(task);
            } else if self.inner.knows(id) {
                self.tasks().insert(id, task);
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let tasks = std::mem::take(&mut *self.tasks());
        drop(tasks);
    }
}

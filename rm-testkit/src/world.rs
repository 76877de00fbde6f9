//! The simulated world: one thread, one clock, and an order that a seed
//! decides.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rm_core::env::Timestamp;

mod boundary;
mod env;
mod inner;

pub(crate) use boundary::{Boundary, Deed, PENDING, Trouble};
pub use env::{Points, SimEnv};
use inner::{Inner, Turn};

/// How many polls a world may take before it counts as going round in circles.
const MOST_STEPS: u64 = 20_000_000;

/// One task of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub(crate) u64);

impl TaskId {
    fn at(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// The task that [`World::block_on`] drives.
const MAIN: TaskId = TaskId(0);

/// By their numbers; what is polled just now, has ended or was killed is away.
type Tasks = Vec<Option<BoxFuture<'static, ()>>>;

/// A clock, tasks, and the order in which they run. When nobody has anything
/// to do, time jumps to the next sleeper.
///
/// Whoever gets a [`SimEnv`] or [`Points`] of it does not keep it alive, so
/// that thousands of worlds can come and go in one process.
pub struct World {
    inner: Arc<Inner>,
    tasks: Mutex<Tasks>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now())
            .field("tasks", &self.tasks().iter().flatten().count())
            .finish_non_exhaustive()
    }
}

impl World {
    /// A world that begins on 2030-01-01. The seed decides in which order
    /// tasks run, and the ids they make.
    pub fn new(seed: u64) -> Self {
        Self {
            inner: Inner::new(seed),
            tasks: Mutex::default(),
        }
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
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
        self.begin(self.inner.register(label, None), task)
    }

    /// The same in a process whose clock is that of `env`.
    pub(crate) fn spawn_by(
        &self,
        label: &str,
        env: &SimEnv,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> TaskId {
        self.begin(self.inner.register(label, Some(env.clock())), task)
    }

    fn begin(&self, id: TaskId, task: impl Future<Output = ()> + Send + 'static) -> TaskId {
        self.put(id, Box::pin(task));
        self.inner.wake(id);
        id
    }

    fn put(&self, id: TaskId, task: BoxFuture<'static, ()>) {
        place(&mut self.tasks(), id, task);
    }

    fn take(&self, id: TaskId) -> Option<BoxFuture<'static, ()>> {
        self.tasks().get_mut(id.at())?.take()
    }

    /// Drops a task where it stands, as a crash would.
    pub fn kill(&self, id: TaskId) {
        let task = self.take(id);
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

    /// When the last of those wakes that were stalled for a while.
    pub(crate) fn stalled_until(&self) -> Option<Timestamp> {
        self.inner.stalled_until()
    }

    /// Crashes the task that passes boundary number `n` from now on, counted
    /// from 1 over all tasks whose label begins like this. A boundary is a
    /// call of a store or a backend, before and after, and every other await
    /// at which a task has to wait.
    pub fn crash_at(&self, label: &str, n: u64) {
        self.trouble_at(label, n, Trouble::Crash);
    }

    /// Stalls it there instead; [`World::resume`] lets it go on.
    pub fn stall_at(&self, label: &str, n: u64) {
        self.trouble_at(label, n, Trouble::Stall(None));
    }

    pub(crate) fn trouble_at(&self, label: &str, n: u64, trouble: Trouble) {
        self.inner.boundaries(|b| b.order(label, n, trouble));
    }

    /// The same beside what was ordered already.
    pub(crate) fn trouble_also_at(&self, label: &str, n: u64, trouble: Trouble) {
        self.inner.boundaries(|b| b.order_also(label, n, trouble));
    }

    /// The next deed that was ordered and is due, and the task that waits for it
    /// at its boundary: whoever does it, which is the main task, resumes that
    /// one. The main task is woken for it.
    pub(crate) fn deed(&self) -> Option<(TaskId, Deed)> {
        self.inner.boundaries(boundary::Boundaries::deed)
    }

    /// Forgets what was ordered and what has happened.
    pub(crate) fn clear(&self) {
        self.inner.boundaries(boundary::Boundaries::clear);
    }

    /// Takes back what was ordered and has not happened yet.
    pub fn disarm(&self) {
        self.inner.boundaries(boundary::Boundaries::disarm);
    }

    /// Where the crash or stall that was ordered happened, as soon as it has.
    pub fn crashed(&self) -> Option<&'static str> {
        self.inner.boundaries(|b| b.struck()).map(|at| at.name)
    }

    /// The task that crashed or stalled there.
    pub fn struck(&self) -> Option<TaskId> {
        self.inner.boundaries(|b| b.struck()).map(|at| at.task)
    }

    /// Every trouble that was ordered and has happened, and when.
    pub(crate) fn strikes(&self) -> Vec<(Boundary, Trouble, Timestamp)> {
        self.inner.boundaries(|b| b.strikes())
    }

    /// How many boundaries tasks have passed whose label begins like this.
    pub fn passed(&self, label: &str) -> u64 {
        self.inner.boundaries(|b| b.total(label))
    }

    /// How often each boundary was passed by tasks whose label begins like
    /// this.
    pub fn histogram(&self, label: &str) -> BTreeMap<&'static str, u64> {
        self.inner.boundaries(|b| b.histogram(label))
    }

    /// Writes down every boundary that such tasks pass from now on.
    pub(crate) fn record(&self, label: &str) {
        self.inner.boundaries(|b| b.record(label));
    }

    /// What was written down.
    pub(crate) fn recorded(&self) -> Vec<Boundary> {
        self.inner.boundaries(boundary::Boundaries::recorded)
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
        self.inner.wake(MAIN);
        let mut wakers = Vec::new();
        // Who was polled last and waits, and what it is where it is a task.
        let mut last: Option<(TaskId, Option<BoxFuture<'static, ()>>)> = None;
        loop {
            let (waits, task) = last.take().unzip();
            let task = task.flatten();
            let id = match self.inner.turn(waits) {
                Turn::Crashed(id) => {
                    self.inner.forget(id);
                    // What it owns is dropped while nothing is locked.
                    drop(task);
                    continue;
                }
                Turn::Nobody => {
                    if let (Some(id), Some(task)) = (waits, task) {
                        self.put(id, task);
                    }
                    assert!(
                        self.inner.advance(),
                        "everybody waits and nobody sleeps: it would never end"
                    );
                    continue;
                }
                Turn::Of(id) => id,
            };
            let next = {
                let mut tasks = self.tasks();
                if let (Some(id), Some(task)) = (waits, task) {
                    place(&mut tasks, id, task);
                }
                tasks.get_mut(id.at()).and_then(Option::take)
            };
            if wakers.len() <= id.at() {
                self.inner.wakers(&mut wakers);
            }
            let mut cx = Context::from_waker(&wakers[id.at()]);
            if id == MAIN {
                if let Poll::Ready(done) = main.as_mut().poll(&mut cx) {
                    return done;
                }
                last = Some((MAIN, None));
                continue;
            }
            let Some(mut task) = next else {
                continue;
            };
            match task.as_mut().poll(&mut cx) {
                Poll::Pending => last = Some((id, Some(task))),
                Poll::Ready(()) => {
                    self.inner.forget(id);
                    drop(task);
                }
            }
        }
    }
}

fn place(tasks: &mut Tasks, id: TaskId, task: BoxFuture<'static, ()>) {
    let at = id.at();
    if tasks.len() <= at {
        tasks.resize_with(at + 1, || None);
    }
    tasks[at] = Some(task);
}

impl Drop for World {
    fn drop(&mut self) {
        let tasks = std::mem::take(&mut *self.tasks());
        drop(tasks);
        self.inner.close();
    }
}

//! Many random schedules, on every core.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use super::harm::{Found, Harm};
use super::kind::{Kind, Suffered};
use super::schedule::{Told, schedule};

/// So many schedules are taken at once by a thread.
const CHUNK: u64 = 64;

/// What came of many schedules.
#[derive(Debug, Default)]
pub struct Random {
    /// How many there were.
    pub schedules: u64,
    /// Those that did harm, by seed.
    pub failed: BTreeMap<u64, Vec<Found>>,
    /// How often each kind of fault was suffered.
    pub times: Suffered,
    /// In how many schedules.
    pub within: Suffered,
    /// Requests.
    pub operations: u64,
    /// Resources that were asked for.
    pub resources: u64,
    /// Leases that ended by themselves.
    pub leases: u64,
    /// What was in quarantine when the faults were over.
    pub quarantined: u64,
    /// Engines.
    pub engines: u64,
    /// How often a task was polled.
    pub polls: u64,
    /// Boundaries that engines passed, by name, and how often an engine crashed
    /// or stalled there.
    pub boundaries: BTreeMap<&'static str, (u64, u64)>,
}

impl Random {
    fn add(&mut self, seed: u64, told: Told) {
        self.schedules += 1;
        self.times.merge(&told.suffered);
        self.within.merge(&told.suffered.once());
        self.operations += told.operations;
        self.resources += told.resources;
        self.leases += told.leases;
        self.quarantined += told.quarantined;
        self.engines += told.engines;
        self.polls += told.polls;
        for (name, n) in told.passed {
            self.boundaries.entry(name).or_default().0 += n;
        }
        for (name, n) in told.struck {
            self.boundaries.entry(name).or_default().1 += n;
        }
        if !told.broken.is_empty() {
            self.failed.insert(seed, told.broken);
        }
    }

    fn merge(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.times.merge(&other.times);
        self.within.merge(&other.within);
        self.operations += other.operations;
        self.resources += other.resources;
        self.leases += other.leases;
        self.quarantined += other.quarantined;
        self.engines += other.engines;
        self.polls += other.polls;
        for (name, (passed, struck)) in other.boundaries {
            let both = self.boundaries.entry(name).or_default();
            both.0 += passed;
            both.1 += struck;
        }
        self.failed.extend(other.failed);
    }

    /// How many of each harm there were.
    pub fn harm(&self, harm: Harm) -> usize {
        let all = self.failed.values().flatten();
        all.filter(|found| found.harm == harm).count()
    }

    /// Kinds of fault that too few schedules have suffered: less than one in a
    /// hundred.
    pub fn rare(&self) -> Vec<Kind> {
        let few = |kind: &&Kind| self.within.of(**kind) * 100 < self.schedules;
        match self.schedules {
            0..1000 => Vec::new(),
            _ => Kind::ALL.iter().filter(few).copied().collect(),
        }
    }
}

/// Runs the schedules of so many seeds from the first one on. `tell` is told
/// now and then what there is so far.
pub fn random(first: u64, schedules: u64, tell: &mut dyn FnMut(&Random)) -> Random {
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (done, chunks) = mpsc::channel::<Random>();
    let mut all = Random::default();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (next, done) = (&next, done.clone());
            scope.spawn(move || {
                loop {
                    let from = next.fetch_add(CHUNK, Ordering::Relaxed);
                    if from >= schedules {
                        return;
                    }
                    let mut chunk = Random::default();
                    for n in from..(from + CHUNK).min(schedules) {
                        let seed = first.wrapping_add(n);
                        chunk.add(seed, guarded(seed, false));
                    }
                    if done.send(chunk).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        for chunk in chunks {
            all.merge(chunk);
            tell(&all);
        }
    });
    all
}

/// Runs the schedule of one seed; its whole story is printed where `tell`.
pub fn replay(seed: u64, tell: bool) -> Random {
    let mut all = Random::default();
    all.add(seed, guarded(seed, tell));
    all
}

/// A schedule that panics is told as one that did harm.
fn guarded(seed: u64, tell: bool) -> Told {
    let broken = |text: String| Told {
        broken: vec![Found::new(Harm::Broken, text)],
        ..Told::default()
    };
    match catch_unwind(AssertUnwindSafe(|| schedule(seed, tell))) {
        Ok(Ok(told)) => told,
        Ok(Err(e)) => broken(e.to_string()),
        Err(panic) => broken(words(panic)),
    }
}

/// What was said in a panic.
pub(super) fn words(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => match panic.downcast::<&str>() {
            Ok(text) => (*text).to_owned(),
            Err(_) => "it panicked".to_owned(),
        },
    }
}

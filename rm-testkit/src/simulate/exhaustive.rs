//! Every fault, and every pair of faults, at every boundary of create, resize
//! and delete with two engines.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::again::words;
use super::harm::{Found, Harm};
use super::trial::{At, Part, Ran, Setting, is_backend, lone, trial, troubles};
use crate::world::{Boundary, PENDING, TaskId};

/// What is asked of the store again and again while there is nothing to do.
const IDLE: [&str; 5] = [
    "before next due",
    "after next due",
    "before next end",
    "after next end",
    PENDING,
];

/// What kind of boundary it is, as the table names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Before or after a commit.
    Journal,
    /// Before or after another call of the store.
    Store,
    /// Before or after a call of the backend.
    Backend,
    /// A poll after which the engine waits.
    Pending,
}

impl Class {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::Journal, Self::Store, Self::Backend, Self::Pending];

    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Journal => "journal (commits)",
            Self::Store => "other store calls",
            Self::Backend => "backend calls",
            Self::Pending => "pending polls",
        }
    }

    fn of(name: &str) -> Self {
        if name == PENDING {
            Self::Pending
        } else if is_backend(name) {
            Self::Backend
        } else if name.contains(" commit") {
            Self::Journal
        } else {
            Self::Store
        }
    }
}

/// What came of all trials.
#[derive(Debug, Default)]
pub struct Exhaustive {
    /// Boundaries of the faultless run: how many there are, and at how many an
    /// engine crashed.
    pub coverage: BTreeMap<(Part, Class), (u64, u64)>,
    /// Boundaries that are like another one, for nothing happened in between.
    pub idle: u64,
    /// Trials with one fault, by part.
    pub singles: BTreeMap<Part, u64>,
    /// Trials with two, by the part of the first.
    pub pairs: BTreeMap<Part, u64>,
    /// First faults after whose part something else was there than without it,
    /// so that second ones in later parts were tried as well.
    pub carried: u64,
    /// Trials in which an operation was refused, failed or was put into
    /// quarantine, and ended well when somebody asked again.
    pub asked_again: u64,
    /// What did harm, and the words with which that trial alone is made again
    /// (see [`replay_trial`](super::replay_trial)).
    pub failed: Vec<(String, Vec<Found>)>,
}

impl Exhaustive {
    fn merge(&mut self, other: Self) {
        for (at, (there, hit)) in other.coverage {
            let both = self.coverage.entry(at).or_default();
            both.0 += there;
            both.1 += hit;
        }
        self.idle += other.idle;
        for (part, n) in other.singles {
            *self.singles.entry(part).or_default() += n;
        }
        for (part, n) in other.pairs {
            *self.pairs.entry(part).or_default() += n;
        }
        self.carried += other.carried;
        self.asked_again += other.asked_again;
        self.failed.extend(other.failed);
    }

    /// All trials.
    pub fn trials(&self) -> u64 {
        self.singles.values().chain(self.pairs.values()).sum()
    }

    fn judge(&mut self, setting: Setting, faults: &[At], ran: &Ran) {
        let broken = harms(faults, ran);
        self.asked_again += u64::from(ran.asked_again && broken.is_empty());
        if !broken.is_empty() {
            self.failed.push((words(setting, faults), broken));
        }
    }
}

/// What harm a trial did; one in which a fault had no place proves nothing.
pub(super) fn harms(faults: &[At], ran: &Ran) -> Vec<Found> {
    let mut broken = ran.broken.clone();
    if ran.struck < faults.len() {
        let text = format!("only {} of {} faults happened", ran.struck, faults.len());
        broken.push(Found::new(Harm::Broken, text));
    }
    broken
}

/// The boundaries from number `after` on that differ from each other, counted
/// from 1, and how many are left out. Between two at which an engine only asks
/// what time it is to work again, and at which neither engine has done anything
/// else in between, nothing has changed but the time.
fn distinct(trace: &[Boundary], after: u64) -> (Vec<(u64, Boundary)>, u64) {
    let mut seen: BTreeSet<(TaskId, &str)> = BTreeSet::new();
    let mut found = Vec::new();
    let mut left = 0;
    for (n, at) in (1..).zip(trace) {
        let idle = IDLE.contains(&at.name);
        if !idle {
            seen.clear();
        }
        if idle && !seen.insert((at.task, at.name)) {
            left += u64::from(n > after);
        } else if n > after {
            found.push((n, *at));
        }
    }
    (found, left)
}

/// Every single fault, and with `pairs` every pair. `tell` is told now and then
/// how many first faults are done, of how many, and how many trials there were.
pub fn exhaustive(pairs: bool, tell: &mut dyn FnMut(usize, usize, u64)) -> Exhaustive {
    let mut all = Exhaustive::default();
    // Whether there are second ones behind it, too.
    let mut firsts: Vec<(Setting, [String; 3], At, bool)> = Vec::new();
    let usual = |seed| Setting {
        seed,
        lags: false,
        replaces: false,
    };
    let lags = Setting {
        lags: true,
        ..usual(0)
    };
    let replaces = Setting {
        replaces: true,
        ..usual(0)
    };
    for setting in (0..4).map(usual).chain([lags, replaces]) {
        let sound = guarded(setting, &[]);
        all.judge(setting, &[], &sound);
        for (part, trace) in Part::ALL.into_iter().zip(&sound.traces) {
            let (found, left) = distinct(trace, 0);
            all.idle += left;
            for (n, at) in found {
                let class = Class::of(at.name);
                all.coverage.entry((part, class)).or_default().0 += 1;
                // One order of the two engines is enough for pairs.
                let pairs = pairs && setting == usual(0);
                let paired = troubles(at.name).into_iter().map(|t| (t, pairs));
                let alone = lone(setting, part, at.name).into_iter().map(|t| (t, false));
                firsts.extend(paired.chain(alone).map(|(trouble, pairs)| {
                    let first = (part, n, trouble);
                    (setting, sound.rests.clone(), first, pairs)
                }));
            }
        }
    }
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (done, parts) = mpsc::channel::<Exhaustive>();
    let mut first = 0;
    thread::scope(|scope| {
        for _ in 0..threads {
            let (next, done, firsts) = (&next, done.clone(), &firsts);
            scope.spawn(move || {
                while let Some((setting, rests, first, pairs)) =
                    firsts.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    if done.send(from(*setting, rests, *first, *pairs)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        for part in parts {
            first += 1;
            all.merge(part);
            tell(first, firsts.len(), all.trials());
        }
    });
    all
}

/// A first fault, and every second one behind it.
fn from(setting: Setting, rests: &[String; 3], first: At, pairs: bool) -> Exhaustive {
    let mut all = Exhaustive::default();
    let (part, n, trouble) = first;
    let ran = guarded(setting, &[first]);
    all.judge(setting, &[first], &ran);
    *all.singles.entry(part).or_default() += 1;
    let own = usize::from(part as u8);
    if trouble == crate::world::Trouble::Crash
        && let Some(at) = usize::try_from(n - 1)
            .ok()
            .and_then(|n| ran.traces[own].get(n))
    {
        all.coverage
            .entry((part, Class::of(at.name)))
            .or_default()
            .1 += 1;
    }
    if !pairs {
        return all;
    }
    let differs = ran.rests[own] != rests[own];
    all.carried += u64::from(differs);
    for (later, trace) in Part::ALL.into_iter().zip(&ran.traces) {
        let after = match later {
            _ if later < part => continue,
            _ if later == part => n,
            _ if differs => 0,
            _ => continue,
        };
        for (m, at) in distinct(trace, after).0 {
            for trouble in troubles(at.name) {
                let faults = [first, (later, m, trouble)];
                all.judge(setting, &faults, &guarded(setting, &faults));
                *all.pairs.entry(part).or_default() += 1;
            }
        }
    }
    all
}

/// A trial that panics is told as one that did harm.
pub(super) fn guarded(setting: Setting, faults: &[At]) -> Ran {
    let broken = |text: String| Ran {
        broken: vec![Found::new(Harm::Broken, text)],
        struck: faults.len(),
        ..Ran::default()
    };
    match catch_unwind(AssertUnwindSafe(|| trial(setting, faults))) {
        Ok(Ok(ran)) => ran,
        Ok(Err(e)) => broken(e.to_string()),
        Err(panic) => broken(super::many::words(panic)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::simulate::replay_trial;
    use crate::world::Trouble;

    #[test]
    fn a_trial_that_did_harm_is_made_again_by_its_words_alone() {
        let setting = Setting {
            seed: 1,
            lags: true,
            replaces: false,
        };
        // There is no such boundary: the crash cannot happen, which is harm.
        let faults = [(Part::Resize, 1_000_000, Trouble::Crash)];
        let mut all = Exhaustive::default();
        all.judge(setting, &faults, &guarded(setting, &faults));
        let (words, broken) = all.failed.pop().unwrap();
        assert_eq!(words, "1 lags: resize 1000000 Crash");
        assert_eq!(replay_trial(&words), Ok(broken));
    }

    #[test]
    fn a_trial_without_harm_stays_without_when_it_is_made_again() {
        assert_eq!(replay_trial("0: create 3 Crash"), Ok(Vec::new()));
    }

    const USUAL: Setting = Setting {
        seed: 0,
        lags: false,
        replaces: false,
    };

    #[test]
    fn only_what_repeats_while_nothing_else_happens_is_left_out() {
        let sound = guarded(USUAL, &[]);
        for trace in &sound.traces {
            let (found, left) = distinct(trace, 0);
            let kept: BTreeSet<u64> = found.iter().map(|(n, _)| *n).collect();
            assert_eq!(kept.len() as u64 + left, trace.len() as u64);
            for (n, at) in (1_u64..).zip(trace).filter(|(n, _)| !kept.contains(n)) {
                assert!(IDLE.contains(&at.name), "{n} {}", at.name);
                // Walking back over idle boundaries alone comes to a kept one
                // of the same engine.
                let before = (1..).zip(trace).take(usize::try_from(n - 1).unwrap());
                let before: Vec<(u64, &Boundary)> = before.collect();
                let idle = before
                    .iter()
                    .rev()
                    .take_while(|(_, b)| IDLE.contains(&b.name));
                let same = |(m, b): &(u64, &Boundary)| {
                    kept.contains(m) && (b.task, b.name) == (at.task, at.name)
                };
                assert!(idle.clone().any(same), "{n} {}", at.name);
            }
        }
    }

    #[test]
    fn an_engine_crashes_at_every_boundary_of_one_order_without_harm() {
        let sound = guarded(USUAL, &[]);
        let mut all = Exhaustive::default();
        for (part, trace) in Part::ALL.into_iter().zip(&sound.traces) {
            for (n, at) in distinct(trace, 0).0 {
                let class = Class::of(at.name);
                all.coverage.entry((part, class)).or_default().0 += 1;
                let crash = (part, n, Trouble::Crash);
                all.merge(from(USUAL, &sound.rests, crash, false));
            }
            for class in Class::ALL {
                let (there, _) = all.coverage[&(part, class)];
                assert!(there >= 4, "{there} {} of {part:?}", class.as_str());
            }
        }
        assert!(all.failed.is_empty() && all.is_covered(), "{all}");
    }
    /// What is tried alone, in a share: every call that goes wrong so, and one
    /// deed of others at each boundary, each in its turn.
    fn share(setting: Setting) -> Exhaustive {
        let sound = guarded(setting, &[]);
        let mut all = Exhaustive::default();
        for (part, trace) in Part::ALL.into_iter().zip(&sound.traces) {
            for (turn, (n, at)) in distinct(trace, 0).0.into_iter().enumerate() {
                let here = lone(setting, part, at.name);
                let is_deed = |t: &Trouble| matches!(t, Trouble::Deed(_));
                let (deeds, calls): (Vec<_>, Vec<_>) = here.into_iter().partition(is_deed);
                let deed = deeds[turn % deeds.len()];
                for trouble in calls.into_iter().chain([deed]) {
                    let first = (part, n, trouble);
                    all.merge(from(setting, &sound.rests, first, false));
                }
            }
        }
        all
    }

    #[test]
    fn whatever_others_do_while_an_engine_is_at_a_boundary_ends_well() {
        let all = share(USUAL);
        assert!(all.failed.is_empty() && all.trials() > 100, "{all}");
        // What others do is felt, and not by every trial.
        assert!((20..all.trials() / 2).contains(&all.asked_again), "{all}");
    }

    #[test]
    fn whatever_others_do_ends_well_where_lists_lag_and_things_are_replaced() {
        for (lags, replaces) in [(true, false), (false, true)] {
            let setting = Setting {
                lags,
                replaces,
                ..USUAL
            };
            let all = share(setting);
            assert!(all.failed.is_empty() && all.trials() > 100, "{all}");
        }
    }
}

//! Where tasks can be interrupted, how often that was, and what happens there.
//!
//! Boundaries are found by wrapping: whatever wraps a store or a backend
//! passes a *point* before and after each call, and the executor counts each
//! poll after which a task waits for something else.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rm_core::env::Timestamp;

use super::TaskId;
use crate::cloud::Fault;
use crate::store::StoreFault;

/// The name of the boundary after a poll that did not end a task.
pub(crate) const PENDING: &str = "pending";

/// What happens to a task at a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// It is dropped where it stands.
    Crash,
    /// It is not polled any more for so long, or until somebody resumes it.
    Stall(Option<Duration>),
    /// The clock of its process steps by so many milliseconds.
    Clock(i64),
    /// The call of the store goes wrong.
    Store(StoreFault),
    /// The call of the backend goes wrong.
    Call(Fault),
    /// Somebody else does something. The task waits until it is done: see
    /// [`World::deed`](super::World::deed).
    Deed(Deed),
}

/// What is not the task's own: it befalls a site, an account, the store or the
/// tenant while a task is at a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    /// The site does not answer for a while.
    SiteAway,
    /// The site has no room for a while.
    SiteFull,
    /// Somebody asks for more than the tenant may have.
    TooMuch,
    /// The credential is not accepted for a while.
    Expired,
    /// The password is another one, and a moment later ours is, too.
    Rotated,
    /// The credential may not delete for a while.
    CannotDelete,
    /// The site refuses to delete for a while.
    DeleteRefused,
    /// Somebody removes what is ours and makes something of its name.
    NameTaken,
    /// The same, with the mark that a copy of our store would put on it.
    NameCopied,
    /// Another installation comes to life on the account.
    Sibling,
    /// No engine reaches the store for a while.
    StoreAway,
}

impl Deed {
    /// Every value.
    pub(crate) const ALL: [Self; 11] = [
        Self::SiteAway,
        Self::SiteFull,
        Self::TooMuch,
        Self::Expired,
        Self::Rotated,
        Self::CannotDelete,
        Self::DeleteRefused,
        Self::NameTaken,
        Self::NameCopied,
        Self::Sibling,
        Self::StoreAway,
    ];
}

/// What became of a task at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// It goes on, perhaps with a trouble.
    On(Option<Trouble>),
    /// It never gets any further.
    Never,
}

/// One boundary that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Boundary {
    /// By which task.
    pub(crate) task: TaskId,
    /// Where.
    pub(crate) name: &'static str,
}

/// A trouble that is to happen.
#[derive(Debug)]
struct Order {
    /// To a task whose label begins like this.
    victim: String,
    /// At this boundary of such tasks, counted down.
    left: u64,
    trouble: Trouble,
}

/// How often tasks of a label passed which boundary.
#[derive(Debug)]
struct Passages {
    label: String,
    points: Vec<(&'static str, u64)>,
}

/// Counts boundaries and knows what is to happen at which.
#[derive(Debug, Default)]
pub(crate) struct Boundaries {
    /// By label; a task knows the place of its own.
    passed: Vec<Passages>,
    orders: Vec<Order>,
    /// A task waits at a point: that it is pending is no boundary of its own.
    at_point: bool,
    trace: Option<(String, Vec<Boundary>)>,
    strikes: Vec<(Boundary, Trouble, Timestamp)>,
    /// Who waits for which deed.
    deeds: VecDeque<(TaskId, Deed)>,
}

impl Boundaries {
    /// The one trouble that is to happen, at boundary number `n` from now on.
    pub(crate) fn order(&mut self, victim: &str, n: u64, trouble: Trouble) {
        self.clear();
        self.order_also(victim, n, trouble);
    }

    /// Forgets everything that was ordered and that has happened.
    pub(crate) fn clear(&mut self) {
        self.orders.clear();
        self.strikes.clear();
    }

    /// One more.
    pub(crate) fn order_also(&mut self, victim: &str, n: u64, trouble: Trouble) {
        self.orders.push(Order {
            victim: victim.to_owned(),
            left: n,
            trouble,
        });
    }

    /// Nothing is to happen any more.
    pub(crate) fn disarm(&mut self) {
        self.orders.clear();
    }

    /// Writes down every boundary that tasks of this label pass from now on.
    pub(crate) fn record(&mut self, label: &str) {
        self.trace = Some((label.to_owned(), Vec::new()));
    }

    /// The next deed that is to be done, and who waits for it.
    pub(crate) fn deed(&mut self) -> Option<(TaskId, Deed)> {
        self.deeds.pop_front()
    }

    /// What was written down; nothing more is.
    pub(crate) fn recorded(&mut self) -> Vec<Boundary> {
        self.trace
            .take()
            .map(|(_, trace)| trace)
            .unwrap_or_default()
    }

    /// Where the newest trouble happened.
    pub(crate) fn struck(&self) -> Option<Boundary> {
        self.strikes.last().map(|(at, ..)| *at)
    }

    /// Every trouble that has happened, and when.
    pub(crate) fn strikes(&self) -> Vec<(Boundary, Trouble, Timestamp)> {
        self.strikes.clone()
    }

    /// How many boundaries were passed by tasks whose label begins like this.
    pub(crate) fn total(&self, label: &str) -> u64 {
        self.passed
            .iter()
            .filter(|place| place.label.starts_with(label))
            .flat_map(|place| place.points.iter().map(|(_, n)| n))
            .sum()
    }

    /// The same by name.
    pub(crate) fn histogram(&self, label: &str) -> BTreeMap<&'static str, u64> {
        let mut all = BTreeMap::new();
        for (name, n) in self
            .passed
            .iter()
            .filter(|place| place.label.starts_with(label))
            .flat_map(|place| &place.points)
        {
            *all.entry(*name).or_default() += n;
        }
        all
    }

    /// Where tasks of this label are counted.
    pub(super) fn place(&mut self, label: &str) -> usize {
        let known = self.passed.iter().position(|place| place.label == label);
        known.unwrap_or_else(|| {
            self.passed.push(Passages {
                label: label.to_owned(),
                points: Vec::new(),
            });
            self.passed.len() - 1
        })
    }

    /// A task is polled.
    pub(super) fn begin(&mut self) {
        self.at_point = false;
    }

    /// A task waits for something.
    pub(super) fn pend(&mut self, place: usize, task: TaskId, now: Timestamp) -> Option<Trouble> {
        if std::mem::take(&mut self.at_point) {
            return None;
        }
        self.at(place, task, PENDING, now)
    }

    /// A task is before or after a call.
    pub(super) fn pass(
        &mut self,
        place: usize,
        task: TaskId,
        name: &'static str,
        now: Timestamp,
    ) -> Option<Trouble> {
        self.at(place, task, name, now)
    }

    /// It lets others run there.
    pub(super) fn rest(&mut self) {
        self.at_point = true;
    }

    fn at(
        &mut self,
        place: usize,
        task: TaskId,
        name: &'static str,
        now: Timestamp,
    ) -> Option<Trouble> {
        let Passages { label, points } = self.passed.get_mut(place)?;
        // The same word is nearly always at the same address, and what is passed
        // most often comes first.
        match points
            .iter()
            .position(|(known, _)| std::ptr::eq(*known, name))
        {
            Some(at) => {
                points[at].1 += 1;
                if at > 0 && points[at - 1].1 < points[at].1 {
                    points.swap(at - 1, at);
                }
            }
            None => points.push((name, 1)),
        }
        let here = Boundary { task, name };
        if let Some((watched, trace)) = &mut self.trace
            && label.starts_with(watched.as_str())
        {
            trace.push(here);
        }
        let mut trouble = None;
        for order in &mut self.orders {
            if !label.starts_with(order.victim.as_str()) {
                continue;
            }
            order.left = order.left.saturating_sub(1);
            if order.left == 0 && trouble.is_none() {
                trouble = Some(order.trouble);
                if let Trouble::Deed(deed) = order.trouble {
                    self.deeds.push_back((task, deed));
                }
                self.strikes.push((here, order.trouble, now));
            }
        }
        if trouble.is_some() {
            self.orders.retain(|order| order.left > 0);
        }
        trouble
    }
}

//! What is in hand for one account: which looks and calls are next.

use std::collections::VecDeque;
use std::time::Duration;

use crate::driver::Sight;
use crate::env::Timestamp;
use crate::record::Effect;
use crate::store::{Claim, Queue};

/// Of so many calls at an account one is for what is swept, where both wait.
const TURN: u32 = 8;

/// How long an account is left alone at most while many calls are under way:
/// what a look at all of them costs the site is missing for these.
const BUSY: Duration = Duration::from_secs(20);

/// How long at most while only looks are wanted.
const MANY: Duration = Duration::from_secs(8);

/// How long it is left alone while it has all that it gets in hand and only
/// looks are wanted: whoever is next in line waits for this look.
const CROWDED: Duration = Duration::from_secs(1);

/// How long what a site tells is gathered before it is looked at again, so that
/// a thing that never comes to rest does not keep the site busy.
pub(super) const GATHER: Duration = Duration::from_millis(50);

/// One call on a real thing that is to be made.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) claim: Claim,
    pub(super) call: Call,
}

#[derive(Debug)]
pub(super) enum Call {
    /// An effect, on what was seen just now where something was.
    Act(Effect, Option<Box<Sight>>),
    /// A close look at what works.
    LookClosely(Box<Sight>),
    /// Whose it is, written down with what works.
    Note(Box<Sight>),
}

/// What is in hand for one account.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Claims that wait for the next look.
    pub(super) looks: Vec<Claim>,
    /// Calls that wait for a free slot, and for which somebody waits.
    pub(super) jobs: VecDeque<Job>,
    /// Those for what was only to be looked at again.
    pub(super) chores: VecDeque<Job>,
    /// How many calls were begun since the last of those.
    pub(super) since: u32,
    /// Whether a look is under way: at most one at a time.
    pub(super) looking: bool,
    /// Calls under way.
    pub(super) acting: u32,
    /// How many of them are for what was only to be looked at again.
    pub(super) sweeping: u32,
    /// All claims that are here, in a look, or in a call.
    pub(super) in_hand: Tally,
    /// Claims in the look under way.
    pub(super) seeing: Tally,
    /// How many calls may be under way at once; known after the first claim.
    pub(super) slots: u32,
    /// When the last look ended.
    pub(super) looked: Timestamp,
    /// How many it saw still under way.
    pub(super) waiting: usize,
    /// How many claims the account gets at once; known after the first one.
    pub(super) share: Tally,
    /// Whether the site tells of what happens.
    pub(super) tells: bool,
    /// Whether somebody listens to it.
    pub(super) heard: bool,
    /// Claims of which the site has told: they do not wait for the others.
    pub(super) told: Vec<Claim>,
    /// Whether a look at what was told is under way: at most one at a time.
    pub(super) telling: bool,
    /// Claims in it.
    pub(super) told_seeing: Tally,
    /// When the last of these looks ended.
    pub(super) told_looked: Timestamp,
}

/// How many claims, by the queue they were taken from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) awaited: usize,
    pub(super) sweep: usize,
}

impl Tally {
    pub(super) fn of<'a>(claims: impl IntoIterator<Item = &'a Claim>) -> Self {
        let mut tally = Self::default();
        for claim in claims {
            *tally.at(claim.queue) += 1;
        }
        tally
    }

    pub(super) fn at(&mut self, queue: Queue) -> &mut usize {
        match queue {
            Queue::Awaited => &mut self.awaited,
            Queue::Sweep => &mut self.sweep,
        }
    }

    pub(super) fn get(mut self, queue: Queue) -> usize {
        *self.at(queue)
    }
}

impl Desk {
    /// Claims were given back; those for the calls that are left were not.
    pub(super) fn seen(&mut self, claims: Tally, jobs: Vec<Job>) {
        let left = Tally::of(jobs.iter().map(|job| &job.claim));
        for queue in Queue::ALL {
            let done = claims.get(queue).saturating_sub(left.get(queue));
            let in_hand = self.in_hand.at(queue);
            *in_hand = in_hand.saturating_sub(done);
        }
        self.queue(jobs);
    }

    /// A call is over.
    pub(super) fn acted(&mut self, queue: Queue) {
        self.acting = self.acting.saturating_sub(1);
        if queue == Queue::Sweep {
            self.sweeping = self.sweeping.saturating_sub(1);
        }
        let in_hand = self.in_hand.at(queue);
        *in_hand = in_hand.saturating_sub(1);
    }

    /// The next call, where there is a free slot. Of the slots half are for what
    /// somebody waits for, who comes before all else; but not every time.
    pub(super) fn next_job(&mut self) -> Option<Job> {
        if self.acting >= self.slots {
            return None;
        }
        let its_turn = self.jobs.is_empty() || self.since >= TURN;
        let may_sweep = its_turn && self.sweeping < (self.slots / 2).max(1);
        let chore = if may_sweep {
            self.chores.pop_front()
        } else {
            None
        };
        let job = match chore {
            Some(chore) => {
                self.since = 0;
                self.sweeping += 1;
                chore
            }
            None => {
                let job = self.jobs.pop_front()?;
                self.since = self.since.saturating_add(1);
                job
            }
        };
        self.acting += 1;
        Some(job)
    }

    /// Not before this is looked at what was told.
    pub(super) fn next_told(&self) -> Timestamp {
        self.told_looked.plus(GATHER)
    }

    /// Not before this is the account looked at again: the more there are
    /// under way, the less often, so that looks stay a small part of what the
    /// site has to do. It comes nearer as there are fewer.
    pub(super) fn next_look(&self) -> Timestamp {
        // What is settled only has its turn of the sweep: it keeps nobody waiting.
        let unsettled = |claim: &&Claim| !claim.row.record.seen.is_settled();
        let waiting = self
            .waiting
            .max(self.looks.iter().filter(unsettled).count());
        let under_way = u64::try_from(waiting + self.jobs.len()).unwrap_or(50);
        // A hundred: 8 s. Ten: a quarter of a second.
        let by_number = Duration::from_millis((under_way * under_way.isqrt() * 8).max(100));
        // Calls keep the site busy; looking would only compete with them, and
        // miss what they are about to make.
        let many_calls = self.acting > 1 && self.acting > self.slots / 2;
        let is_full = |queue: Queue| self.in_hand.get(queue) >= self.share.get(queue);
        let crowded = Queue::ALL.into_iter().any(is_full);
        self.looked.plus(match self.jobs.is_empty() && !many_calls {
            true if crowded => by_number.min(CROWDED),
            true => by_number.min(MANY),
            false => BUSY,
        })
    }

    /// Queues calls: what works already before what must still be made, for
    /// somebody waits for it and it takes little.
    fn queue(&mut self, jobs: Vec<Job>) {
        let is_chore = |job: &Job| job.claim.queue == Queue::Sweep;
        let (chores, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(is_chore);
        self.chores.extend(chores);
        let is_look = |job: &Job| matches!(job.call, Call::LookClosely(_));
        let (looks, effects): (Vec<_>, Vec<_>) = jobs.into_iter().partition(is_look);
        for look in looks.into_iter().rev() {
            self.jobs.push_front(look);
        }
        self.jobs.extend(effects);
    }
}

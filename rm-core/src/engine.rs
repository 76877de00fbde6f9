//! The engine: takes every resource to where it is wanted.
//!
//! It claims what is due, looks at all of an account in one call, and carries
//! out what its function `decide` says, with one commit before an effect and one after
//! it. It may be dropped at any await and started again anywhere.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, poll};

use crate::driver::Sight;
use crate::env::Timestamp;
use crate::error::{ErrorKind, Result};
use crate::host::Core;
use crate::id::CatalogId;
use crate::installation;
use crate::record::{Effect, ResourceRecord};
use crate::store::{self, Claim};

mod act;
mod change;
mod closely;
mod decide;
mod house;
mod leases;
mod look;
mod moved;
mod note;
mod orphans;
mod replace;
mod watch;
mod write;

pub(crate) use orphans::found_before;

/// Resources of one account are looked at together.
type Account = (String, CatalogId, CatalogId);

/// An account that has this part of all that is in hand (a quarter) gets no
/// more for now, so that a site that is away or slow does not starve the
/// others.
const SHARE: usize = 4;

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
const GATHER: Duration = Duration::from_millis(50);

/// The engine of one host. Several, in one process or in many, may share a
/// store; none is special.
#[derive(Debug)]
pub struct Engine {
    core: Arc<Core>,
}

/// One call on a real thing that is to be made.
#[derive(Debug)]
struct Job {
    claim: Claim,
    call: Call,
}

#[derive(Debug)]
enum Call {
    /// An effect, on what was seen just now where something was.
    Act(Effect, Option<Box<Sight>>),
    /// A close look at what works.
    LookClosely(Box<Sight>),
    /// Whose it is, written down with what works.
    Note(Box<Sight>),
}

/// What is in hand for one account.
#[derive(Debug, Default)]
struct Desk {
    /// Claims that wait for the next look.
    looks: Vec<Claim>,
    /// Calls that wait for a free slot.
    jobs: VecDeque<Job>,
    /// Whether a look is under way: at most one at a time.
    looking: bool,
    /// Calls under way.
    acting: u32,
    /// Claims in the look under way.
    seeing: usize,
    /// How many calls may be under way at once; known after the first claim.
    slots: u32,
    /// When the last look ended.
    looked: Timestamp,
    /// How many it saw still under way.
    waiting: usize,
    /// How many claims the account gets at once; known after the first one.
    share: usize,
    /// Whether the site tells of what happens.
    tells: bool,
    /// Whether somebody listens to it.
    heard: bool,
    /// Claims of which the site has told: they do not wait for the others.
    told: Vec<Claim>,
    /// Claims in the look under way at what was told: at most one at a time.
    told_seeing: usize,
    /// When the last of these looks ended.
    told_looked: Timestamp,
}

impl Desk {
    fn in_hand(&self) -> usize {
        let acting = usize::try_from(self.acting).unwrap_or(usize::MAX);
        let told = self.told.len() + self.told_seeing;
        self.looks.len() + self.jobs.len() + self.seeing + acting + told
    }

    /// Not before this is looked at what was told.
    fn next_told(&self) -> Timestamp {
        self.told_looked.plus(GATHER)
    }

    /// Not before this is the account looked at again: the more there are
    /// under way, the less often, so that looks stay a small part of what the
    /// site has to do. It comes nearer as there are fewer.
    fn next_look(&self) -> Timestamp {
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
        let crowded = self.in_hand() >= self.share;
        self.looked.plus(match self.jobs.is_empty() && !many_calls {
            true if crowded => by_number.min(CROWDED),
            true => by_number.min(MANY),
            false => BUSY,
        })
    }

    /// Queues calls: what works already before what must still be made, for
    /// somebody waits for it and it takes little.
    fn queue(&mut self, jobs: Vec<Job>) {
        let is_look = |job: &Job| matches!(job.call, Call::LookClosely(_));
        let (looks, effects): (Vec<_>, Vec<_>) = jobs.into_iter().partition(is_look);
        for look in looks.into_iter().rev() {
            self.jobs.push_front(look);
        }
        self.jobs.extend(effects);
    }
}

/// What came of a piece of work.
enum Done {
    Looked {
        account: Account,
        jobs: Vec<Job>,
        waiting: usize,
        told: bool,
    },
    Acted {
        account: Account,
    },
    /// Nobody listens there any more.
    Deaf {
        account: Account,
    },
    /// Accounts that have something, since the engine began.
    Found(Vec<Account>),
    Scanned,
    /// What was over is ended; when to come again.
    Reaped(Timestamp),
}

impl Engine {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Works until `stop` ends. What is under way then is dropped where it
    /// stands; whoever claims it next goes on from there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] where the store is another installation's: see
    /// [`crate::Host::own_store`].
    pub async fn run(&self, stop: impl Future<Output = ()>) -> Result<()> {
        let work = std::pin::pin!(self.work());
        match select(std::pin::pin!(stop), work).await {
            Either::Left(_) => Ok(()),
            Either::Right((Err(e), _)) => Err(e),
        }
    }

    async fn work(&self) -> Result<Infallible> {
        let core = &*self.core;
        self.own_store().await?;
        let mut desks: BTreeMap<Account, Desk> = BTreeMap::new();
        let mut running: FuturesUnordered<BoxFuture<'_, Done>> = FuturesUnordered::new();
        let mut tidy = core.env.now();
        // Nothing while it is done: much may end together, and all else goes on.
        let mut reap = Some(core.env.now());
        let mut scan = self.next_scan();
        running.push(Box::pin(self.tellers()));
        // Until then there is nothing to claim, as long as nobody in this
        // process writes and nothing in hand is done.
        let mut quiet: Option<(u64, Timestamp)> = None;
        loop {
            let heard = core.bell.rung();
            let now = core.env.now();
            if reap.is_some_and(|at| at <= now) {
                // Who has nothing to do wakes up once for both questions.
                quiet = None;
                let mut reaping = Box::pin(self.reap());
                // Mostly nothing is over, and that is known at once.
                reap = match poll!(&mut reaping) {
                    Poll::Ready(again) => Some(again),
                    Poll::Pending => {
                        running.push(Box::pin(async move { Done::Reaped(reaping.await) }));
                        None
                    }
                };
            }
            if tidy <= now {
                tidy = self.tidy().await;
            }
            if scan.is_some_and(|at| at <= now) {
                scan = None;
                running.push(Box::pin(self.scan()));
            }
            let asked = quiet.filter(|(asked, until)| *asked == heard && now < *until);
            let mut pause = match asked {
                Some((_, until)) => until.since(now),
                None => match self.claim(&mut desks).await {
                    Ok(pause) => pause,
                    Err(e) => {
                        tracing::warn!(error = %e, "the store gives no work");
                        Duration::from_secs(1)
                    }
                },
            };
            let now = core.env.now();
            quiet = Some((heard, now.plus(pause)));
            if let Some(at) = reap {
                pause = pause.min(at.since(now));
            }
            for (account, desk) in &mut desks {
                while desk.acting < desk.slots
                    && let Some(job) = desk.jobs.pop_front()
                {
                    desk.acting += 1;
                    running.push(Box::pin(self.call(account.clone(), job)));
                }
                if !desk.looks.is_empty() && !desk.looking {
                    let next_look = desk.next_look();
                    if next_look <= now {
                        desk.looking = true;
                        let claims = std::mem::take(&mut desk.looks);
                        desk.seeing = claims.len();
                        running.push(Box::pin(self.look(account.clone(), claims, false)));
                    } else {
                        pause = pause.min(next_look.since(now));
                    }
                }
                if !desk.told.is_empty() && desk.told_seeing == 0 {
                    let next_told = desk.next_told();
                    if next_told <= now {
                        let claims = std::mem::take(&mut desk.told);
                        desk.told_seeing = claims.len();
                        running.push(Box::pin(self.look(account.clone(), claims, true)));
                    } else {
                        pause = pause.min(next_told.since(now));
                    }
                }
                if desk.tells && !std::mem::replace(&mut desk.heard, true) {
                    running.push(Box::pin(self.listen(account.clone())));
                }
            }
            if running.is_empty() {
                core.news(heard, pause).await;
                continue;
            }
            let news = std::pin::pin!(core.news(heard, pause));
            let done = match select(running.next(), news).await {
                Either::Left((done, _)) => done,
                Either::Right(_) => None,
            };
            // Whoever ends a lease writes, and rings.
            if !matches!(done, None | Some(Done::Reaped(_) | Done::Scanned)) {
                quiet = None;
            }
            match done {
                Some(Done::Looked {
                    account,
                    jobs,
                    told: true,
                    ..
                }) => {
                    let desk = desks.entry(account).or_default();
                    desk.told_seeing = 0;
                    desk.told_looked = core.env.now();
                    desk.queue(jobs);
                }
                Some(Done::Looked {
                    account,
                    jobs,
                    waiting,
                    ..
                }) => {
                    let desk = desks.entry(account).or_default();
                    desk.looking = false;
                    desk.seeing = 0;
                    desk.queue(jobs);
                    desk.looked = core.env.now();
                    desk.waiting = waiting;
                }
                Some(Done::Acted { account }) => {
                    let desk = desks.entry(account).or_default();
                    desk.acting = desk.acting.saturating_sub(1);
                }
                Some(Done::Deaf { account }) => {
                    // It is tried again when something of theirs is due.
                    let desk = desks.entry(account).or_default();
                    (desk.tells, desk.heard) = (false, false);
                }
                Some(Done::Found(accounts)) => {
                    for account in accounts {
                        desks.entry(account).or_default().tells = true;
                    }
                }
                Some(Done::Scanned) => scan = self.next_scan(),
                Some(Done::Reaped(again)) => reap = Some(again),
                None => {}
            }
        }
    }

    /// How many claims one account gets at once.
    fn share(&self) -> usize {
        let all = usize::try_from(self.core.policy.in_hand).unwrap_or(usize::MAX);
        all.div_ceil(SHARE).max(1)
    }

    /// Claims what is due, puts it on the desks, and answers after what time
    /// more may be due.
    async fn claim(&self, desks: &mut BTreeMap<Account, Desk>) -> Result<Duration> {
        /// What another process writes is not heard of.
        const AT_MOST: Duration = Duration::from_millis(500);
        const BEHIND: Duration = Duration::from_millis(100);
        let core = &*self.core;
        let all = usize::try_from(core.policy.in_hand).unwrap_or(usize::MAX);
        let share = self.share();
        let in_hand: usize = desks.values().map(Desk::in_hand).sum();
        if in_hand >= all {
            return Ok(AT_MOST);
        }
        let full: Vec<store::Account> = desks
            .iter()
            .filter(|(_, desk)| desk.in_hand() >= share)
            .map(|((_, site, credential), _)| (*site, *credential))
            .collect();
        match core.store.next_due(&full).await? {
            Some(due) if due <= core.env.now() => {}
            Some(due) => return Ok(due.since(core.env.now()).min(AT_MOST)),
            None => return Ok(AT_MOST),
        }
        // No more than a share at once, for all of it may be of one account.
        let room = u32::try_from((all - in_hand).min(share)).unwrap_or(u32::MAX);
        let claims = core
            .store
            .claim(core.instance, core.policy.lease, room, &full)
            .await?;
        // What is due by our clock and not by the store's is not to be asked for
        // again and again.
        let at_least = match claims.is_empty() {
            true => BEHIND,
            false => Duration::ZERO,
        };
        for claim in claims {
            self.sort(desks, claim).await;
        }
        Ok(match core.store.next_due(&full).await? {
            Some(due) => due.since(core.env.now()).clamp(at_least, AT_MOST),
            None => AT_MOST,
        })
    }

    /// Waits for the store to say whose it is.
    async fn own_store(&self) -> Result<()> {
        loop {
            match installation::own(&self.core).await {
                Err(e) if e.kind() != ErrorKind::Conflict => {
                    tracing::warn!(error = %e, "the store cannot be read");
                    self.core.env.sleep(Duration::from_secs(1)).await;
                }
                done => return done,
            }
        }
    }

    fn own(&self) -> decide::Own<'_> {
        decide::Own {
            installation: &self.core.installation,
            destroy_tries: self.core.policy.destroy_tries,
            repair: self.core.policy.repair,
        }
    }

    /// Puts a claim where it belongs. What is seldom done here is in a box: the
    /// loop asks for work all the time, mostly for nothing, and would carry the
    /// room for it along.
    async fn sort(&self, desks: &mut BTreeMap<Account, Desk>, claim: Claim) {
        let r = &*claim.row.record;
        let account = account_of(r);
        let cap = match self.capability(r).await {
            Ok(cap) => cap,
            Err(e) => return Box::pin(self.cannot_ask(claim, &e)).await,
        };
        let next = decide::decide(
            r,
            &cap,
            &decide::Glance::NotLooked,
            self.core.env.now(),
            &self.own(),
        );
        let desk = desks.entry(account).or_default();
        desk.slots = cap.concurrency.max(1);
        desk.share = self.share();
        desk.tells = cap.events;
        match next {
            decide::Next::Look if r.told > 0 => desk.told.push(claim),
            decide::Next::Look => desk.looks.push(claim),
            decide::Next::Act(effect) => {
                if desk.jobs.is_empty() && desk.acting == 0 {
                    // What is begun only now is not to be seen yet.
                    desk.looked = desk.looked.max(self.core.env.now());
                }
                desk.jobs.push_back(Job {
                    claim,
                    call: Call::Act(effect, None),
                });
            }
            other => Box::pin(self.note(claim, other, None)).await,
        }
    }
}

fn account_of(r: &ResourceRecord) -> Account {
    (r.place.manager.clone(), r.place.site, r.place.credential)
}

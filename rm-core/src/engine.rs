//! The engine: takes every resource to where it is wanted.
//!
//! It claims what is due, looks at all of an account in one call, and carries
//! out what its function `decide` says, with one commit before an effect and one after
//! it. It may be dropped at any await and started again anywhere.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, poll};

use crate::env::Timestamp;
use crate::error::{ErrorKind, Result};
use crate::host::Core;
use crate::id::CatalogId;
use crate::installation;
use crate::record::ResourceRecord;
use crate::store::{self, Claim, Queue};

mod act;
mod change;
mod closely;
mod decide;
mod desk;
mod house;
mod leases;
mod look;
mod moved;
mod needs;
mod note;
mod orphans;
mod replace;
mod restore;
mod watch;
mod write;

pub(crate) use orphans::found_before;

use desk::{Call, Desk, Job, Tally};

/// How long nobody asks for work at most: what another process writes is not
/// heard of. What is due later than that needs no bell.
pub(crate) const AT_MOST: Duration = Duration::from_millis(500);

/// The same of what is only swept: who wrote that comes for it himself, and only
/// where he is gone somebody else does, so much later.
const SWEEP_AT_MOST: Duration = Duration::from_secs(5);

/// Resources of one account are looked at together.
type Account = (String, CatalogId, CatalogId);

/// An account that has this part of all that is in hand (a quarter) gets no
/// more for now, so that a site that is away or slow does not starve the
/// others.
const SHARE: usize = 4;

/// What is only swept has so much of that beside it (a half): it never takes the
/// place of what somebody waits for, and that never takes its place.
const SWEEP: usize = 2;

/// The engine of one host. Several, in one process or in many, may share a
/// store; none is special.
#[derive(Debug)]
pub struct Engine {
    core: Arc<Core>,
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
        queue: Queue,
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
        // process writes what is due.
        let mut quiet: Option<(u64, Timestamp)> = None;
        // Of these queues more was not asked for, because of what is in hand: until
        // some of that is done.
        let mut crowded: Vec<Queue> = Vec::new();
        // Until then there is nothing to sweep, or no hand free for it.
        let mut sweep = core.env.now();
        loop {
            let heard = core.bell.works();
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
                None => match self.claim(&mut desks, &mut sweep, &mut crowded).await {
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
                while let Some(job) = desk.next_job() {
                    running.push(Box::pin(self.call(account.clone(), job)));
                }
                if !desk.looks.is_empty() && !desk.looking {
                    let next_look = desk.next_look();
                    if next_look <= now {
                        desk.looking = true;
                        let claims = std::mem::take(&mut desk.looks);
                        desk.seeing = Tally::of(&claims);
                        running.push(Box::pin(self.look(account.clone(), claims, false)));
                    } else {
                        pause = pause.min(next_look.since(now));
                    }
                }
                if !desk.told.is_empty() && !desk.telling {
                    let next_told = desk.next_told();
                    if next_told <= now {
                        let claims = std::mem::take(&mut desk.told);
                        desk.telling = true;
                        desk.told_seeing = Tally::of(&claims);
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
                core.work(heard, pause).await;
                continue;
            }
            let work = std::pin::pin!(core.work(heard, pause));
            let done = match select(running.next(), work).await {
                Either::Left((done, _)) => done,
                Either::Right(_) => None,
            };
            let less = matches!(done, Some(Done::Looked { .. } | Done::Acted { .. }));
            if less && !crowded.is_empty() {
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
                    desk.telling = false;
                    desk.told_looked = core.env.now();
                    desk.seen(desk.told_seeing, jobs);
                    sweep = core.env.now();
                }
                Some(Done::Looked {
                    account,
                    jobs,
                    waiting,
                    ..
                }) => {
                    let desk = desks.entry(account).or_default();
                    desk.looking = false;
                    desk.seen(desk.seeing, jobs);
                    sweep = core.env.now();
                    desk.looked = core.env.now();
                    desk.waiting = waiting;
                }
                Some(Done::Acted { account, queue }) => {
                    desks.entry(account).or_default().acted(queue);
                    // What came to rest by it is swept when that is due, and
                    // not when the next question would have been.
                    sweep = core.env.now();
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

    /// How many claims of a queue are in hand at once, and how many of them one
    /// account gets.
    fn most(&self, queue: Queue) -> (usize, usize) {
        let all = usize::try_from(self.core.policy.in_hand).unwrap_or(usize::MAX);
        let all = match queue {
            Queue::Awaited => all,
            Queue::Sweep => all.div_ceil(SWEEP),
        };
        (all, all.div_ceil(SHARE).max(1))
    }

    /// Claims what is due, puts it on the desks, and answers after what time
    /// more may be due; what is only swept not before `sweep`.
    async fn claim(
        &self,
        desks: &mut BTreeMap<Account, Desk>,
        sweep: &mut Timestamp,
        crowded: &mut Vec<Queue>,
    ) -> Result<Duration> {
        let pause = self.claim_from(Queue::Awaited, desks, crowded).await?;
        // A clock that was set back keeps nobody from it.
        let left = sweep.since(self.core.env.now());
        if left.is_zero() || left > SWEEP_AT_MOST {
            let pause = self.claim_from(Queue::Sweep, desks, crowded).await?;
            *sweep = self.core.env.now().plus(pause);
        }
        Ok(pause.min(sweep.since(self.core.env.now())))
    }

    /// The same of one queue.
    async fn claim_from(
        &self,
        queue: Queue,
        desks: &mut BTreeMap<Account, Desk>,
        crowded: &mut Vec<Queue>,
    ) -> Result<Duration> {
        const BEHIND: Duration = Duration::from_millis(100);
        let core = &*self.core;
        let at_most = match queue {
            Queue::Awaited => AT_MOST,
            Queue::Sweep => SWEEP_AT_MOST,
        };
        let (all, share) = self.most(queue);
        let in_hand: usize = desks.values().map(|desk| desk.in_hand.get(queue)).sum();
        crowded.retain(|crowded| *crowded != queue);
        if in_hand >= all {
            crowded.push(queue);
            return Ok(AT_MOST);
        }
        let full: Vec<store::Account> = desks
            .iter()
            .filter(|(_, desk)| desk.in_hand.get(queue) >= share)
            .map(|((_, site, credential), _)| (*site, *credential))
            .collect();
        if !full.is_empty() {
            crowded.push(queue);
        }
        match core.store.next_due(queue, &full).await? {
            Some(due) if due <= core.env.now() => {}
            Some(due) => return Ok(due.since(core.env.now()).min(at_most)),
            None => return Ok(at_most),
        }
        // No more than a share at once, for all of it may be of one account.
        let room = u32::try_from((all - in_hand).min(share)).unwrap_or(u32::MAX);
        let claims = core
            .store
            .claim(core.instance, core.policy.lease, queue, room, &full)
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
        Ok(match core.store.next_due(queue, &full).await? {
            Some(due) => due.since(core.env.now()).clamp(at_least, at_most),
            None => at_most,
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
        desk.share = Tally {
            awaited: self.most(Queue::Awaited).1,
            sweep: self.most(Queue::Sweep).1,
        };
        desk.tells = cap.events;
        match next {
            decide::Next::Look | decide::Next::Act(_) => *desk.in_hand.at(claim.queue) += 1,
            _ => {}
        }
        match next {
            decide::Next::Look if r.told > 0 => desk.told.push(claim),
            decide::Next::Look => desk.looks.push(claim),
            decide::Next::Act(effect) => {
                if desk.jobs.is_empty() && desk.acting == 0 {
                    // What is begun only now is not to be seen yet.
                    desk.looked = desk.looked.max(self.core.env.now());
                }
                let queue = match claim.queue {
                    Queue::Awaited => &mut desk.jobs,
                    Queue::Sweep => &mut desk.chores,
                };
                queue.push_back(Job {
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

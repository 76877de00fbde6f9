//! What goes wrong in a random schedule: how each kind of fault is brought
//! about, and whether it was suffered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rm_core::backend::{CreateKey, Mark};
use rm_core::env::Timestamp;
use rm_core::{Caller, ErrorKind, RemoteId, ResourceId};
use serde_json::json;

use super::kind::{Kind, REORDERED, Suffered};
use super::lasted::Lasted;
use super::sibling::Sibling;
use crate::cloud::{Fault, Rule, Verb};
use crate::rng::Rng;
use crate::scene::{EngineTask, Scene};
use crate::world::Trouble;

/// Longer than a claim lasts and a call may be late together: by then somebody
/// else has done all that the stalled engine was about to do.
pub(super) const STALL: Duration = Duration::from_secs(60);

/// No clock is ever wrong by more than this, in milliseconds. What a backend
/// declares about time (`late`, `visibility`) leaves room for two that are.
pub(super) const SKEW: i64 = 2_000;

/// Nothing takes effect later than so many seconds after nobody was told.
const LATEST: u64 = 6;

const CHANGING: [Verb; 3] = [Verb::Create, Verb::Change, Verb::Destroy];
const CALLS: [Verb; 4] = [Verb::Observe, Verb::Create, Verb::Change, Verb::Destroy];
const ACCOUNTS: [&str; 2] = ["physics", "biology"];

/// What lasts for a while.
#[derive(Debug)]
enum Window {
    Away(String),
    Full(String),
    Lag(String, u64),
    Expired(usize),
    Rotated(usize),
    CannotDelete(usize),
    /// Which engines cannot reach it, and how often they could not before.
    Store(Kind, Vec<EngineTask>, u64),
}

/// The faults of one schedule.
#[derive(Debug)]
pub(super) struct Mischief {
    rng: Rng,
    sites: &'static [&'static str],
    key: CreateKey,
    /// Until when, and under which number it is counted.
    windows: Vec<(Timestamp, Option<usize>, Window)>,
    lasted: Lasted,
    /// Sites that lagged and do not any more.
    caught_up: BTreeSet<String>,
    /// Tenants that ran into their quota.
    at_quota: BTreeSet<String>,
    /// How often the password of each account was changed.
    words: [u32; 2],
    planted: Vec<(&'static str, RemoteId)>,
    pub(super) siblings: Vec<Sibling>,
    suffered: Suffered,
    /// When engines could not reach the store, and which.
    pub(super) cut: Vec<(String, Timestamp, Timestamp)>,
    commits_lost: Vec<EngineTask>,
    /// Something of ours was removed behind our back.
    pub(super) removed: bool,
    /// Stalled engines are not woken when the faults end: they come back when
    /// it is time, into a world that has gone on.
    sleepers: bool,
}

impl Mischief {
    pub(super) fn new(rng: Rng, sites: &'static [&'static str], key: CreateKey) -> Self {
        Self {
            rng,
            sites,
            key,
            windows: Vec::new(),
            lasted: Lasted::default(),
            caught_up: BTreeSet::new(),
            at_quota: BTreeSet::new(),
            words: [0; 2],
            planted: Vec::new(),
            siblings: Vec::new(),
            suffered: Suffered::default(),
            cut: Vec::new(),
            commits_lost: Vec::new(),
            removed: false,
            sleepers: false,
        }
    }

    /// Brings a fault about, or makes it come soon.
    pub(super) async fn begin(&mut self, s: &Scene, kind: Kind) {
        let site = self.site();
        let account = self.rng.index(ACCOUNTS.len());
        let seconds = 1 + self.rng.below(7);
        let lasts = Duration::from_secs(seconds);
        match kind {
            Kind::LostBefore => self.call(s, &CALLS, Fault::LostBefore),
            Kind::LostAfter => self.call(s, &CALLS, Fault::LostAfter),
            Kind::Late => {
                let late = Duration::from_secs(1 + self.rng.below(LATEST));
                self.call(s, &CHANGING, Fault::Late(late));
            }
            Kind::Slow => self.call(s, &CALLS, Fault::Slow(lasts)),
            Kind::Duplicated => {
                // Sooner than anything could be destroyed meanwhile.
                let soon = Duration::from_millis(self.rng.below(50));
                let verbs = Self::changing(matches!(
                    self.key,
                    CreateKey::UniqueName | CreateKey::ClientToken | CreateKey::ClientUuid
                ));
                self.call(s, verbs, Fault::Twice(soon));
            }
            Kind::Reordered => {
                let verbs = Self::changing(self.key == CreateKey::ClientToken);
                self.call(s, verbs, Fault::Twice(REORDERED + lasts));
            }
            Kind::Contradicted => {
                let fault = [Fault::Denied, Fault::Forgotten][self.rng.index(2)];
                // A site that answers a token with what is not there has none.
                let tokens = self.key == CreateKey::ClientToken;
                let verbs = Self::changing(fault == Fault::Denied || !tokens);
                self.call(s, verbs, fault);
            }
            Kind::TooMany => self.call(s, &CALLS, Fault::TooMany(lasts)),
            Kind::Broken => self.call(s, &CALLS, Fault::Refused(ErrorKind::Unavailable)),
            Kind::FailsLater => {
                self.call(s, &[Verb::Create, Verb::Change], Fault::FailsLater);
            }
            Kind::DeleteRefused => {
                let fault = [Fault::Refused(ErrorKind::Forbidden), Fault::FailsLater];
                let rule = Rule::next(Verb::Destroy, fault[self.rng.index(2)]);
                s.cloud.inject(rule.times(seconds));
            }
            Kind::DeleteHangs => {
                let longer = Duration::from_secs(30 + 10 * seconds);
                self.call(s, &[Verb::Destroy], Fault::Hangs(longer));
            }
            Kind::Away => {
                s.cloud.down(site, true);
                self.open_at(s, lasts, kind, Some(site), Window::Away(site.to_owned()));
            }
            Kind::SiteFull => {
                s.cloud.room(site, Some(0));
                self.open_at(s, lasts, kind, Some(site), Window::Full(site.to_owned()));
            }
            // It lags from the beginning: see `Plan::scene`.
            Kind::Lag => {
                let seen = s.cloud.count(Verb::Observe);
                self.open(s, lasts * 3, Window::Lag(site.to_owned(), seen));
            }
            Kind::Expired => {
                s.cloud.password(ACCOUNTS[account], "expired");
                self.open_at(s, lasts, kind, None, Window::Expired(account));
            }
            Kind::Rotated => {
                self.words[account] += 1;
                s.cloud.password(ACCOUNTS[account], &self.word(account));
                self.open_at(s, lasts, kind, None, Window::Rotated(account));
            }
            Kind::CannotDelete => {
                s.cloud.forbid(ACCOUNTS[account], Verb::Destroy, true);
                self.open_at(s, lasts * 3, kind, None, Window::CannotDelete(account));
            }
            Kind::NameTaken => self.take_name(s).await,
            Kind::Sibling => self.sibling(s, site, ACCOUNTS[account]).await,
            Kind::Clock => self.step_clock(s),
            Kind::StoreAway | Kind::StoreFull => {
                let mut engines = s.engines();
                if self.rng.chance(500) {
                    engines.truncate(1);
                }
                for engine in &engines {
                    engine.store.away(kind == Kind::StoreAway);
                    engine.store.full(kind == Kind::StoreFull);
                    let until = s.world.now().plus(lasts);
                    self.cut.push((engine.label.clone(), s.world.now(), until));
                }
                let before = refused(&engines);
                self.open(s, lasts, Window::Store(kind, engines, before));
            }
            Kind::StoreLost => {
                let engines = s.engines();
                if let Some(engine) = self.rng.pick(&engines).cloned() {
                    let n = 1 + self.rng.below(6);
                    engine.store.fail(n, crate::store::StoreFault::OutcomeLost);
                    self.commits_lost.push(engine);
                }
            }
            Kind::Crash => {
                let n = 1 + self.rng.below(60);
                s.world.trouble_also_at("engine", n, Trouble::Crash);
            }
            Kind::Stall => {
                let n = 1 + self.rng.below(60);
                self.sleepers |= self.rng.chance(500);
                s.world
                    .trouble_also_at("engine", n, Trouble::Stall(Some(STALL)));
            }
            // The schedule asks for too much itself.
            Kind::Quota => {}
        }
    }

    /// Ends what has lasted long enough; everything where `all`.
    pub(super) async fn end(&mut self, s: &Scene, all: bool) {
        let now = s.world.now();
        let windows = std::mem::take(&mut self.windows);
        for (until, counted, window) in windows {
            if now < until && !all {
                self.windows.push((until, counted, window));
                continue;
            }
            if let Some(number) = counted {
                self.lasted.end(number, now);
            }
            match window {
                Window::Away(site) => s.cloud.down(&site, false),
                Window::Full(site) => s.cloud.room(&site, None),
                Window::Lag(site, seen) => {
                    s.cloud.lag(&site, Duration::ZERO, false);
                    let looks = s.cloud.count(Verb::Observe) - seen;
                    let first = self.caught_up.insert(site);
                    self.suffered.add(Kind::Lag, u64::from(first && looks > 0));
                }
                Window::Expired(account) => {
                    s.cloud.password(ACCOUNTS[account], &self.word(account));
                }
                Window::Rotated(account) => self.rotate(s, account).await,
                Window::CannotDelete(account) => {
                    s.cloud.forbid(ACCOUNTS[account], Verb::Destroy, false);
                }
                Window::Store(kind, engines, before) => {
                    let met = refused(&engines) > before;
                    self.suffered.add(kind, u64::from(met));
                    for engine in engines {
                        engine.store.away(false);
                        engine.store.full(false);
                    }
                }
            }
        }
        if all {
            s.cloud.calm();
            s.world.disarm();
            for engine in s.engines().iter().filter(|_| !self.sleepers) {
                s.world.resume(engine.id);
            }
        }
    }

    /// What was suffered, all together. What lasts for a while is one fault,
    /// and none where nobody met it.
    pub(super) fn suffered(&self, s: &Scene) -> Suffered {
        let mut all = self.suffered;
        all.merge(&self.lasted.suffered(s));
        for (_, trouble, _) in s.world.strikes() {
            match trouble {
                Trouble::Crash => all.add(Kind::Crash, 1),
                Trouble::Stall(_) => all.add(Kind::Stall, 1),
                Trouble::Clock(_) | Trouble::Store(_) | Trouble::Call(_) | Trouble::Deed(_) => {}
            }
        }
        let lost = self.commits_lost.iter().map(|e| (&e.label, &e.store));
        for store in lost.collect::<BTreeMap<_, _>>().into_values() {
            all.add(Kind::StoreLost, store.suffered());
        }
        all
    }

    /// Whether a clock was set.
    pub(super) fn stepped(&self) -> bool {
        self.suffered.of(Kind::Clock) > 0
    }

    /// Somebody was refused for the quota of a tenant, which counts once: what
    /// is asked for by chance is refused again and again while it is used up.
    pub(super) fn refused(&mut self, who: &Caller) {
        if self.at_quota.insert(who.tenant.0.clone()) {
            self.suffered.add(Kind::Quota, 1);
        }
    }

    /// More was asked for at once, on purpose, than there is of it.
    pub(super) fn crowded(&mut self, who: &Caller) {
        self.at_quota.insert(who.tenant.0.clone());
        self.suffered.add(Kind::Quota, 1);
    }

    /// Whether everything of others is as they left it.
    pub(super) fn touched(&self, s: &Scene) -> Vec<String> {
        let mut broken = Vec::new();
        let now = s.world.now();
        for (site, id) in &self.planted {
            let there = s.cloud.things(site, now).into_iter().find(|t| t.id == *id);
            if there.is_none_or(|t| t.stamp != 1 || t.phase != rm_core::backend::Phase::Ready) {
                broken.push(format!("{id} at {site} is somebody else's and was touched"));
            }
        }
        for sibling in &self.siblings {
            broken.extend(sibling.touched(s));
        }
        broken
    }

    fn open(&mut self, s: &Scene, lasts: Duration, window: Window) {
        let until = s.world.now().plus(lasts);
        self.windows.push((until, None, window));
    }

    /// The same of something that calls run into, at a site or at all.
    fn open_at(
        &mut self,
        s: &Scene,
        lasts: Duration,
        kind: Kind,
        site: Option<&str>,
        window: Window,
    ) {
        let now = s.world.now();
        let counted = self.lasted.begin(kind, site, now);
        self.windows.push((now.plus(lasts), Some(counted), window));
    }

    fn site(&mut self) -> &'static str {
        self.sites[self.rng.index(self.sites.len())]
    }

    fn word(&self, account: usize) -> String {
        match self.words[account] {
            0 => "right".to_owned(),
            n => format!("right-{n}"),
        }
    }

    /// Calls that change something, with create or without.
    fn changing(create: bool) -> &'static [Verb] {
        if create { &CHANGING } else { &CHANGING[1..] }
    }

    fn call(&mut self, s: &Scene, verbs: &[Verb], fault: Fault) {
        if let Some(verb) = self.rng.pick(verbs) {
            s.cloud.inject(Rule::next(*verb, fault));
        }
    }

    async fn rotate(&mut self, s: &Scene, account: usize) {
        let name = ACCOUNTS[account];
        let owner = [&s.alice, &s.carol][account];
        let secret = json!({"account": name, "password": self.word(account)});
        let mut done = false;
        for site in self.sites {
            let credential = format!("{name}-{site}");
            let rotated = s
                .door
                .catalog()
                .rotate_credential(owner, &credential, &secret)
                .await;
            done |= rotated.is_ok();
        }
        self.suffered.add(Kind::Rotated, u64::from(done));
    }

    /// Somebody makes a thing under the name of one of ours; where ours is
    /// there, they remove it first.
    async fn take_name(&mut self, s: &Scene) {
        let records = s.records().await;
        let Some(r) = self.rng.pick(&records) else {
            return;
        };
        let Some(site) = self.sites.iter().find(|n| **n == r.place.site_name) else {
            return;
        };
        let now = s.world.now();
        let ours = Mark {
            installation: "lab".to_owned(),
            resource: r.id,
            incarnation: r.incarnation.max(1),
            generation: 1,
        };
        let name = ours.name();
        let is_ours = |m: &Mark| m.installation == ours.installation;
        for thing in s.cloud.things(site, now) {
            if thing.name == name && thing.mark.as_ref().is_some_and(is_ours) {
                s.cloud.vanish(site, &thing.id, now);
                self.removed = true;
            }
        }
        let mark = self.rng.chance(500).then(|| Mark {
            installation: "sibling".to_owned(),
            ..ours
        });
        self.plant(s, site, &r.tenant.0, &name, mark);
        self.suffered.add(Kind::NameTaken, 1);
    }

    fn plant(
        &mut self,
        s: &Scene,
        site: &'static str,
        account: &str,
        name: &str,
        mark: Option<Mark>,
    ) {
        let id = s.cloud.plant(site, account, name, mark, s.world.now());
        self.planted.push((site, id));
    }

    /// Another installation has something, or comes to life, on an account.
    async fn sibling(&mut self, s: &Scene, site: &'static str, account: &str) {
        if self.siblings.is_empty() && self.rng.chance(250) {
            self.siblings.extend(Sibling::start(s).await);
        } else {
            let records = s.records().await;
            let theirs = ResourceId::new(&*s.world.env());
            let ours = self.rng.pick(&records).map(|r| r.id);
            // A copy of our store would have our ids.
            let mark = Mark {
                installation: "sibling".to_owned(),
                resource: ours.filter(|_| self.rng.chance(500)).unwrap_or(theirs),
                incarnation: 1 + u32::from(self.rng.chance(300)),
                generation: 1,
            };
            let name = format!("their-{}", self.planted.len());
            self.plant(s, site, account, &name, Some(mark));
        }
        self.suffered.add(Kind::Sibling, 1);
    }

    fn step_clock(&mut self, s: &Scene) {
        let mut clocks: Vec<_> = s.engines().into_iter().map(|e| e.env).collect();
        clocks.push(Arc::clone(&s.truth_env));
        let Some(clock) = self.rng.pick(&clocks) else {
            return;
        };
        let range = u64::try_from(2 * SKEW).unwrap_or(0);
        let wrong = i64::try_from(self.rng.below(range)).unwrap_or(0) - SKEW;
        clock.step(wrong - clock.wrong());
        self.suffered.add(Kind::Clock, 1);
    }
}

/// How often the store refused these engines something.
fn refused(engines: &[EngineTask]) -> u64 {
    engines.iter().map(|engine| engine.store.refused()).sum()
}

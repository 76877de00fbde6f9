//! One random schedule: engines, requests and faults, all by one seed.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use rm_core::backend::{Absence, CreateKey, Resize};
use rm_core::clusters::{ClusterRequest, Reuse, Size};
use rm_core::life::{State, Wanted};
use rm_core::record::ResourceRecord;
use rm_core::store::{By, Versioned};
use rm_core::{Caller, ErrorKind};

use super::harm::{Found, Harm};
use super::judge::Judge;
use super::kind::{Kind, Suffered};
use super::mischief::{Mischief, SKEW};
use super::setting::{QUOTA, catalog, declare, lagging, tuned};
use crate::rng::Rng;
use crate::scene::Scene;

/// How much of each schedule there is at the least.
pub(super) const OPERATIONS: u64 = 20;
pub(super) const RESOURCES: u64 = 3;
pub(super) const FAULTS: u64 = 4;

/// Everything must be at rest so soon after the last fault.
const BOUND: Duration = Duration::from_secs(900);

/// What came of a schedule.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) suffered: Suffered,
    pub(super) broken: Vec<Found>,
    pub(super) engines: u64,
    pub(super) operations: u64,
    pub(super) resources: u64,
    pub(super) leases: u64,
    pub(super) quarantined: u64,
    pub(super) polls: u64,
    /// Boundaries that engines passed, and where they were struck.
    pub(super) passed: BTreeMap<&'static str, u64>,
    pub(super) struck: BTreeMap<&'static str, u64>,
}

impl Told {
    /// A schedule that is smaller than was said proves too little.
    fn measure(&mut self) {
        for (what, is, least) in [
            ("engines", self.engines, 2),
            ("operations", self.operations, OPERATIONS),
            ("resources", self.resources, RESOURCES),
            ("faults", self.suffered.total(), FAULTS),
        ] {
            if is < least {
                let text = format!("only {is} {what}");
                self.broken.push(Found::new(Harm::Broken, text));
            }
        }
    }
}

/// What is decided before anything happens.
#[derive(Debug)]
struct Plan {
    engines: u64,
    sites: &'static [&'static str],
    key: CreateKey,
    absence: Absence,
    resize: Resize,
    /// Whether stalled engines come back after everything was let go.
    wakes_last: bool,
    /// How long it takes to make, change and destroy something.
    takes: (u64, u64, u64),
    /// Which fault comes before which operation.
    faults: Vec<(u64, Kind)>,
}

impl Plan {
    fn of(rng: &mut Rng) -> Self {
        let keys = [
            CreateKey::UniqueName,
            CreateKey::UniqueName,
            CreateKey::ClientToken,
            CreateKey::ClientUuid,
            CreateKey::TagOnly,
        ];
        let number = FAULTS + 1 + rng.below(4);
        Self {
            engines: if rng.chance(950) { 2 } else { 3 + rng.below(6) },
            sites: if rng.chance(250) {
                &["north", "south"]
            } else {
                &["north"]
            },
            key: keys[rng.index(keys.len())],
            absence: if rng.chance(300) {
                Absence::Tombstone
            } else {
                Absence::NotListed
            },
            takes: if rng.chance(700) {
                (140, 100, 80)
            } else {
                (1_500, 700, 400)
            },
            faults: (0..number)
                .map(|_| (rng.below(OPERATIONS), Kind::ALL[rng.index(Kind::ALL.len())]))
                .collect(),
            resize: if rng.chance(200) {
                Resize::Replace
            } else {
                Resize::InPlace
            },
            wakes_last: rng.chance(500),
        }
    }

    fn scene(&self, seed: u64) -> rm_core::Result<Scene> {
        let lags = self.faults.iter().any(|(_, kind)| *kind == Kind::Lag);
        let scene = Scene::builder(seed)
            .sites(self.sites)
            .catalog(catalog(self.sites)?)
            .config(|c| {
                lagging(c, lags);
                (c.build_ms, c.change_ms, c.delete_ms) = self.takes;
            })
            .policy(tuned)
            .build()?;
        declare(&scene, self.sites, lags);
        scene.cloud.declare(|c| {
            c.create_key = self.key;
            c.absence = self.absence;
            c.resize = self.resize;
        });
        Ok(scene)
    }
}

/// Runs the schedule of a seed.
pub(super) fn schedule(seed: u64, verbose: bool) -> rm_core::Result<Told> {
    let mut rng = Rng::new(seed);
    let plan = Plan::of(&mut rng);
    let scene = plan.scene(seed)?;
    if verbose {
        println!("{plan:#?}");
    }
    let mut told = scene.run(async |s| {
        let mut run = Run {
            s,
            mischief: Mischief::new(rng.fork(), plan.sites, plan.key),
            rng,
            judge: Judge::default(),
            told: Told::default(),
        };
        run.play(&plan).await;
        if verbose {
            run.tell().await;
        }
        run.told
    });
    told.engines = plan.engines;
    told.polls = scene.world.steps();
    told.passed = scene.world.histogram("engine");
    for (at, ..) in scene.world.strikes() {
        *told.struck.entry(at.name).or_default() += 1;
    }
    told.measure();
    Ok(told)
}

/// One schedule while it runs.
pub(super) struct Run<'a> {
    s: &'a Scene,
    rng: Rng,
    mischief: Mischief,
    judge: Judge,
    pub(super) told: Told,
}

impl<'a> Run<'a> {
    /// One in which nothing happens by itself.
    pub(super) fn quiet(s: &'a Scene) -> Self {
        Self {
            s,
            rng: Rng::new(0),
            mischief: Mischief::new(Rng::new(0), &["north"], CreateKey::UniqueName),
            judge: Judge::default(),
            told: Told::default(),
        }
    }

    async fn play(&mut self, plan: &Plan) {
        let s = self.s;
        for _ in 0..plan.engines {
            s.start_engine();
        }
        for n in 0..OPERATIONS {
            for (_, kind) in plan.faults.iter().filter(|(at, _)| *at == n) {
                match kind {
                    Kind::Quota => self.crowd().await,
                    kind => self.mischief.begin(s, *kind).await,
                }
            }
            self.operation(n < RESOURCES).await;
            self.pause().await;
        }
        // What did not come about in time is made up for.
        while self.mischief.suffered(s).total() < FAULTS {
            let sure = [Kind::Clock, Kind::Sibling, Kind::NameTaken];
            let kind = sure[self.rng.index(sure.len())];
            self.mischief.begin(s, kind).await;
            self.operation(false).await;
            self.pause().await;
        }
        self.mischief.end(s, true).await;
        while self.told.resources < RESOURCES {
            self.operation(true).await;
        }
        self.told.suffered = self.mischief.suffered(s);
        self.sound("afterwards").await;
        if !plan.wakes_last {
            self.awake().await;
            self.sound("when all are awake").await;
        }
        self.let_go().await;
        self.awake().await;
        for sibling in &self.mischief.siblings {
            sibling.stop(s);
        }
        self.sound("in the end").await;
        self.nothing_left().await;
        for text in self.mischief.touched(s) {
            self.harm(Harm::Foreign, text);
        }
        let (leases, broken) = self.judge.leases(s, &self.mischief).await;
        self.told.leases = leases;
        self.told.broken.extend(broken);
        self.told.broken.extend(Judge::doubles(s));
        self.told.broken.extend(Judge::guesses(s));
    }

    pub(super) fn harm(&mut self, harm: Harm, text: String) {
        self.told.broken.push(Found::new(harm, text));
    }

    async fn pause(&mut self) {
        let s = self.s;
        let millis = self.rng.below(800);
        s.world.sleep(Duration::from_millis(millis)).await;
        self.mischief.end(s, false).await;
        self.judge.restarted(s, s.restart_crashed());
        self.told.broken.extend(Judge::overrun(s));
    }

    /// One request, of any kind.
    async fn operation(&mut self, create: bool) {
        self.told.operations += 1;
        let s = self.s;
        let callers = [&s.alice, &s.bob, &s.carol];
        let who = callers[self.rng.index(3)];
        let slaves = u32::try_from(self.rng.below(4)).unwrap_or(0);
        let own = match s.clusters().list(who, false, None, 100).await {
            Ok(page) => page.items,
            Err(_) => return,
        };
        if create || own.is_empty() || self.rng.chance(120) {
            let reuse = if create || self.rng.chance(500) {
                Reuse::Never
            } else {
                Reuse::Match
            };
            let lease = self.rng.chance(300).then(|| 1 + self.rng.below(90));
            let request = ClusterRequest {
                reuse,
                grow: self.rng.chance(500),
                lease: lease.map(Duration::from_secs),
                ..s.request(slaves)
            };
            return self.create(who, &request).await;
        }
        let Some(cluster) = self.rng.pick(&own) else {
            return;
        };
        let id = cluster.id();
        let holds = &cluster.record().holds;
        let hold = holds.iter().find(|h| h.user == who.user).map(|h| h.id);
        // Refused where it is not possible just now: that is legal.
        let _ = match self.rng.below(10) {
            0..4 => {
                let resized = s.clusters().resize(who, id, Size::To(slaves)).await;
                if resized
                    .as_ref()
                    .is_err_and(|e| e.kind() == ErrorKind::Quota)
                {
                    self.mischief.refused(who);
                }
                resized.map(drop)
            }
            4..8 => cluster.release(who, hold).await.map(drop),
            8 => {
                let lease = Duration::from_secs(1 + self.rng.below(60));
                cluster.renew(who, hold, Some(lease)).await.map(drop)
            }
            _ => cluster.retry(who).await.map(drop),
        };
    }

    async fn create(&mut self, who: &Caller, request: &ClusterRequest) {
        match self.s.clusters().create(who, request).await {
            Ok(made) => {
                self.told.resources += u64::from(!made.reused);
                self.judge.holds(made.cluster.record());
            }
            Err(e) if e.kind() == ErrorKind::Quota => self.mischief.refused(who),
            // No site is up, or the credential is not accepted.
            Err(_) => {}
        }
    }

    /// More is asked for at the same moment than the tenant may have.
    async fn crowd(&mut self) {
        let s = self.s;
        let most = QUOTA.clusters.unwrap_or(0);
        let request = s.own(1);
        let who = if self.rng.chance(500) {
            &s.alice
        } else {
            &s.carol
        };
        let clusters = s.clusters();
        let asked = (0..=most).map(|_| clusters.create(who, &request));
        let mut refused = false;
        for answer in join_all(asked).await {
            self.told.operations += 1;
            match answer {
                Ok(made) => {
                    self.told.resources += 1;
                    self.judge.holds(made.cluster.record());
                }
                Err(e) => refused |= e.kind() == ErrorKind::Quota,
            }
        }
        if refused {
            self.mischief.crowded(who);
        }
        self.told.broken.extend(Judge::overrun(s));
    }

    /// Everything comes to rest in bounded time, is swept once more, and nobody
    /// is stalled any more.
    pub(super) async fn settle(&mut self) {
        let s = self.s;
        self.rest().await;
        while s.cloud.is_something_late(s.world.now()) {
            s.world.sleep(Duration::from_secs(1)).await;
        }
        if !self.rows().await.is_empty() {
            // One sweep after that, by any of the clocks.
            let skew = Duration::from_millis(u64::try_from(2 * SKEW).unwrap_or(0));
            let mut seen = s.door.policy().sweep + skew;
            if self.mischief.removed {
                // Claims that a store which was away never got back lapse first.
                seen += s.door.policy().lease;
            }
            s.world.sleep(seen).await;
            self.rest().await;
        }
        // Nobody can act on what is over while all are stalled.
        self.awake().await;
    }

    /// It settles, and is as it must be.
    pub(super) async fn sound(&mut self, when: &str) {
        let s = self.s;
        self.settle().await;
        let rows = self.rows().await;
        let overdue = Judge::overdue(s, &self.mischief, &rows);
        self.told.broken.extend(overdue);
        let faults = s.check().await;
        for fault in faults {
            self.harm(Harm::of(&fault), format!("{when}: {fault}"));
        }
    }

    /// Whoever is stalled has come back, and has done what it may do yet.
    pub(super) async fn awake(&mut self) {
        let s = self.s;
        while let Some(at) = s.world.stalled_until() {
            s.world.sleep(at.since(s.world.now())).await;
            s.world.sleep(Duration::from_secs(2)).await;
        }
        self.rest().await;
    }

    pub(super) async fn rest(&mut self) {
        let s = self.s;
        let end = s.world.now().plus(BOUND);
        loop {
            self.judge.restarted(s, s.restart_crashed());
            let rows = self.rows().await;
            let busy = rows.iter().find(|row| !crate::scene::at_rest(&row.record));
            let Some(busy) = busy else { return };
            if s.world.now() >= end {
                let r = &busy.record;
                let text = format!(
                    "{} is stuck: wanted {:?}, seen {}, {}",
                    r.id, r.wanted, r.seen, r.reason
                );
                return self.harm(Harm::Stuck, text);
            }
            s.world.sleep(Duration::from_secs(1)).await;
        }
    }

    pub(super) async fn rows(&self) -> Vec<Versioned<ResourceRecord>> {
        match self.s.truth.resources(&By::All, None, 1000).await {
            Ok(page) => page.items,
            Err(e) => unreachable!("a store in memory: {e}"),
        }
    }

    /// Everything is let go, and what is in quarantine led out.
    pub(super) async fn let_go(&mut self) {
        let s = self.s;
        for round in 0..12 {
            let rows = self.rows().await;
            if rows.is_empty() {
                return;
            }
            for row in rows {
                let r = &*row.record;
                let Ok(cluster) = s.clusters().get(&s.operator, r.id).await else {
                    continue;
                };
                let held = r.seen == State::Quarantined;
                self.told.quarantined += u64::from(held && round == 0);
                // Where nothing of ours is left, a person may say so.
                let things = s.cloud.of(r.id, s.world.now()).into_iter();
                let left = things
                    .filter_map(|t| t.mark)
                    .any(|m| m.installation == "lab");
                // Somebody may be faster: the lease may end.
                let _ = match (r.wanted, r.holds.first()) {
                    (Wanted::Absent, _) if held && (round < 4 || left) => {
                        cluster.retry(&s.operator).await.map(drop)
                    }
                    (Wanted::Absent, _) if held => {
                        cluster.abandon(&s.operator, "nothing of it is left").await
                    }
                    (Wanted::Absent, _) | (_, None) => Ok(()),
                    (_, Some(hold)) => cluster.release(&s.operator, Some(hold.id)).await.map(drop),
                };
            }
            self.rest().await;
        }
    }

    pub(super) async fn nothing_left(&mut self) {
        let s = self.s;
        for row in self.rows().await {
            let r = &row.record;
            let text = format!(
                "the delete of {} was lost: wanted {:?}, seen {}, {}",
                r.id, r.wanted, r.seen, r.reason
            );
            self.harm(Harm::LostDelete, text);
        }
        s.cloud.each_thing(|site, thing| {
            let ours = thing.mark.as_ref().is_some_and(|m| m.installation == "lab");
            if ours && thing.exists() {
                let text = format!("{} at {site} is left", thing.id);
                self.told.broken.push(Found::new(Harm::Leaked, text));
            }
        });
    }

    /// The whole story, for a person who replays one schedule.
    async fn tell(&self) {
        for line in self.s.whole_story().await {
            println!("{line}");
        }
    }
}

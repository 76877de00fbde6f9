//! One trial: a cluster is created, resized and deleted beside two engines,
//! and faults are put at exactly given boundaries.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use rm_core::backend::Resize;
use rm_core::clusters::Size;
use rm_core::life::State;
use rm_core::record::ResourceRecord;
use rm_core::{Error, ErrorKind, ResourceId};

use super::harm::{Found, Harm};
use super::judge::Judge;
use super::mischief::{SKEW, STALL};
use super::others::Others;
use super::schedule::Run;
use super::setting::{catalog, declare, lagging, tuned};
use crate::cloud::{Fault, Thing, Verb};
use crate::scene::Scene;
use crate::store::StoreFault;
use crate::world::{Boundary, Deed, PENDING, Trouble};

/// What is asked of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// It is made.
    Create,
    /// It gets another size.
    Resize,
    /// It is let go.
    Delete,
}

impl Part {
    /// Every value, in the order in which they come.
    pub const ALL: [Self; 3] = [Self::Create, Self::Resize, Self::Delete];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Resize => "resize",
            Self::Delete => "delete",
        }
    }
}

/// A fault at a boundary: which part, which boundary of it counted from 1, and
/// what happens there.
pub(super) type At = (Part, u64, Trouble);

/// Whose boundaries are meant.
const ENGINES: &str = "engine";

/// In what world trials are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Setting {
    /// Decides which of the two engines does what.
    pub(super) seed: u64,
    /// Whether lists lag.
    pub(super) lags: bool,
    /// Whether a thing gets another size by another one in its stead.
    pub(super) replaces: bool,
}

/// What came of a trial.
#[derive(Debug, Default)]
pub(super) struct Ran {
    /// Every boundary that engines passed, by part.
    pub(super) traces: [Vec<Boundary>; 3],
    /// What there was at the end of each part.
    pub(super) rests: [String; 3],
    /// How many of the faults happened.
    pub(super) struck: usize,
    /// Whether somebody had to ask again.
    pub(super) asked_again: bool,
    pub(super) broken: Vec<Found>,
}

/// What can happen at a boundary, from its name.
pub(super) fn troubles(at: &str) -> Vec<Trouble> {
    let mut all = vec![
        Trouble::Crash,
        Trouble::Stall(Some(STALL)),
        Trouble::Clock(SKEW),
        Trouble::Clock(-SKEW),
    ];
    let seconds = Duration::from_secs;
    let call = |faults: &[Fault]| faults.iter().map(|f| Trouble::Call(*f)).collect::<Vec<_>>();
    let verb = |verb: Verb| at.strip_prefix("before ") == Some(verb.as_str());
    let any = [
        Fault::LostBefore,
        Fault::Slow(seconds(8)),
        Fault::TooMany(seconds(2)),
        Fault::Refused(ErrorKind::Unavailable),
    ];
    if [Verb::Offers, Verb::Observe].into_iter().any(verb) {
        all.extend(call(&any));
    } else if [Verb::Create, Verb::Change, Verb::Destroy]
        .into_iter()
        .any(verb)
    {
        all.extend(call(&any));
        all.extend(call(&[
            Fault::LostAfter,
            Fault::Late(seconds(2)),
            Fault::Slow(seconds(1)),
            Fault::Twice(Duration::from_millis(100)),
            Fault::Denied,
            Fault::Forgotten,
        ]));
        if !verb(Verb::Create) {
            all.extend(call(&[Fault::Twice(seconds(3))]));
        }
    } else if is_backend(at) || at == PENDING {
        // After a call there is nothing left to go wrong with it.
    } else if at.starts_with("after ") {
        all.push(Trouble::Store(StoreFault::OutcomeLost));
    } else {
        all.push(Trouble::Store(StoreFault::Unavailable));
        if at.starts_with("before commit") || at == "before claim" {
            all.push(Trouble::Store(StoreFault::Full));
        }
    }
    all
}

/// What else can happen there, and is tried alone and in no pair: what the site
/// does much later than it says yes, and what others do.
pub(super) fn lone(setting: Setting, part: Part, at: &str) -> Vec<Trouble> {
    let destroys = part == Part::Delete || part == Part::Resize && setting.replaces;
    let deletes = [Deed::CannotDelete, Deed::DeleteRefused];
    let deeds = Deed::ALL.into_iter();
    let mut all: Vec<Trouble> = deeds
        .filter(|deed| destroys || !deletes.contains(deed))
        .map(Trouble::Deed)
        .collect();
    let verb = |verb: Verb| at.strip_prefix("before ") == Some(verb.as_str());
    if verb(Verb::Create) || verb(Verb::Change) {
        all.push(Trouble::Call(Fault::FailsLater));
        all.push(Trouble::Call(Fault::Refused(ErrorKind::NoCapacity)));
    } else if verb(Verb::Destroy) {
        all.push(Trouble::Call(Fault::FailsLater));
        all.push(Trouble::Call(Fault::Hangs(Duration::from_secs(100))));
        all.push(Trouble::Call(Fault::Refused(ErrorKind::Forbidden)));
    }
    all
}

/// Whether a part may end otherwise than was asked because of this, so that
/// somebody has to ask again: the site says no or breaks it, or what was there
/// is gone.
fn may_fail(part: Part, trouble: Trouble) -> bool {
    match trouble {
        Trouble::Deed(deed) => match deed {
            Deed::SiteFull
            | Deed::Expired
            | Deed::Rotated
            | Deed::CannotDelete
            | Deed::DeleteRefused
            | Deed::NameTaken
            | Deed::NameCopied => true,
            Deed::SiteAway | Deed::TooMuch | Deed::Sibling | Deed::StoreAway => false,
        },
        Trouble::Call(Fault::FailsLater | Fault::Refused(ErrorKind::NoCapacity)) => {
            part != Part::Delete
        }
        _ => false,
    }
}

/// Whether this is a boundary of a backend call.
pub(super) fn is_backend(name: &str) -> bool {
    let verb = name.strip_prefix("before ").or(name.strip_prefix("after "));
    verb.is_some_and(|name| {
        [
            Verb::Offers,
            Verb::Observe,
            Verb::Create,
            Verb::Change,
            Verb::Destroy,
        ]
        .iter()
        .any(|v| v.as_str() == name)
    })
}

/// Makes one.
pub(super) fn trial(setting: Setting, faults: &[At]) -> rm_core::Result<Ran> {
    const SITES: &[&str] = &["north"];
    let scene = Scene::builder(setting.seed)
        .sites(SITES)
        .catalog(catalog(SITES)?)
        .policy(tuned)
        .config(|c| lagging(c, setting.lags))
        .build()?;
    declare(&scene, SITES, setting.lags);
    // Two stalls in a row are no reason to give up.
    scene
        .cloud
        .declare(|c| c.patience = Duration::from_secs(600));
    if setting.replaces {
        scene.cloud.declare(|c| c.resize = Resize::Replace);
    }
    Ok(scene.run(async |s| {
        for _ in 0..2 {
            s.start_engine();
        }
        // What engines do once when they start is not counted.
        s.world.sleep(Duration::from_secs(1)).await;
        let others = Others::new(s);
        let mut life = Life {
            ran: Ran::default(),
            id: None,
            run: Run::quiet(s),
            others: &others,
        };
        let lives = async {
            for part in Part::ALL {
                life.part(s, part, faults).await;
            }
            life.end(s).await;
        };
        // What others do is done before anybody sees that all is at rest.
        match select(pin!(others.act()), pin!(lives)).await {
            Either::Left((never, _)) => match never {},
            Either::Right(((), _)) => {}
        }
        life.ran
    }))
}

struct Life<'a> {
    run: Run<'a>,
    ran: Ran,
    id: Option<ResourceId>,
    others: &'a Others<'a>,
}

/// How often somebody asks again for what did not come about.
const AGAIN: u32 = 4;

impl Life<'_> {
    async fn part(&mut self, s: &Scene, part: Part, faults: &[At]) {
        let mut struck = false;
        let mut deeds = false;
        s.world.clear();
        for (_, n, trouble) in faults.iter().filter(|(p, ..)| *p == part) {
            s.world.trouble_also_at(ENGINES, *n, *trouble);
            struck = true;
            deeds |= matches!(trouble, Trouble::Deed(_));
        }
        s.world.record(ENGINES);
        let mut asked = self.ask(s, part).await;
        if asked.is_err() && deeds {
            // What befell the site befell whoever asks as well.
            self.alone(s).await;
            asked = self.ask(s, part).await;
        }
        if let Err(e) = asked {
            let text = format!("{}: {e}", part.as_str());
            self.run.harm(Harm::Broken, text);
        }
        // What whoever was stalled does when it comes back, and the sweep behind
        // that, are places for a second fault as well.
        match struck {
            true => self.run.settle().await,
            false => self.run.rest().await,
        }
        let at = usize::from(part as u8);
        self.ran.traces[at] = s.world.recorded();
        self.ran.struck += s.world.strikes().len();
        s.world.disarm();
        if deeds {
            self.alone(s).await;
        }
        if struck {
            self.run.sound(part.as_str()).await;
        }
        let here = |(p, _, trouble): &At| *p == part && may_fail(part, *trouble);
        if faults.iter().any(here) && self.lead_out(s, part).await {
            self.ran.asked_again = true;
            self.run.sound("asked again").await;
        }
        self.is_done(s, part, faults).await;
        self.ran.rests[at] = self.normal(s).await;
    }

    /// Others are done with what they do, and what engines held meanwhile and
    /// could not give back has lapsed.
    async fn alone(&mut self, s: &Scene) {
        while self.others.are_busy() {
            s.world.sleep(Duration::from_secs(1)).await;
        }
        s.world.sleep(s.door.policy().lease).await;
        self.run.rest().await;
    }

    /// What did not come about is asked for again, by whom it is given to. True
    /// where that was needed.
    async fn lead_out(&mut self, s: &Scene, part: Part) -> bool {
        for round in 0..AGAIN {
            let rows = self.run.rows().await;
            let Some(r) = rows.first().map(|row| &*row.record) else {
                return round > 0;
            };
            let asked = match r.seen {
                _ if is_well(s, part, r) => return round > 0,
                State::Quarantined => self.again(s, r.id, true).await,
                State::Failed => self.again(s, r.id, false).await,
                _ if part == Part::Resize => self.ask(s, part).await,
                _ => Ok(()),
            };
            if let Err(e) = asked {
                let text = format!("{}, asked again: {e}", part.as_str());
                self.run.harm(Harm::Stuck, text);
            }
            self.run.rest().await;
        }
        true
    }

    /// Whoever may asks to try again.
    async fn again(&self, s: &Scene, id: ResourceId, held: bool) -> Result<(), Error> {
        let who = if held { &s.operator } else { &s.alice };
        let cluster = s.clusters().get(who, id).await?;
        cluster.retry(who).await.map(drop)
    }

    /// Whoever asks has a sound process.
    async fn ask(&mut self, s: &Scene, part: Part) -> Result<(), Error> {
        match (part, self.id) {
            (Part::Create, _) => s.clusters().create(&s.alice, &s.own(2)).await.map(|made| {
                self.id = Some(made.cluster.id());
            }),
            (Part::Resize, Some(id)) => s
                .clusters()
                .resize(&s.alice, id, Size::To(4))
                .await
                .map(drop),
            (Part::Delete, Some(id)) => match s.clusters().get(&s.alice, id).await {
                Ok(cluster) => cluster.release(&s.alice, None).await.map(drop),
                Err(e) => Err(e),
            },
            (_, None) => Ok(()),
        }
    }

    /// Each operation ends well, unless the site itself said that it was done
    /// and forgot it.
    async fn is_done(&mut self, s: &Scene, part: Part, faults: &[At]) {
        let forgotten = faults
            .iter()
            .any(|(p, _, trouble)| *p <= part && *trouble == Trouble::Call(Fault::Forgotten));
        let rows = self.run.rows().await;
        let text = match (part, rows.first()) {
            (Part::Delete, None) => return,
            (Part::Delete, Some(row)) => format!("still there: {:?}", row.record.seen),
            (_, None) => "no record".to_owned(),
            (_, Some(row)) => {
                let r = &row.record;
                if is_well(s, part, r) || r.seen == State::Failed && forgotten {
                    return;
                }
                let things = ours(s, r);
                format!("{} with {things:?}: {}", r.seen, r.reason)
            }
        };
        let text = format!("{} did not end well: {text}", part.as_str());
        self.run.harm(Harm::Stuck, text);
    }

    /// What is there, without what time made of it.
    async fn normal(&self, s: &Scene) -> String {
        let mut text = String::new();
        for row in self.run.rows().await {
            let r = &row.record;
            text += &format!(
                "{:?} {} {} {} {} {:?} {:?} {:?} {} {:?} {:?} {};",
                r.wanted,
                r.generation,
                r.fits_from,
                r.seen,
                r.seen_generation,
                r.remote,
                r.attempt.is_some(),
                r.earlier.is_some(),
                r.incarnation,
                r.place.spec,
                r.refused.len(),
                r.nodes,
            );
        }
        s.cloud.each_thing(|site, t| {
            let generation = t.mark.as_ref().map(|m| m.generation);
            text += &format!("{site} {} {:?} {} {generation:?};", t.id, t.phase, t.slaves);
        });
        text
    }

    async fn end(&mut self, s: &Scene) {
        self.run.let_go().await;
        self.run.awake().await;
        let foreign = self.others.leave();
        self.run.sound("in the end").await;
        self.run.nothing_left().await;
        self.ran.broken = std::mem::take(&mut self.run.told.broken);
        self.ran.broken.extend(foreign);
        self.ran.broken.extend(Judge::doubles(s));
        self.ran.broken.extend(Judge::guesses(s));
    }
}

/// What is at the site of a record, and ours.
fn ours(s: &Scene, r: &ResourceRecord) -> Vec<Thing> {
    let mut things = s.cloud.of(r.id, s.world.now());
    things.retain(|t| t.mark.as_ref().is_some_and(|m| m.installation == "lab"));
    things
}

/// Whether it is what was asked for last.
fn is_well(s: &Scene, part: Part, r: &ResourceRecord) -> bool {
    let slaves = if part == Part::Create { 2 } else { 4 };
    let things = ours(s, r);
    let right = things.len() == 1 && things[0].slaves == slaves;
    part != Part::Delete && r.seen == State::Ready && right
}

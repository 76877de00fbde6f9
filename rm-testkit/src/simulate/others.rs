//! What others do while a trial runs: each deed at the boundary where it was
//! ordered, and its end a while later.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, select};
use rm_core::backend::{Mark, Phase};
use rm_core::clusters::Size;
use rm_core::env::Timestamp;
use rm_core::record::ResourceRecord;
use rm_core::{ErrorKind, RemoteId};
use serde_json::json;

use super::harm::{Found, Harm};
use super::sibling::Sibling;
use crate::cloud::{Fault, Rule, Verb};
use crate::scene::{EngineTask, Scene};
use crate::world::Deed;

const SITE: &str = "north";
const ACCOUNT: &str = "physics";
/// What one tenant may not have.
const TOO_MANY: u32 = 40;

/// What must come to an end.
#[derive(Debug)]
enum Until {
    Up,
    Room,
    Accepted,
    Known(String),
    Allowed,
    Calm,
    Store(Vec<EngineTask>),
}

/// Everybody but us.
pub(super) struct Others<'a> {
    s: &'a Scene,
    under_way: Cell<bool>,
    open: RefCell<Vec<(Timestamp, Until)>>,
    /// What the account's password is where nobody has let it expire.
    password: RefCell<String>,
    planted: RefCell<Vec<RemoteId>>,
    siblings: RefCell<Vec<Sibling>>,
    broken: RefCell<Vec<Found>>,
}

impl<'a> Others<'a> {
    pub(super) fn new(s: &'a Scene) -> Self {
        Self {
            s,
            under_way: Cell::new(false),
            open: RefCell::default(),
            password: RefCell::new("right".to_owned()),
            planted: RefCell::default(),
            siblings: RefCell::default(),
            broken: RefCell::default(),
        }
    }

    /// Whether something of what they do goes on.
    pub(super) fn are_busy(&self) -> bool {
        self.under_way.get() || !self.open.borrow().is_empty()
    }

    /// Does every deed as it comes, for ever.
    pub(super) async fn act(&self) -> Infallible {
        loop {
            let deed = poll_fn(|_| self.s.world.deed().map_or(Poll::Pending, Poll::Ready));
            let first = self.open.borrow().iter().map(|(until, _)| *until).min();
            let due = match first {
                None => Some(deed.await),
                Some(until) => {
                    let rest = self.s.world.sleep(until.since(self.s.world.now()));
                    match select(deed, rest).await {
                        Either::Left((due, _)) => Some(due),
                        Either::Right(_) => None,
                    }
                }
            };
            self.under_way.set(true);
            match due {
                Some((task, deed)) => {
                    self.begin(deed).await;
                    self.s.world.resume(task);
                }
                None => self.end().await,
            }
            self.under_way.set(false);
        }
    }

    async fn begin(&self, deed: Deed) {
        let s = self.s;
        let seconds = Duration::from_secs;
        match deed {
            Deed::SiteAway => {
                s.cloud.down(SITE, true);
                self.until(seconds(5), Until::Up);
            }
            Deed::SiteFull => {
                s.cloud.room(SITE, Some(0));
                self.until(seconds(5), Until::Room);
            }
            Deed::TooMuch => self.ask_too_much().await,
            Deed::Expired => {
                s.cloud.password(ACCOUNT, "expired");
                self.until(seconds(5), Until::Accepted);
            }
            Deed::Rotated => {
                let word = "rotated".to_owned();
                s.cloud.password(ACCOUNT, &word);
                self.password.replace(word.clone());
                self.until(seconds(2), Until::Known(word));
            }
            // Longer than it is tried.
            Deed::CannotDelete => {
                s.cloud.forbid(ACCOUNT, Verb::Destroy, true);
                self.until(seconds(120), Until::Allowed);
            }
            Deed::DeleteRefused => {
                let refused = Fault::Refused(ErrorKind::Forbidden);
                s.cloud.inject(Rule::next(Verb::Destroy, refused).always());
                self.until(seconds(120), Until::Calm);
            }
            Deed::NameTaken => self.take_name(false).await,
            Deed::NameCopied => self.take_name(true).await,
            Deed::Sibling => {
                let sibling = Sibling::start(s).await;
                self.siblings.borrow_mut().extend(sibling);
            }
            // Longer than a claim lasts.
            Deed::StoreAway => {
                let engines = s.engines();
                for engine in &engines {
                    engine.store.away(true);
                }
                self.until(seconds(15), Until::Store(engines));
            }
        }
    }

    fn until(&self, lasts: Duration, what: Until) {
        let until = self.s.world.now().plus(lasts);
        self.open.borrow_mut().push((until, what));
    }

    /// Ends what has lasted long enough.
    async fn end(&self) {
        let (s, now) = (self.s, self.s.world.now());
        let over = |(until, _): &mut (Timestamp, Until)| *until <= now;
        let over: Vec<_> = self.open.borrow_mut().extract_if(.., over).collect();
        for (_, what) in over {
            match what {
                Until::Up => s.cloud.down(SITE, false),
                Until::Room => s.cloud.room(SITE, None),
                Until::Accepted => s.cloud.password(ACCOUNT, &self.password.borrow()),
                Until::Known(word) => {
                    let secret = json!({"account": ACCOUNT, "password": word});
                    let name = format!("{ACCOUNT}-{SITE}");
                    let catalog = s.door.catalog();
                    let done = catalog.rotate_credential(&s.alice, &name, &secret).await;
                    if let Err(e) = done {
                        self.harm(Harm::Broken, format!("nobody can tell the password: {e}"));
                    }
                }
                Until::Allowed => s.cloud.forbid(ACCOUNT, Verb::Destroy, false),
                Until::Calm => s.cloud.calm(),
                Until::Store(engines) => {
                    for engine in engines {
                        engine.store.away(false);
                    }
                }
            }
        }
    }

    fn harm(&self, harm: Harm, text: String) {
        self.broken.borrow_mut().push(Found::new(harm, text));
    }

    /// The tenant's own quota refuses it, and what there is stays as it is. While
    /// something else is wrong, that may be what refuses it.
    async fn ask_too_much(&self) {
        let s = self.s;
        let clusters = s.clusters();
        let refused = match clusters.create(&s.bob, &s.own(TOO_MANY)).await {
            Ok(made) => Err(format!("{} was made", made.cluster.id())),
            Err(e) if e.kind() == ErrorKind::Quota || !self.open.borrow().is_empty() => Ok(()),
            Err(e) => Err(e.to_string()),
        };
        if let Err(text) = refused {
            self.harm(Harm::Overrun, format!("too much was asked for: {text}"));
        }
        for r in s.records().await {
            let resized = clusters.resize(&s.alice, r.id, Size::To(TOO_MANY)).await;
            if resized.is_ok() {
                self.harm(Harm::Overrun, format!("{} may have too much", r.id));
            }
        }
    }

    /// Somebody makes a thing under the name of ours; where ours is there, they
    /// remove it first.
    async fn take_name(&self, copied: bool) {
        let (s, now) = (self.s, self.s.world.now());
        for r in s.records().await {
            let ours = mark_of(&r);
            let name = ours.name();
            for thing in s.cloud.things(SITE, now) {
                if thing.name == name && thing.mark.is_some_and(|m| m.installation == "lab") {
                    s.cloud.vanish(SITE, &thing.id, now);
                }
            }
            let mark = copied.then(|| Mark {
                installation: "sibling".to_owned(),
                ..ours
            });
            let id = s.cloud.plant(SITE, ACCOUNT, &name, mark, now);
            self.planted.borrow_mut().push(id);
        }
    }

    /// It is over: what harm there was, and whether all that is theirs is as
    /// they left it.
    pub(super) fn leave(&self) -> Vec<Found> {
        let s = self.s;
        let mut broken = self.broken.take();
        let things = s.cloud.things(SITE, s.world.now());
        for id in self.planted.take() {
            let whole = |t: &&crate::cloud::Thing| t.stamp == 1 && t.phase == Phase::Ready;
            if !things.iter().filter(whole).any(|t| t.id == id) {
                let text = format!("{id} is somebody else's and was touched");
                broken.push(Found::new(Harm::Foreign, text));
            }
        }
        for sibling in self.siblings.take() {
            sibling.stop(s);
            let touched = sibling.touched(s).into_iter();
            broken.extend(touched.map(|text| Found::new(Harm::Foreign, text)));
        }
        broken
    }
}

/// The mark that a record's thing bears by now, or will.
fn mark_of(r: &ResourceRecord) -> Mark {
    Mark {
        installation: "lab".to_owned(),
        resource: r.id,
        incarnation: r.incarnation.max(1),
        generation: 1,
    }
}

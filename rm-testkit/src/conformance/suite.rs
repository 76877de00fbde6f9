//! Every check that fits what is declared, each on a site of its own.

use std::future::{Future, IntoFuture};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use futures_util::{FutureExt, StreamExt, stream};
use rm_core::env::Env;
use rm_core::model::Model;
use rm_core::{Error, Result};

use super::check::{About, Check, Finding, Invariant, Level, Verdict};
use super::score::{Outcome, Scorecard, Scored};
use super::stage::{Pace, Stage};
use super::subject::{Subject, Time};
use super::time::Hurried;
use super::{
    change, create, declared, destroy, dropped, faults, kept, look, paid, secrets, told, troubles,
    users,
};
use crate::world::World;

/// Every check that fits what the subject declares.
///
/// Await it for the [`Scorecard`].
pub fn suite<S: Subject>(subject: S) -> Suite<S> {
    Suite {
        subject,
        seed: 1,
        at_once: 8,
        only: None,
        most: usize::MAX,
    }
}

/// A suite that has not begun.
#[derive(Debug)]
#[must_use = "a suite does nothing unless it is awaited"]
pub struct Suite<S> {
    subject: S,
    seed: u64,
    at_once: usize,
    only: Option<String>,
    most: usize,
}

impl<S: Subject> Suite<S> {
    /// Another seed: other ids, other moments.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// In real time, so many checks at once.
    pub fn at_once(mut self, checks: usize) -> Self {
        self.at_once = checks.max(1);
        self
    }

    /// Only checks whose name begins like this, to look into one of them.
    pub fn only(mut self, name: &str) -> Self {
        self.only = Some(name.to_owned());
        self
    }

    /// At most so many checks, for a site where each takes long: some of every
    /// group. The card names those that were left out, and tells the level of
    /// those that were made.
    pub fn most(mut self, checks: usize) -> Self {
        self.most = checks.max(1);
        self
    }

    async fn run(self) -> Scorecard {
        let time = self.subject.time();
        match time {
            Time::Simulated => {
                let pace = Pace {
                    speed: 1,
                    alone: true,
                };
                let world = World::new(self.seed);
                let first = world.block_on(Stage::open(&self.subject, world.env(), pace));
                let (mut card, checks) = match self.begin(first) {
                    Ok(begun) => begun,
                    Err(card) => return *card,
                };
                for check in &checks {
                    let world = World::new(self.seed);
                    let env: Arc<dyn Env> = world.env();
                    let scored = world.block_on(one(&self.subject, check, env, pace));
                    card.checks.push(scored);
                }
                card.rated()
            }
            Time::Real { env, speed } => {
                let pace = Pace {
                    speed,
                    alone: false,
                };
                let env: Arc<dyn Env> = Hurried::new(env, speed);
                let first = Stage::open(&self.subject, Arc::clone(&env), pace).await;
                let (mut card, checks) = match self.begin(first) {
                    Ok(begun) => begun,
                    Err(card) => return *card,
                };
                let mut all: Vec<BoxFuture<'_, (usize, Scored)>> = Vec::with_capacity(checks.len());
                for (at, check) in checks.iter().enumerate() {
                    let one = one(&self.subject, check, Arc::clone(&env), pace);
                    all.push(Box::pin(async move { (at, one.await) }));
                }
                // One that takes long keeps nobody else waiting.
                let done = stream::iter(all).buffer_unordered(self.at_once);
                let mut done: Vec<(usize, Scored)> = done.collect().await;
                done.sort_by_key(|(at, _)| *at);
                card.checks = done.into_iter().map(|(_, scored)| scored).collect();
                card.rated()
            }
        }
    }

    /// Chooses the checks by what is declared.
    #[allow(clippy::type_complexity, reason = "a card and its checks")]
    fn begin(
        &self,
        first: Result<Stage<S::Model>>,
    ) -> std::result::Result<(Scorecard, Vec<Check<S::Model>>), Box<Scorecard>> {
        let stage = match first {
            Ok(stage) => stage,
            Err(e) => return Err(Box::new(self.unopened(&e))),
        };
        let cap = stage.backend.capability(&stage.site);
        let mut card = Scorecard::new(self.subject.name(), &cap, self.seed);
        let mut checks = every();
        if let Some(name) = &self.only {
            checks.retain(|check| check.about.name.starts_with(name.as_str()));
        }
        let (fitting, others): (Vec<_>, Vec<_>) = checks
            .into_iter()
            .partition(|check| (check.when)(&stage.declared));
        card.not_applicable = others.iter().map(|check| check.about.name).collect();
        let (made, left_out) = spread(fitting, self.most);
        card.left_out = left_out.iter().map(|check| check.about.name).collect();
        Ok((card, made))
    }

    /// The subject gives no site: nothing can be shown of it.
    fn unopened(&self, e: &Error) -> Scorecard {
        let nothing = rm_core::backend::Capability::new();
        let mut card = Scorecard::new(self.subject.name(), &nothing, self.seed);
        card.checks.push(Scored {
            about: About {
                name: "subject/gives-a-site",
                faults: false,
                level: Level::Basic,
                invariant: Invariant::I14,
                incident: "nothing to look at",
            },
            outcome: Outcome::Failed,
            why: e.to_string(),
        });
        card.rated()
    }
}

impl<S: Subject> IntoFuture for Suite<S> {
    type Output = Scorecard;
    type IntoFuture = BoxFuture<'static, Scorecard>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// At most so many of these, evenly from first to last, and the others.
fn spread<T>(all: Vec<T>, most: usize) -> (Vec<T>, Vec<T>) {
    let count = all.len();
    let most = most.min(count);
    let taken = move |at: usize| at * most / count != (at + 1) * most / count;
    let (taken, left) = all
        .into_iter()
        .enumerate()
        .partition::<Vec<_>, _>(|(at, _)| taken(*at));
    let plain = |some: Vec<(usize, T)>| some.into_iter().map(|(_, one)| one).collect();
    (plain(taken), plain(left))
}

/// Every check there is.
pub(super) fn every<M: Model>() -> Vec<Check<M>> {
    let mut all = declared::all();
    all.extend(create::all());
    all.extend(look::all());
    all.extend(change::all());
    all.extend(destroy::all());
    all.extend(told::all());
    all.extend(kept::all());
    all.extend(users::all());
    all.extend(secrets::all());
    all.extend(faults::all());
    all.extend(paid::all());
    all.extend(troubles::all());
    all.extend(dropped::all());
    all
}

/// One check, whatever it does: it ends, and a panic in it is a failure.
async fn one<S: Subject>(
    subject: &S,
    check: &Check<S::Model>,
    env: Arc<dyn Env>,
    pace: Pace,
) -> Scored {
    let verdict = match Stage::open(subject, Arc::clone(&env), pace).await {
        Ok(stage) => {
            let limit = limit(&stage, pace);
            let verdict = limited(&*env, limit, (check.run)(&stage)).await;
            if pace.alone {
                verdict
            } else {
                clean(&stage, &*env, limit, verdict).await
            }
        }
        Err(e) => Err(Finding::from(e)),
    };
    let (outcome, why) = match verdict {
        Ok(()) => (Outcome::Passed, String::new()),
        Err(Finding::Held(why)) => (Outcome::Held, why),
        Err(Finding::Broken(why)) => (Outcome::Failed, why),
    };
    Scored {
        about: check.about,
        outcome,
        why,
    }
}

/// What no check may take: long in a world where time is nothing, a few
/// minutes where somebody waits.
fn limit<M: Model>(stage: &Stage<M>, pace: Pace) -> Duration {
    if !pace.alone {
        return Duration::from_secs(180) * pace.speed;
    }
    let cap = stage.cap();
    (cap.patience + cap.late * 2) * 10 + Duration::from_secs(24 * 3600)
}

async fn limited(env: &dyn Env, limit: Duration, check: impl Future<Output = Verdict>) -> Verdict {
    let check = AssertUnwindSafe(check).catch_unwind();
    match select(std::pin::pin!(check), env.sleep(limit)).await {
        Either::Left((Ok(verdict), _)) => verdict,
        Either::Left((Err(panic), _)) => {
            Err(Finding::Broken(format!("it panics: {}", words(&*panic))))
        }
        Either::Right(_) => Err(Finding::Broken(format!("no end after {limit:?}"))),
    }
}

/// At a site that others use, nothing is left behind.
async fn clean<M: Model>(
    stage: &Stage<M>,
    env: &dyn Env,
    limit: Duration,
    verdict: Verdict,
) -> Verdict {
    let left = limited(env, limit, async {
        match stage.clean().await? {
            0 => Ok(()),
            left => Err(Finding::Broken(format!("{left} things will not go"))),
        }
    })
    .await;
    match (verdict, left) {
        (Ok(()), Err(left)) => Err(left),
        (verdict, _) => verdict,
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it does not say why")
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn some_of_all_are_so_many_and_from_everywhere() {
        for (count, most) in [(1, 1), (10, 3), (166, 42), (5, 9), (7, 7)] {
            let all: Vec<usize> = (0..count).collect();
            let (some, left) = spread(all, most);
            assert_eq!(some.len(), most.min(count));
            assert_eq!(some.len() + left.len(), count);
            let widest = count.div_ceil(most);
            let near = some.windows(2).all(|two| two[1] - two[0] <= widest);
            assert!(near, "{some:?}");
        }
        assert_eq!(spread(Vec::<u8>::new(), 3), (vec![], vec![]));
    }
}

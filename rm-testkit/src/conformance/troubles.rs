//! More than one thing goes wrong, or somebody else is at work.

use std::time::Duration;

use rm_core::backend::{Absence, Mark, Phase};
use rm_core::life::State;
use rm_core::model::Model;

use super::check::{Check, Declared, Verdict, checks, ensure};
use super::faulty::Mishap;
use super::life::Life;
use super::stage::Stage;
use crate::cloud::Verb;

pub(super) fn all<M: Model>() -> Vec<Check<M>> {
    checks! {
        "faults/pairs/released-after-an-answer-lost" (faulty) Safe I1 "crabbox#1575: the later release answers success" always => released_lost;
        "faults/pairs/released-before-a-request-lost" (faulty) Safe I3 "sky#509: released what was never made" always => released_never;
        "faults/pairs/released-before-a-create-arrives" (faulty) Safe I1 "benchflow#663: stale ones after the release" always => released_late;
        "faults/pairs/released-after-a-crash" (faulty) Safe I1 "suna#3571: rows that are fewer than things" always => released_crashed;
        "faults/pairs/create-and-look-lost" (faulty) Safe I1 "sky#6787: neither the answer nor the look" always => create_and_look;
        "faults/pairs/create-lost-and-crash" (faulty) Safe I1 "jos#310: lost, and died" always => create_lost_crash;
        "faults/pairs/destroy-lost-and-crash" (faulty) Safe I3 "garm#401: lost, and died" always => destroy_lost_crash;
        "faults/pairs/a-newer-change-overtakes" (faulty) Safe I8 "arcbox#538: the older one arrives last" in_place => overtaken;
        "faults/pairs/changed-while-unknown" (faulty) Safe I8 "elasticluster#494: resized before it was there" resizes => changed_while_unknown;
        "faults/list/seconds-late" (faulty) Safe I1 "crabbox#1575: a listing that lags" always => lags_seconds;
        "faults/list/half-a-minute-late" (faulty) Safe I1 "crabbox#1575: a listing that lags" always => lags_long;
        "faults/list/late-and-an-answer-lost" (faulty) Safe I1 "crabbox#1575: lost, and not listed yet" always => lags_and_lost;
        "faults/list/late-and-a-crash" (faulty) Safe I1 "temper#431: died, and not listed yet" always => lags_and_crash;
        "faults/list/once-without-it" (faulty) Safe I2 "sky#4443: not shown is not gone" always => omitted;
        "faults/list/once-as-broken" (faulty) Safe I15 "gCube 10-min session LOST" always => broken_once;
        "faults/list/once-as-unfinished" (faulty) Safe I15 "kobe#289: ready and not ready" always => unmade_once;
        "faults/list/without-what-is-going" (faulty) Safe I3 "kobe#80: not shown taken for gone, where that proves nothing" unproven => omitted_while_going;
        "faults/others/destroyed-behind-our-back" (faulty) Safe I15 "xagent#779: attached to what is not there" always => vanished;
        "faults/others/a-sibling-beside-it" (faulty) Safe I4 "hermes-agent#39434: the sibling's went with it" always => sibling_beside;
        "faults/others/a-sibling-of-the-same-name" (faulty) Safe I4 "capo#668: what is not ours, under our name" always => sibling_of_the_name;
    }
}

impl Declared {
    /// Not to be listed does not show that it is gone.
    fn unproven(&self) -> bool {
        self.cap.absence != Absence::NotListed
    }
}

const SOON: Duration = Duration::from_millis(600);

/// Waits until what is to go wrong has, however slow the site is, and a moment
/// more.
async fn gone_wrong<M: Model>(s: &Stage<M>) {
    const LONGEST: u32 = 600;
    for _ in 0..LONGEST {
        if s.faulty.suffered() {
            break;
        }
        s.pass(Duration::from_millis(100)).await;
    }
    s.pass(SOON).await;
}

/// A create goes wrong, and it is let go while nobody knows what came of it.
async fn released<M: Model>(s: &Stage<M>, mishap: Mishap) -> Verdict {
    s.once(Verb::Create, mishap);
    s.play(1, async {
        let mut life = Life::begin(s).await?;
        gone_wrong(s).await;
        life.end().await?;
        ensure!(
            s.faulty.calm(),
            "nothing went wrong: the check shows nothing"
        );
        life.verdict()
    })
    .await
}

async fn released_lost<M: Model>(s: &Stage<M>) -> Verdict {
    released(s, Mishap::LostAfter).await
}

async fn released_never<M: Model>(s: &Stage<M>) -> Verdict {
    released(s, Mishap::LostBefore).await
}

async fn released_late<M: Model>(s: &Stage<M>) -> Verdict {
    released(s, Mishap::Late(Duration::from_secs(30))).await
}

async fn released_crashed<M: Model>(s: &Stage<M>) -> Verdict {
    released(s, Mishap::CrashAfter).await
}

/// A whole life in which these go wrong, each once.
pub(super) async fn pair<M: Model>(s: &Stage<M>, mishaps: &[(Verb, Mishap)]) -> Verdict {
    for (verb, mishap) in mishaps {
        s.once(*verb, *mishap);
    }
    s.play(1, async {
        let mut life = Life::begin(s).await?;
        life.there().await?;
        life.end().await?;
        ensure!(
            s.faulty.calm(),
            "nothing went wrong: the check shows nothing"
        );
        life.verdict()
    })
    .await
}

async fn create_and_look<M: Model>(s: &Stage<M>) -> Verdict {
    let lost = [
        (Verb::Create, Mishap::LostAfter),
        (Verb::Observe, Mishap::LostBefore),
    ];
    pair(s, &lost).await
}

async fn create_lost_crash<M: Model>(s: &Stage<M>) -> Verdict {
    let lost = [
        (Verb::Create, Mishap::LostAfter),
        (Verb::Observe, Mishap::CrashAfter),
    ];
    pair(s, &lost).await
}

async fn destroy_lost_crash<M: Model>(s: &Stage<M>) -> Verdict {
    let lost = [
        (Verb::Destroy, Mishap::LostAfter),
        (Verb::Destroy, Mishap::CrashBefore),
        (Verb::Create, Mishap::CrashAfter),
    ];
    pair(s, &lost).await
}

/// A change is late, another one is wanted meanwhile, and the late one lands
/// on top of it.
async fn overtaken<M: Model>(s: &Stage<M>) -> Verdict {
    s.play(1, async {
        let mut life = Life::begin(s).await?;
        life.there().await?;
        s.once(Verb::Change, Mishap::Late(Duration::from_secs(8)));
        life.grow().await?;
        s.pass(Duration::from_secs(2)).await;
        life.want(&s.specs.sample).await?;
        life.there().await?;
        ensure!(
            s.faulty.calm(),
            "nothing went wrong: the check shows nothing"
        );
        life.end().await?;
        life.verdict()
    })
    .await
}

async fn changed_while_unknown<M: Model>(s: &Stage<M>) -> Verdict {
    s.once(Verb::Create, Mishap::LostAfter);
    s.play(1, async {
        let mut life = Life::begin(s).await?;
        gone_wrong(s).await;
        life.grow().await?;
        life.there().await?;
        ensure!(
            s.faulty.calm(),
            "nothing went wrong: the check shows nothing"
        );
        life.end().await?;
        life.verdict()
    })
    .await
}

/// A whole life over a list that is so late, and says so.
async fn lagging<M: Model>(s: &Stage<M>, seconds: u64, mishap: Option<Mishap>) -> Verdict {
    let by = Duration::from_secs(seconds);
    s.faulty.lag(by);
    s.declare(|cap| cap.visibility += by);
    if let Some(mishap) = mishap {
        s.once(Verb::Create, mishap);
    }
    s.play(1, async {
        let mut life = Life::begin(s).await?;
        life.there().await?;
        if s.declared.in_place() {
            life.grow().await?;
            life.there().await?;
        }
        life.end().await?;
        life.verdict()
    })
    .await
}

async fn lags_seconds<M: Model>(s: &Stage<M>) -> Verdict {
    lagging(s, 3, None).await
}

async fn lags_long<M: Model>(s: &Stage<M>) -> Verdict {
    lagging(s, 30, None).await
}

async fn lags_and_lost<M: Model>(s: &Stage<M>) -> Verdict {
    lagging(s, 10, Some(Mishap::LostAfter)).await
}

async fn lags_and_crash<M: Model>(s: &Stage<M>) -> Verdict {
    lagging(s, 10, Some(Mishap::CrashAfter)).await
}

/// A list contradicts itself about what works: in the end it works, and no
/// other was made in its stead.
async fn flickers<M: Model>(s: &Stage<M>, mishap: Mishap) -> Verdict {
    s.play(1, async {
        let mut life = Life::begin(s).await?;
        life.there().await?;
        s.once(Verb::Observe, mishap);
        s.pass(s.policy.sweep * 3).await;
        ensure!(
            s.faulty.calm(),
            "nothing went wrong: the check shows nothing"
        );
        life.there().await?;
        ensure!(
            s.faulty.asked(Verb::Create) == 1,
            "a list flickered, and another one was made"
        );
        life.end().await?;
        life.verdict()
    })
    .await
}

async fn omitted<M: Model>(s: &Stage<M>) -> Verdict {
    flickers(s, Mishap::Omits).await
}

async fn broken_once<M: Model>(s: &Stage<M>) -> Verdict {
    flickers(s, Mishap::Breaks).await
}

async fn unmade_once<M: Model>(s: &Stage<M>) -> Verdict {
    flickers(s, Mishap::Unmakes).await
}

/// Where the dead are shown, not to be shown is not to be dead.
async fn omitted_while_going<M: Model>(s: &Stage<M>) -> Verdict {
    s.play(1, async {
        let mut life = Life::begin(s).await?;
        life.there().await?;
        s.once(Verb::Destroy, Mishap::LostBefore);
        s.once(Verb::Observe, Mishap::Omits);
        life.end().await?;
        ensure!(
            s.faulty.calm(),
            "nothing went wrong: the check shows nothing"
        );
        life.verdict()
    })
    .await
}

/// Somebody destroys it at the site: that is told, and nothing is made in its
/// stead that nobody asked for.
pub(super) async fn vanished<M: Model>(s: &Stage<M>) -> Verdict {
    s.play(1, async {
        let mut life = Life::begin(s).await?;
        life.there().await?;
        let remote = life.record().await?.and_then(|r| r.remote);
        let mark = Mark {
            resource: life.id,
            ..s.mark()
        };
        let Some(id) = remote else { return Ok(()) };
        if let Some(seen) = s.look(&mark, Some(&id)).await? {
            s.destroy(&seen).await?;
        }
        s.pass(s.cap().visibility + s.policy.sweep * 3).await;
        let told = life.record().await?.map(|r| r.seen);
        ensure!(
            told != Some(State::Ready),
            "it was destroyed at the site and is still told to be ready"
        );
        ensure!(
            s.faulty.asked(Verb::Create) == 1,
            "it was destroyed at the site, and another one was made"
        );
        life.release().await?;
        life.absent().await?;
        life.verdict()
    })
    .await
}

/// A whole life with mishaps beside a sibling's thing on the same account.
async fn sibling_beside<M: Model>(s: &Stage<M>) -> Verdict {
    let theirs = s.sibling_mark();
    let before = s.made_as(&theirs).await?;
    let mishaps = [
        (Verb::Create, Mishap::LostAfter),
        (Verb::Observe, Mishap::LostBefore),
        (Verb::Destroy, Mishap::CrashAfter),
    ];
    let done = pair(s, &mishaps).await;
    let after = s.ready(&theirs, &before.id).await?;
    ensure!(
        (&after.mark, &after.stamp) == (&before.mark, &before.stamp),
        "a sibling's thing was touched: {:?} {:?}",
        after.mark,
        after.stamp
    );
    done
}

/// A sibling whose store was copied has a thing of the same name: it is not
/// ours, and it is not touched. To ask a person is right here.
async fn sibling_of_the_name<M: Model>(s: &Stage<M>) -> Verdict {
    let mut life = Life::begin(s).await?;
    let theirs = Mark {
        resource: life.id,
        ..s.sibling_mark()
    };
    let before = s.made_as(&theirs).await?;
    s.play(1, async {
        life.there().await?;
        life.end().await?;
        let after = s.look(&theirs, Some(&before.id)).await?;
        let after = after.filter(|seen| seen.phase == Phase::Ready);
        ensure!(
            after.is_some_and(|a| (a.mark, a.stamp) == (before.mark, before.stamp)),
            "a sibling's thing of the same name was touched"
        );
        Ok(())
    })
    .await
}

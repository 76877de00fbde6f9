//! Another size, of one thing and of no other.

use std::pin::pin;

use futures_util::future::{Either, select};
use rm_core::backend::{Mark, Resize, Seen};
use rm_core::model::Model;
use rm_core::{Effect, ErrorKind, RemoteId};

use super::check::{Check, Declared, Finding, Verdict, checks, ensure};
use super::life::Life;
use super::stage::Stage;

pub(super) fn all<M: Model>() -> Vec<Check<M>> {
    checks! {
        "change/bears-the-new-generation" Basic I8 "arcbox#538: which spec does it follow?" in_place => new_generation;
        "change/keeps-the-rest-of-the-mark" Basic I4 "a change that drops the owner" in_place => keeps_the_mark;
        "change/keeps-the-id" Basic I8 "elasticluster#128: a resize that deleted the cluster" in_place => keeps_the_id;
        "change/makes-it-another-size" Basic I8 "accepted and not done" in_place => another_size;
        "change/goes-back" Basic I8 "Qovery#23: what grew does not shrink" in_place => goes_back;
        "change/to-the-same-is-harmless" Basic I2 "steno#26: an action run twice" in_place => twice;
        "change/moves-the-stamp" Basic I15 "a change that nobody can see" in_place => moves_the_stamp;
        "change/touches-no-other" Safe I8 "elasticluster#155: members that were not in the delta" in_place => touches_no_other;
        "change/touches-no-sibling's" Safe I4 "capo#668: what is another's" in_place => touches_no_sibling;
        "change/of-what-is-gone-makes-nothing" Safe I5 "omnigent#6127: a dead id armed again" in_place_and_dies => of_the_gone;
        "change/makes-another-in-its-stead" Basic I8 "elasticluster#494: replaced, and the old one left" replaces => replaced;
        "change/never-two-of-one" Basic I8 "agent-sandbox#1215: one asked, two there" replaces => never_two;
        "change/is-refused-where-it-is-not-declared" Basic I8 "refused without a word that nothing was done" fixed => refused;
    }
}

impl Declared {
    fn in_place_and_dies(&self) -> bool {
        self.in_place() && self.dies()
    }

    fn fixed(&self) -> bool {
        self.cap.resize != Resize::InPlace && self.sizes
    }

    pub(super) fn replaces(&self) -> bool {
        self.cap.resize == Resize::Replace && self.resizes()
    }
}

fn bigger<M: Model>(s: &Stage<M>) -> Verdict<&M::Spec> {
    s.specs
        .bigger
        .as_ref()
        .ok_or_else(|| Finding::Broken("the subject has no bigger spec".to_owned()))
}

fn next(mark: &Mark) -> Mark {
    Mark {
        generation: mark.generation + 1,
        ..mark.clone()
    }
}

/// Changed to the bigger spec, and ready again.
async fn grown<M: Model>(s: &Stage<M>, mark: &Mark, seen: &Seen<M>) -> Verdict<(Mark, Seen<M>)> {
    let mark = next(mark);
    s.change(&mark, seen, bigger(s)?).await?;
    let seen = s.ready(&mark, &seen.id).await?;
    Ok((mark, seen))
}

async fn new_generation<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    let (_, seen) = grown(s, &mark, &seen).await?;
    let read = seen.mark.map(|m| m.generation);
    ensure!(
        read == Some(2),
        "after a change to generation 2 it bears {read:?}"
    );
    Ok(())
}

async fn keeps_the_mark<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    let (mark, seen) = grown(s, &mark, &seen).await?;
    ensure!(
        seen.mark.as_ref() == Some(&mark),
        "marked {:?}, not {mark:?}",
        seen.mark
    );
    Ok(())
}

async fn keeps_the_id<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    grown(s, &mark, &seen).await?;
    let real = s.real_of(mark.resource).await?;
    ensure!(
        real.len() == 1 && real[0].id == seen.id,
        "{} was changed in place, and there is {real:?}",
        seen.id
    );
    Ok(())
}

async fn another_size<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    let before = s.closely(&mark, &seen.id, &s.specs.sample).await?;
    let (mark, seen) = grown(s, &mark, &seen).await?;
    let after = s.closely(&mark, &seen.id, bigger(s)?).await?;
    let view = |seen: Option<Seen<M>>| seen.and_then(|s| s.view);
    ensure!(
        view(before) != view(after),
        "the change was accepted, and what there is to see is the same"
    );
    Ok(())
}

async fn goes_back<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    let before = s.closely(&mark, &seen.id, &s.specs.sample).await?;
    let (mark, seen) = grown(s, &mark, &seen).await?;
    let mark = next(&mark);
    s.change(&mark, &seen, &s.specs.sample).await?;
    let seen = s.ready(&mark, &seen.id).await?;
    let after = s.closely(&mark, &seen.id, &s.specs.sample).await?;
    let view = |seen: Option<Seen<M>>| seen.and_then(|s| s.view);
    ensure!(
        view(before) == view(after),
        "grown and shrunk again, it is another"
    );
    Ok(())
}

async fn twice<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    let (mark, seen) = grown(s, &mark, &seen).await?;
    s.change(&mark, &seen, bigger(s)?).await?;
    let seen = s.ready(&mark, &seen.id).await?;
    ensure!(seen.mark.as_ref() == Some(&mark), "marked {:?}", seen.mark);
    Ok(())
}

async fn moves_the_stamp<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, before) = s.made().await?;
    // A stamp of whole seconds moves in the next one.
    s.pass(std::time::Duration::from_secs(2)).await;
    let (_, after) = grown(s, &mark, &before).await?;
    ensure!(
        before.stamp.is_none() || before.stamp != after.stamp,
        "changed, and its stamp is still {:?}",
        after.stamp
    );
    Ok(())
}

async fn touches_no_other<M: Model>(s: &Stage<M>) -> Verdict {
    let (other, before) = s.made().await?;
    let (mark, seen) = s.made().await?;
    grown(s, &mark, &seen).await?;
    let after = s.ready(&other, &before.id).await?;
    ensure!(
        (&after.mark, &after.stamp) == (&before.mark, &before.stamp),
        "another was changed with it: {:?} {:?}",
        after.mark,
        after.stamp
    );
    Ok(())
}

async fn touches_no_sibling<M: Model>(s: &Stage<M>) -> Verdict {
    let theirs = s.sibling_mark();
    let before = s.made_as(&theirs).await?;
    let (mark, seen) = s.made().await?;
    grown(s, &mark, &seen).await?;
    let after = s.ready(&theirs, &before.id).await?;
    ensure!(
        (&after.mark, &after.stamp) == (&before.mark, &before.stamp),
        "a sibling's was changed with it: {:?} {:?}",
        after.mark,
        after.stamp
    );
    Ok(())
}

async fn of_the_gone<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    s.unmade(&mark, &seen).await?;
    let (cx, newer) = (s.cx(), next(&mark));
    let call = s.backend.change(&cx, &newer, &seen, bigger(s)?);
    match s.call("change", call).await {
        Ok(()) => ensure!(false, "a change of what is gone was accepted"),
        Err(e) => ensure!(
            e.effect() == Effect::None,
            "a change of what is gone may have had an effect: {e}"
        ),
    }
    s.pass(s.visible()).await;
    let real = s.real_of(mark.resource).await?;
    ensure!(real.is_empty(), "a change of what is gone made {real:?}");
    Ok(())
}

/// Made, and made again in another size; both ids.
async fn grown_anew<M: Model>(life: &mut Life<'_, M>) -> Verdict<[Option<RemoteId>; 2]> {
    life.there().await?;
    let before = life.record().await?.and_then(|r| r.remote);
    life.grow().await?;
    life.there().await?;
    let after = life.record().await?.and_then(|r| r.remote);
    Ok([before, after])
}

async fn replaced<M: Model>(s: &Stage<M>) -> Verdict {
    s.play(1, async {
        let mut life = Life::begin(s).await?;
        let [before, after] = grown_anew(&mut life).await?;
        let real = s.real_of(life.id).await?;
        ensure!(
            before != after && real.len() == 1 && real.first().map(|r| &r.id) == after.as_ref(),
            "{before:?} was replaced by {after:?}, and there is {real:?}"
        );
        life.end().await?;
        life.verdict()
    })
    .await
}

async fn never_two<M: Model>(s: &Stage<M>) -> Verdict {
    s.play(1, async {
        let mut life = Life::begin(s).await?;
        let (id, mut most) = (life.id, 0);
        {
            let watched = async {
                loop {
                    most = most.max(s.real_of(id).await?.len());
                    s.pass(s.policy.first_look / 4).await;
                }
            };
            let grown = grown_anew(&mut life);
            match select(pin!(grown), pin!(watched)).await {
                Either::Left((grown, _)) => grown.map(drop),
                Either::Right((never, _)) => never,
            }?;
        }
        ensure!(most == 1, "one resource, and {most} things at one moment");
        life.end().await?;
        life.verdict()
    })
    .await
}

async fn refused<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    let (cx, newer) = (s.cx(), next(&mark));
    let call = s.backend.change(&cx, &newer, &seen, bigger(s)?);
    match s.call("change", call).await {
        Ok(()) => ensure!(false, "it cannot be changed, and the change was accepted"),
        Err(e) => {
            ensure!(
                e.kind() == ErrorKind::Unsupported && e.effect() == Effect::None,
                "it cannot be changed, and says {}: {e}",
                e.kind().code()
            );
        }
    }
    let after = s.ready(&mark, &seen.id).await?;
    ensure!(after.mark == seen.mark, "refused, and the mark changed");
    Ok(())
}

//! What looks show, and what they must not.

use std::collections::BTreeSet;

use rm_core::ErrorKind;
use rm_core::backend::{Look, Phase, Target};
use rm_core::model::Model;

use super::check::{Check, Declared, Finding, Verdict, checks, ensure};
use super::stage::{Stage, target};

pub(super) fn all<M: Model>() -> Vec<Check<M>> {
    checks! {
        "look/at-nothing-shows-nothing" Basic I9 "an empty filter that lists the whole account" always => at_nothing;
        "look/at-what-never-was-is-no-error" Basic I2 "DIBBS: HTTPBadRequest taken for failure" always => at_what_never_was;
        "look/at-what-is-gone-is-no-error" Basic I3 "treat 404 as failure: stuck deleting" dies => at_what_is_gone;
        "look/closely-at-what-is-gone-is-no-error" Basic I3 "treat 404 as failure: stuck deleting" dies => closely_at_what_is_gone;
        "look/quickly-shows-no-view" Basic I9 "hcloud-go#79: each look as dear as all" always => quickly_no_view;
        "look/shows-each-once" Basic I14 "k8e#500: one counted twice" always => each_once;
        "look/takes-a-full-page" Basic I9 "hcloud-go#79: a look for each thing eats the rate" always => full_page;
        "look/mixes-ids-and-marks" Basic I1 "ids of one kind hide those of the other" findable => mixes;
        "look/is-the-same-twice" Basic I15 "a stamp that moves by itself is drift every minute" always => same_twice;
        "look/knows-the-mark-quickly" Safe I4 "ray#14264: killed without a look at whose it is" always => knows_the_mark;
        "look/shows-what-is-being-made" Basic I15 "aws-toolkit#100: a poll misses what is short" always => shows_building;
        "look/of-a-changed-mark-is-the-id's" Basic I5 "kobe#79: found by name, not by identity" always => by_id_not_name;
        "look/all-is-complete" Safe I1 "suna#3571: 66 rows and 150 things running" lists => all_complete;
        "look/all-pages-to-an-end" Safe I7 "a cursor that begins again" lists => all_pages;
        "look/all-shows-no-strangers" Safe I4 "ray#14264: everything on the account taken for ours" lists => no_strangers;
        "look/all-shows-siblings'-marks" Safe I4 "hermes-agent#39434: sibling-unsafe without owners" lists => siblings;
        "look/all-shows-no-dead" Safe I3 "testflows#14: what is off is counted" lists => no_dead;
        "look/all-is-refused-where-it-is-not-declared" Safe I4 "an empty list taken for a complete one" does_not_list => refused;
    }
}

impl Declared {
    /// What shows that a thing is gone is declared.
    pub(super) fn dies(&self) -> bool {
        self.cap.absence != rm_core::backend::Absence::None
    }

    fn does_not_list(&self) -> bool {
        !self.cap.list_by_owner
    }
}

async fn at_nothing<M: Model>(s: &Stage<M>) -> Verdict {
    s.made().await?;
    let shown = s.these(&[]).await?;
    ensure!(
        shown.is_empty(),
        "nothing was asked for, and {} are shown",
        shown.len()
    );
    Ok(())
}

async fn at_what_never_was<M: Model>(s: &Stage<M>) -> Verdict {
    let shown = s.these(&[target(&s.mark(), None)]).await?;
    ensure!(
        shown.is_empty(),
        "what was never made is {:?}",
        shown[0].phase
    );
    Ok(())
}

async fn at_what_is_gone<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    s.unmade(&mark, &seen).await?;
    s.pass(s.visible()).await;
    for id in [Some(&seen.id), None] {
        let again = s.look(&mark, id).await?;
        ensure!(
            again.as_ref().is_none_or(|s| s.phase == Phase::Gone),
            "gone, and then {:?}",
            again.map(|s| s.phase)
        );
    }
    Ok(())
}

async fn closely_at_what_is_gone<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    s.unmade(&mark, &seen).await?;
    s.pass(s.visible()).await;
    let again = s.closely(&mark, &seen.id, &s.specs.sample).await?;
    // Some keep the dead under their ids as what is still going.
    let phase = again.map(|s| s.phase);
    ensure!(
        matches!(phase, None | Some(Phase::Gone | Phase::Deleting)),
        "a close look shows what is gone as {phase:?}"
    );
    Ok(())
}

async fn quickly_no_view<M: Model>(s: &Stage<M>) -> Verdict {
    let (_, seen) = s.made().await?;
    ensure!(seen.view.is_none(), "a quick look brings a view");
    Ok(())
}

async fn each_once<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    let twice = [target(&mark, Some(&seen.id)), target(&mark, Some(&seen.id))];
    let shown = s.these(&twice).await?;
    let same = shown.iter().filter(|s| s.id == seen.id).count();
    ensure!(same == 1, "asked for twice, shown {same} times");
    Ok(())
}

async fn full_page<M: Model>(s: &Stage<M>) -> Verdict {
    let (first, a) = s.made().await?;
    let (last, b) = s.made().await?;
    let mut targets = vec![target(&first, Some(&a.id))];
    let more = s.cap().page.saturating_sub(2);
    targets.extend((0..more).map(|_| target(&s.mark(), None)));
    if s.cap().page > 1 {
        targets.push(target(&last, Some(&b.id)));
    }
    let shown = s.these(&targets).await?;
    ensure!(
        shown.iter().any(|s| s.id == a.id),
        "the first of a full page is missing"
    );
    ensure!(
        s.cap().page < 2 || shown.iter().any(|s| s.id == b.id),
        "the last of a full page is missing"
    );
    Ok(())
}

async fn mixes<M: Model>(s: &Stage<M>) -> Verdict {
    let (one, a) = s.made().await?;
    let (other, b) = s.made().await?;
    let targets: [Target; 3] = [
        target(&one, Some(&a.id)),
        target(&s.mark(), None),
        target(&other, None),
    ];
    let mut shown = Vec::new();
    for page in targets.chunks(s.cap().page.clamp(1, 3) as usize) {
        shown.extend(s.these(page).await?);
    }
    for seen in [&a, &b] {
        ensure!(
            shown.iter().any(|s| s.id == seen.id),
            "{} is missing",
            seen.id
        );
    }
    ensure!(
        shown.len() == 2,
        "two are there and {} are shown",
        shown.len()
    );
    Ok(())
}

async fn same_twice<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, first) = s.made().await?;
    s.pass(s.policy.sweep).await;
    let second = s.ready(&mark, &first.id).await?;
    ensure!(
        first.stamp == second.stamp,
        "nobody touched it, and its stamp went from {:?} to {:?}",
        first.stamp,
        second.stamp
    );
    ensure!(first.mark == second.mark, "its mark changed by itself");
    Ok(())
}

async fn knows_the_mark<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    ensure!(
        seen.mark.as_ref() == Some(&mark),
        "a quick look shows the mark {:?}, not {mark:?}",
        seen.mark
    );
    let close = s.closely(&mark, &seen.id, &s.specs.sample).await?;
    let close = close.and_then(|s| s.mark);
    ensure!(
        close.as_ref() == Some(&mark),
        "a close look shows the mark {close:?}"
    );
    Ok(())
}

async fn shows_building<M: Model>(s: &Stage<M>) -> Verdict {
    let mark = s.mark();
    let id = s.create(&mark).await?;
    s.until("shown", (&mark, &id), |seen| seen.is_some())
        .await?;
    Ok(())
}

async fn by_id_not_name<M: Model>(s: &Stage<M>) -> Verdict {
    let (_, a) = s.made().await?;
    let (other, _) = s.made().await?;
    // The id of one with the mark of the other: the id tells.
    let shown = s.these(&[target(&other, Some(&a.id))]).await?;
    ensure!(
        shown.iter().any(|s| s.id == a.id),
        "the id does not find it"
    );
    Ok(())
}

async fn all_complete<M: Model>(s: &Stage<M>) -> Verdict {
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(s.made().await?.1.id);
    }
    let list = s.list().await?;
    for id in &made {
        let times = list.iter().filter(|seen| seen.id == *id).count();
        ensure!(times == 1, "{id} is there and listed {times} times");
    }
    Ok(())
}

async fn all_pages<M: Model>(s: &Stage<M>) -> Verdict {
    for _ in 0..3 {
        s.create(&s.mark()).await?;
    }
    s.pass(s.visible()).await;
    let cx = s.cx();
    let mut cursors = BTreeSet::new();
    let mut after = None;
    loop {
        let call = s.backend.observe(&cx, Look::All(after.as_ref()));
        after = s.call("observe", call).await?.next;
        let Some(next) = &after else { return Ok(()) };
        ensure!(cursors.insert(next.0.clone()), "the same page comes again");
    }
}

async fn no_strangers<M: Model>(s: &Stage<M>) -> Verdict {
    s.made().await?;
    for seen in s.list().await? {
        ensure!(
            seen.mark.is_some(),
            "{} ({:?}) bears no mark and is listed as if it did",
            seen.id,
            seen.name
        );
    }
    Ok(())
}

async fn siblings<M: Model>(s: &Stage<M>) -> Verdict {
    let mark = s.sibling_mark();
    let theirs = s.made_as(&mark).await?;
    let list = s.list().await?;
    let listed = list.into_iter().find(|seen| seen.id == theirs.id);
    let listed = listed.ok_or_else(|| Finding::Broken("a sibling's is not listed".to_owned()))?;
    ensure!(
        listed.mark.as_ref() == Some(&mark),
        "a sibling's is listed with the mark {:?}",
        listed.mark
    );
    Ok(())
}

async fn no_dead<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    s.destroy(&seen).await?;
    if s.declared.dies() {
        s.gone(&mark, &seen.id).await?;
    }
    s.pass(s.visible()).await;
    let list = s.list().await?;
    let dead = list.iter().find(|s| s.id == seen.id);
    ensure!(
        dead.is_none_or(|s| matches!(s.phase, Phase::Gone | Phase::Deleting)),
        "destroyed and listed as {:?}",
        dead.map(|s| s.phase)
    );
    Ok(())
}

async fn refused<M: Model>(s: &Stage<M>) -> Verdict {
    let cx = s.cx();
    let call = s.backend.observe(&cx, Look::All(None));
    match s.call("observe", call).await {
        Ok(page) => {
            ensure!(
                false,
                "it cannot list by owner, and answers a list of {}",
                page.items.len()
            );
        }
        Err(e) => ensure!(
            e.kind() == ErrorKind::Unsupported,
            "it cannot list by owner, and says {}: {e}",
            e.kind().code()
        ),
    }
    Ok(())
}

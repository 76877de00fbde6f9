//! Gone, with evidence, and nothing else with it.

use rm_core::RemoteId;
use rm_core::backend::{Absence, CreateKey, Mark, Phase, Seen};
use rm_core::model::Model;

use super::check::{Check, Declared, Finding, Verdict, checks, ensure};
use super::stage::Stage;

pub(super) fn all<M: Model>() -> Vec<Check<M>> {
    checks! {
        "destroy/ends-with-evidence" Basic I3 "kobe#80: accepted, and taken for gone" dies => with_evidence;
        "destroy/leaves-nothing" Basic I3 "GRAM delete: answered and not done" dies => leaves_nothing;
        "destroy/shows-that-it-is-going" Basic I3 "crabbox#1691: cleanup pending shown as stopped" always => shows_going;
        "destroy/twice-is-harmless" Basic I3 "treat 404 as failure: stuck deleting" always => twice;
        "destroy/of-what-is-gone-is-done" Basic I3 "capo#1596: cannot delete what is not there" dies => of_the_gone;
        "destroy/of-what-is-being-made" Basic I7 "capo#1792: a create that must end before it can be deleted" always => while_building;
        "destroy/of-what-is-being-changed" Basic I7 "ocf#198: busy, and never deleted" in_place => while_changing;
        "destroy/needs-only-the-id" Basic I3 "catapult#179: what the record lacks is needed to delete" always => needs_only_the_id;
        "destroy/keeps-a-tombstone" Basic I3 "Heat: GET by id is 200 DELETE_COMPLETE" tombs => keeps_a_tombstone;
        "destroy/goes-by-id-not-by-name" Safe I5 "NemoClaw#10867: B was made under A's name" same_name => by_id_not_name;
        "destroy/of-one-incarnation-leaves-the-other" Safe I5 "omnigent#6127: the newer one went with the older" always => other_incarnation;
        "destroy/leaves-our-others" Safe I8 "elasticluster#128: more than was asked for" always => leaves_others;
        "destroy/leaves-a-sibling's" Safe I4 "ocf#168: the sweep killed another's" always => leaves_siblings;
        "destroy/takes-its-parts-along" Safe I11 "ocf#206: addresses that are never released" many_times => takes_parts_along;
        "destroy/several-at-once" Basic I7 "tinker-cookbook#302: terminate and create unsynchronised" dies => several_at_once;
    }
}

impl Declared {
    pub(super) fn tombs(&self) -> bool {
        self.cap.absence == Absence::Tombstone
    }

    /// Two things may have the same name, one after the other.
    fn same_name(&self) -> bool {
        self.dies()
            && !matches!(
                self.cap.create_key,
                CreateKey::ClientUuid | CreateKey::ClientToken
            )
    }

    /// Making and destroying costs nothing but time, and nobody else does so.
    fn many_times(&self) -> bool {
        self.dies() && self.alone && !self.cap.billing_commit
    }
}

async fn with_evidence<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    s.destroy(&seen).await?;
    s.gone(&mark, &seen.id).await
}

async fn leaves_nothing<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    s.unmade(&mark, &seen).await?;
    let real = s.real_of(mark.resource).await?;
    ensure!(real.is_empty(), "seen to be gone, and there is {real:?}");
    Ok(())
}

async fn shows_going<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    s.destroy(&seen).await?;
    s.pass(s.visible()).await;
    if let Some(seen) = s.look(&mark, Some(&seen.id)).await? {
        ensure!(
            matches!(
                seen.phase,
                Phase::Deleting | Phase::Gone | Phase::DeleteFailed
            ),
            "destroyed and shown as {:?}",
            seen.phase
        );
    }
    Ok(())
}

async fn twice<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    s.destroy(&seen).await?;
    s.destroy(&seen).await?;
    if s.declared.dies() {
        s.gone(&mark, &seen.id).await?;
    }
    Ok(())
}

async fn of_the_gone<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    s.unmade(&mark, &seen).await?;
    s.destroy(&seen).await?;
    Ok(())
}

async fn while_building<M: Model>(s: &Stage<M>) -> Verdict {
    let mark = s.mark();
    let id = s.create(&mark).await?;
    s.destroy(&bare(&mark, &id)).await?;
    if s.declared.dies() {
        s.pass(s.visible()).await;
        s.gone(&mark, &id).await?;
    }
    Ok(())
}

async fn while_changing<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    let Some(bigger) = &s.specs.bigger else {
        return Ok(());
    };
    let newer = Mark {
        generation: 2,
        ..mark.clone()
    };
    s.change(&newer, &seen, bigger).await?;
    s.destroy(&seen).await?;
    if s.declared.dies() {
        s.gone(&mark, &seen.id).await?;
    }
    Ok(())
}

/// What the engine knows after a restart: the id, and its own mark.
fn bare<M: Model>(mark: &Mark, id: &RemoteId) -> Seen<M> {
    Seen {
        id: id.clone(),
        name: mark.name(),
        mark: Some(mark.clone()),
        phase: Phase::Ready,
        reason: String::new(),
        stamp: None,
        view: None,
    }
}

async fn needs_only_the_id<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    let mut known = bare(&mark, &seen.id);
    known.mark = None;
    known.name.clear();
    s.destroy(&known).await?;
    if s.declared.dies() {
        s.gone(&mark, &seen.id).await?;
    }
    Ok(())
}

async fn keeps_a_tombstone<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    s.unmade(&mark, &seen).await?;
    let dead = s.look(&mark, Some(&seen.id)).await?;
    let phase = dead.map(|s| s.phase);
    ensure!(
        phase == Some(Phase::Gone),
        "a tombstone is declared, and what is gone is {phase:?}"
    );
    Ok(())
}

async fn by_id_not_name<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, a) = s.made().await?;
    s.unmade(&mark, &a).await?;
    s.pass(s.visible()).await;
    let b = s.made_as(&mark).await?;
    // Somebody who has not heard that A is gone.
    s.destroy(&a).await?;
    s.pass(s.visible()).await;
    let still = s.look(&mark, Some(&b.id)).await?;
    ensure!(
        still.is_some_and(|s| s.phase == Phase::Ready),
        "{} was destroyed, and {} of the same name went",
        a.id,
        b.id
    );
    Ok(())
}

async fn other_incarnation<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, first) = s.made().await?;
    let newer = Mark {
        incarnation: 2,
        ..mark.clone()
    };
    let second = s.made_as(&newer).await?;
    s.destroy(&first).await?;
    if s.declared.dies() {
        s.gone(&mark, &first.id).await?;
    }
    s.ready(&newer, &second.id).await?;
    Ok(())
}

async fn leaves_others<M: Model>(s: &Stage<M>) -> Verdict {
    let (other, before) = s.made().await?;
    let (mark, seen) = s.made().await?;
    s.destroy(&seen).await?;
    if s.declared.dies() {
        s.gone(&mark, &seen.id).await?;
    }
    let after = s.ready(&other, &before.id).await?;
    ensure!(after.stamp == before.stamp, "another was touched with it");
    Ok(())
}

async fn leaves_siblings<M: Model>(s: &Stage<M>) -> Verdict {
    let theirs = s.sibling_mark();
    let before = s.made_as(&theirs).await?;
    let (mark, seen) = s.made().await?;
    s.destroy(&seen).await?;
    if s.declared.dies() {
        s.gone(&mark, &seen.id).await?;
    }
    let after = s.ready(&theirs, &before.id).await?;
    ensure!(
        (&after.mark, &after.stamp) == (&before.mark, &before.stamp),
        "a sibling's was touched with it"
    );
    Ok(())
}

/// What a site has for one thing it has for many, one after the other.
async fn takes_parts_along<M: Model>(s: &Stage<M>) -> Verdict {
    const TIMES: u32 = 4;
    let before = room(s).await?;
    for _ in 0..TIMES {
        let (mark, seen) = s.made().await?;
        s.unmade(&mark, &seen).await?;
    }
    s.pass(s.visible()).await;
    let after = room(s).await?;
    ensure!(
        after >= before,
        "room for {before:?} nodes before, for {after:?} after all is gone"
    );
    Ok(())
}

async fn room<M: Model>(s: &Stage<M>) -> Verdict<Option<u64>> {
    let offers = s.offers(&s.specs.sample).await?;
    let offer = offers.first();
    Ok(offer
        .ok_or_else(|| Finding::Broken("there is no room any more".to_owned()))?
        .nodes_left)
}

async fn several_at_once<M: Model>(s: &Stage<M>) -> Verdict {
    let mut made = Vec::new();
    for _ in 0..s.cap().concurrency.min(3) {
        made.push(s.made().await?);
    }
    let all = made.iter().map(|(_, seen)| s.destroy(seen));
    for done in futures_util::future::join_all(all).await {
        done?;
    }
    for (mark, seen) in &made {
        s.gone(mark, &seen.id).await?;
    }
    Ok(())
}

//! What is made, under which mark, and what a second create of it does.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use rm_core::backend::{CreateKey, Mark, Phase};
use rm_core::model::Model;
use rm_core::{Effect, ErrorKind};

use super::check::{Check, Declared, Finding, Verdict, checks, ensure};
use super::stage::Stage;

pub(super) fn all<M: Model>() -> Vec<Check<M>> {
    checks! {
        "create/answers-an-id" Basic I1 "temper#431: the id must be known before anything can fail" always => answers_an_id;
        "create/shows-in-time" Basic I1 "crabbox#1575: the listing was later than the first look" always => shows_in_time;
        "create/is-found-by-its-mark" Basic I1 "open-instruct#1887: found again by a create-id tag" findable => found_by_mark;
        "create/becomes-ready" Basic I7 "ocf#114: a create that never ends" always => becomes_ready;
        "create/is-building-until-then" Basic I15 "aws-toolkit#100: a short state that misleads" always => building_until_then;
        "create/shows-a-view" Basic I14 "kobe#289: ready, and nothing to reach" always => shows_a_view;
        "create/has-the-mark's-name" Basic I5 "NemoClaw#10867: names that mean something else" named => has_the_name;
        "create/tells-its-installation" Basic I4 "hermes-agent#39434: no owner on what is there" always => tells_installation;
        "create/tells-its-resource" Basic I1 "jos#310: which record is it of?" always => tells_resource;
        "create/tells-its-incarnation" Basic I5 "omnigent#6127: an older one taken for the newer" always => tells_incarnation;
        "create/tells-its-generation" Basic I8 "arcbox#538: a record without its generation" always => tells_generation;
        "create/takes-the-longest-mark" Basic I4 "a long name cut short is another's" always => longest_mark;
        "create/takes-a-great-generation" Basic I8 "a counter of 32 bits that wraps" always => great_generation;
        "create/two-marks-are-two-things" Basic I14 "DIBBS find-or-create: another's taken for ours" always => two_marks;
        "create/two-incarnations-are-two-things" Basic I5 "Heat: the name is free again after DELETE_COMPLETE" always => two_incarnations;
        "create/keeps-its-id" Basic I5 "kobe#79: identity that changes" always => keeps_its_id;
        "create/several-at-once" Basic I6 "tinker-cookbook#302: creates at once ran into each other" always => several_at_once;
        "create/twice-says-what-is-declared" Basic I1 "Heat: a second POST is 409" keyed => twice_says;
        "create/twice-is-one-thing" Basic I1 "agent-sandbox#1215: 20,000 asked, 90,000 made" keyed => twice_is_one;
        "create/twice-is-shown-twice" Safe I1 "sky#6787: the second one nobody sees" tagged => twice_is_shown;
        "create/again-after-destroy-has-another-id" Safe I5 "Heat: a name used again" reusable => again_is_another;
        "create/of-a-sibling's-resource-is-its-own" Safe I4 "suna#3571: two installations on one account" lists => siblings_are_two;
    }
}

impl Declared {
    fn tagged(&self) -> bool {
        !self.keyed() && self.cap.list_by_owner
    }

    /// The mark's name is free again after a destroy.
    fn reusable(&self) -> bool {
        let key = self.cap.create_key;
        key != CreateKey::ClientUuid
            && key != CreateKey::ClientToken
            && self.cap.absence != rm_core::backend::Absence::None
    }
}

async fn answers_an_id<M: Model>(s: &Stage<M>) -> Verdict {
    let id = s.create(&s.mark()).await?;
    ensure!(!id.0.is_empty(), "the id is empty");
    Ok(())
}

async fn shows_in_time<M: Model>(s: &Stage<M>) -> Verdict {
    let mark = s.mark();
    let id = s.create(&mark).await?;
    s.pass(s.visible()).await;
    let seen = s.look(&mark, Some(&id)).await?;
    ensure!(
        seen.is_some(),
        "not listed {:?} after it was made, which is later than declared",
        s.visible()
    );
    Ok(())
}

async fn found_by_mark<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    let found = s.look(&mark, None).await?;
    let found = found.ok_or_else(|| Finding::Broken("its mark does not find it".to_owned()))?;
    ensure!(
        found.id == seen.id,
        "{} by its id, {} by its mark",
        seen.id,
        found.id
    );
    Ok(())
}

async fn becomes_ready<M: Model>(s: &Stage<M>) -> Verdict {
    s.made().await?;
    Ok(())
}

async fn building_until_then<M: Model>(s: &Stage<M>) -> Verdict {
    let mark = s.mark();
    let id = s.create(&mark).await?;
    let seen = s
        .until("out of building", (&mark, &id), |seen| {
            seen.is_some_and(|s| s.phase != Phase::Building)
        })
        .await?;
    let phase = seen.map(|seen| seen.phase);
    ensure!(
        phase == Some(Phase::Ready),
        "after building it is {phase:?}"
    );
    Ok(())
}

async fn shows_a_view<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    let close = s.closely(&mark, &seen.id, &s.specs.sample).await?;
    let close = close.ok_or_else(|| Finding::Broken("a close look does not find it".to_owned()))?;
    ensure!(
        close.view.is_some(),
        "a close look at what works shows no view"
    );
    Ok(())
}

async fn has_the_name<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    ensure!(
        seen.name == mark.name(),
        "it is called {:?}, not {:?}",
        seen.name,
        mark.name()
    );
    Ok(())
}

/// A thing's mark as it is read back.
async fn read_back<M: Model>(s: &Stage<M>, mark: &Mark) -> Verdict<Mark> {
    let seen = s.made_as(mark).await?;
    seen.mark
        .ok_or_else(|| Finding::Broken(format!("{} bears no mark", seen.id)))
}

async fn tells_installation<M: Model>(s: &Stage<M>) -> Verdict {
    let mark = s.mark();
    let read = read_back(s, &mark).await?.installation;
    ensure!(
        read == mark.installation,
        "installation {read:?}, not {:?}",
        mark.installation
    );
    Ok(())
}

async fn tells_resource<M: Model>(s: &Stage<M>) -> Verdict {
    let mark = s.mark();
    let read = read_back(s, &mark).await?.resource;
    ensure!(
        read == mark.resource,
        "resource {read}, not {}",
        mark.resource
    );
    Ok(())
}

async fn tells_incarnation<M: Model>(s: &Stage<M>) -> Verdict {
    let mark = Mark {
        incarnation: 3,
        ..s.mark()
    };
    let read = read_back(s, &mark).await?.incarnation;
    ensure!(read == 3, "incarnation {read}, not 3");
    Ok(())
}

async fn tells_generation<M: Model>(s: &Stage<M>) -> Verdict {
    let mark = Mark {
        generation: 17,
        ..s.mark()
    };
    let read = read_back(s, &mark).await?.generation;
    ensure!(read == 17, "generation {read}, not 17");
    Ok(())
}

/// The longest installation, more incarnations than anybody retries, and a
/// change every second for three hundred years.
async fn longest_mark<M: Model>(s: &Stage<M>) -> Verdict {
    let mut mark = Mark {
        incarnation: 9999,
        generation: 9_999_999_999,
        ..s.mark()
    };
    mark.installation = format!("{:-<24}", mark.installation);
    let read = read_back(s, &mark).await?;
    ensure!(read == mark, "written {mark:?}, read {read:?}");
    Ok(())
}

async fn great_generation<M: Model>(s: &Stage<M>) -> Verdict {
    let mark = Mark {
        generation: 1 << 33,
        ..s.mark()
    };
    let read = read_back(s, &mark).await?.generation;
    ensure!(
        read == mark.generation,
        "generation {read}, not {}",
        mark.generation
    );
    Ok(())
}

async fn two_marks<M: Model>(s: &Stage<M>) -> Verdict {
    let (one, other) = (s.mark(), s.mark());
    let (a, b) = (s.create(&one).await?, s.create(&other).await?);
    ensure!(a != b, "two marks, one thing: {a}");
    let (a, b) = (s.ready(&one, &a).await?, s.ready(&other, &b).await?);
    ensure!(a.mark != b.mark, "{} and {} bear one mark", a.id, b.id);
    Ok(())
}

async fn two_incarnations<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, first) = s.made().await?;
    let second = Mark {
        incarnation: 2,
        ..mark.clone()
    };
    let id = s.create(&second).await?;
    ensure!(id != first.id, "the second incarnation is the first: {id}");
    s.unmade(&mark, &first).await?;
    s.ready(&second, &id).await?;
    Ok(())
}

async fn keeps_its_id<M: Model>(s: &Stage<M>) -> Verdict {
    let mark = s.mark();
    let id = s.create(&mark).await?;
    let seen = s.ready(&mark, &id).await?;
    ensure!(seen.id == id, "made as {id}, seen as {}", seen.id);
    if let Some(close) = s.closely(&mark, &id, &s.specs.sample).await? {
        ensure!(close.id == id, "made as {id}, seen closely as {}", close.id);
    }
    if s.declared.lists() {
        let list = s.list().await?;
        ensure!(
            list.iter().any(|seen| seen.id == id),
            "the list has no {id}"
        );
    }
    Ok(())
}

async fn several_at_once<M: Model>(s: &Stage<M>) -> Verdict {
    let marks: Vec<Mark> = (0..s.cap().concurrency.min(4)).map(|_| s.mark()).collect();
    let made = join_all(marks.iter().map(|mark| s.create(mark))).await;
    let mut ids = BTreeSet::new();
    for (mark, id) in marks.iter().zip(made) {
        let id = id?;
        s.ready(mark, &id).await?;
        ids.insert(id);
    }
    ensure!(
        ids.len() == marks.len(),
        "{} creates made {ids:?}",
        marks.len()
    );
    Ok(())
}

/// What the second create of a thing says where the key is declared.
async fn twice_says<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    let again = s.create(&mark).await;
    match (s.cap().create_key, again) {
        (CreateKey::ClientToken, Ok(id)) => {
            ensure!(id == seen.id, "the same token made {} and {id}", seen.id);
        }
        (CreateKey::ClientToken, Err(e)) => return Err(e.into()),
        (key, Ok(id)) => {
            ensure!(
                false,
                "{key:?} is declared, and a second create answered {id}"
            );
        }
        (_, Err(e)) => {
            ensure!(
                e.kind() == ErrorKind::Exists,
                "the second create is refused as {}, not as exists: {e}",
                e.kind().code()
            );
            ensure!(
                e.effect() == Effect::None,
                "refused, and the effect unknown: {e}"
            );
        }
    }
    Ok(())
}

async fn twice_is_one<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, _) = s.made().await?;
    let _ = s.create(&mark).await;
    s.pass(s.visible()).await;
    let real = s.real_of(mark.resource).await?;
    ensure!(real.len() == 1, "one mark, {} things: {real:?}", real.len());
    Ok(())
}

async fn twice_is_shown<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, first) = s.made().await?;
    let second = s.create(&mark).await?;
    s.ready(&mark, &second).await?;
    let list = s.list().await?;
    for id in [&first.id, &second] {
        ensure!(
            list.iter().any(|seen| seen.id == *id),
            "the list does not show {id}"
        );
    }
    Ok(())
}

async fn again_is_another<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, first) = s.made().await?;
    s.unmade(&mark, &first).await?;
    s.pass(s.visible()).await;
    let second = s.create(&mark).await?;
    ensure!(second != first.id, "{second} was the id of what is gone");
    s.ready(&mark, &second).await?;
    Ok(())
}

async fn siblings_are_two<M: Model>(s: &Stage<M>) -> Verdict {
    let (_, ours) = s.made().await?;
    let theirs_mark = s.sibling_mark();
    let theirs = s.made_as(&theirs_mark).await?;
    ensure!(theirs.id != ours.id, "one thing for two installations");
    ensure!(
        theirs.mark.as_ref() == Some(&theirs_mark),
        "a sibling's thing bears {:?}",
        theirs.mark
    );
    Ok(())
}

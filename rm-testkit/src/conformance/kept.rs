//! Where it is declared that a thing keeps whose it is: that it does.

use rm_core::HoldId;
use rm_core::backend::Cx;
use rm_core::model::Model;
use rm_core::owner::Owner;
use rm_core::record::{Grant, Hold};
use std::time::Duration;

use super::check::{Check, Declared, Verdict, checks, ensure};
use super::stage::Stage;

pub(super) fn all<M: Model>() -> Vec<Check<M>> {
    checks! {
        "owner/is-given-back" Basic I10 "a lost store: whose it was is lost with it" keeps_owner => given_back;
        "owner/is-given-back-as-noted-last" Basic I10 "renewed, and forgotten with the store" keeps_owner => noted;
        "owner/outlives-a-change" Basic I10 "renewed, and forgotten with the store" keeps_owner_and_resizes => changed;
    }
}

impl Declared {
    fn keeps_owner(&self) -> bool {
        self.cap.keeps_owner
    }

    fn keeps_owner_and_resizes(&self) -> bool {
        self.cap.keeps_owner && self.resizes()
    }
}

/// One with everything that it can have, in words that mean something
/// elsewhere.
fn owner<M: Model>(s: &Stage<M>, name: &str) -> Owner {
    let now = s.env.now();
    let hold = |user: &str, until| Hold {
        id: HoldId::new(&*s.env),
        user: user.to_owned(),
        tenant: s.who.tenant.clone(),
        until,
        since: now,
    };
    Owner {
        tenant: s.who.tenant.clone(),
        name: name.to_owned(),
        holds: vec![
            hold("ada", Some(now.plus(Duration::from_secs(86_400)))),
            hold("<b>'\"&%41\u{fc}", None),
        ],
        grants: vec![Grant {
            user: "bob".to_owned(),
            by: "ada".to_owned(),
            since: now,
        }],
        part: None,
    }
}

async fn given_back<M: Model>(s: &Stage<M>) -> Verdict {
    let mark = s.mark();
    let first = owner(s, "the first");
    let seen = s.made_of(&mark, &first).await?;
    is(s, &seen, &first).await
}

async fn noted<M: Model>(s: &Stage<M>) -> Verdict {
    let mark = s.mark();
    let seen = s.made_of(&mark, &owner(s, "the first")).await?;
    let second = owner(s, "the second");
    let cx = Cx {
        owner: Some(&second),
        ..s.cx()
    };
    for _ in 0..2 {
        s.call("note", s.backend.note(&cx, &seen)).await?;
        is(s, &seen, &second).await?;
    }
    let after = s.look(&mark, Some(&seen.id)).await?;
    let stamp = after.map(|after| (after.phase, after.stamp));
    ensure!(
        stamp == Some((seen.phase, seen.stamp.clone())),
        "whose it is was noted, which is no change of it: {stamp:?}"
    );
    Ok(())
}

async fn changed<M: Model>(s: &Stage<M>) -> Verdict {
    let mut mark = s.mark();
    let seen = s.made_of(&mark, &owner(s, "the first")).await?;
    let Some(bigger) = s.specs.bigger.clone() else {
        return Ok(());
    };
    mark.generation += 1;
    let second = owner(s, "the second");
    s.change_of(&mark, &seen, &bigger, &second).await?;
    let seen = s.ready(&mark, &seen.id).await?;
    is(s, &seen, &second).await
}

/// What the thing says is this.
async fn is<M: Model>(s: &Stage<M>, seen: &rm_core::backend::Seen<M>, owner: &Owner) -> Verdict {
    let cx = s.cx();
    let recalled = s.call("recall", s.backend.recall(&cx, seen)).await?;
    let told = recalled.and_then(|recalled| recalled.owner);
    ensure!(
        told.as_ref() == Some(owner),
        "it says of its owner {told:?}, and was told {owner:?}"
    );
    Ok(())
}

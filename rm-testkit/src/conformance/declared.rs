//! What is declared, and what a site offers: both without touching anything.

use rm_core::backend::{Cx, Offer, Resize};
use rm_core::model::Model;
use rm_core::{Effect, ErrorKind};
use serde_json::Value;

use super::check::{Check, Declared, Verdict, checks, ensure};
use super::stage::Stage;

pub(super) fn all<M: Model>() -> Vec<Check<M>> {
    checks! {
        "declaration/is-the-same-every-time" Basic I2 "cloudtools: a guarantee that changes between two calls" always => same_every_time;
        "declaration/takes-something-at-once" Basic I9 "wr#38: a limit of zero stops everything" always => takes_something;
        "declaration/gives-calls-time" Basic I7 "kobe#150: retried for ever, for each try ends at once" always => gives_time;
        "declaration/tags-are-listed" Basic I1 "garm#160: what is found by its tag only must be listed" always => tags_are_listed;
        "declaration/users-are-changed-in-place" Basic I8 "elasticluster#128: a change that destroyed what it changed" has_users => users_in_place;
        "offers/has-room-for-the-sample" Basic I6 "pycloudlib#359: full before anything was made" always => has_room;
        "offers/is-quick-when-asked" Basic I9 "hcloud-go#79: asking costs the rate limit" always => quick;
        "offers/change-nothing" Basic I6 "agent-sandbox#1215: asking made things" always => change_nothing;
        "offers/are-the-same-twice" Basic I14 "the same question, another choice" always => same_twice;
        "offers/survive-an-absurd-spec" Basic I2 "openstack: a number nobody thought of" always => absurd;
        "offers/refuse-without-effect" Basic I2 "steno#66: an error that leaves the state unknown" always => refuse_without_effect;
    }
}

impl Declared {
    fn has_users(&self) -> bool {
        self.users
    }
}

async fn same_every_time<M: Model>(s: &Stage<M>) -> Verdict {
    let first = s.backend.capability(&s.site);
    s.offers(&s.specs.sample).await?;
    let second = s.backend.capability(&s.site);
    ensure!(first == second, "declared {first:?}, then {second:?}");
    Ok(())
}

async fn takes_something<M: Model>(s: &Stage<M>) -> Verdict {
    let cap = s.cap();
    ensure!(
        cap.page > 0,
        "a quick look takes no thing at all: page is 0"
    );
    ensure!(
        cap.concurrency > 0,
        "no effect may be under way: concurrency is 0"
    );
    Ok(())
}

async fn gives_time<M: Model>(s: &Stage<M>) -> Verdict {
    let cap = s.cap();
    ensure!(!cap.call_timeout.is_zero(), "no call may take any time");
    ensure!(
        cap.patience >= s.backend.capability(&s.site).call_timeout,
        "the whole may take {:?}, and one call of it {:?}",
        cap.patience,
        cap.call_timeout
    );
    Ok(())
}

async fn tags_are_listed<M: Model>(s: &Stage<M>) -> Verdict {
    let tagged = s.cap().create_key == rm_core::backend::CreateKey::TagOnly;
    ensure!(
        !tagged || s.declared.lists(),
        "declared: found by its tag; and: what bears a tag is not listed"
    );
    Ok(())
}

async fn users_in_place<M: Model>(s: &Stage<M>) -> Verdict {
    let resize = s.cap().resize;
    ensure!(
        resize == Resize::InPlace,
        "declared: who logs in is changed while it runs; and: what is there is changed {resize:?}, \
         for which the engine refuses other users or makes another thing"
    );
    Ok(())
}

async fn has_room<M: Model>(s: &Stage<M>) -> Verdict {
    let offers = s.offers(&s.specs.sample).await?;
    ensure!(!offers.is_empty(), "there is no room for the sample spec");
    let needed = M::nodes(&s.specs.sample);
    let room = |o: &Offer| o.nodes_left.is_none_or(|left| left >= needed);
    ensure!(
        offers.iter().any(room),
        "it is offered, and there is room for less than {needed} nodes: {offers:?}"
    );
    Ok(())
}

async fn quick<M: Model>(s: &Stage<M>) -> Verdict {
    let cx = Cx {
        quick: true,
        asking: None,
        ..s.cx()
    };
    let offers = s
        .call("offers", s.backend.offers(&cx, &s.specs.sample))
        .await?;
    ensure!(
        !offers.is_empty(),
        "asked for room it has some, asked quickly it has none"
    );
    Ok(())
}

async fn change_nothing<M: Model>(s: &Stage<M>) -> Verdict {
    let before = s.real().await?;
    s.offers(&s.specs.sample).await?;
    if let Some(bigger) = &s.specs.bigger {
        s.offers(bigger).await?;
    }
    s.pass(s.visible()).await;
    let after = s.real().await?;
    ensure!(before == after, "asking for offers made {after:?}");
    Ok(())
}

async fn same_twice<M: Model>(s: &Stage<M>) -> Verdict {
    let shape = |offers: Vec<Offer>| -> Vec<(bool, u64)> {
        offers.iter().map(|o| (o.there, o.cost.to_bits())).collect()
    };
    let first = shape(s.offers(&s.specs.sample).await?);
    let second = shape(s.offers(&s.specs.sample).await?);
    ensure!(first == second, "one question, two answers");
    Ok(())
}

/// Whatever is asked, the answer is an answer or a refusal.
async fn absurd<M: Model>(s: &Stage<M>) -> Verdict {
    for spec in absurd_specs::<M>(&s.specs.sample) {
        if let Err(e) = s.offers(&spec).await {
            ensure!(
                !matches!(e.kind(), ErrorKind::Internal | ErrorKind::Timeout),
                "an absurd spec is a defect of the backend: {e}"
            );
        }
    }
    ensure!(
        s.real().await?.is_empty(),
        "asking for the absurd made something"
    );
    Ok(())
}

async fn refuse_without_effect<M: Model>(s: &Stage<M>) -> Verdict {
    for spec in absurd_specs::<M>(&s.specs.sample) {
        if let Err(e) = s.offers(&spec).await {
            ensure!(
                e.effect() == Effect::None,
                "a question has no effect, and the error says it may have: {e}"
            );
        }
    }
    Ok(())
}

/// The sample with each of its numbers and words, one after the other, made
/// absurd; what is no spec any more is left out.
fn absurd_specs<M: Model>(sample: &M::Spec) -> Vec<M::Spec> {
    let Ok(sample) = serde_json::to_value(sample) else {
        return Vec::new();
    };
    let mut specs = Vec::new();
    for at in 0..leaves(&sample) {
        for absurd in [
            Value::from(u32::MAX),
            Value::from(i64::MAX),
            Value::from(0),
            Value::from(-1),
            Value::from(""),
            Value::from("x".repeat(10_000)),
            Value::from("\u{0}\n'\"$(x)%00"),
        ] {
            let mut spec = sample.clone();
            let mut left = at;
            replace(&mut spec, &mut left, &absurd);
            specs.extend(serde_json::from_value(spec));
        }
    }
    specs
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(leaves).sum(),
        Value::Object(fields) => fields.values().map(leaves).sum(),
        _ => 1,
    }
}

/// Replaces the leaf with this number; false where it lies further on.
fn replace(value: &mut Value, left: &mut usize, by: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter_mut().any(|item| replace(item, left, by)),
        Value::Object(fields) => fields.values_mut().any(|field| replace(field, left, by)),
        leaf if *left == 0 => {
            leaf.clone_from(by);
            true
        }
        _ => {
            *left -= 1;
            false
        }
    }
}

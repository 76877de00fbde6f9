//! Where it is declared that events are told: that they are.

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use rm_core::backend::{Hint, Hints};
use rm_core::model::Model;

use super::check::{Check, Declared, Finding, Verdict, checks, ensure};
use super::stage::Stage;

pub(super) fn all<M: Model>() -> Vec<Check<M>> {
    checks! {
        "events/begin-with-a-look-at-all" Basic I15 "cfn-config#41: what happened before anybody listened" tells => begin;
        "events/tell-what-is-made-and-destroyed" Basic I15 "kobe#340: looked for again and again, for nobody tells" tells => made_and_destroyed;
        "events/are-told-to-all-who-listen" Basic I15 "one who listens takes it from the other" tells => to_all;
        "events/are-refused-where-they-are-not-declared" Basic I15 "silence taken for peace" does_not_tell => refused;
    }
}

impl Declared {
    fn tells(&self) -> bool {
        self.cap.events
    }

    fn does_not_tell(&self) -> bool {
        !self.cap.events
    }
}

async fn listen<M: Model>(s: &Stage<M>) -> Verdict<Hints> {
    let cx = s.cx();
    Ok(s.call("watch", s.backend.watch(&cx)).await?)
}

/// Waits until this is told, as long as a call may take.
async fn heard<M: Model>(s: &Stage<M>, hints: &mut Hints, what: &str, hint: Hint) -> Verdict {
    let told = async {
        loop {
            match hints.next().await {
                Some(told) if told == hint => return Ok(()),
                Some(_) => {}
                None => return Err(Finding::Broken(format!("nothing is told any more: {what}"))),
            }
        }
    };
    let limit = s.env.sleep(s.cap().call_timeout);
    match select(std::pin::pin!(told), limit).await {
        Either::Left((told, _)) => told,
        Either::Right(_) => Err(Finding::Broken(format!(
            "it is not told within {:?}: {what}",
            s.cap().call_timeout
        ))),
    }
}

async fn begin<M: Model>(s: &Stage<M>) -> Verdict {
    let mut hints = listen(s).await?;
    let limit = s.env.sleep(s.cap().call_timeout);
    let first = match select(hints.next(), limit).await {
        Either::Left((first, _)) => first,
        Either::Right(_) => None,
    };
    ensure!(
        first == Some(Hint::LookAtAll),
        "told first: {first:?}; what happened before is then known to nobody"
    );
    Ok(())
}

async fn made_and_destroyed<M: Model>(s: &Stage<M>) -> Verdict {
    let mut hints = listen(s).await?;
    heard(s, &mut hints, "that it begins", Hint::LookAtAll).await?;
    let (mark, seen) = s.made().await?;
    let hint = Hint::Look(mark.resource);
    heard(s, &mut hints, "it was made", hint).await?;
    // Of what is still told of that, nothing counts for what comes.
    let mut hints = listen(s).await?;
    heard(s, &mut hints, "that it begins again", Hint::LookAtAll).await?;
    s.unmade(&mark, &seen).await?;
    heard(s, &mut hints, "it was destroyed", hint).await
}

async fn to_all<M: Model>(s: &Stage<M>) -> Verdict {
    let mut all = [listen(s).await?, listen(s).await?];
    for hints in &mut all {
        heard(s, hints, "that it begins", Hint::LookAtAll).await?;
    }
    let (mark, _) = s.made().await?;
    for hints in &mut all {
        heard(s, hints, "it was made", Hint::Look(mark.resource)).await?;
    }
    Ok(())
}

async fn refused<M: Model>(s: &Stage<M>) -> Verdict {
    let cx = s.cx();
    ensure!(
        s.call("watch", s.backend.watch(&cx)).await.is_err(),
        "nothing is declared to be told, and somebody may listen"
    );
    Ok(())
}

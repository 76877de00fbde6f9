//! A call is given up at each of its waits, and made again.

use std::future::Future;
use std::task::Poll;

use futures_util::future::join_all;
use rm_core::backend::{Look, Mark, Seen};
use rm_core::model::Model;
use rm_core::{RemoteId, Result};

use super::check::{Check, Declared, Finding, Verdict, checks, ensure};
use super::stage::{Stage, target};

/// At which waits.
const WAITS: [u32; 5] = [1, 2, 3, 5, 8];

pub(super) fn all<M: Model>() -> Vec<Check<M>> {
    checks! {
        "faults/dropped/create" (faulty) Safe I1 "upjet-aws#1482: killed in the middle" knowable => create;
        "faults/dropped/change" (faulty) Safe I8 "upjet-aws#1482: killed in the middle" in_place => change;
        "faults/dropped/destroy" (faulty) Safe I3 "catapult#179: kill -9, then locked" dies => destroy;
        "faults/dropped/look" (faulty) Basic I7 "a lock that a dropped look keeps" always => look;
    }
}

impl Declared {
    /// What came of a create that was given up can be known.
    fn knowable(&self) -> bool {
        self.findable() || self.keyed()
    }
}

/// Polls a call so often and then drops it; what it answers where it has ended
/// by then.
async fn dropped<T>(polls: u32, call: impl Future<Output = Result<T>>) -> Option<Result<T>> {
    let mut call = std::pin::pin!(call);
    let mut polled = 0;
    std::future::poll_fn(|cx| {
        polled += 1;
        match call.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if polled >= polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn create<M: Model>(s: &Stage<M>) -> Verdict {
    let all = WAITS.map(|polls| create_dropped(s, polls));
    for done in join_all(all).await {
        done?;
    }
    Ok(())
}

async fn create_dropped<M: Model>(s: &Stage<M>, polls: u32) -> Verdict {
    let mark = s.mark();
    let cx = s.cx();
    let call = s.backend.create(&cx, &mark, &s.specs.sample);
    let id = match dropped(polls, call).await {
        Some(done) => done?,
        None => found_or_made(s, &mark).await?,
    };
    s.ready(&mark, &id).await?;
    s.pass(s.cap().late + s.visible()).await;
    let real = s.real_of(mark.resource).await?;
    ensure!(
        real.len() == 1,
        "given up at wait {polls} and made again: {real:?}"
    );
    Ok(())
}

/// What the engine does: it waits until nothing can come any more, looks, and
/// makes it where it is not.
async fn found_or_made<M: Model>(s: &Stage<M>, mark: &Mark) -> Verdict<RemoteId> {
    if !s.declared.findable() {
        return Ok(s.create(mark).await?);
    }
    s.pass(s.cap().late + s.visible()).await;
    match s.look(mark, None).await? {
        Some(seen) => Ok(seen.id),
        None => Ok(s.create(mark).await?),
    }
}

async fn change<M: Model>(s: &Stage<M>) -> Verdict {
    let (mut mark, mut seen) = s.made().await?;
    let bigger = s.specs.bigger.as_ref();
    let bigger =
        bigger.ok_or_else(|| Finding::Broken("the subject has no bigger spec".to_owned()))?;
    for (at, polls) in WAITS.into_iter().enumerate() {
        let spec = if at % 2 == 0 { bigger } else { &s.specs.sample };
        mark.generation += 1;
        let cx = s.cx();
        let call = s.backend.change(&cx, &mark, &seen, spec);
        if dropped(polls, call).await.is_none() {
            s.pass(s.visible()).await;
            s.change(&mark, &seen, spec).await?;
        }
        seen = s.ready(&mark, &seen.id).await?;
        ensure!(
            seen.mark.as_ref() == Some(&mark),
            "given up at wait {polls} and made again: it bears {:?}",
            seen.mark
        );
    }
    Ok(())
}

async fn destroy<M: Model>(s: &Stage<M>) -> Verdict {
    let all = WAITS.map(|polls| destroy_dropped(s, polls));
    for done in join_all(all).await {
        done?;
    }
    Ok(())
}

async fn destroy_dropped<M: Model>(s: &Stage<M>, polls: u32) -> Verdict {
    let (mark, seen): (Mark, Seen<M>) = s.made().await?;
    let cx = s.cx();
    let call = s.backend.destroy(&cx, &seen);
    if dropped(polls, call).await.is_none() {
        s.destroy(&seen).await?;
    }
    s.gone(&mark, &seen.id).await
}

async fn look<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    let at = [target(&mark, Some(&seen.id))];
    for polls in WAITS {
        let cx = s.cx();
        let call = s.backend.observe(&cx, Look::These(&at));
        dropped(polls, call).await;
        let again = s.look(&mark, Some(&seen.id)).await?;
        ensure!(
            again.is_some_and(|s| s.mark == seen.mark),
            "a look given up at wait {polls}, and the next one shows something else"
        );
    }
    Ok(())
}

//! The six calls, made as the engine makes them: with a limit, and again when
//! the site says that it is only for now.

use std::future::Future;
use std::time::Duration;

use futures_util::future::{Either, select};
use rm_core::backend::{Cx, Look, Mark, Offer, Phase, Seen, Target};
use rm_core::model::Model;
use rm_core::owner::Owner;
use rm_core::{Effect, Error, ErrorKind, RemoteId, Result};

use super::Stage;
use crate::conformance::check::{Finding, Verdict, ensure};

/// How often a call is repeated that the site refuses for now.
const TRIES: u32 = 8;

impl<M: Model> Stage<M> {
    /// One call with its limit.
    pub(in crate::conformance) async fn call<T>(
        &self,
        verb: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let limit = self.env.sleep(self.cap().call_timeout);
        match select(std::pin::pin!(call), limit).await {
            Either::Left((done, _)) => done.map_err(|e| match e.during() {
                Some(_) => e,
                None => e.operation(verb),
            }),
            Either::Right(_) => Err(Error::new(
                ErrorKind::Timeout,
                format!("no answer within {} s", self.cap().call_timeout.as_secs()),
            )
            .operation(verb)
            .effect_unknown()),
        }
    }

    /// The same, and again where nothing was done for now.
    async fn patient<T, F: Future<Output = Result<T>>>(
        &self,
        verb: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T> {
        let mut tries = 0;
        loop {
            match self.call(verb, call()).await {
                Err(e) if e.is_temporary() && e.effect() == Effect::None && tries < TRIES => {
                    tries += 1;
                    self.pass(e.wait().unwrap_or(Duration::from_secs(2))).await;
                }
                done => return done,
            }
        }
    }

    pub(in crate::conformance) async fn offers(&self, spec: &M::Spec) -> Result<Vec<Offer>> {
        let cx = self.cx();
        self.call("offers", self.backend.offers(&cx, spec)).await
    }

    /// Makes a thing of the sample spec under a mark.
    pub(in crate::conformance) async fn create(&self, mark: &Mark) -> Result<RemoteId> {
        self.create_as(mark, &self.specs.sample).await
    }

    pub(in crate::conformance) async fn create_as(
        &self,
        mark: &Mark,
        spec: &M::Spec,
    ) -> Result<RemoteId> {
        self.create_of(mark, spec, None).await
    }

    async fn create_of(
        &self,
        mark: &Mark,
        spec: &M::Spec,
        owner: Option<&Owner>,
    ) -> Result<RemoteId> {
        let cx = Cx { owner, ..self.cx() };
        self.known().marks.insert(mark.clone());
        let id = self
            .patient("create", || self.backend.create(&cx, mark, spec))
            .await?;
        self.known().made.push((id.clone(), mark.clone()));
        Ok(id)
    }

    pub(in crate::conformance) async fn change(
        &self,
        mark: &Mark,
        seen: &Seen<M>,
        spec: &M::Spec,
    ) -> Result<()> {
        let cx = self.cx();
        self.patient("change", || self.backend.change(&cx, mark, seen, spec))
            .await
    }

    /// The same, of this owner.
    pub(in crate::conformance) async fn change_of(
        &self,
        mark: &Mark,
        seen: &Seen<M>,
        spec: &M::Spec,
        owner: &Owner,
    ) -> Result<()> {
        let cx = Cx {
            owner: Some(owner),
            ..self.cx()
        };
        self.patient("change", || self.backend.change(&cx, mark, seen, spec))
            .await
    }

    pub(in crate::conformance) async fn destroy(&self, seen: &Seen<M>) -> Result<()> {
        let cx = self.cx();
        self.patient("destroy", || self.backend.destroy(&cx, seen))
            .await
    }

    /// A quick look at these.
    pub(in crate::conformance) async fn these(&self, targets: &[Target]) -> Result<Vec<Seen<M>>> {
        let cx = self.cx();
        let look = || self.backend.observe(&cx, Look::These(targets));
        Ok(self.patient("observe", look).await?.items)
    }

    /// What a quick look shows under a mark: by the site's id where that is
    /// known, else by the mark.
    pub(in crate::conformance) async fn look(
        &self,
        mark: &Mark,
        id: Option<&RemoteId>,
    ) -> Result<Option<Seen<M>>> {
        let items = self.these(&[target(mark, id)]).await?;
        Ok(items.into_iter().find(|seen| match id {
            Some(id) => seen.id == *id,
            None => {
                seen.phase != Phase::Gone
                    && (seen.mark.as_ref() == Some(mark) || seen.name == mark.name())
            }
        }))
    }

    /// What a close look shows.
    pub(in crate::conformance) async fn closely(
        &self,
        mark: &Mark,
        id: &RemoteId,
        spec: &M::Spec,
    ) -> Result<Option<Seen<M>>> {
        let cx = self.cx();
        let target = target(mark, Some(id));
        let look = || self.backend.observe(&cx, Look::Closely(&target, spec));
        let items = self.patient("observe", look).await?.items;
        Ok(items.into_iter().find(|seen| seen.id == *id))
    }

    /// Everything at the site that bears a mark.
    pub(in crate::conformance) async fn list(&self) -> Verdict<Vec<Seen<M>>> {
        const MOST_PAGES: u32 = 10_000;
        let cx = self.cx();
        let mut all = Vec::new();
        let mut after = None;
        for _ in 0..MOST_PAGES {
            let look = || self.backend.observe(&cx, Look::All(after.as_ref()));
            let page = self.patient("observe", look).await?;
            all.extend(page.items);
            if page.next.is_none() {
                return Ok(all);
            }
            ensure!(page.next != after, "the list goes round in circles");
            after = page.next;
        }
        Err(Finding::Broken("the list does not end".to_owned()))
    }

    /// Waits until a thing does what is asked of it, and answers it as it is
    /// then; nothing where it is not there any more.
    pub(in crate::conformance) async fn until(
        &self,
        what: &str,
        (mark, id): (&Mark, &RemoteId),
        enough: impl Fn(Option<&Seen<M>>) -> bool,
    ) -> Verdict<Option<Seen<M>>> {
        let end = self.env.now().plus(self.cap().patience);
        let mut pause = self.policy.first_look;
        loop {
            let seen = self.look(mark, Some(id)).await?;
            if enough(seen.as_ref()) {
                return Ok(seen);
            }
            let now = seen.map_or_else(
                || "not listed".to_owned(),
                |seen| format!("{:?} {}", seen.phase, seen.reason),
            );
            ensure!(
                self.env.now() < end,
                "{id} is not {what} in time, but {now}"
            );
            self.pass(pause).await;
            pause = (pause * 2).min(self.policy.slowest_look);
        }
    }

    /// Waits until it works, as new as the mark says.
    pub(in crate::conformance) async fn ready(
        &self,
        mark: &Mark,
        id: &RemoteId,
    ) -> Verdict<Seen<M>> {
        let settled = |seen: Option<&Seen<M>>| {
            seen.is_some_and(|s| {
                let marked = s.mark.as_ref().map_or(0, |m| m.generation);
                match s.phase {
                    Phase::Ready => marked >= mark.generation || s.mark.is_none(),
                    Phase::Failed | Phase::Gone | Phase::DeleteFailed => true,
                    Phase::Building | Phase::Changing | Phase::Deleting => false,
                }
            })
        };
        match self.until("ready", (mark, id), settled).await? {
            Some(seen) if seen.phase == Phase::Ready => Ok(seen),
            Some(seen) => Err(Finding::Broken(format!(
                "{id} is {:?} and not ready: {}",
                seen.phase, seen.reason
            ))),
            None => Err(Finding::Broken(format!("{id} is not there"))),
        }
    }

    /// Waits until it is seen to be gone.
    pub(in crate::conformance) async fn gone(&self, mark: &Mark, id: &RemoteId) -> Verdict {
        self.until("gone", (mark, id), |seen| {
            seen.is_none_or(|s| s.phase == Phase::Gone)
        })
        .await?;
        Ok(())
    }

    /// A thing under a mark of its own that works.
    pub(in crate::conformance) async fn made(&self) -> Verdict<(Mark, Seen<M>)> {
        let mark = self.mark();
        let seen = self.made_as(&mark).await?;
        Ok((mark, seen))
    }

    /// The same under this mark.
    pub(in crate::conformance) async fn made_as(&self, mark: &Mark) -> Verdict<Seen<M>> {
        let id = self.create(mark).await?;
        self.ready(mark, &id).await
    }

    /// The same, of this owner.
    pub(in crate::conformance) async fn made_of(
        &self,
        mark: &Mark,
        owner: &Owner,
    ) -> Verdict<Seen<M>> {
        let id = self
            .create_of(mark, &self.specs.sample, Some(owner))
            .await?;
        self.ready(mark, &id).await
    }

    /// Destroys it and waits until it is seen to be gone.
    pub(in crate::conformance) async fn unmade(&self, mark: &Mark, seen: &Seen<M>) -> Verdict {
        self.destroy(seen).await?;
        self.gone(mark, &seen.id).await
    }
}

pub(in crate::conformance) fn target(mark: &Mark, id: Option<&RemoteId>) -> Target {
    Target {
        mark: mark.clone(),
        remote: id.cloned(),
    }
}

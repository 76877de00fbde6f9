//! The simulated cloud as a world wraps it: every call passes a point before
//! and after, and what is ordered for that point happens to the call.

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use rm_core::backend::{Backend, Capability, Cx, Hints, Look, Mark, Offer, Recalled, Seen};
use rm_core::catalog::Site;
use rm_core::model::Model;
use rm_core::store::Page;
use rm_core::{RemoteId, Result};

use super::SimCloud;
use super::fault::{Rule, Verb};
use crate::world::{Points, Trouble};

#[derive(Debug)]
pub(super) struct Watched<M> {
    cloud: Arc<SimCloud>,
    points: Points,
    model: PhantomData<fn() -> M>,
}

impl<M: Model> Watched<M>
where
    SimCloud: Backend<M>,
{
    pub(super) fn wrap(cloud: &Arc<SimCloud>, points: Points) -> Arc<dyn Backend<M>> {
        Arc::new(Self {
            cloud: Arc::clone(cloud),
            points,
            model: PhantomData,
        })
    }

    async fn around<T>(
        &self,
        verb: Verb,
        (before, after): (&'static str, &'static str),
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if let Some(Trouble::Call(fault)) = self.points.meet(before).await {
            self.cloud.inject(Rule::next(verb, fault));
        }
        let answer = call.await;
        self.points.meet(after).await;
        answer
    }
}

#[async_trait]
impl<M: Model> Backend<M> for Watched<M>
where
    SimCloud: Backend<M>,
{
    fn capability(&self, site: &Site) -> Capability {
        Backend::<M>::capability(&*self.cloud, site)
    }

    async fn offers(&self, cx: &Cx<'_>, want: &M::Spec) -> Result<Vec<Offer>> {
        let call = Backend::<M>::offers(&*self.cloud, cx, want);
        self.around(Verb::Offers, ("before offers", "after offers"), call)
            .await
    }

    async fn observe(&self, cx: &Cx<'_>, look: Look<'_, M::Spec>) -> Result<Page<Seen<M>>> {
        let call = Backend::<M>::observe(&*self.cloud, cx, look);
        self.around(Verb::Observe, ("before observe", "after observe"), call)
            .await
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &M::Spec) -> Result<RemoteId> {
        let call = Backend::<M>::create(&*self.cloud, cx, mark, spec);
        self.around(Verb::Create, ("before create", "after create"), call)
            .await
    }

    async fn change(&self, cx: &Cx<'_>, mark: &Mark, seen: &Seen<M>, spec: &M::Spec) -> Result<()> {
        let call = Backend::<M>::change(&*self.cloud, cx, mark, seen, spec);
        self.around(Verb::Change, ("before change", "after change"), call)
            .await
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<M>) -> Result<()> {
        let call = Backend::<M>::destroy(&*self.cloud, cx, seen);
        self.around(Verb::Destroy, ("before destroy", "after destroy"), call)
            .await
    }

    async fn recall(&self, cx: &Cx<'_>, seen: &Seen<M>) -> Result<Option<Recalled<M::Spec>>> {
        Backend::<M>::recall(&*self.cloud, cx, seen).await
    }

    async fn note(&self, cx: &Cx<'_>, seen: &Seen<M>) -> Result<()> {
        self.points.meet("before note").await;
        let answer = Backend::<M>::note(&*self.cloud, cx, seen).await;
        self.points.meet("after note").await;
        answer
    }
    async fn watch(&self, cx: &Cx<'_>) -> Result<Hints> {
        Backend::<M>::watch(&*self.cloud, cx).await
    }
}

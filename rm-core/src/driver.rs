//! Backends as the engine sees them: without their model's types.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::backend::{Backend, Capability, Cx, Hints, Look, Mark, Offer, Phase, Recalled, Seen};
use crate::catalog::Site;
use crate::error::Result;
use crate::id::RemoteId;
use crate::life::Wanted;
use crate::model::{Json, Model, wanted};
use crate::store::Page;

/// What is seen, with the view as JSON.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sight {
    pub(crate) id: RemoteId,
    pub(crate) name: String,
    pub(crate) mark: Option<Mark>,
    pub(crate) phase: Phase,
    pub(crate) reason: String,
    pub(crate) stamp: Option<String>,
    pub(crate) view: Option<Json>,
    /// What must accept a TCP connection before it counts as ready; only a
    /// close look says so.
    pub(crate) probe: Option<(String, u16)>,
}

/// A backend without its model's types.
#[async_trait]
pub(crate) trait Driver: fmt::Debug + Send + Sync {
    fn model(&self) -> TypeId;
    fn capability(&self, site: &Site) -> Capability;
    fn nodes(&self, spec: &Json) -> Result<u64>;
    fn wanted(&self, spec: &Json) -> Result<Wanted>;
    async fn offers(&self, cx: &Cx<'_>, spec: &Json) -> Result<Vec<Offer>>;
    async fn observe(&self, cx: &Cx<'_>, look: Look<'_, Json>) -> Result<Page<Sight>>;
    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &Json) -> Result<RemoteId>;
    async fn change(&self, cx: &Cx<'_>, mark: &Mark, seen: Sight, spec: &Json) -> Result<()>;
    async fn destroy(&self, cx: &Cx<'_>, seen: Sight) -> Result<()>;
    async fn recall(&self, cx: &Cx<'_>, seen: Sight) -> Result<Option<Recalled<Json>>>;
    async fn note(&self, cx: &Cx<'_>, seen: Sight) -> Result<()>;
    async fn console(&self, cx: &Cx<'_>, id: &RemoteId, most: usize) -> Result<Vec<u8>>;
    async fn watch(&self, cx: &Cx<'_>) -> Result<Hints>;
}

#[derive(Debug)]
pub(crate) struct Erased<M: Model>(pub(crate) Arc<dyn Backend<M>>);

fn typed<M: Model>(sight: Sight) -> Result<Seen<M>> {
    Ok(Seen {
        id: sight.id,
        name: sight.name,
        mark: sight.mark,
        phase: sight.phase,
        reason: sight.reason,
        stamp: sight.stamp,
        view: sight.view.map(|v| v.read()).transpose()?,
    })
}

#[async_trait]
impl<M: Model> Driver for Erased<M> {
    fn model(&self) -> TypeId {
        TypeId::of::<M>()
    }

    fn capability(&self, site: &Site) -> Capability {
        self.0.capability(site)
    }

    fn nodes(&self, spec: &Json) -> Result<u64> {
        Ok(M::nodes(&spec.read()?))
    }

    fn wanted(&self, spec: &Json) -> Result<Wanted> {
        Ok(wanted::<M>(&spec.read()?))
    }

    async fn offers(&self, cx: &Cx<'_>, spec: &Json) -> Result<Vec<Offer>> {
        self.0.offers(cx, &spec.read()?).await
    }

    async fn observe(&self, cx: &Cx<'_>, look: Look<'_, Json>) -> Result<Page<Sight>> {
        let mut closely: Option<M::Spec> = None;
        let page = match look {
            Look::These(targets) => self.0.observe(cx, Look::These(targets)).await?,
            Look::Closely(target, spec) => {
                let spec = closely.insert(spec.read()?);
                self.0.observe(cx, Look::Closely(target, spec)).await?
            }
            Look::All(after) => self.0.observe(cx, Look::All(after)).await?,
        };
        let mut items = Vec::with_capacity(page.items.len());
        for seen in page.items {
            let both = closely.as_ref().zip(seen.view.as_ref());
            let probe = both.and_then(|(spec, view)| M::probe(spec, view));
            items.push(Sight {
                id: seen.id,
                name: seen.name,
                mark: seen.mark,
                phase: seen.phase,
                reason: seen.reason,
                stamp: seen.stamp,
                view: seen.view.as_ref().map(Json::of).transpose()?,
                probe,
            });
        }
        Ok(Page {
            items,
            next: page.next,
        })
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &Json) -> Result<RemoteId> {
        self.0.create(cx, mark, &spec.read()?).await
    }

    async fn change(&self, cx: &Cx<'_>, mark: &Mark, seen: Sight, spec: &Json) -> Result<()> {
        self.0.change(cx, mark, &typed(seen)?, &spec.read()?).await
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: Sight) -> Result<()> {
        self.0.destroy(cx, &typed(seen)?).await
    }

    async fn recall(&self, cx: &Cx<'_>, seen: Sight) -> Result<Option<Recalled<Json>>> {
        let Some(Recalled { spec, owner }) = self.0.recall(cx, &typed(seen)?).await? else {
            return Ok(None);
        };
        let spec = Json::of(&spec)?;
        Ok(Some(Recalled { spec, owner }))
    }

    async fn note(&self, cx: &Cx<'_>, seen: Sight) -> Result<()> {
        self.0.note(cx, &typed(seen)?).await
    }

    async fn console(&self, cx: &Cx<'_>, id: &RemoteId, most: usize) -> Result<Vec<u8>> {
        self.0.console(cx, id, most).await
    }

    async fn watch(&self, cx: &Cx<'_>) -> Result<Hints> {
        self.0.watch(cx).await
    }
}

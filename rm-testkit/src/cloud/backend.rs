//! The six verbs of the simulated cloud.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rm_core::backend::{Backend, Capability, Cx, Hints, Look, Mark, Offer, Recalled, Seen};
use rm_core::catalog::{Appliance, Site};
use rm_core::model::{Cluster, ClusterSpec, Model};
use rm_core::store::Page;
use rm_core::{Error, RemoteId, Result};
use serde_json::Value;

use super::SimCloud;
use super::call::{account, listens};
use super::fault::Verb;
use super::images::Wanted;
use super::media::Body;
use super::site::Effect;

#[async_trait]
impl Backend<Cluster> for SimCloud {
    fn capability(&self, _site: &Site) -> Capability {
        self.lock().capability
    }

    async fn offers(&self, cx: &Cx<'_>, want: &ClusterSpec) -> Result<Vec<Offer>> {
        self.offered(cx, Cluster::nodes(want)).await
    }

    async fn observe(
        &self,
        cx: &Cx<'_>,
        look: Look<'_, ClusterSpec>,
    ) -> Result<Page<Seen<Cluster>>> {
        self.look(cx, look).await
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &ClusterSpec) -> Result<RemoteId> {
        let implementation = cx.catalog.implementation(spec.implementation).await?;
        let body = Body::read(&implementation.body)?;
        let account = account(cx)?;
        let takes = self.config.build();
        let images = spec.images.iter().map(|(name, sha256)| Wanted {
            name: name.clone(),
            sha256: sha256.clone(),
            id: cx.needs.get(name).cloned(),
        });
        let images = images.collect();
        self.effect(cx, Verb::Create, mark.name(), |state, fails| {
            state.named += 1;
            Effect::Create {
                account,
                mark: mark.clone(),
                owner: cx.owner.cloned(),
                slaves: spec.slaves,
                outputs: body.outputs,
                images,
                number: state.named,
                fails: fails || body.fails,
                takes,
                key: state.capability.create_key,
            }
        })
        .await
    }

    async fn change(
        &self,
        cx: &Cx<'_>,
        mark: &Mark,
        seen: &Seen<Cluster>,
        spec: &ClusterSpec,
    ) -> Result<()> {
        let tells = BTreeMap::new();
        self.alter(cx, mark, &seen.id, spec.slaves, tells).await
    }

    /// A simulated site knows the size of a thing and what it gives out.
    async fn recall(
        &self,
        cx: &Cx<'_>,
        seen: &Seen<Cluster>,
    ) -> Result<Option<Recalled<ClusterSpec>>> {
        let what = seen.id.to_string();
        let thing = self.call(cx, Verb::Observe, what, |_, site| {
            let thing = site.things.get(&seen.id).filter(|t| t.exists()).cloned();
            Ok(thing.map(|thing| {
                let of = thing.images.iter().filter_map(|id| site.images.get(id));
                let images: Vec<_> = of.map(|i| (i.name.clone(), i.sha256.clone())).collect();
                (thing, images)
            }))
        });
        let Some((thing, images)) = thing.await? else {
            return Ok(None);
        };
        let is = |outputs: &str| Body::read(outputs).is_ok_and(|b| b.outputs == thing.outputs);
        let by = cx.catalog.made_by(cx.site, |i| is(&i.body)).await?;
        let made_of = |appliance: &Appliance| -> BTreeMap<String, String> {
            let named = |(name, _): &(String, String)| appliance.images.contains(name);
            images.into_iter().filter(named).collect()
        };
        Ok(by.map(|(appliance, implementation)| Recalled {
            spec: ClusterSpec {
                images: made_of(&appliance),
                appliance: appliance.name,
                implementation: implementation.id,
                revision: implementation.revision,
                slaves: thing.slaves,
                others: 0,
                users: Vec::new(),
                parameters: BTreeMap::new(),
                ready_port: appliance.ready_port,
            },
            owner: thing.owner,
        }))
    }

    async fn note(&self, cx: &Cx<'_>, seen: &Seen<Cluster>) -> Result<()> {
        self.keep_owner(cx, &seen.id).await
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<Cluster>) -> Result<()> {
        self.unmake(cx, &seen.id).await
    }

    async fn watch(&self, cx: &Cx<'_>) -> Result<Hints> {
        self.listen(cx).await
    }
}

impl SimCloud {
    /// What a site has room for.
    pub(super) async fn offered(&self, cx: &Cx<'_>, needed: u64) -> Result<Vec<Offer>> {
        if cx.quick {
            // Signing in is no call of its own here.
            return self
                .lock()
                .admit(cx, Verb::Offers)
                .map(|()| vec![Offer::room(None)]);
        }
        self.call(cx, Verb::Offers, format!("{needed} nodes"), |_, site| {
            let mut offer = Offer::room(site.room());
            offer.cost = site.cost;
            Ok(vec![offer])
        })
        .await
    }

    /// Another size, and what it gives out from then on beside what it did.
    pub(super) async fn alter(
        &self,
        cx: &Cx<'_>,
        mark: &Mark,
        id: &RemoteId,
        slaves: u32,
        tells: BTreeMap<String, Value>,
    ) -> Result<()> {
        let takes = self.config.change();
        self.effect(cx, Verb::Change, id.to_string(), |state, fails| {
            Effect::Change {
                id: id.clone(),
                mark: mark.clone(),
                owner: cx.owner.cloned(),
                slaves,
                tells,
                fails,
                takes,
                how: state.capability.resize,
            }
        })
        .await
        .map(|_| ())
    }

    /// Whose a thing is, written down with it.
    pub(super) async fn keep_owner(&self, cx: &Cx<'_>, id: &RemoteId) -> Result<()> {
        self.arrive(cx).await;
        let now = self.now(cx);
        let mut state = self.lock();
        state.admit(cx, Verb::Change)?;
        let site = state.site(&self.config, &cx.site.name);
        site.advance(now);
        listens(site, &cx.site.name)?;
        let Some(thing) = site.things.get_mut(id).filter(|t| t.exists()) else {
            return Err(Error::not_found(format!("there is no {id} at the site")));
        };
        thing.owner = cx.owner.cloned();
        Ok(())
    }

    pub(super) async fn unmake(&self, cx: &Cx<'_>, id: &RemoteId) -> Result<()> {
        let takes = self.config.delete();
        self.effect(cx, Verb::Destroy, id.to_string(), |_, fails| {
            Effect::Destroy {
                id: id.clone(),
                fails,
                takes,
            }
        })
        .await
        .map(|_| ())
    }
}

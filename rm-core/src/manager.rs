//! Resource managers: the database of their resources. Core implements them
//! over any backend.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;

use crate::backend::{Capability, Cx, Offer, Resize, Serves};
use crate::caller::{Caller, Role};
use crate::catalog::Site;
use crate::driver::Driver;
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::{CatalogId, HoldId, ResourceId};
use crate::life::Wanted;
use crate::model::{Json, Model};
use crate::quota::quota_counts;
use crate::record::{Document, Hold, Place, ResourceRecord};
use crate::resource::Resource;
use crate::store::{Batch, Cursor, Due, Expect, Key, Page};
use crate::visible::{missing, see, visible};

mod asked;
mod disks;
mod there;
mod waiting;

pub use asked::{Answer, Candidate, ask, ask_until};
pub(crate) use disks::of_nodes;
pub use there::there;
pub(crate) use waiting::is_room;
pub use waiting::{Asking, Given, ToCome, to_come, waiting};

/// The space of the keys by which equal requests share a resource.
pub(crate) const KEYS: &str = "engine.key";

/// What is asked of a manager.
#[derive(Debug, Clone)]
pub struct Want<M: Model> {
    /// Where.
    pub site: Site,
    /// By whose means.
    pub credential: CatalogId,
    /// What.
    pub spec: M::Spec,
    /// The key by which an equal request shall find it; absent where it must
    /// not be shared.
    pub key: Option<String>,
    /// What else the same call asks for, where that is more than this.
    pub asking: Option<Asking>,
}

/// How a resource is to be called and held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// A name for people.
    pub name: String,
    /// When the hold ends by itself.
    pub until: Option<Timestamp>,
    /// What must be ready first.
    pub needs: Vec<ResourceId>,
    /// Whether only its place is kept, and nothing is made before it is
    /// started.
    pub reserve: bool,
}

/// The database of the resources of a kind, on the sites it serves.
#[async_trait]
pub trait ResourceManager<M: Model>: fmt::Debug + Send + Sync {
    /// What it serves.
    fn serves(&self) -> &Serves;

    /// What can be relied on at a site.
    fn capability(&self, site: &Site) -> Capability;

    /// How the request could be served, each with its place filled in. Asks
    /// the site; changes nothing.
    async fn offers(&self, who: &Caller, want: &Want<M>) -> Result<Vec<Offer>>;

    /// The offer of an only place, which need not be asked for room: it will
    /// say itself what it cannot do. What can be known at once is checked: the
    /// request, and that the credential is accepted.
    async fn only(&self, want: &Want<M>) -> Result<Offer>;

    /// Writes the reservation of the first offer into a batch; the others are
    /// where else it could be made as long as nothing was tried. Nothing
    /// happens before the batch is committed, which is refused where the room
    /// that the offer tells of ([`Offer::nodes_left`]: beside all that the batch
    /// takes of it already) was given to others meanwhile.
    fn prepare(
        &self,
        who: &Caller,
        offers: &[Offer],
        terms: &Terms,
        into: &mut Batch,
    ) -> Result<(ResourceId, HoldId)>;

    /// The caller's resources of this kind; all of them for an operator who
    /// asks for all.
    async fn find(
        &self,
        who: &Caller,
        all: bool,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Resource<M>>>;

    /// One resource that the caller may see.
    async fn get(&self, who: &Caller, id: ResourceId) -> Result<Resource<M>>;
}

/// Core's manager over a backend.
pub(crate) struct Managed<M: Model> {
    core: Arc<Core>,
    name: String,
    serves: Serves,
    driver: Arc<dyn Driver>,
    model: PhantomData<fn() -> M>,
}

impl<M: Model> fmt::Debug for Managed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Managed").field(&self.name).finish()
    }
}

impl<M: Model> Managed<M> {
    pub(crate) fn new(
        core: Arc<Core>,
        name: String,
        serves: Serves,
        driver: Arc<dyn Driver>,
    ) -> Self {
        Self {
            core,
            name,
            serves,
            driver,
            model: PhantomData,
        }
    }

    async fn ask(&self, want: &Want<M>, quick: bool) -> Result<Vec<Offer>> {
        let core = &*self.core;
        let (site, credential, secret) = core.catalog.open(want.site.id, want.credential).await?;
        let asking = want.asking.clone().unwrap_or_default();
        let cx = Cx {
            asking: Some(&asking),
            env: &core.env,
            site: &site,
            credential: &credential,
            secret: &secret,
            catalog: &core.catalog,
            quick,
            needs: &BTreeMap::new(),
            owner: None,
            progress: &Arc::default(),
            timeout: self.driver.capability(&site).call_timeout,
        };
        let place = self.place(want)?;
        let given = match quick {
            true => None,
            false => {
                let account = (site.id, credential.id);
                let cap = self.driver.capability(&site);
                Some(asking.given(&*core.store, &cap, account).await?)
            }
        };
        let call = self.driver.offers(&cx, &place.spec);
        let mut offers = core.timed("offers", cx.timeout, call).await?;
        for offer in &mut offers {
            if offer.nodes_left.is_some() {
                offer.given.clone_from(&given);
            }
            self.tell_resize(&site, offer);
            offer.place = Some(place.clone());
        }
        Ok(offers)
    }

    /// Who takes the offer must know what another size would cost.
    fn tell_resize(&self, site: &Site, offer: &mut Offer) {
        let cap = self.driver.capability(site);
        if cap.resize == Resize::Replace {
            offer.why += match cap.billing_commit {
                true => "; it gets no other size, for that would buy another one",
                false => "; it gets another size only by being made anew",
            };
        }
    }

    fn place(&self, want: &Want<M>) -> Result<Place> {
        Ok(Place {
            manager: self.name.clone(),
            site: want.site.id,
            site_name: want.site.name.clone(),
            credential: want.credential,
            spec: Json::of(&want.spec)?,
            key: want.key.clone(),
        })
    }
}

#[async_trait]
impl<M: Model> ResourceManager<M> for Managed<M> {
    fn serves(&self) -> &Serves {
        &self.serves
    }

    fn capability(&self, site: &Site) -> Capability {
        self.driver.capability(site)
    }

    async fn offers(&self, _who: &Caller, want: &Want<M>) -> Result<Vec<Offer>> {
        self.ask(want, false).await
    }

    async fn only(&self, want: &Want<M>) -> Result<Offer> {
        let found = match self.ask(want, true).await {
            Ok(offers) => offers.into_iter().next(),
            // It is made as soon as the site answers.
            Err(e) if e.is_temporary() => None,
            Err(e) => return Err(e),
        };
        let mut offer = found.unwrap_or_else(|| Offer::room(None));
        "the only place; it was not asked for room".clone_into(&mut offer.why);
        self.tell_resize(&want.site, &mut offer);
        offer.nodes_left = None;
        if offer.place.is_none() {
            offer.place = Some(self.place(want)?);
        }
        Ok(offer)
    }

    fn prepare(
        &self,
        who: &Caller,
        offers: &[Offer],
        terms: &Terms,
        into: &mut Batch,
    ) -> Result<(ResourceId, HoldId)> {
        who.need(Role::User)?;
        let core = &*self.core;
        let mut places: Vec<Place> = offers.iter().filter_map(|o| o.place.clone()).collect();
        if places.is_empty() {
            return Err(Error::new(
                ErrorKind::NoCapacity,
                "there is no offer to take",
            ));
        }
        let place = places.remove(0);
        let nodes = self.driver.nodes(&place.spec)?;
        let wanted = match terms.reserve {
            true => Wanted::Reserved,
            false => self.driver.wanted(&place.spec)?,
        };
        let now = core.env.now();
        let id = ResourceId::new(&*core.env);
        let hold = Hold {
            id: HoldId::new(&*core.env),
            user: who.user.clone(),
            tenant: who.tenant.clone(),
            until: terms.until,
            since: now,
        };
        let hold_id = hold.id;
        into.expect.push(Expect::Absent(Key::Resource(id)));
        let room = offers
            .first()
            .and_then(|o| o.given.as_ref().zip(o.nodes_left));
        if let (Some((given, left)), true) = (room, nodes > 0) {
            given.take(nodes, left, &mut into.counts);
        }
        if let Some(key) = &place.key {
            into.documents.push(key_document(key, id)?);
        }
        // What stands for no node (an image) takes nothing of a quota.
        let one = i64::from(nodes > 0);
        into.counts.extend(quota_counts(
            core,
            who,
            one,
            i64::try_from(nodes).unwrap_or(i64::MAX),
        ));
        let (kind, tenant) = (self.serves.kind.clone(), who.tenant.clone());
        let record = ResourceRecord {
            fallbacks: places,
            needs: terms.needs.clone(),
            wanted,
            holds: vec![hold],
            nodes,
            ..ResourceRecord::new(id, kind, tenant, terms.name.clone(), place, now)
        };
        into.events.push(core.event(
            &record,
            "requested",
            serde_json::json!({
                "by": who.user, "site": record.place.site_name, "name": record.name,
                "wanted": record.wanted, "generation": record.generation, "nodes": nodes,
                "hold": hold_id, "until": terms.until.map(|t| t.to_string()),
            }),
        ));
        into.resources.push((Arc::new(record), Due::At(now)));
        Ok((id, hold_id))
    }

    async fn find(
        &self,
        who: &Caller,
        all: bool,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Resource<M>>> {
        let keep = |r: &ResourceRecord| r.kind == self.serves.kind && r.place.manager == self.name;
        let page = visible(&self.core, who, all, after, limit, keep).await?;
        Ok(page.map(|row| Resource::new(&self.core, row)))
    }

    async fn get(&self, who: &Caller, id: ResourceId) -> Result<Resource<M>> {
        let row = see(&self.core, who, id).await?;
        if row.record.place.manager != self.name {
            return Err(missing(&self.serves.kind, id));
        }
        Ok(Resource::new(&self.core, row))
    }
}

pub(crate) fn key_document(key: &str, id: ResourceId) -> Result<Arc<Document>> {
    Ok(Arc::new(Document {
        space: KEYS.to_owned(),
        id: key.to_owned(),
        indexes: Vec::new(),
        body: Json::of(&id)?,
    }))
}

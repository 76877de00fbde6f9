//! Clusters that are written into a batch of the caller's, by the means of
//! somebody else where that is wanted; and what one was made by.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde_json::Value;

use super::{Candidate, ClusterRequest, Clusters, Considered, Reuse};
use crate::backend::{Capability, Offer};
use crate::caller::{Caller, Role};
use crate::catalog::{Implementation, Site};
use crate::copies::needed_at;
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{HoldId, ResourceId};
use crate::manager::{self, Asking, Terms};
use crate::model::{Cluster, ClusterSpec, Model, NodeUser};
use crate::quota::allows;
use crate::record::Place;
use crate::registry::Media;
use crate::resource::Resource;
use crate::store::{Account, Batch};

/// For how many different clusters of one request sites are asked at once: each
/// is several requests at every site, which one that works on them one by one
/// could not answer in time.
const ASKED_AT_ONCE: usize = 4;

/// How clusters are prepared.
#[derive(Debug, Clone, Copy)]
pub struct ClusterTerms<'a> {
    /// By whose credentials sites are used.
    pub means: &'a Caller,
    /// When the holds end by themselves.
    pub until: Option<Timestamp>,
    /// Who can log in to their hosts, where their implementations let the caller
    /// say that.
    pub users: &'a [NodeUser],
    /// Whether only their places are kept; else they are made.
    pub reserve: bool,
    /// What the call has read, and what it has taken already.
    pub asking: &'a Asking,
}

/// Why clusters are not prepared.
#[derive(Debug)]
pub struct Unprepared {
    /// Which of the requests it is about, where it is about one. For
    /// [`ErrorKind::NoCapacity`] there was room for those before it; one that is
    /// wrong in itself is found before anybody is asked for room.
    pub at: Option<usize>,
    /// Why.
    pub error: Error,
}

impl Unprepared {
    fn one(at: usize) -> impl FnOnce(Error) -> Self {
        move |error| Self {
            at: Some(at),
            error,
        }
    }
}

impl From<Error> for Unprepared {
    fn from(error: Error) -> Self {
        Self { at: None, error }
    }
}

/// What some of the requests ask for alike: sites are asked once for it.
struct Shape {
    request: ClusterRequest,
    candidates: Vec<Candidate>,
    considered: Vec<Considered>,
}

impl Shape {
    /// How many nodes one takes at the least, wherever it is.
    fn nodes(&self) -> u64 {
        let candidates = self.candidates.iter();
        let nodes = candidates.map(|c| Cluster::nodes(&c.want.spec));
        nodes.min().unwrap_or(0)
    }
}

/// How many nodes wait to be made, by account: what sites do not know of when they
/// say how much room they have.
type Waiting = BTreeMap<Account, u64>;

impl Clusters<'_> {
    /// Writes clusters into a batch, all of them or none, which the caller commits
    /// with whatever else must be true at the same moment. They are others,
    /// whatever there is, and held by the caller; `reuse` and the idempotency keys
    /// of the requests mean nothing here.
    ///
    /// What the caller's quota does not allow is refused before anybody is asked
    /// for room. All sites are asked at once, once for what is asked for alike, and
    /// for few that are not alike at a time; what waits to be made there is taken off, that of this batch, too. What
    /// surrounds a cluster is not the caller's to choose, for the means may be
    /// those of somebody else.
    ///
    /// # Errors
    ///
    /// As for [`Clusters::create`]; then the batch is not used.
    /// Where no site answered the question for room: what one of them said.
    /// [`ErrorKind::Invalid`] with `not-to-choose` for a parameter that says what
    /// surrounds a cluster ([`Media::is_surroundings`]), or that is said by a site
    /// where it could be ([`Site::defaults`]).
    /// [`ErrorKind::Busy`] where what one would be made by was just removed.
    pub async fn prepare(
        &self,
        who: &Caller,
        requests: &[ClusterRequest],
        terms: &ClusterTerms<'_>,
        into: &mut Batch,
    ) -> Result<Vec<(ResourceId, HoldId)>, Unprepared> {
        who.need(Role::User)?;
        let mut shapes: Vec<Shape> = Vec::new();
        let mut alike = Vec::with_capacity(requests.len());
        for (at, request) in requests.iter().enumerate() {
            let request = ClusterRequest {
                name: None,
                reuse: Reuse::Never,
                idempotency: None,
                ..request.clone()
            };
            let known = shapes.iter().position(|shape| shape.request == request);
            alike.push(known.unwrap_or(shapes.len()));
            if known.is_none() {
                let shape = self.shape(request, terms).await;
                shapes.push(shape.map_err(Unprepared::one(at))?);
            }
        }
        let each = alike.iter().filter_map(|shape| shapes.get(*shape));
        let nodes = each.map(Shape::nodes).fold(0, u64::saturating_add);
        let clusters = u64::try_from(requests.len()).unwrap_or(u64::MAX);
        allows(self.core, who, (clusters, nodes), into).await?;

        let asked = shapes.iter().map(|shape| self.room(terms.means, shape));
        let asked: Vec<_> = asked.collect();
        let asked = stream::iter(asked).buffered(ASKED_AT_ONCE);
        let mut room: Vec<Result<Vec<Offer>>> = asked.collect().await;
        let mut waiting = Waiting::new();
        let mut made = Vec::with_capacity(requests.len());
        for (at, (request, alike)) in requests.iter().zip(alike).enumerate() {
            let (Some(shape), Some(room)) = (shapes.get(alike), room.get_mut(alike)) else {
                continue;
            };
            let offers = match room {
                Ok(offers) => offers.as_slice(),
                refused => {
                    let refused = std::mem::replace(refused, Ok(Vec::new()));
                    return Err(refused
                        .err()
                        .map_or_else(|| full().into(), Unprepared::one(at)));
                }
            };
            let name = request.name.as_deref().unwrap_or(&request.appliance);
            let put = self.put(who, (shape, offers), (name, terms), &mut waiting, into);
            made.push(put.await.map_err(Unprepared::one(at))?);
        }
        Ok(made)
    }

    /// Where a request could be served, with what the terms say of it.
    async fn shape(&self, request: ClusterRequest, terms: &ClusterTerms<'_>) -> Result<Shape> {
        let found = self.candidates(terms.means, &request).await?;
        let (_, mut candidates, considered) = found;
        for candidate in &mut candidates {
            let want = &mut candidate.want;
            want.asking = Some(terms.asking.clone());
            let made_by = self.made_by(&want.spec).await?;
            made_by.spares_surroundings(&request.parameters, &want.site)?;
            if made_by.takes_users() {
                want.spec.users = terms.users.to_vec();
            }
        }
        Ok(Shape {
            request,
            candidates,
            considered,
        })
    }

    /// What the sites offer for one, best first.
    async fn room(&self, means: &Caller, shape: &Shape) -> Result<Vec<Offer>> {
        let (mut considered, mut at_fault) = (shape.considered.clone(), None);
        let offers = self
            .offers(
                means,
                &shape.candidates,
                &mut considered,
                true,
                &mut at_fault,
            )
            .await;
        // Who is told that there is no room asks for less, which would not help.
        offers.map_err(|e| at_fault.unwrap_or(e))
    }

    /// Writes one into the batch, at the first of the places that has room beside
    /// all that waits to be made there.
    async fn put(
        &self,
        who: &Caller,
        (shape, offers): (&Shape, &[Offer]),
        (name, terms): (&str, &ClusterTerms<'_>),
        waiting: &mut Waiting,
        into: &mut Batch,
    ) -> Result<(ResourceId, HoldId)> {
        let mut refused = full();
        for offer in offers {
            let Some(place) = &offer.place else {
                continue;
            };
            let spec: ClusterSpec = place.spec.read()?;
            let nodes = Cluster::nodes(&spec);
            let mut candidates = shape.candidates.iter();
            let Some(candidate) = candidates.find(|c| c.want.site.id == place.site) else {
                continue;
            };
            let cap = candidate.manager.capability(&candidate.want.site);
            let here = (place, &cap);
            let mut offer = self.beside(offer, here, waiting, into).await?;
            if offer.nodes_left.is_some_and(|left| left < nodes) {
                continue;
            }
            let needed = match needed_at(self.core, &who.tenant, place, into).await {
                Ok(needed) => needed,
                // Where it cannot be said which images it takes there is no place.
                Err(e) => {
                    refused = e.site(place.site_name.clone());
                    continue;
                }
            };
            let Some(spare) = terms.asking.take_disk(place.site, &[&offer]) else {
                continue;
            };
            // This one, and so many as others may be given meanwhile.
            let more = spare.iter().fold(u64::MAX, |least, more| least.min(*more));
            let may = nodes.saturating_mul(more.saturating_add(1));
            offer.nodes_left = offer.nodes_left.map(|left| left.min(may));
            let catalog = &self.core.catalog;
            let still = catalog
                .still(Some(spec.implementation), place.credential)
                .await?;
            into.expect.extend(still.ok_or_else(|| {
                Error::new(
                    ErrorKind::Busy,
                    "what the cluster would be made by was just removed",
                )
                .advice("call again")
            })?);
            needed.put(into);
            let called = Terms {
                name: name.to_owned(),
                until: terms.until,
                needs: needed.ids,
                reserve: terms.reserve,
            };
            let put =
                candidate
                    .manager
                    .prepare(who, std::slice::from_ref(&offer), &called, into)?;
            if let Some(waiting) = waiting.get_mut(&(place.site, place.credential)) {
                *waiting = waiting.saturating_add(nodes);
            }
            return Ok(put);
        }
        Err(refused)
    }

    /// The offer with what is left of its room beside all that waits to be made
    /// there.
    async fn beside(
        &self,
        offer: &Offer,
        (place, cap): (&Place, &Capability),
        waiting: &mut Waiting,
        batch: &Batch,
    ) -> Result<Offer> {
        let mut offer = offer.clone();
        let Some(left) = offer.nodes_left else {
            return Ok(offer);
        };
        let account = (place.site, place.credential);
        let taken = match waiting.get(&account) {
            Some(taken) => *taken,
            None => {
                let store = &*self.core.store;
                let taken = manager::waiting(store, cap, account, batch).await?;
                waiting.insert(account, taken);
                taken
            }
        };
        offer.nodes_left = Some(left.saturating_sub(taken));
        Ok(offer)
    }

    /// What a cluster was made by, for who gives it another size or users in a
    /// batch ([`Resource::draft`]).
    ///
    /// # Errors
    ///
    /// Where the store cannot be asked.
    pub async fn made(&self, cluster: &Resource<Cluster>) -> Result<MadeBy> {
        self.made_by(&cluster.spec()?).await
    }

    async fn made_by(&self, spec: &ClusterSpec) -> Result<MadeBy> {
        let catalog = &self.core.catalog;
        let implementation = catalog.implementation(spec.implementation).await?;
        Ok(MadeBy {
            media: catalog.media_of(&implementation.media_type),
            implementation,
        })
    }
}

/// What a cluster was made by. It never changes.
#[derive(Debug, Clone)]
pub struct MadeBy {
    media: Option<Arc<dyn Media>>,
    implementation: Arc<Implementation>,
}

impl MadeBy {
    /// Refuses a number of slaves that it says itself it cannot make.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`].
    pub fn check_size(&self, slaves: u32) -> Result<()> {
        match &self.media {
            Some(media) => media.fits(&self.implementation.body, slaves),
            None => Ok(()),
        }
    }

    /// Refuses what is for the owner of the means to say, and what the site says
    /// itself, whatever that is. Of a type that nobody knows every parameter could
    /// be that.
    fn spares_surroundings(&self, parameters: &BTreeMap<String, Value>, site: &Site) -> Result<()> {
        let media = self.media.as_ref();
        let around = |name: &&String| {
            site.defaults.contains_key(*name) || media.is_none_or(|m| m.is_surroundings(name))
        };
        match parameters.keys().find(around) {
            Some(name) => Err(Error::invalid(format!(
                "the parameter {name:?} is not for the request to choose"
            ))
            .code("not-to-choose")
            .advice("leave it out: the operator of the site says what surrounds a cluster")),
            None => Ok(()),
        }
    }

    /// Whether who asks for the cluster can say who logs in to its hosts.
    pub fn takes_users(&self) -> bool {
        self.media.as_ref().is_some_and(|media| media.takes_users())
    }
}

fn full() -> Error {
    Error::new(ErrorKind::NoCapacity, "no site has room for this cluster")
        .advice("all that is left there has its place already: ask for less, or later")
}

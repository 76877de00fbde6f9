//! A cluster that is written into a batch of the caller's, by the means of
//! somebody else where that is wanted; and what one was made by.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{ClusterRequest, Clusters, Reuse};
use crate::backend::Offer;
use crate::caller::{Caller, Role};
use crate::catalog::Implementation;
use crate::copies::needed_at;
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{HoldId, ResourceId};
use crate::manager::{Terms, waiting};
use crate::model::{Cluster, ClusterSpec, Model, NodeUser};
use crate::registry::Media;
use crate::resource::Resource;
use crate::store::Batch;

/// How a cluster is prepared.
#[derive(Debug, Clone)]
pub struct ClusterTerms<'a> {
    /// By whose credentials sites are used.
    pub means: &'a Caller,
    /// A name for people.
    pub name: String,
    /// When the hold ends by itself.
    pub until: Option<Timestamp>,
    /// Who can log in to its hosts, where its implementation lets the caller say
    /// that.
    pub users: &'a [NodeUser],
    /// Whether only its place is kept; else it is made.
    pub reserve: bool,
}

impl Clusters<'_> {
    /// Writes a cluster into a batch, which the caller commits with whatever else
    /// must be true at the same moment. It is another one, whatever there is, and
    /// held by the caller; `reuse` and the idempotency key of the request mean
    /// nothing here. Sites are asked for room, and what waits to be made there is
    /// taken off, that of this batch, too. What surrounds it is not the caller's
    /// to choose, for the means may be those of somebody else.
    ///
    /// # Errors
    ///
    /// As for [`Clusters::create`]; then the batch is not used.
    /// Where no site answered the question for room: what one of them said.
    /// [`ErrorKind::Invalid`] with `not-to-choose` for a parameter that says what
    /// surrounds it ([`Media::is_surroundings`]).
    /// [`ErrorKind::Busy`] where what it would be made by was just removed.
    pub async fn prepare(
        &self,
        who: &Caller,
        request: &ClusterRequest,
        terms: ClusterTerms<'_>,
        into: &mut Batch,
    ) -> Result<(ResourceId, HoldId)> {
        who.need(Role::User)?;
        let request = ClusterRequest {
            reuse: Reuse::Never,
            idempotency: None,
            ..request.clone()
        };
        let means = terms.means;
        let (_, mut candidates, mut considered) = self.candidates(means, &request).await?;
        for candidate in &mut candidates {
            let spec = &mut candidate.want.spec;
            let made_by = self.made_by(spec).await?;
            made_by.spares_surroundings(&request.parameters)?;
            if made_by.takes_users() {
                spec.users = terms.users.to_vec();
            }
        }
        let mut at_fault = None;
        let offers = self
            .offers(means, &candidates, &mut considered, true, &mut at_fault)
            .await;
        // Who is told that there is no room asks for less, which would not help.
        let offers = offers.map_err(|e| at_fault.unwrap_or(e))?;
        let mut full = Error::new(ErrorKind::NoCapacity, "no site has room for this cluster")
            .advice("all that is left there has its place already: ask for less, or later");
        for offer in offers {
            let Some(place) = offer.place.clone() else {
                continue;
            };
            let spec: ClusterSpec = place.spec.read()?;
            if !self.fits(&offer, &spec, into).await? {
                continue;
            }
            let needed = match needed_at(self.core, &who.tenant, &place, into).await {
                Ok(needed) => needed,
                // Where it cannot be said which images it takes there is no place.
                Err(e) => {
                    full = e.site(place.site_name);
                    continue;
                }
            };
            let candidate = candidates.iter().find(|c| c.want.site.id == place.site);
            let Some(candidate) = candidate else { continue };
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
            let terms = Terms {
                name: terms.name,
                until: terms.until,
                needs: needed.ids,
                reserve: terms.reserve,
            };
            return candidate.manager.prepare(who, &[offer], &terms, into);
        }
        Err(full)
    }

    /// Whether there is room for it beside all that waits to be made there.
    async fn fits(&self, offer: &Offer, spec: &ClusterSpec, batch: &Batch) -> Result<bool> {
        let (Some(place), Some(left)) = (&offer.place, offer.nodes_left) else {
            return Ok(true);
        };
        let store = &*self.core.store;
        let taken = waiting(store, place.site, place.credential, batch).await?;
        Ok(Cluster::nodes(spec).saturating_add(taken) <= left)
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

    /// Refuses what is for the owner of the means to say. Of a type that nobody
    /// knows every parameter could be that.
    fn spares_surroundings(&self, parameters: &BTreeMap<String, Value>) -> Result<()> {
        let media = self.media.as_ref();
        let around = |name: &&String| media.is_none_or(|media| media.is_surroundings(name));
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

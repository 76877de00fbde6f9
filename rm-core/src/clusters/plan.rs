//! What a request would lead to, without doing it.

use serde::Serialize;

use super::reuse::{self, Fit, There};
use super::{ClusterRequest, Clusters, Considered};
use crate::caller::{Caller, Role};
use crate::error::{Error, ErrorKind, Result};
use crate::id::ResourceId;
use crate::model::{Cluster, ClusterSpec, Model};
use crate::name::check_name;
use crate::quota::allows;
use crate::store::Batch;

/// What a request would lead to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// What was considered, the chosen one first.
    pub considered: Vec<Considered>,
    /// The cluster that would be reused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reuses: Option<ResourceId>,
    /// How that one would grow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grows: Option<Growth>,
    /// Why the request would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// What the tenant may still have, before this request.
    pub quota_left: QuotaLeft,
}

/// How many slaves a cluster that is reused has, and would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Growth {
    /// So many it has.
    pub from: u32,
    /// So many it would have.
    pub to: u32,
}

/// A refusal that a request would get, in the words it would get it in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// What would be wrong, for adapters.
    #[serde(skip)]
    pub kind: ErrorKind,
    /// The stable code.
    pub code: String,
    /// What would be wrong.
    pub detail: String,
    /// The ways out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The resource it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceId>,
}

impl From<&Error> for Refused {
    fn from(e: &Error) -> Self {
        Self {
            kind: e.kind(),
            code: e.stable_code().to_owned(),
            detail: e.what().to_owned(),
            advice: e.next().map(str::to_owned),
            resource: e.about(),
        }
    }
}

/// What a tenant may still have; unlimited where absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QuotaLeft {
    /// Clusters.
    pub clusters: Option<u64>,
    /// Nodes.
    pub nodes: Option<u64>,
}

impl Clusters<'_> {
    /// What the request would lead to as things stand; changes nothing. What
    /// stands in its way is told in the plan as the request would be told it.
    ///
    /// # Errors
    ///
    /// What is wrong with the request itself, as for [`Clusters::create`].
    pub async fn plan(&self, who: &Caller, request: &ClusterRequest) -> Result<Plan> {
        who.need(Role::User)?;
        if let Some(name) = &request.name {
            check_name("cluster", name)?;
        }
        let (core, policy) = (self.core, &self.core.policy);
        policy.until(&who.tenant, request.lease, core.env.now())?;
        let (_, candidates, mut considered) = self.candidates(who, request).await?;
        let there = self.there(who, request, &candidates).await?;
        let offers = self
            .offers(who, &candidates, &mut considered, true, &mut None)
            .await;
        let offers = match offers {
            Err(e) if e.kind() != ErrorKind::NoCapacity => return Err(e),
            offers => offers,
        };
        if !there.is_empty() {
            // None is made where one is there.
            for site in considered.iter_mut().filter(|c| c.verdict != "refused") {
                "next".clone_into(&mut site.verdict);
                site.why = format!("another one could be made: {}", site.why);
            }
            considered.splice(0..0, reuse::told(&there));
        }
        let (mut reuses, mut grows) = (None, None);
        let refused = match (there.into_iter().next(), offers) {
            (Some(There { cluster, fit, .. }), _) => match fit {
                Fit::Not(e) => Some(e),
                Fit::Whole => {
                    reuses = Some(cluster.id());
                    None
                }
                Fit::Grows(growth) => {
                    let mut spec = cluster.spec()?;
                    spec.slaves = growth.to;
                    let more = Cluster::nodes(&spec).saturating_sub(cluster.record().nodes);
                    (reuses, grows) = (Some(cluster.id()), Some(growth));
                    self.over_quota(who, (0, more)).await?
                }
            },
            (None, Err(full)) => Some(full),
            (None, Ok(offers)) => {
                let place = offers.first().and_then(|offer| offer.place.as_ref());
                let spec: Option<ClusterSpec> = place.map(|p| p.spec.read()).transpose()?;
                let nodes = spec.map_or(0, |spec| Cluster::nodes(&spec));
                self.over_quota(who, (1, nodes)).await?
            }
        };
        let quota = policy.quota(&who.tenant);
        let used = |what: &str| format!("quota/{}/{what}", who.tenant);
        let clusters = core.store.counter(&used("clusters")).await?;
        let nodes = core.store.counter(&used("nodes")).await?;
        Ok(Plan {
            considered,
            reuses,
            grows,
            refused: refused.as_ref().map(Refused::from),
            quota_left: QuotaLeft {
                clusters: quota.clusters.map(|q| q.saturating_sub(clusters)),
                nodes: quota.nodes.map(|q| q.saturating_sub(nodes)),
            },
        })
    }

    /// What the tenant's quota says to so many more.
    async fn over_quota(&self, who: &Caller, more: (u64, u64)) -> Result<Option<Error>> {
        match allows(self.core, who, more, &Batch::default()).await {
            Err(e) if e.kind() == ErrorKind::Quota => Ok(Some(e)),
            other => other.map(|()| None),
        }
    }
}

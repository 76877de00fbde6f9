//! Clusters that are there already: which of them a request gets, and why not
//! another.

use std::cmp::Reverse;

use super::choose::{Candidate, is_stale};
use super::idempotency::Got;
use super::{ClusterRequest, Clusters, Considered, Growth};
use crate::caller::Caller;
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{HoldId, ResourceId};
use crate::manager::KEYS;
use crate::model::{Cluster, ClusterSpec};
use crate::resource::Resource;
use crate::store::Batch;

/// A cluster that is there for requests like this one.
#[derive(Debug)]
pub(super) struct There {
    pub(super) cluster: Resource<Cluster>,
    spec: ClusterSpec,
    pub(super) fit: Fit,
}

/// How it meets the request.
#[derive(Debug)]
pub(super) enum Fit {
    /// It is what was asked for.
    Whole,
    /// It is once it has grown, for which the request asks.
    Grows(Growth),
    /// It is not, for this reason, with which the request is refused.
    Not(Error),
}

const TOO_SMALL: &str = "cluster-too-small";

impl There {
    /// What comes first is taken: what is there as it was asked for, before what
    /// has to grow, that by the least; and of what will not do, what is nearest.
    /// What is equal in this stays in the order of the sites' names.
    fn rank(&self) -> (u8, Reverse<u32>) {
        match &self.fit {
            Fit::Whole => (0, Reverse(0)),
            Fit::Grows(_) => (1, Reverse(self.spec.slaves)),
            Fit::Not(e) if e.stable_code() == TOO_SMALL => (2, Reverse(self.spec.slaves)),
            Fit::Not(_) => (3, Reverse(0)),
        }
    }

    fn told(&self, is_first: bool) -> Considered {
        let (id, slaves) = (self.cluster.id(), self.spec.slaves);
        let there = format!("the cluster {id} of this tenant is there, with {slaves} slaves");
        let (verdict, why, code) = match &self.fit {
            Fit::Not(e) => ("refused", e.to_string(), Some(e.stable_code().to_owned())),
            Fit::Grows(growth) => (
                "",
                format!("{there}, and would grow to {}", growth.to),
                None,
            ),
            Fit::Whole => ("", there, None),
        };
        Considered {
            site: self.cluster.record().place.site_name.clone(),
            revision: Some(self.spec.revision),
            verdict: match (verdict, is_first) {
                ("", true) => "chosen",
                ("", false) => "next",
                (verdict, _) => verdict,
            }
            .to_owned(),
            why,
            code,
        }
    }
}

/// What is told of them, the first one as what is chosen.
pub(super) fn told(there: &[There]) -> Vec<Considered> {
    let each = there.iter().enumerate();
    each.map(|(at, there)| there.told(at == 0)).collect()
}

impl Clusters<'_> {
    /// The clusters that equal requests have made, at whatever site, the one that
    /// this request gets first; none that is of no use any more.
    pub(super) async fn there(
        &self,
        who: &Caller,
        request: &ClusterRequest,
        candidates: &[Candidate],
    ) -> Result<Vec<There>> {
        let mut found = Vec::new();
        for key in candidates.iter().filter_map(|c| c.want.key.as_ref()) {
            let Some(kept) = self.core.store.document(KEYS, key).await? else {
                continue;
            };
            let Some(row) = self.core.store.resource(kept.record.body.read()?).await? else {
                continue;
            };
            let r = &row.record;
            if r.tenant != who.tenant || is_stale(r.wanted, r.seen) {
                continue;
            }
            let cluster = Resource::<Cluster>::new(self.core, row);
            let spec = cluster.spec()?;
            let fit = self.fit(who, request, &cluster, &spec).await?;
            found.push(There { cluster, spec, fit });
        }
        found.sort_by_key(There::rank);
        Ok(found)
    }

    /// Reuse is exact: what was asked for beside the size must be what is there.
    async fn fit(
        &self,
        who: &Caller,
        request: &ClusterRequest,
        cluster: &Resource<Cluster>,
        spec: &ClusterSpec,
    ) -> Result<Fit> {
        let has = &spec.parameters;
        let mut other = request
            .parameters
            .iter()
            .find(|(name, value)| has.get(*name) != Some(*value))
            .map(|(name, _)| format!("its parameter {name:?} is another"));
        if let Some(wanted) = &request.credential {
            let wanted = self.core.catalog.credential(who, wanted).await?;
            if wanted.id != cluster.record().place.credential {
                other = Some("it was made by another credential".to_owned());
            }
        }
        if let Some(why) = other {
            let what = format!("the cluster to be reused is not what was asked for: {why}");
            return Ok(Fit::Not(
                Error::new(ErrorKind::Conflict, what)
                    .code("cluster-differs")
                    .advice("leave that out to use the one that is there, or ask with reuse never to get another")
                    .resource(cluster.id()),
            ));
        }
        Ok(match short(request, spec.slaves) {
            None => Fit::Whole,
            Some(to) if request.grow => Fit::Grows(Growth {
                from: spec.slaves,
                to,
            }),
            Some(wanted) => Fit::Not(too_small(cluster.id(), spec.slaves, wanted)),
        })
    }

    /// One more hold on a cluster that is there, or why it cannot be had.
    pub(super) async fn join(
        &self,
        who: &Caller,
        request: &ClusterRequest,
        there: There,
        until: Option<Timestamp>,
        also: &(impl Fn(ResourceId, HoldId, &mut Batch) -> Result<()> + Send + Sync),
    ) -> Result<(Resource<Cluster>, HoldId)> {
        if let Fit::Not(refusal) = there.fit {
            return Err(refusal);
        }
        let id = there.cluster.id();
        let fits = |spec: &mut ClusterSpec| match short(request, spec.slaves) {
            None => Ok(()),
            Some(to) if request.grow => {
                spec.slaves = to;
                Ok(())
            }
            // It was large enough when it was chosen: it is chosen anew.
            Some(_) => Err(Error::new(
                ErrorKind::Busy,
                "somebody makes the cluster to be reused smaller at this moment",
            )
            .advice("ask again")
            .resource(id)),
        };
        there
            .cluster
            .join_and(who, until, fits, |r, hold, batch| {
                let got = Got {
                    resource: id,
                    hold,
                    generation: r.generation,
                    reused: true,
                };
                self.remember(who, request, got, batch)?;
                also(id, hold, batch)
            })
            .await
    }
}

/// The number of slaves that is asked for, where that is more than there are.
fn short(request: &ClusterRequest, has: u32) -> Option<u32> {
    request.slaves.filter(|wanted| *wanted > has)
}

fn too_small(id: ResourceId, has: u32, wanted: u32) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("the cluster to be reused has {has} slaves, and {wanted} were asked for"),
    )
    .code(TOO_SMALL)
    .advice("ask with grow to resize it, or with reuse never to get another")
    .resource(id)
}

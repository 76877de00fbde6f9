//! Clusters by the name of an appliance: which site, which implementation,
//! which credential is found here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::caller::{Caller, Role};
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::{CatalogId, HoldId, Kind, ResourceId};
use crate::life::State;
use crate::manager::{Terms, is_room};
use crate::model::Cluster;
use crate::name::check_name;
use crate::quota::over_quota;
use crate::record::ResourceRecord;
use crate::registry::ResourceManagerRegistry;
use crate::resource::Resource;
use crate::store::{Batch, Cursor, Key, Outcome, Page, Refusal};
use crate::visible::{missing, see, visible};

mod choose;
mod idempotency;
mod plan;
mod prepare;
mod reuse;

use choose::Candidate;
use idempotency::Got;
pub(crate) use idempotency::{IDEMPOTENCY, day};
pub use plan::{Growth, Plan, QuotaLeft, Refused};
pub use prepare::{ClusterTerms, MadeBy, Unprepared};

/// The most slaves that anybody may ask for; quotas are usually smaller. Adapters
/// hold what they read against it.
pub const MOST_SLAVES: u64 = 10_000;

/// So many bytes the parameters of one request for a cluster of nodes may have
/// together, with their names: they are kept with the cluster, and read whenever
/// anything is done with it. Other media types have limits of their own; an
/// adapter whose contract has none holds what it reads against this one.
pub const MOST_PARAMETERS: usize = 64 << 10;

/// What an Operation Manager asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClusterRequest {
    /// The appliance's name or id.
    pub appliance: String,
    /// A name for people; the appliance's where absent.
    pub name: Option<String>,
    /// How many hosts beside the master; the implementation's own number, or
    /// that of the cluster that is reused, where absent.
    pub slaves: Option<u32>,
    /// Sites to choose from, by name or id; all where empty.
    pub sites: Vec<String>,
    /// The credential to use, by name or id.
    pub credential: Option<String>,
    /// A revision of the implementation; the newest enabled one where absent.
    pub revision: Option<u32>,
    /// An implementation, by id; chosen by appliance and site where absent.
    pub implementation: Option<CatalogId>,
    /// Parameters for the implementation.
    pub parameters: BTreeMap<String, Value>,
    /// Whether a cluster that is there may be used.
    pub reuse: Reuse,
    /// Whether a cluster that is reused and too small shall grow.
    pub grow: bool,
    /// How long it is needed.
    pub lease: Option<Duration>,
    /// A key by which a repeated request is recognised, and a digest of the
    /// request.
    pub idempotency: Option<(String, String)>,
}

impl ClusterRequest {
    /// A cluster of this appliance, with so many hosts beside the master.
    pub fn of(appliance: &str, slaves: u32) -> Self {
        Self {
            appliance: appliance.to_owned(),
            slaves: Some(slaves),
            ..Self::default()
        }
    }
}

/// Whether a cluster that is there may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reuse {
    /// The tenant's cluster of the same appliance and revision: of those at all
    /// sites that could be chosen, one that is what was asked for before one that
    /// would have to grow.
    #[default]
    Match,
    /// The one that the same user got this way by the same credential; never one
    /// of the tenant's other users.
    Own,
    /// Always make another.
    Never,
}

/// What came of a request.
#[derive(Debug, Clone)]
pub struct Created {
    /// The cluster.
    pub cluster: Resource<Cluster>,
    /// The caller's hold on it.
    pub hold: HoldId,
    /// The generation of the cluster that was asked for: by it is known what
    /// becomes of the request.
    pub generation: u64,
    /// Whether it was there already.
    pub reused: bool,
    /// What was considered, and why this was chosen.
    pub considered: Vec<Considered>,
}

/// One way that was considered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Considered {
    /// The site's name.
    pub site: String,
    /// The implementation's revision, where one was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// `chosen`, `next`, or `refused`.
    pub verdict: String,
    /// Why.
    pub why: String,
    /// The stable code of the error for which it is refused, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// Another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// So many slaves.
    To(u32),
    /// So many more or fewer.
    By(i64),
}

/// Clusters by the name of an appliance.
#[derive(Debug, Clone, Copy)]
pub struct Clusters<'a> {
    core: &'a Arc<Core>,
    managers: &'a ResourceManagerRegistry,
}

impl<'a> Clusters<'a> {
    pub(crate) fn new(core: &'a Arc<Core>, managers: &'a ResourceManagerRegistry) -> Self {
        Self { core, managers }
    }

    /// Finds or makes a cluster, and holds it for the caller. It is reserved
    /// when this returns, and the engine is on its way.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for an unknown appliance, site or parameter;
    /// [`ErrorKind::NoCapacity`] where no site would do, with what each said;
    /// [`ErrorKind::Quota`]; [`ErrorKind::Conflict`] with the code
    /// `cluster-too-small` where the one to be reused is smaller and `grow`
    /// was not asked, or `idempotency-key-reused`; [`ErrorKind::Gone`] where
    /// the key's request was served and what it got is gone since.
    pub async fn create(&self, who: &Caller, request: &ClusterRequest) -> Result<Created> {
        self.create_and(who, request, |_, _, _| Ok(())).await
    }

    /// The same, and whatever `also` puts into the commit that gives the
    /// caller the hold: an adapter's own record of it, say, which is then
    /// there if and only if the hold is. It is not asked where the idempotency
    /// key says that the hold was given before.
    pub async fn create_and(
        &self,
        who: &Caller,
        request: &ClusterRequest,
        also: impl Fn(ResourceId, HoldId, &mut Batch) -> Result<()> + Send + Sync,
    ) -> Result<Created> {
        who.need(Role::User)?;
        if let Some(name) = &request.name {
            check_name("cluster", name)?;
        }
        let until = self
            .core
            .policy
            .until(&who.tenant, request.lease, self.core.env.now())?;
        let mut refused = 0;
        loop {
            if let Some(before) = self.remembered(who, request).await? {
                return Ok(before);
            }
            let (appliance, candidates, mut considered) = self.candidates(who, request).await?;
            let there = self.there(who, request, &candidates).await?;
            let told = reuse::told(&there);
            if let Some(first) = there.into_iter().next() {
                match self.join(who, request, first, until, &also).await {
                    Ok((cluster, hold)) => {
                        return Ok(Created {
                            generation: cluster.record().generation,
                            cluster,
                            hold,
                            reused: true,
                            considered: told,
                        });
                    }
                    // It went away or changed in the meantime: once more.
                    Err(e)
                        if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Busy)
                            && refused < 8 =>
                    {
                        refused += 1;
                        continue;
                    }
                    Err(e) => return Err(e),
                }
            }
            let mut offers = self
                .offers(who, &candidates, &mut considered, false, &mut None)
                .await?;
            let mut batch = Batch::default();
            let needed = self.needed(who, &mut offers, &mut considered).await?;
            needed.put(&mut batch);
            let terms = Terms {
                name: request
                    .name
                    .clone()
                    .unwrap_or_else(|| appliance.name.clone()),
                until,
                needs: needed.ids,
                reserve: false,
            };
            let Candidate { manager, want } = candidates
                .iter()
                .find(|c| Some(c.want.site.id) == offers[0].place.as_ref().map(|p| p.site))
                .ok_or_else(|| Error::new(ErrorKind::Internal, "an offer of nobody's"))?;
            let (id, hold) = manager.prepare(who, &offers, &terms, &mut batch)?;
            let catalog = &self.core.catalog;
            match catalog
                .still(Some(want.spec.implementation), want.credential)
                .await?
            {
                Some(still) => batch.expect.extend(still),
                // It was removed since it was chosen: choose again.
                None => continue,
            }
            // An equal request at the same moment may have chosen another of
            // these places.
            for key in candidates.iter().filter_map(|c| c.want.key.as_ref()) {
                batch.expect.push(self.free_key(key).await?);
            }
            let got = Got {
                resource: id,
                hold,
                generation: 1,
                reused: false,
            };
            self.remember(who, request, got, &mut batch)?;
            also(id, hold, &mut batch)?;
            match self.core.commit(batch).await? {
                Outcome::Done(_) => {
                    return Ok(Created {
                        cluster: self.get(who, id).await?,
                        hold,
                        generation: 1,
                        reused: false,
                        considered,
                    });
                }
                // Others got the room: there may be some elsewhere.
                Outcome::Refused(Refusal::Limit { counter, .. }) if is_room(&counter) => {}
                Outcome::Refused(Refusal::Limit {
                    counter,
                    value,
                    at_most,
                }) => return Err(over_quota(&counter, value, at_most)),
                // Somebody with the same key was faster: find theirs.
                Outcome::Refused(_) => {}
            }
        }
    }

    /// Gives back what a request got that is refused after all: its hold, and
    /// what its idempotency key remembers.
    pub async fn give_back(
        &self,
        who: &Caller,
        request: &ClusterRequest,
        got: &Created,
    ) -> Result<()> {
        let key = request
            .idempotency
            .as_ref()
            .map(|(key, _)| Key::Document(IDEMPOTENCY.to_owned(), idempotency::place(who, key)));
        let given = got.cluster.release_and(who, Some(got.hold), |batch| {
            batch.delete.extend(key.clone());
            Ok(())
        });
        match given.await {
            // The hold has ended already, and the cluster with it perhaps.
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::NotFound | ErrorKind::Busy | ErrorKind::Forbidden
                ) =>
            {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    /// One cluster that the caller may see.
    pub async fn get(&self, who: &Caller, id: ResourceId) -> Result<Resource<Cluster>> {
        let row = see(self.core, who, id).await?;
        if row.record.kind != Kind::CLUSTER {
            return Err(missing(&Kind::CLUSTER, id));
        }
        Ok(Resource::new(self.core, row))
    }

    /// The caller's clusters; all there are for an operator who asks for all.
    pub async fn list(
        &self,
        who: &Caller,
        all: bool,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Resource<Cluster>>> {
        let keep = |r: &ResourceRecord| r.kind == Kind::CLUSTER;
        let page = visible(self.core, who, all, after, limit, keep).await?;
        Ok(page.map(|row| Resource::new(self.core, row)))
    }

    /// Gives a cluster another size.
    pub async fn resize(
        &self,
        who: &Caller,
        id: ResourceId,
        size: Size,
    ) -> Result<Resource<Cluster>> {
        let cluster = self.get(who, id).await?;
        let catalog = &self.core.catalog;
        // What a cluster was made by never changes.
        let made_by = cluster.spec()?.implementation;
        let made_by = catalog.implementation(made_by).await?;
        cluster
            .change(who, |spec| {
                spec.slaves = match size {
                    Size::To(n) => n,
                    Size::By(n) => i64::from(spec.slaves)
                        .checked_add(n)
                        .and_then(|n| u32::try_from(n).ok())
                        .ok_or_else(|| {
                            Error::invalid(format!(
                                "the number of slaves, {}, cannot be changed by {n}",
                                spec.slaves
                            ))
                            .advice("the number of slaves is 0 or more")
                        })?,
                };
                catalog.check_size(&made_by, spec.slaves)
            })
            .await
    }

    /// Waits until the cluster is as wanted, has failed, or time is over;
    /// answers it as it is then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where it has gone in the meantime.
    pub async fn settled(
        &self,
        who: &Caller,
        id: ResourceId,
        limit: Duration,
    ) -> Result<Resource<Cluster>> {
        let begun = self.core.env.now();
        let end = begun.plus(limit);
        loop {
            let heard = self.core.bell.rung();
            let cluster = self.get(who, id).await?;
            let r = cluster.record();
            let now = self.core.env.now();
            let over = match r.seen {
                State::Ready | State::Failed => r.seen_generation == r.generation,
                State::Quarantined => true,
                _ => false,
            };
            if over || now >= end {
                return Ok(cluster);
            }
            self.core.news_of(id, heard, pause(begun, now, end)).await;
        }
    }

    /// Waits until the cluster is gone; false where it is not after a while.
    pub async fn gone(&self, who: &Caller, id: ResourceId, limit: Duration) -> Result<bool> {
        let begun = self.core.env.now();
        let end = begun.plus(limit);
        loop {
            let heard = self.core.bell.rung();
            match self.get(who, id).await {
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(true),
                Err(e) => return Err(e),
                Ok(c) if c.record().seen == State::Quarantined => return Ok(false),
                Ok(_) => {}
            }
            let now = self.core.env.now();
            if now >= end {
                return Ok(false);
            }
            self.core.news_of(id, heard, pause(begun, now, end)).await;
        }
    }
}

/// After what time who waits looks by itself: another process may do the work,
/// and its bell is not heard here. Who has waited for long looks less often.
fn pause(begun: Timestamp, now: Timestamp, end: Timestamp) -> Duration {
    const LEAST: Duration = Duration::from_millis(500);
    const MOST: Duration = Duration::from_secs(5);
    let grown = (now.since(begun) / 4).clamp(LEAST, MOST);
    grown.min(end.since(now))
}

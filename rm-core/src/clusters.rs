//! Clusters by the name of an appliance: which site, which implementation,
//! which credential is found here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::backend::Offer;
use crate::caller::{Caller, Role};
use crate::catalog::{Appliance, Implementation, Site, Target, check_name};
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::{CatalogId, HoldId, Kind, ResourceId};
use crate::life::{State, Wanted};
use crate::manager::{
    KEYS, Resource, ResourceManager, Terms, Want, missing, over_quota, see, visible,
};
use crate::model::{Cluster, ClusterSpec, ImageSpec, Json, SiteImage};
use crate::record::Document;
use crate::registry::ResourceManagerRegistry;
use crate::store::{Batch, Cursor, Expect, Key, Outcome, Page, Refusal, Version};

/// The space of idempotency keys.
pub(crate) const IDEMPOTENCY: &str = "engine.idempotency";

/// The day a key belongs to; old days are forgotten as a whole.
pub(crate) fn day(at: Timestamp) -> i64 {
    at.millis().div_euclid(24 * 3600 * 1000)
}

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

/// Whether a cluster that is there may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reuse {
    /// The tenant's cluster of the same appliance, revision and site.
    #[default]
    Match,
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
}

/// What a request would lead to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// What was considered, the chosen one first.
    pub considered: Vec<Considered>,
    /// The cluster that would be reused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reuses: Option<ResourceId>,
    /// What the tenant may still have, before this request.
    pub quota_left: QuotaLeft,
}

/// What a tenant may still have; unlimited where absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QuotaLeft {
    /// Clusters.
    pub clusters: Option<u64>,
    /// Nodes.
    pub nodes: Option<u64>,
}

/// Another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// So many slaves.
    To(u32),
    /// So many more or fewer.
    By(i64),
}

/// One place where a request could be served.
struct Candidate {
    manager: Arc<dyn ResourceManager<Cluster>>,
    want: Want<Cluster>,
}

/// What is remembered under an idempotency key.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    digest: String,
    resource: ResourceId,
    hold: HoldId,
    reused: bool,
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
    /// was not asked, or `idempotency-key-reused`.
    pub async fn create(&self, who: &Caller, request: &ClusterRequest) -> Result<Created> {
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
            if let Some((cluster, stale)) = self.existing(who, &candidates).await?
                && !stale
            {
                match self.join(who, request, cluster, until).await {
                    Ok((cluster, hold)) => {
                        let considered = vec![Considered {
                            site: cluster.record().place.site_name.clone(),
                            revision: Some(cluster.spec()?.revision),
                            verdict: "chosen".to_owned(),
                            why: "a cluster of this tenant, appliance and site is there".to_owned(),
                        }];
                        let created = Created {
                            cluster,
                            hold,
                            reused: true,
                            considered,
                        };
                        self.remember(who, request, &created).await?;
                        return Ok(created);
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
                .offers(who, &candidates, &mut considered, false)
                .await?;
            let mut batch = Batch::default();
            let needs = self.images(who, &appliance, &offers[0], &mut batch).await?;
            if !needs.is_empty() {
                // Images were brought to this site only.
                offers.truncate(1);
            }
            let terms = Terms {
                name: request
                    .name
                    .clone()
                    .unwrap_or_else(|| appliance.name.clone()),
                until,
                needs,
            };
            let manager = &candidates
                .iter()
                .find(|c| Some(c.want.site.id) == offers[0].place.as_ref().map(|p| p.site))
                .ok_or_else(|| Error::new(ErrorKind::Internal, "an offer of nobody's"))?
                .manager;
            let (id, hold) = manager.prepare(who, &offers, &terms, &mut batch)?;
            if let Some(key) = offers[0].place.as_ref().and_then(|p| p.key.as_ref()) {
                batch.expect.push(self.free_key(key).await?);
            }
            if let Some((key, digest)) = &request.idempotency {
                let (expect, document) = self.idempotency_document(
                    who,
                    key,
                    &Remembered {
                        digest: digest.clone(),
                        resource: id,
                        hold,
                        reused: false,
                    },
                )?;
                batch.expect.push(expect);
                batch.documents.push(document);
            }
            match self.core.commit(batch).await? {
                Outcome::Done(_) => {
                    return Ok(Created {
                        cluster: self.get(who, id).await?,
                        hold,
                        reused: false,
                        considered,
                    });
                }
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

    /// What the request would lead to; changes nothing.
    pub async fn plan(&self, who: &Caller, request: &ClusterRequest) -> Result<Plan> {
        who.need(Role::User)?;
        let (_, candidates, mut considered) = self.candidates(who, request).await?;
        let reuses = match self.existing(who, &candidates).await? {
            Some((cluster, false)) => Some(cluster.id()),
            _ => None,
        };
        let refused = self
            .offers(who, &candidates, &mut considered, true)
            .await
            .err();
        if let (Some(e), None) = (refused, reuses)
            && e.kind() != ErrorKind::NoCapacity
        {
            return Err(e);
        }
        let quota = self.core.policy.quota(&who.tenant);
        let used = |what: &str| format!("quota/{}/{what}", who.tenant);
        let clusters = self.core.store.counter(&used("clusters")).await?;
        let nodes = self.core.store.counter(&used("nodes")).await?;
        Ok(Plan {
            considered,
            reuses,
            quota_left: QuotaLeft {
                clusters: quota.clusters.map(|q| q.saturating_sub(clusters)),
                nodes: quota.nodes.map(|q| q.saturating_sub(nodes)),
            },
        })
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
        let page = visible(self.core, who, all, after, limit).await?;
        Ok(Page {
            items: page
                .items
                .into_iter()
                .filter(|row| row.record.kind == Kind::CLUSTER)
                .map(|row| Resource::new(self.core, row))
                .collect(),
            next: page.next,
        })
    }

    /// Gives a cluster another size.
    pub async fn resize(
        &self,
        who: &Caller,
        id: ResourceId,
        size: Size,
    ) -> Result<Resource<Cluster>> {
        self.get(who, id)
            .await?
            .change(who, |spec| {
                spec.slaves = match size {
                    Size::To(n) => n,
                    Size::By(n) => i64::from(spec.slaves)
                        .checked_add(n)
                        .and_then(|n| u32::try_from(n).ok())
                        .ok_or_else(|| {
                            Error::invalid(format!(
                                "a cluster of {} slaves cannot get {n} more",
                                spec.slaves
                            ))
                            .advice("the number of slaves is 0 or more")
                        })?,
                };
                Ok(())
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
        let end = self.core.env.now().plus(limit);
        loop {
            let heard = self.core.bell.rung();
            let cluster = self.get(who, id).await?;
            let r = cluster.record();
            let now = self.core.env.now();
            let over = match r.seen {
                State::Ready => r.seen_generation == r.generation,
                State::Failed | State::Quarantined => true,
                _ => false,
            };
            if over || now >= end {
                return Ok(cluster);
            }
            // Another process may do the work, and its bell is not heard here.
            let pause = end.since(now).min(Duration::from_millis(500));
            self.core.news(heard, pause).await;
        }
    }

    /// Waits until the cluster is gone; false where it is not after a while.
    pub async fn gone(&self, who: &Caller, id: ResourceId, limit: Duration) -> Result<bool> {
        let end = self.core.env.now().plus(limit);
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
            let pause = end.since(now).min(Duration::from_millis(500));
            self.core.news(heard, pause).await;
        }
    }

    // -- how a request is served -------------------------------------------------

    /// Where the request could be served at all, and why elsewhere not.
    async fn candidates(
        &self,
        who: &Caller,
        request: &ClusterRequest,
    ) -> Result<(Appliance, Vec<Candidate>, Vec<Considered>)> {
        let catalog = &self.core.catalog;
        let appliance = catalog.appliance(&request.appliance).await?;
        let implementations = chosen(
            catalog.implementations_of(appliance.id).await?,
            request,
            &appliance,
        )?;
        let hinted = !request.sites.is_empty();
        let mut sites = Vec::new();
        for name in &request.sites {
            sites.push(
                catalog
                    .site(name)
                    .await
                    .map_err(|e| Error::invalid(e.what()).advice(e.next().unwrap_or_default()))?,
            );
        }
        if !hinted {
            let mut after = None;
            loop {
                let page = catalog.sites(after.as_ref(), 200).await?;
                sites.extend(page.items);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        sites.sort_by(|a, b| a.name.cmp(&b.name));
        sites.dedup_by_key(|s| s.id);
        let mut candidates = Vec::new();
        let mut considered = Vec::new();
        for site in sites {
            match self
                .candidate(who, request, &appliance, &implementations, &site)
                .await?
            {
                Ok(candidate) => candidates.push(candidate),
                Err(why) => considered.push(Considered {
                    site: site.name,
                    revision: None,
                    verdict: "refused".to_owned(),
                    why,
                }),
            }
        }
        if candidates.is_empty() {
            let said: Vec<String> = considered
                .iter()
                .map(|c| format!("{}: {}", c.site, c.why))
                .collect();
            return Err(Error::new(
                ErrorKind::NoCapacity,
                format!("no site can run {:?} for {}", appliance.name, who.tenant),
            )
            .code("no-site")
            .permanent()
            .advice(if said.is_empty() {
                "there is no site in the catalog".to_owned()
            } else {
                said.join("; ")
            }));
        }
        Ok((appliance, candidates, considered))
    }

    async fn candidate(
        &self,
        who: &Caller,
        request: &ClusterRequest,
        appliance: &Appliance,
        implementations: &[Implementation],
        site: &Site,
    ) -> Result<Result<Candidate, String>> {
        // One written for the site is preferred to one for its type.
        let mut fitting: Vec<&Implementation> = implementations
            .iter()
            .filter(|i| match &i.target {
                Target::Site(id) => *id == site.id,
                Target::Api(api) => *api == site.api,
            })
            .collect();
        fitting.sort_by_key(|i| matches!(i.target, Target::Api(_)));
        let Some(implementation) = fitting.first() else {
            return Ok(Err(format!(
                "{:?} has no enabled implementation for it",
                appliance.name
            )));
        };
        let credentials = self.core.catalog.credentials_for(who, site.id).await?;
        let credential = match &request.credential {
            Some(wanted) => credentials
                .iter()
                .find(|c| c.name == *wanted || c.id.to_string() == *wanted),
            None => credentials.first(),
        };
        let Some(credential) = credential else {
            return Ok(Err(format!("{} has no such credential for it", who.tenant)));
        };
        let managers = self.managers.serving::<Cluster>(&Kind::CLUSTER)?;
        let manager = managers.into_iter().find(|m| {
            m.serves().api == site.api && m.serves().media.contains(&implementation.media_type)
        });
        let Some(manager) = manager else {
            return Ok(Err(format!(
                "no linked plugin can make {} there",
                implementation.media_type
            )));
        };
        self.core
            .catalog
            .check_parameters(implementation, &request.parameters)?;
        let slaves = request
            .slaves
            .unwrap_or_else(|| self.core.catalog.default_slaves(implementation));
        let key = match request.reuse {
            Reuse::Never => None,
            Reuse::Match => Some(format!(
                "{}/{}/{}/{}",
                who.tenant, appliance.id, implementation.id, site.id
            )),
        };
        Ok(Ok(Candidate {
            manager,
            want: Want {
                site: site.clone(),
                credential: credential.id,
                spec: ClusterSpec {
                    appliance: appliance.name.clone(),
                    implementation: implementation.id,
                    revision: implementation.revision,
                    slaves,
                    parameters: request.parameters.clone(),
                    ready_port: appliance.ready_port,
                },
                key,
            },
        }))
    }

    /// The cluster that an equal request has made, and whether it is of no
    /// use any more.
    async fn existing(
        &self,
        who: &Caller,
        candidates: &[Candidate],
    ) -> Result<Option<(Resource<Cluster>, bool)>> {
        let mut useless = None;
        for key in candidates.iter().filter_map(|c| c.want.key.as_ref()) {
            let Some(found) = self.core.store.document(KEYS, key).await? else {
                continue;
            };
            let Some(row) = self.core.store.resource(found.record.body.read()?).await? else {
                continue;
            };
            if row.record.tenant != who.tenant {
                continue;
            }
            let stale = is_stale(row.record.wanted, row.record.seen);
            let cluster = Resource::new(self.core, row);
            if !stale {
                return Ok(Some((cluster, false)));
            }
            useless = Some((cluster, true));
        }
        Ok(useless)
    }

    async fn join(
        &self,
        who: &Caller,
        request: &ClusterRequest,
        cluster: Resource<Cluster>,
        until: Option<Timestamp>,
    ) -> Result<(Resource<Cluster>, HoldId)> {
        let id = cluster.id();
        cluster
            .join(who, until, |spec| match request.slaves {
                Some(wanted) if wanted > spec.slaves && !request.grow => Err(Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "the cluster to be reused has {} slaves, and {wanted} were asked for",
                        spec.slaves
                    ),
                )
                .code("cluster-too-small")
                .advice("ask with grow to resize it, or with reuse never to get another")
                .resource(id)),
                Some(wanted) if wanted > spec.slaves => {
                    spec.slaves = wanted;
                    Ok(())
                }
                _ => Ok(()),
            })
            .await
    }

    /// What the places offer, best first. With only one place nobody is asked:
    /// it will say itself what it cannot do.
    async fn offers(
        &self,
        who: &Caller,
        candidates: &[Candidate],
        considered: &mut Vec<Considered>,
        ask: bool,
    ) -> Result<Vec<Offer>> {
        let mut offers = Vec::new();
        if let ([only], false) = (candidates, ask) {
            offers.push(only.manager.unasked(&only.want)?);
        } else {
            let asked = join_all(candidates.iter().map(|c| c.manager.offers(who, &c.want))).await;
            for (candidate, answer) in candidates.iter().zip(asked) {
                let nodes = 1 + u64::from(candidate.want.spec.slaves);
                let mut refuse = |why: String| {
                    considered.push(Considered {
                        site: candidate.want.site.name.clone(),
                        revision: Some(candidate.want.spec.revision),
                        verdict: "refused".to_owned(),
                        why,
                    });
                };
                match answer {
                    Err(e) => refuse(e.to_string()),
                    Ok(answer) if answer.is_empty() => refuse("it is full".to_owned()),
                    Ok(answer) => {
                        for offer in answer {
                            match offer.nodes_left {
                                Some(left) if left < nodes => refuse(format!(
                                    "it is full: room for {left} nodes, {nodes} are needed"
                                )),
                                _ => offers.push(offer),
                            }
                        }
                    }
                }
            }
        }
        self.core.placement.rank(&mut offers);
        let mut ranked: Vec<Considered> = Vec::new();
        for (rank, offer) in offers.iter().enumerate() {
            let Some(place) = &offer.place else { continue };
            let spec: ClusterSpec = place.spec.read()?;
            ranked.push(Considered {
                site: place.site_name.clone(),
                revision: Some(spec.revision),
                verdict: if rank == 0 { "chosen" } else { "next" }.to_owned(),
                why: offer.why.clone(),
            });
        }
        ranked.append(considered);
        *considered = ranked;
        if offers.is_empty() {
            let said: Vec<String> = considered
                .iter()
                .map(|c| format!("{}: {}", c.site, c.why))
                .collect();
            return Err(
                Error::new(ErrorKind::NoCapacity, "no site has room for this cluster")
                    .advice(said.join("; ")),
            );
        }
        Ok(offers)
    }

    /// The images that the appliance needs and the site lacks: those that are
    /// on their way there already, and those that are reserved by this batch.
    async fn images(
        &self,
        who: &Caller,
        appliance: &Appliance,
        offer: &Offer,
        batch: &mut Batch,
    ) -> Result<Vec<ResourceId>> {
        let Some(place) = offer
            .place
            .as_ref()
            .filter(|_| !appliance.images.is_empty())
        else {
            return Ok(Vec::new());
        };
        let site = self.core.catalog.site(&place.site.to_string()).await?;
        let manager = self
            .managers
            .serving::<SiteImage>(&Kind::IMAGE)?
            .into_iter()
            .find(|m| m.serves().api == site.api)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Unsupported,
                    format!("no linked plugin can bring images to {:?}", site.name),
                )
            })?;
        let mut needs = Vec::new();
        for name in &appliance.images {
            let image = self.core.catalog.image(name).await?;
            let key = format!("{}/image/{}/{}", who.tenant, image.id, site.id);
            let key_place = Key::Document(KEYS.to_owned(), key.clone());
            if let Expect::Version(_, version) = self.free_key(&key).await?
                && version == Version(0)
                && let Some(found) = self.core.store.document(KEYS, &key).await?
            {
                // One that is of use is there; it must still be there when
                // this is committed.
                batch.expect.push(Expect::Version(key_place, found.version));
                needs.push(found.record.body.read()?);
                continue;
            }
            let want = Want::<SiteImage> {
                site: site.clone(),
                credential: place.credential,
                spec: ImageSpec {
                    image: image.id,
                    name: image.name.clone(),
                    source: image.source,
                    sha256: image.sha256,
                    disk_format: image.disk_format,
                    size: None,
                },
                key: Some(key.clone()),
            };
            let offers = manager.offers(who, &want).await?;
            if offers.iter().any(|o| o.there) {
                continue;
            }
            let terms = Terms {
                name: image.name,
                until: None,
                needs: Vec::new(),
            };
            batch.expect.push(self.free_key(&key).await?);
            needs.push(manager.prepare(who, &offers, &terms, batch)?.0);
        }
        Ok(needs)
    }

    /// What to expect of a key that a new cluster takes: nobody has it, or one
    /// that is of no use any more.
    async fn free_key(&self, key: &str) -> Result<Expect> {
        let place = Key::Document(KEYS.to_owned(), key.to_owned());
        let Some(found) = self.core.store.document(KEYS, key).await? else {
            return Ok(Expect::Absent(place));
        };
        let stale = match self.core.store.resource(found.record.body.read()?).await? {
            Some(row) => is_stale(row.record.wanted, row.record.seen),
            None => true,
        };
        // Version 0 is never there: the commit is refused, and the caller
        // finds what is there.
        Ok(Expect::Version(
            place,
            if stale { found.version } else { Version(0) },
        ))
    }

    async fn remembered(&self, who: &Caller, request: &ClusterRequest) -> Result<Option<Created>> {
        let Some((key, digest)) = &request.idempotency else {
            return Ok(None);
        };
        let id = format!("{}/{key}", who.user);
        let Some(found) = self.core.store.document(IDEMPOTENCY, &id).await? else {
            return Ok(None);
        };
        let before: Remembered = found.record.body.read()?;
        if before.digest != *digest {
            return Err(Error::new(
                ErrorKind::Conflict,
                "this idempotency key was used for another request",
            )
            .code("idempotency-key-reused")
            .advice("use a new key for a new request"));
        }
        Ok(Some(Created {
            cluster: self.get(who, before.resource).await?,
            hold: before.hold,
            reused: before.reused,
            considered: Vec::new(),
        }))
    }

    async fn remember(
        &self,
        who: &Caller,
        request: &ClusterRequest,
        created: &Created,
    ) -> Result<()> {
        let Some((key, digest)) = &request.idempotency else {
            return Ok(());
        };
        let (expect, document) = self.idempotency_document(
            who,
            key,
            &Remembered {
                digest: digest.clone(),
                resource: created.cluster.id(),
                hold: created.hold,
                reused: created.reused,
            },
        )?;
        let mut batch = Batch::default();
        batch.expect.push(expect);
        batch.documents.push(document);
        self.core.commit(batch).await?;
        Ok(())
    }

    fn idempotency_document(
        &self,
        who: &Caller,
        key: &str,
        what: &Remembered,
    ) -> Result<(Expect, Arc<Document>)> {
        let id = format!("{}/{key}", who.user);
        Ok((
            Expect::Absent(Key::Document(IDEMPOTENCY.to_owned(), id.clone())),
            Arc::new(Document {
                space: IDEMPOTENCY.to_owned(),
                id,
                indexes: vec![("day".to_owned(), day(self.core.env.now()).to_string())],
                body: Json::of(&json!(what))?,
            }),
        ))
    }
}

/// Whether a cluster in this state must not be given to anybody else.
fn is_stale(wanted: Wanted, seen: State) -> bool {
    wanted != Wanted::Running || matches!(seen, State::Failed | State::Quarantined)
}

/// Of each target the newest enabled revision, or the one that was asked for.
fn chosen(
    all: Vec<Implementation>,
    request: &ClusterRequest,
    appliance: &Appliance,
) -> Result<Vec<Implementation>> {
    if let Some(id) = request.implementation {
        let found: Vec<_> = all.into_iter().filter(|i| i.id == id).collect();
        if found.is_empty() {
            return Err(Error::invalid(format!(
                "{:?} has no implementation {id}",
                appliance.name
            )));
        }
        return Ok(found);
    }
    if let Some(revision) = request.revision {
        let known: BTreeSet<u32> = all.iter().map(|i| i.revision).collect();
        if !known.contains(&revision) {
            let known: Vec<String> = known.iter().map(u32::to_string).collect();
            return Err(Error::invalid(format!(
                "{:?} has no implementation of revision {revision}",
                appliance.name
            ))
            .advice(format!("there are: {}", known.join(", "))));
        }
        return Ok(all.into_iter().filter(|i| i.revision == revision).collect());
    }
    let mut newest: BTreeMap<Target, Implementation> = BTreeMap::new();
    for implementation in all.into_iter().filter(|i| i.enabled) {
        match newest.get(&implementation.target) {
            Some(known) if known.revision >= implementation.revision => {}
            _ => {
                newest.insert(implementation.target.clone(), implementation);
            }
        }
    }
    Ok(newest.into_values().collect())
}

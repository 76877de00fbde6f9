//! Where a request could be served: which site, implementation, credential, and
//! which images must be brought first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ClusterRequest, Clusters, Considered, Reuse};
use crate::backend::Offer;
use crate::caller::Caller;
use crate::catalog::{Appliance, Image, Implementation, Site, Target};
use crate::copies::{Needed, needed_at};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Kind;
use crate::life::{State, Wanted};
use crate::manager::{self, Answer, KEYS, Want};
use crate::model::{Cluster, ClusterSpec, Model};
use crate::store::{Batch, Expect, Key, Version};

/// One place where a request could be served.
pub(super) type Candidate = manager::Candidate<Cluster>;

impl Clusters<'_> {
    /// Where the request could be served at all, and why elsewhere not.
    pub(super) async fn candidates(
        &self,
        who: &Caller,
        request: &ClusterRequest,
    ) -> Result<(Arc<Appliance>, Vec<Candidate>, Vec<Considered>)> {
        let catalog = &self.core.catalog;
        let appliance: Arc<Appliance> = catalog.find(&request.appliance).await?;
        let implementations = chosen(
            catalog.implementations_of(appliance.id).await?,
            request,
            &appliance,
        )?;
        let hinted = !request.sites.is_empty();
        let mut sites: Vec<Arc<Site>> = Vec::new();
        for name in &request.sites {
            sites.push(
                catalog
                    .find(name)
                    .await
                    .map_err(|e| Error::invalid(e.what()).advice(e.next().unwrap_or_default()))?,
            );
        }
        if !hinted {
            let mut after = None;
            loop {
                let page = catalog.list(None, after.as_ref(), 200).await?;
                sites.extend(page.items);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        sites.sort_by(|a, b| a.name.cmp(&b.name));
        sites.dedup_by_key(|s| s.id);
        let mut images = BTreeMap::new();
        for name in &appliance.images {
            let image: Arc<Image> = catalog.find(name).await?;
            images.insert(image.name.clone(), image.sha256.clone());
        }
        let mut candidates = Vec::new();
        let mut considered = Vec::new();
        let mut at_fault = None;
        for site in sites {
            let candidate = self
                .candidate(who, request, (&appliance, &images), &implementations, &site)
                .await;
            let mut code = None;
            let candidate = match candidate {
                // What one implementation does not declare another may.
                Err(e) if e.kind() == ErrorKind::Invalid => {
                    let why = e.to_string();
                    code = Some(e.stable_code().to_owned());
                    at_fault.get_or_insert(e);
                    Err(why)
                }
                other => other?,
            };
            match candidate {
                Ok(candidate) => candidates.push(candidate),
                Err(why) => considered.push(Considered {
                    site: site.name.clone(),
                    revision: None,
                    verdict: "refused".to_owned(),
                    why,
                    code,
                }),
            }
        }
        if let (Some(e), true) = (at_fault, candidates.is_empty()) {
            return Err(e);
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
        (appliance, images): (&Appliance, &BTreeMap<String, String>),
        implementations: &[Arc<Implementation>],
        site: &Site,
    ) -> Result<Result<Candidate, String>> {
        // One written for the site is preferred to one for its type.
        let mut fitting: Vec<&Arc<Implementation>> = implementations
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
        self.core.catalog.check_size(implementation, slaves)?;
        let media = self.core.catalog.media(&implementation.media_type);
        let key = format!(
            "{}/{}/{}/{}",
            who.tenant, appliance.id, implementation.id, site.id
        );
        let key = match request.reuse {
            Reuse::Never => None,
            Reuse::Match => Some(key),
            // The credential says by whose means.
            Reuse::Own => Some(format!("{key}/{}/{}", who.user, credential.id)),
        };
        Ok(Ok(Candidate {
            manager,
            want: Want {
                site: Site::clone(site),
                credential: credential.id,
                spec: ClusterSpec {
                    appliance: appliance.name.clone(),
                    implementation: implementation.id,
                    revision: implementation.revision,
                    slaves,
                    others: media.map_or(0, |m| m.others(&implementation.body)),
                    users: Vec::new(),
                    parameters: request.parameters.clone(),
                    ready_port: appliance.ready_port,
                    images: match media.is_none_or(|m| m.needs_copies()) {
                        true => images.clone(),
                        false => BTreeMap::new(),
                    },
                },
                key,
                asking: None,
            },
        }))
    }

    /// What the places offer, best first. With only one place nobody is asked:
    /// it will say itself what it cannot do. Where none offers anything, and that
    /// is not for want of room, `at_fault` becomes what one of them said.
    pub(super) async fn offers(
        &self,
        who: &Caller,
        candidates: &[Candidate],
        considered: &mut Vec<Considered>,
        ask: bool,
        at_fault: &mut Option<Error>,
    ) -> Result<Vec<Offer>> {
        let mut offers = Vec::new();
        let mut full = false;
        if let ([only], false) = (candidates, ask) {
            offers.push(only.manager.only(&only.want).await?);
        } else {
            let nodes = |want: &Want<Cluster>| Cluster::nodes(&want.spec);
            let answers = manager::ask(&*self.core.env, who, candidates, nodes).await;
            for (candidate, answer) in candidates.iter().zip(answers) {
                let nodes = nodes(&candidate.want);
                let mut refuse = |why: String, e: Option<&Error>| {
                    considered.push(Considered {
                        site: candidate.want.site.name.clone(),
                        revision: Some(candidate.want.spec.revision),
                        verdict: "refused".to_owned(),
                        why,
                        code: e.map(|e| e.stable_code().to_owned()),
                    });
                };
                match answer {
                    Answer::Late => refuse(Answer::late(), None),
                    Answer::Said(Err(e)) => {
                        refuse(at(&candidate.want.site.name, &e), Some(&e));
                        full |= e.kind() == ErrorKind::NoCapacity;
                        *at_fault = Some(e.site(candidate.want.site.name.clone()));
                    }
                    Answer::Said(Ok(said)) if said.is_empty() => {
                        refuse("it is full".to_owned(), None);
                        full = true;
                    }
                    Answer::Said(Ok(said)) => {
                        for offer in said {
                            match offer.nodes_left {
                                Some(left) if left < nodes => {
                                    let why = format!(
                                        "it is full: room for {left} nodes, {nodes} are needed"
                                    );
                                    refuse(why, None);
                                    full = true;
                                }
                                _ => offers.push(offer),
                            }
                        }
                    }
                }
            }
        }
        if full || !offers.is_empty() {
            *at_fault = None;
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
                code: None,
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

    /// The copies of images that the best place needs. A place of which it
    /// cannot be said is none, where there is another.
    pub(super) async fn needed(
        &self,
        who: &Caller,
        offers: &mut Vec<Offer>,
        considered: &mut Vec<Considered>,
    ) -> Result<Needed> {
        loop {
            let Some(place) = offers.first().and_then(|o| o.place.as_ref()) else {
                return Ok(Needed::default());
            };
            match needed_at(self.core, &who.tenant, place, &Batch::default()).await {
                Err(e) if offers.len() > 1 => {
                    offers.remove(0);
                    let mut refused = considered.remove(0);
                    "refused".clone_into(&mut refused.verdict);
                    refused.why = at(&refused.site, &e);
                    refused.code = Some(e.stable_code().to_owned());
                    considered.push(refused);
                    if let Some(next) = considered.first_mut() {
                        "chosen".clone_into(&mut next.verdict);
                    }
                }
                needed => return needed,
            }
        }
    }

    /// What to expect of a key that a new cluster takes: nobody has it, or one
    /// that is of no use any more.
    pub(super) async fn free_key(&self, key: &str) -> Result<Expect> {
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
}

/// What a site said, where its name is told beside it.
fn at(site: &str, e: &Error) -> String {
    let said = e.to_string();
    match said
        .strip_prefix(site)
        .and_then(|rest| rest.strip_prefix(": "))
    {
        Some(rest) => rest.to_owned(),
        None => said,
    }
}

/// Whether a cluster in this state must not be given to anybody else.
pub(super) fn is_stale(wanted: Wanted, seen: State) -> bool {
    wanted != Wanted::Running || matches!(seen, State::Failed | State::Quarantined)
}

/// Of each target the newest enabled revision, or the one that was asked for.
fn chosen(
    all: Vec<Arc<Implementation>>,
    request: &ClusterRequest,
    appliance: &Appliance,
) -> Result<Vec<Arc<Implementation>>> {
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
    let mut newest: BTreeMap<Target, Arc<Implementation>> = BTreeMap::new();
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

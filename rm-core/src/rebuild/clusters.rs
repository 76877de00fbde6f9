//! Clusters made of nodes, from what their nodes tell of them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Known, Means, Rebuild, Rebuilt, Restored, means_of};
use crate::caller::Caller;
use crate::catalog::{Implementation, Site};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{CatalogId, HoldId, Kind, ResourceId};
use crate::life::State;
use crate::model::{ClusterSpec, Json};
use crate::nodes::{self, Anew};
use crate::owner::{Part, Whole};
use crate::record::{Hold, Place, ResourceRecord};
use crate::store::{Batch, Expect, Key};

/// Why a cluster is not made anew.
enum Not {
    /// Its nodes are left alone: it may be, once this is mended.
    Yet(String),
    /// It never will be: its nodes are resources of their own.
    Ever(String),
}

/// Whatever fails may do so for a moment only, and nodes that were made
/// resources of their own are no cluster again.
impl From<Error> for Not {
    fn from(e: Error) -> Self {
        Self::Yet(e.to_string())
    }
}

impl Known {
    /// Its place in its cluster.
    fn part(&self) -> Option<&Part> {
        self.owner.as_ref()?.part.as_deref()
    }
}

impl Rebuild<'_> {
    /// A cluster with these nodes, all in one commit, or each node by itself
    /// where its master is gone; `unseen` are the sites where there may be more.
    pub(super) async fn cluster(
        &self,
        who: &Caller,
        id: ResourceId,
        nodes: Vec<Known>,
        means: &Means,
        (apply, unseen): (bool, &BTreeSet<CatalogId>),
        rebuilt: &mut Rebuilt,
    ) {
        let done = self.whole(who, id, &nodes, means, (apply, unseen)).await;
        match done {
            Ok(all) => rebuilt.restored.extend(all),
            Err(Not::Yet(why)) => {
                for known in &nodes {
                    // Another rebuild may have been faster.
                    let node = known.found.mark.resource;
                    match self.core.store.resource(node).await {
                        Ok(Some(_)) => rebuilt.known += 1,
                        _ => rebuilt.left.push(known.left(why.clone())),
                    }
                }
            }
            Err(Not::Ever(why)) => {
                let why = format!("its cluster {id} is not restored: {why}");
                for known in &nodes {
                    self.alone(who, known, Some(&why), means, apply, rebuilt)
                        .await;
                }
            }
        }
    }

    async fn whole(
        &self,
        who: &Caller,
        id: ResourceId,
        all: &[Known],
        means: &Means,
        (apply, unseen): (bool, &BTreeSet<CatalogId>),
    ) -> Result<Vec<Restored>, Not> {
        let core = &**self.core;
        if core.store.resource(id).await?.is_some() {
            return Err(Not::Yet(format!(
                "the cluster {id} has a record, in which it is not named: reclaim it as an orphan"
            )));
        }
        let told = all.iter().filter_map(Known::part).map(|part| &part.whole);
        // Not every node tells what was wanted of the cluster: the master does.
        let told = told.filter(|whole| whole.spec.is_some());
        let age = |whole: &&Whole| (whole.mark.incarnation, whole.mark.generation, whole.as_of);
        let Some(first) = all.first() else {
            return Err(Not::Yet("no node tells of it".to_owned()));
        };
        let site = &first.found.account.site;
        let Some(whole) = told.max_by_key(age) else {
            return Err(without_master(site.id, unseen));
        };
        let credential = means_of(&whole.owner, &first.found.account.credential, means);
        let (spec, implementation) = self.implementation(site, whole).await?;
        let json = Json::of(&spec)?;
        let whole = Whole {
            spec: Some(json.clone()),
            ..whole.clone()
        };
        let places = all.iter().filter_map(|known| {
            let part = known.part()?;
            Some((known.found.mark.resource, part.role.clone(), part.index))
        });
        let anew = nodes::anew(
            &whole,
            (&spec, &implementation),
            places,
            (site.id, credential.id),
        );
        let Anew {
            list,
            remote,
            missing,
        } = match anew {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Err(without_master(site.id, unseen));
            }
            anew => anew?,
        };
        if missing > 0 && unseen.contains(&site.id) {
            return Err(Not::Yet(format!(
                "{missing} other nodes of the cluster {id} were not found, and its site could not be looked at to the end: rebuild again when it can"
            )));
        }

        let manager = core.serves.iter().find(|(_, serves)| {
            let understands = serves.media.iter().any(|m| m == nodes::MEDIA_TYPE);
            serves.kind == Kind::CLUSTER && serves.api == site.api && understands
        });
        let Some((manager, _)) = manager else {
            return Err(Not::Yet("nothing makes clusters of such nodes".to_owned()));
        };
        let driver = core.driver(manager)?;
        let now = core.env.now();
        let place = Place {
            manager: manager.clone(),
            site: site.id,
            site_name: site.name.clone(),
            credential: credential.id,
            spec: json.clone(),
            key: None,
        };
        let owner = &whole.owner;
        let mut holds = owner.holds.clone();
        if holds.is_empty() {
            holds.push(Hold {
                id: HoldId::new(&*core.env),
                user: credential.user.clone(),
                tenant: owner.tenant.clone(),
                until: None,
                since: now,
            });
        }
        let generation = whole.mark.generation.max(1);
        let patience = driver.capability(site).patience;
        let (tenant, name) = (owner.tenant.clone(), owner.name.clone());
        let cluster = ResourceRecord {
            wanted: driver.wanted(&json)?,
            generation,
            fits_from: generation,
            seen: State::Unknown,
            reason: "made anew from its nodes".to_owned(),
            seen_spec: Some(json.clone()),
            seen_mark: generation,
            remote: Some(remote),
            incarnation: whole.mark.incarnation.max(1),
            deadline: Some(now.plus(patience.max(Duration::from_secs(60)))),
            holds,
            grants: owner.grants.clone(),
            noted: Some(owner.clone()),
            nodes: driver.nodes(&json)?,
            ..ResourceRecord::new(id, Kind::CLUSTER, tenant, name, place, now)
        };
        let but = match missing {
            0 => Vec::new(),
            n => vec![format!("{n} of its nodes were not found and are made anew")],
        };
        let mut restored = vec![self.told(&cluster, credential, true, but).await?];
        let mut batch = Batch::default();
        let key = Key::Document(list.space.clone(), list.id.clone());
        batch.expect.push(Expect::Absent(key));
        batch.documents.push(list);
        self.put(who, cluster, &mut batch).await?;
        for known in all {
            let owner = known.owner.as_ref();
            let node = self.record(&known.found, known.spec.clone(), credential, owner)?;
            let node = ResourceRecord {
                tenant: whole.owner.tenant.clone(),
                part_of: Some(id),
                part: owner.and_then(|owner| owner.part.clone()),
                holds: Vec::new(),
                // The cluster is charged with all of its nodes.
                nodes: 0,
                ..node
            };
            restored.push(self.told(&node, credential, true, Vec::new()).await?);
            self.put(who, node, &mut batch).await?;
        }
        if apply {
            self.commit(batch).await?;
        }
        Ok(restored)
    }

    /// What was wanted of a cluster, by the implementation that the catalog has
    /// now, and the body of that.
    async fn implementation(
        &self,
        site: &Site,
        whole: &Whole,
    ) -> Result<(ClusterSpec, Implementation)> {
        let catalog = &self.core.catalog;
        let told = whole.spec.as_ref();
        let told = told.ok_or_else(|| Error::not_found("no node says what was wanted of it"))?;
        let mut spec: ClusterSpec = told.read()?;
        let appliance = catalog.appliance(&spec.appliance).await?;
        let is = |i: &Implementation| {
            i.appliance == appliance.id && nodes::sum(i).is_ok_and(|sum| sum == whole.made_by)
        };
        let Some((_, found)) = catalog.made_by(site, is).await? else {
            return Err(Error::not_found(format!(
                "the catalog has no implementation of {:?} that it was made by",
                spec.appliance
            ))
            .advice("load that implementation anew before the records are written"));
        };
        spec.implementation = found.id;
        spec.revision = found.revision;
        Ok((spec, found))
    }
}

/// A cluster whose master was not found: nobody could tell the others where to
/// go. It may be where nobody could look.
fn without_master(site: CatalogId, unseen: &BTreeSet<CatalogId>) -> Not {
    match unseen.contains(&site) {
        true => Not::Yet(
            "its master was not found, and its site could not be looked at to the end: rebuild again when it can"
                .to_owned(),
        ),
        false => Not::Ever("its master was not found".to_owned()),
    }
}

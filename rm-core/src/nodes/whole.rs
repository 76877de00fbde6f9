//! What the nodes of a cluster tell of it when the store is lost, and how that
//! is kept up to date.

use std::sync::Arc;

use super::NodeClusters;
use super::act::{TRIES, commit, too_busy, write};
use super::body::{Body, Slot};
use super::members::{self, List, Member, Sum, account, document};
use crate::backend::{Cx, Mark, Recalled};
use crate::catalog::Implementation;
use crate::error::{Error, Result};
use crate::id::{CatalogId, RemoteId, ResourceId};
use crate::model::{ClusterSpec, Json};
use crate::owner::{Part, Whole};
use crate::record::Document;
use crate::store::{Batch, Outcome};

/// So many nodes, the master first, are told what is wanted of their cluster and
/// what has changed of it. The others tell whose it was when they were made: one
/// that knows better is enough, and a renewal is not to touch five hundred.
pub(super) const KEEPERS: usize = 3;

/// What is told of a cluster from now on; nothing where its nodes keep nothing.
pub(super) async fn whole(cx: &Cx<'_>, mark: &Mark, spec: &ClusterSpec) -> Result<Option<Whole>> {
    let Some(owner) = cx.owner else {
        return Ok(None);
    };
    let implementation = cx.catalog.implementation(spec.implementation).await?;
    Ok(Some(Whole {
        mark: mark.clone(),
        owner: owner.clone(),
        spec: Some(Json::of(spec)?),
        made_by: sum(&implementation)?,
        as_of: cx.env.now(),
    }))
}

/// An implementation by what it says, whatever its id and revision are.
///
/// # Errors
///
/// Where that cannot be written as JSON.
pub(crate) fn sum(implementation: &Implementation) -> Result<String> {
    let mut sum = Sum::default();
    sum.add(&implementation.body);
    sum.add(Json::of(&implementation.scripts)?.as_str());
    sum.add(Json::of(&implementation.environment)?.as_str());
    Ok(format!("{:016x}", sum.0))
}

/// What one node tells, the `nth` of its cluster from 0.
pub(super) fn part(slot: &Slot, nth: usize, whole: Option<&Whole>) -> Option<Box<Part>> {
    let part = |whole: &Whole| {
        Box::new(Part {
            role: slot.role.clone(),
            index: slot.index,
            whole: Whole {
                mark: whole.mark.clone(),
                owner: whole.owner.clone(),
                spec: whole.spec.clone().filter(|_| nth < KEEPERS),
                made_by: whole.made_by.clone(),
                as_of: whole.as_of,
            },
        })
    };
    whole.map(part)
}

impl NodeClusters {
    /// Tells the first nodes whose the cluster is by now; they write it down
    /// with what they are.
    pub(super) async fn keep_owner(&self, cx: &Cx<'_>, id: &RemoteId) -> Result<()> {
        for _ in 0..TRIES {
            let found = members::find(cx.catalog, id).await?;
            let (Some(found), Some(owner)) = (found, cx.owner) else {
                return Ok(());
            };
            let known = match &found.list.whole {
                Some(whole) if whole.owner == *owner => return Ok(()),
                Some(whole) => Some(whole.clone()),
                // It was made before its nodes told of it.
                None => of_record(cx, &found.list).await?,
            };
            let Some(known) = known else {
                return Ok(());
            };
            let now = cx.env.now();
            let whole = Whole {
                owner: owner.clone(),
                as_of: now,
                ..known
            };
            let mut batch = Batch::default();
            batch.expect.push(found.expect());
            let staying = found.nodes.iter().filter(|(member, _)| !member.leaving);
            for (nth, (member, row)) in staying.take(KEEPERS).enumerate() {
                let Some(row) = row else { continue };
                let mut r = (*row.record).clone();
                r.part = part(&member.slot(), nth, Some(&whole));
                write(row, r, now, &mut batch);
            }
            let list = List {
                whole: Some(whole),
                ..found.list.clone()
            };
            let own = account(cx.site.id, cx.credential.id);
            batch.documents.push(document(&list, own)?);
            if let Outcome::Done(_) = commit(cx, batch).await? {
                return Ok(());
            }
        }
        Err(too_busy())
    }

    /// What a cluster was made to be, as its list has it.
    pub(super) async fn told(
        &self,
        cx: &Cx<'_>,
        id: &RemoteId,
    ) -> Result<Option<Recalled<ClusterSpec>>> {
        let found = members::find(cx.catalog, id).await?;
        let Some(whole) = found.and_then(|found| found.list.whole) else {
            return Ok(None);
        };
        let Some(spec) = &whole.spec else {
            return Ok(None);
        };
        Ok(Some(Recalled {
            spec: spec.read()?,
            owner: Some(whole.owner),
        }))
    }
}

/// What the cluster's own record tells of it.
async fn of_record(cx: &Cx<'_>, list: &List) -> Result<Option<Whole>> {
    let Some(row) = cx.catalog.store().resource(list.mark.resource).await? else {
        return Ok(None);
    };
    let spec = row.record.seen_spec.as_ref();
    let spec = spec.unwrap_or(&row.record.place.spec);
    whole(cx, &list.mark, &spec.read()?).await
}

/// A cluster that is made anew from its nodes.
pub(crate) struct Anew {
    /// The list of its nodes.
    pub(crate) list: Arc<Document>,
    /// How the cluster is named as one thing.
    pub(crate) remote: RemoteId,
    /// How many nodes that it is to have were not found.
    pub(crate) missing: usize,
}

/// The list of a cluster of which these nodes were found, each with its role and
/// index. Where they are not those that it is to have, the list says so, and the
/// engine makes it as wanted.
///
/// # Errors
///
/// [`crate::ErrorKind::NotFound`] where its master was not found: who is told another
/// master's address is not known.
pub(crate) fn anew(
    whole: &Whole,
    (spec, implementation): (&ClusterSpec, &Implementation),
    nodes: impl Iterator<Item = (ResourceId, String, u32)>,
    (site, credential): (CatalogId, CatalogId),
) -> Result<Anew> {
    let mut nodes: Vec<Member> = nodes
        .map(|(id, role, index)| Member {
            id,
            role,
            index,
            leaving: false,
        })
        .collect();
    // Of two in one place the younger one is meant.
    nodes.sort_by_key(|member| std::cmp::Reverse(member.id));
    let slots = Body::of(implementation)?.slots(spec.slaves)?;
    let all = slots.len();
    let mut members = Vec::with_capacity(nodes.len());
    for (place, slot) in slots.iter().enumerate() {
        match nodes.iter().position(|member| member.slot() == *slot) {
            Some(at) => members.push(nodes.remove(at)),
            None if place == 0 => {
                return Err(Error::not_found("its master was not found"));
            }
            None => {}
        }
    }
    let missing = all - members.len();
    let mut mark = whole.mark.clone();
    if missing > 0 || !nodes.is_empty() {
        mark.generation = 0;
    }
    members.extend(nodes);
    let remote = RemoteId(mark.name());
    let list = List {
        mark,
        members,
        changed: false,
        going: false,
        whole: Some(whole.clone()),
    };
    Ok(Anew {
        list: document(&list, account(site, credential))?,
        remote,
        missing,
    })
}

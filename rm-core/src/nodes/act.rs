//! What is made, changed and given up of a cluster, each in one commit.

use std::sync::Arc;

use serde_json::json;

use super::NodeClusters;
use super::body::{Body, Slot};
use super::members::{self, Found, List, Member, account, document};
use super::whole::{KEEPERS, part, whole};
use crate::backend::{Cx, Mark};
use crate::caller::Tenant;
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::event::NewEvent;
use crate::id::{RemoteId, ResourceId};
use crate::life::{State, Wanted};
use crate::model::{ClusterSpec, Json, NodeImage, NodeSpec};
use crate::owner::Whole;
use crate::record::{Place, ResourceRecord};
use crate::resource::{try_again, want_absent};
use crate::store::{Batch, Due, Expect, Key, Outcome, Refusal, Versioned};

/// How often a verb begins again because somebody else wrote meanwhile.
pub(super) const TRIES: u32 = 16;

/// Whose the nodes are, and in which version that was read.
struct Owner {
    name: String,
    tenant: Tenant,
    expect: Expect,
    /// What the nodes tell of the cluster.
    whole: Option<Whole>,
}

impl NodeClusters {
    /// The list and all nodes of it. The nodes that wait for the master's
    /// address only keep their place.
    pub(super) async fn make(
        &self,
        cx: &Cx<'_>,
        mark: &Mark,
        spec: &ClusterSpec,
        body: &Body,
        slots: Vec<Slot>,
    ) -> Result<RemoteId> {
        let id = RemoteId(mark.name());
        let key = Key::Document(members::SPACE.to_owned(), id.0.clone());
        for _ in 0..TRIES {
            let room = self.admit(cx, body, spec, &slots).await?;
            let owner = owner(cx, mark, spec).await?;
            let mut batch = Batch::default();
            batch.counts.extend(room);
            batch.expect.push(owner.expect.clone());
            batch.expect.push(Expect::Absent(key.clone()));
            let mut list = List {
                mark: mark.clone(),
                members: Vec::with_capacity(slots.len()),
                changed: false,
                going: false,
                whole: owner.whole.clone(),
            };
            for (nth, slot) in slots.iter().enumerate() {
                let at = (slot, nth);
                let member = self
                    .begin(cx, (mark, &owner), (body, spec), at, None, &mut batch)
                    .await?;
                if body.waits(slot) {
                    list.mark.generation = 0;
                }
                list.members.push(member);
            }
            let own = account(cx.site.id, cx.credential.id);
            batch.documents.push(document(&list, own)?);
            match commit(cx, batch).await? {
                Outcome::Done(_) => return Ok(id),
                Outcome::Refused(Refusal::Stale(stale)) if stale == key => {
                    return Err(Error::new(
                        ErrorKind::Exists,
                        format!("there is a cluster {id} already"),
                    ));
                }
                // Somebody wrote to the cluster's record, or got the room: look
                // again whether it is wanted still, and whether some is left.
                Outcome::Refused(_) => {}
            }
        }
        Err(too_busy())
    }

    /// Adds and gives up nodes, starts those that waited for the master, tries
    /// again those that failed.
    pub(super) async fn reconcile(
        &self,
        cx: &Cx<'_>,
        mark: &Mark,
        id: &RemoteId,
        spec: &ClusterSpec,
        body: &Body,
    ) -> Result<()> {
        let slots = body.slots(spec.slaves)?;
        for _ in 0..TRIES {
            let found = members::find(cx.catalog, id).await?;
            let Some(found) = found.filter(|found| !found.list.going) else {
                return Err(Error::new(
                    ErrorKind::Gone,
                    format!("the cluster {id} is gone or on its way out"),
                ));
            };
            if found.list.mark.generation > mark.generation {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "a newer change of this cluster was begun already",
                ));
            }
            let missing: Vec<Slot> = slots
                .iter()
                .filter(|slot| {
                    !found
                        .nodes
                        .iter()
                        .any(|(m, row)| fills(m, row.is_some(), slot))
                })
                .cloned()
                .collect();
            let room = match missing.is_empty() {
                true => Vec::new(),
                false => self.admit(cx, body, spec, &missing).await?,
            };
            let owner = owner(cx, mark, spec).await?;
            let mut batch = self
                .change_to(cx, (mark, &owner), (body, spec), &found, &slots)
                .await?;
            batch.counts.extend(room);
            if let Outcome::Done(_) = commit(cx, batch).await? {
                return Ok(());
            }
        }
        Err(too_busy())
    }

    /// All that makes of a cluster what is wanted.
    async fn change_to(
        &self,
        cx: &Cx<'_>,
        whose: (&Mark, &Owner),
        (body, spec): (&Body, &ClusterSpec),
        found: &Found,
        slots: &[Slot],
    ) -> Result<Batch> {
        let now = cx.env.now();
        let master_ip = found.master_ip();
        let mut batch = Batch::default();
        batch.expect.push(found.expect());
        let mut list = List {
            mark: whose.0.clone(),
            members: Vec::with_capacity(slots.len()),
            changed: found.list.changed || found.list.mark.generation > 0,
            going: false,
            whole: whose.1.whole.clone(),
        };
        for slot in slots {
            let nth = list.members.len();
            let known = found
                .nodes
                .iter()
                .find(|(m, row)| fills(m, row.is_some(), slot));
            let Some((member, Some(row))) = known else {
                let ip = master_ip.as_deref();
                let at = (slot, nth);
                let new = self
                    .begin(cx, whose, (body, spec), at, ip, &mut batch)
                    .await?;
                if body.waits(slot) && ip.is_none() {
                    list.mark.generation = 0;
                }
                list.members.push(new);
                continue;
            };
            let mut r = (*row.record).clone();
            let mut written = false;
            if r.wanted == Wanted::Reserved {
                match &master_ip {
                    Some(ip) => {
                        let node = node(cx, body, spec, slot, Some(ip)).await?;
                        let node = apart(node, whose.0.resource);
                        r.place.spec = Json::of(&node)?;
                        r.wanted = Wanted::Running;
                        r.renew_intent();
                        written = true;
                    }
                    None => list.mark.generation = 0,
                }
            } else if r.seen == State::Failed {
                try_again(&**cx.env, &mut r, &mut batch, "the cluster");
                written = true;
            }
            if nth < KEEPERS && whose.1.whole.is_some() {
                r.part = part(slot, nth, whose.1.whole.as_ref());
                written = true;
            }
            if written {
                write(row, r, now, &mut batch);
            }
            list.members.push(member.clone());
        }
        for (member, row) in &found.nodes {
            let Some(row) = row else { continue };
            if list.members.contains(member) {
                continue;
            }
            if !member.leaving {
                let_go(cx, row, "the cluster needs it no more", now, &mut batch);
            }
            list.members.push(Member {
                leaving: true,
                ..member.clone()
            });
        }
        let own = account(cx.site.id, cx.credential.id);
        batch.documents.push(document(&list, own)?);
        Ok(batch)
    }

    /// Gives up all nodes. Those that would not go are tried again.
    pub(super) async fn release(&self, cx: &Cx<'_>, id: &RemoteId) -> Result<()> {
        for _ in 0..TRIES {
            let Some(found) = members::find(cx.catalog, id).await? else {
                return Ok(());
            };
            let now = cx.env.now();
            let mut batch = Batch::default();
            batch.expect.push(found.expect());
            let mut left = false;
            for row in found.nodes.iter().filter_map(|(_, row)| row.as_ref()) {
                left = true;
                if row.record.wanted != Wanted::Absent {
                    let_go(cx, row, "its cluster is given up", now, &mut batch);
                } else if row.record.seen == State::Quarantined {
                    let mut r = (*row.record).clone();
                    try_again(&**cx.env, &mut r, &mut batch, "the cluster");
                    write(row, r, now, &mut batch);
                }
            }
            if left {
                let list = List {
                    going: true,
                    ..found.list.clone()
                };
                let own = account(cx.site.id, cx.credential.id);
                batch.documents.push(document(&list, own)?);
            } else {
                batch.delete.push(found.key());
            }
            if let Outcome::Done(_) = commit(cx, batch).await? {
                return Ok(());
            }
        }
        Err(too_busy())
    }

    /// The record of a new node, the `nth` of its cluster from 0.
    async fn begin(
        &self,
        cx: &Cx<'_>,
        (mark, owner): (&Mark, &Owner),
        (body, spec): (&Body, &ClusterSpec),
        (slot, nth): (&Slot, usize),
        master_ip: Option<&str>,
        batch: &mut Batch,
    ) -> Result<Member> {
        let (kind, manager, _) = self.maker(body.role(&slot.role)?.kind.as_ref())?;
        let now = cx.env.now();
        let id = ResourceId::new(&**cx.env);
        let wanted = node(cx, body, spec, slot, master_ip).await?;
        let wanted = apart(wanted, mark.resource);
        let place = Place {
            manager: manager.to_owned(),
            site: cx.site.id,
            site_name: cx.site.name.clone(),
            credential: cx.credential.id,
            spec: Json::of(&wanted)?,
            key: None,
        };
        let name = format!("{}-{}-{}", owner.name, slot.role, slot.index);
        let tenant = owner.tenant.clone();
        let waits = body.waits(slot) && master_ip.is_none();
        let record = ResourceRecord {
            // The cluster is charged with all of its nodes.
            nodes: 0,
            part_of: Some(mark.resource),
            part: part(slot, nth, owner.whole.as_ref()),
            wanted: match waits {
                true => Wanted::Reserved,
                false => Wanted::Running,
            },
            ..ResourceRecord::new(id, kind.clone(), tenant, name, place, now)
        };
        let data = json!({
            "site": record.place.site_name, "name": record.name, "wanted": record.wanted,
            "generation": record.generation, "cluster": mark.resource,
        });
        batch
            .events
            .push(NewEvent::of(&**cx.env, &record, "requested", data));
        batch.expect.push(Expect::Absent(Key::Resource(id)));
        batch.resources.push((Arc::new(record), Due::At(now)));
        Ok(Member {
            id,
            role: slot.role.clone(),
            index: slot.index,
            leaving: false,
        })
    }
}

/// Whether a node that is there is the one for this slot.
fn fills(member: &Member, is_there: bool, slot: &Slot) -> bool {
    is_there && !member.leaving && member.slot() == *slot
}

/// The same with its links made this cluster's own: whoever makes the appliance
/// again, at the same site, too, is on links of his own.
fn apart(mut node: NodeSpec, cluster: ResourceId) -> NodeSpec {
    for link in node.interfaces.iter_mut().filter_map(|i| i.link.as_mut()) {
        *link = format!("{cluster}/{link}");
    }
    node
}

/// What is wanted of a node, with its image as the catalog has it now.
pub(super) async fn node(
    cx: &Cx<'_>,
    body: &Body,
    spec: &ClusterSpec,
    slot: &Slot,
    master_ip: Option<&str>,
) -> Result<NodeSpec> {
    let name = body.image(slot, spec)?;
    let image = match cx.catalog.image(&name).await {
        Ok(image) => NodeImage {
            name: image.name,
            sha256: image.sha256,
        },
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return Err(Error::invalid(format!(
                "the role {:?} is made of the image {name:?}, which the catalog does not have",
                slot.role
            ))
            .advice("add the image to the catalog"));
        }
        Err(e) => return Err(e),
    };
    body.node(slot, spec, image, master_ip)
}

/// Whose the cluster is. A request that comes so late that the cluster is not
/// wanted any more makes nothing: who reads a version that is older than the
/// next word on the cluster is refused.
async fn owner(cx: &Cx<'_>, mark: &Mark, spec: &ClusterSpec) -> Result<Owner> {
    let whole = whole(cx, mark, spec).await?;
    let key = Key::Resource(mark.resource);
    let Some(row) = cx.catalog.store().resource(mark.resource).await? else {
        // Nobody's in this store.
        return Ok(Owner {
            name: mark.name(),
            tenant: cx.credential.tenant.clone(),
            expect: Expect::Absent(key),
            whole,
        });
    };
    let r = &row.record;
    let elsewhere = (r.place.site, r.place.credential) != (cx.site.id, cx.credential.id);
    if r.wanted == Wanted::Absent || r.incarnation > mark.incarnation || elsewhere {
        return Err(Error::new(
            ErrorKind::Fenced,
            "the cluster is not wanted like that any more",
        ));
    }
    Ok(Owner {
        name: r.name.clone(),
        tenant: r.tenant.clone(),
        expect: Expect::Version(key, row.version),
        whole,
    })
}

fn let_go(
    cx: &Cx<'_>,
    row: &Versioned<ResourceRecord>,
    why: &str,
    now: Timestamp,
    batch: &mut Batch,
) {
    let mut r = (*row.record).clone();
    want_absent(&**cx.env, &mut r, batch, why);
    write(row, r, now, batch);
}

pub(super) fn write(
    row: &Versioned<ResourceRecord>,
    mut record: ResourceRecord,
    now: Timestamp,
    batch: &mut Batch,
) {
    record.updated = now;
    let key = Key::Resource(record.id);
    batch.expect.push(Expect::Version(key, row.version));
    batch.resources.push((Arc::new(record), Due::At(now)));
}

pub(super) async fn commit(cx: &Cx<'_>, batch: Batch) -> Result<Outcome> {
    let done = cx.catalog.store().commit(batch).await;
    done.map_err(Error::effect_unknown)
}

pub(super) fn too_busy() -> Error {
    Error::new(
        ErrorKind::Busy,
        "the nodes of the cluster change faster than they can be written",
    )
    .temporary()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_link_of_an_appliance_is_another_one_in_every_cluster() {
        let node: NodeSpec = serde_json::from_value(json!({
            "image": {"name": "a", "sha256": "a"}, "vcpus": 1, "memory_mib": 1,
            "interfaces": [{}, {"link": "lan"}],
        }))
        .unwrap();
        let of = |cluster: &str| apart(node.clone(), cluster.parse().unwrap()).interfaces;
        let one = of("0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21");
        let other = of("0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d22");
        assert_eq!(one[0].link, None);
        assert!(one[1].link.is_some());
        assert_ne!(one[1].link, other[1].link);
    }
}

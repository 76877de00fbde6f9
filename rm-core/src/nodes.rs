//! Clusters made of nodes: one manager over whatever makes nodes.
//!
//! Its six verbs act on records of nodes in the same store. What it makes of a
//! cluster is a list of nodes, kept as a document, and a resource for each of
//! them; the engine makes them as it makes every node. All of one verb is one
//! commit, so that a crash leaves all of it or nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::backend::{
    Absence, Backend, Capability, CreateKey, Cx, Look, Mark, Offer, Recalled, Resize, Seen, Target,
};
use crate::catalog::Site;
use crate::driver::{Driver, Erased};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Kind, RemoteId};
use crate::manager::{Asking, Given, of_nodes};
use crate::model::{Cluster, ClusterSpec, ClusterView, Json, Node};
use crate::store::{Batch, Count, Page};

mod act;
mod body;
mod media;
mod members;
mod room;
mod software;
mod text;
mod whole;

pub use body::MOST_NODES;
pub use media::{MEDIA_TYPE, NodesBody};
pub(crate) use members::master;
pub(crate) use whole::{Anew, anew, sum};

use body::{Body, Slot};
use members::{ACCOUNT, Found, SPACE, account};
use room::Sort;

/// Makes clusters of nodes. A host has one for each type of site that has
/// nodes, without being told.
#[derive(Default)]
pub struct NodeClusters {
    /// What makes nodes of a kind, by the name of its manager.
    makers: BTreeMap<Kind, (String, Arc<dyn Driver>)>,
}

impl fmt::Debug for NodeClusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.makers.keys()).finish()
    }
}

impl NodeClusters {
    /// Over this backend, which the host has under that name.
    pub fn over(name: &str, kind: Kind, nodes: Arc<dyn Backend<Node>>) -> Self {
        let mut this = Self::default();
        this.add(name, kind, Arc::new(Erased::<Node>(nodes)));
        this
    }

    pub(crate) fn add(&mut self, name: &str, kind: Kind, driver: Arc<dyn Driver>) {
        self.makers
            .entry(kind)
            .or_insert_with(|| (name.to_owned(), driver));
    }

    /// What makes the nodes of a role.
    fn maker(&self, kind: Option<&Kind>) -> Result<(&Kind, &str, &Arc<dyn Driver>)> {
        let found = match kind {
            Some(kind) => self.makers.get_key_value(kind),
            None if self.makers.len() == 1 => self.makers.first_key_value(),
            None => None,
        };
        let kinds: Vec<&str> = self.makers.keys().map(Kind::as_str).collect();
        let (kind, (name, driver)) = found.ok_or_else(|| {
            let what = match kind {
                Some(kind) => format!("nothing at this site makes nodes of the kind {kind}"),
                None => "a role must say of which kind its nodes are".to_owned(),
            };
            Error::invalid(what).advice(format!("the kinds are: {}", kinds.join(", ")))
        })?;
        Ok((kind, name, driver))
    }

    async fn body(&self, cx: &Cx<'_>, spec: &ClusterSpec) -> Result<Body> {
        let implementation = cx.catalog.implementation(spec.implementation).await?;
        Body::of(&implementation)
    }

    /// How many more of these nodes the site has room for, and what all of
    /// them cost; nothing where one of them finds no room at all.
    async fn room(
        &self,
        cx: &Cx<'_>,
        body: &Body,
        spec: &ClusterSpec,
        slots: &[Slot],
    ) -> Result<Option<Offer>> {
        let mut roles: Vec<(&Slot, u32)> = Vec::new();
        let mut order = Vec::with_capacity(slots.len());
        for slot in slots {
            let known = roles.iter().position(|(of, _)| of.role == slot.role);
            let at = known.unwrap_or(roles.len());
            if known.is_none() {
                roles.push((slot, 0));
            }
            roles[at].1 += 1;
            order.push(at);
        }
        // One room for all roles.
        let asking = Asking::default();
        let cx = &Cx {
            asking: cx.asking.or(Some(&asking)),
            ..*cx
        };
        let mut cost = 0.0;
        let mut left = None;
        let mut least: Option<Offer> = None;
        let mut sorts = Vec::with_capacity(roles.len());
        let mut takes = Vec::new();
        for (slot, count) in &roles {
            let (_, _, driver) = self.maker(body.role(&slot.role)?.kind.as_ref())?;
            let node = act::node(cx, body, spec, slot, None).await?;
            let offers = driver.offers(cx, &Json::of(&node)?).await?;
            let Some(offer) = offers.into_iter().next() else {
                return Ok(None);
            };
            cost += offer.cost * f64::from(*count);
            of_nodes(&mut takes, &offer.disk, u64::from(*count));
            let disk = offer.disk.first().cloned();
            let sort = |alone| Sort::of(&node, alone, disk);
            sorts.extend(offer.nodes_left.map(sort));
            if slots.len() == usize::try_from(*count).unwrap_or(usize::MAX) {
                // All of them are alike: what is short for one is for all.
                least = Some(offer.clone());
            }
            left = match (left, offer.nodes_left) {
                (Some(a), Some(b)) => Some(u64::min(a, b)),
                (a, b) => a.or(b),
            };
        }
        // Nodes of several sizes share one room, where all that is said is known.
        if sorts.len() == roles.len() && left.is_some() {
            left = Some(room::nodes(&sorts, &order));
        }
        let alike = least.filter(|offer| offer.nodes_left == left);
        let room = Offer::room(left);
        Ok(Some(Offer {
            cost,
            disk: takes,
            why: alike.map_or(room.why.clone(), |offer| offer.why),
            ..room
        }))
    }

    /// Refuses what the site has no room for. What it has is taken by the commit
    /// that counts what this answers: others may be given it meanwhile.
    async fn admit(
        &self,
        cx: &Cx<'_>,
        body: &Body,
        spec: &ClusterSpec,
        slots: &[Slot],
    ) -> Result<Vec<Count>> {
        let needed = u64::try_from(slots.len()).unwrap_or(u64::MAX);
        let (cap, account) = (self.capability(cx.site), (cx.site.id, cx.credential.id));
        let given = Given::read(cx.catalog.store(), &cap, account).await?;
        let room = self.room(cx, body, spec, slots).await?;
        let left = room.map_or(Some(0), |offer| offer.nodes_left);
        match left {
            Some(left) if left < needed => Err(Error::new(
                ErrorKind::NoCapacity,
                format!("the site has room for {left} more nodes, and {needed} are needed"),
            )
            .advice("ask for fewer, or at another site")),
            Some(left) => {
                let mut counts = Vec::new();
                given.take(needed, left, &mut counts);
                Ok(counts)
            }
            None => Ok(Vec::new()),
        }
    }

    async fn look(&self, cx: &Cx<'_>, target: &Target) -> Result<Option<Found>> {
        let id = match &target.remote {
            Some(id) => id.clone(),
            None => RemoteId(target.mark.name()),
        };
        match members::find(cx.catalog, &id).await? {
            Some(found) if found.is_gone() => {
                self.forget(cx, &found).await?;
                Ok(None)
            }
            found => Ok(found),
        }
    }

    /// Nothing is left of it: its list goes, too. Where somebody is faster,
    /// that is as good.
    async fn forget(&self, cx: &Cx<'_>, found: &Found) -> Result<()> {
        let batch = Batch {
            expect: vec![found.expect()],
            delete: vec![found.key()],
            ..Batch::default()
        };
        cx.catalog.store().commit(batch).await.map(drop)
    }
}

#[async_trait]
impl Backend<Cluster> for NodeClusters {
    fn capability(&self, site: &Site) -> Capability {
        let caps = || self.makers.values().map(|(_, d)| d.capability(site));
        let least = Duration::from_secs(20);
        let call = caps().map(|c| c.call_timeout).max().unwrap_or(least);
        let patience = caps().map(|c| c.patience).max().unwrap_or(least);
        Capability {
            // The mark's name is the list's, and a commit that expects that
            // there is none has one winner.
            create_key: CreateKey::ClientUuid,
            absence: Absence::NotListed,
            visibility: Duration::ZERO,
            // A commit that nobody waits for any more is refused as soon as
            // the cluster's own record says something else.
            late: Duration::ZERO,
            list_by_owner: true,
            resize: Resize::InPlace,
            concurrency: 16,
            // Asking for room is one call for each role.
            call_timeout: call * 2,
            // The master first, then the others.
            patience: patience * 2,
            page: 100,
            // It is as its nodes are.
            billing_commit: caps().any(|c| c.billing_commit),
            // Its nodes do, and it tells them.
            keeps_owner: !self.makers.is_empty() && caps().all(|c| c.keeps_owner),
            counts_to_come: !self.makers.is_empty() && caps().all(|c| c.counts_to_come),
            ..Capability::new()
        }
    }

    async fn offers(&self, cx: &Cx<'_>, want: &ClusterSpec) -> Result<Vec<Offer>> {
        let body = self.body(cx, want).await?;
        let slots = body.slots(want.slaves)?;
        let offer = self.room(cx, &body, want, &slots).await?;
        Ok(offer.into_iter().collect())
    }

    async fn observe(
        &self,
        cx: &Cx<'_>,
        look: Look<'_, ClusterSpec>,
    ) -> Result<Page<Seen<Cluster>>> {
        let mut items: Vec<Seen<Cluster>> = Vec::new();
        let mut next = None;
        match look {
            Look::These(targets) => {
                for target in targets {
                    if let Some(found) = self.look(cx, target).await?
                        && !items.iter().any(|seen| seen.id == found.id)
                    {
                        items.push(found.seen());
                    }
                }
            }
            Look::Closely(target, spec) => {
                if let Some(found) = self.look(cx, target).await? {
                    let mut seen = found.seen();
                    seen.view = Some(self.view(cx, &found, spec).await?);
                    items.push(seen);
                }
            }
            Look::All(after) => {
                const PAGE: u32 = 100;
                let own = account(cx.site.id, cx.credential.id);
                let store = cx.catalog.store();
                let by = Some((ACCOUNT, own.as_str()));
                let page = store.documents(SPACE, by, after, PAGE).await?;
                for document in &page.items {
                    let found = members::read(cx.catalog, document).await?;
                    if !found.is_gone() {
                        items.push(found.seen());
                    }
                }
                next = page.next;
            }
        }
        Ok(Page { items, next })
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &ClusterSpec) -> Result<RemoteId> {
        let body = self.body(cx, spec).await?;
        let slots = body.slots(spec.slaves)?;
        self.make(cx, mark, spec, &body, slots).await
    }

    async fn change(
        &self,
        cx: &Cx<'_>,
        mark: &Mark,
        seen: &Seen<Cluster>,
        spec: &ClusterSpec,
    ) -> Result<()> {
        let body = self.body(cx, spec).await?;
        self.reconcile(cx, mark, &seen.id, spec, &body).await
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<Cluster>) -> Result<()> {
        self.release(cx, &seen.id).await
    }

    async fn recall(
        &self,
        cx: &Cx<'_>,
        seen: &Seen<Cluster>,
    ) -> Result<Option<Recalled<ClusterSpec>>> {
        self.told(cx, &seen.id).await
    }

    async fn note(&self, cx: &Cx<'_>, seen: &Seen<Cluster>) -> Result<()> {
        self.keep_owner(cx, &seen.id).await
    }
}

impl NodeClusters {
    async fn view(&self, cx: &Cx<'_>, found: &Found, spec: &ClusterSpec) -> Result<ClusterView> {
        if let Some(node) = found.silent() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("nobody knows how {} is: {}", node.name, node.reason),
            )
            .resource(node.id));
        }
        let address = found.master_ip();
        let outputs = self
            .body(cx, spec)
            .await?
            .outputs(spec, address.as_deref())?;
        Ok(ClusterView {
            hosts: found.hosts(),
            address,
            outputs,
        })
    }
}

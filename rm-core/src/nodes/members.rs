//! What there is of a cluster made of nodes: a list of its nodes, kept as a
//! document, and the records of these nodes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::body::Slot;
use crate::backend::{Mark, Phase, Seen};
use crate::catalog::Catalog;
use crate::error::Result;
use crate::id::{CatalogId, RemoteId, ResourceId};
use crate::life::{State, Wanted};
use crate::model::{Cluster, ClusterHost, Json, NodeView};
use crate::owner::Whole;
use crate::record::{Document, ResourceRecord};
use crate::store::{Expect, Key, Store, Version, Versioned};

/// Where the lists are kept, by the name of each mark.
pub(super) const SPACE: &str = "cluster.nodes";

/// By which credential at which site.
pub(super) const ACCOUNT: &str = "account";

pub(super) fn account(site: CatalogId, credential: CatalogId) -> String {
    format!("{site}/{credential}")
}

/// The nodes of one cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct List {
    /// The cluster's mark, with the generation that the nodes follow: 0 while
    /// some of them wait for the master's address.
    pub(super) mark: Mark,
    /// The master first.
    pub(super) members: Vec<Member>,
    /// Whether it was once as wanted, and has been changed since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) changed: bool,
    /// Whether all of them are to go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) going: bool,
    /// What its nodes tell of it, where they keep such things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) whole: Option<Whole>,
}

/// One node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) id: ResourceId,
    pub(super) role: String,
    pub(super) index: u32,
    /// It is not wanted any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) leaving: bool,
}

impl Member {
    pub(super) fn slot(&self) -> Slot {
        Slot {
            role: self.role.clone(),
            index: self.index,
        }
    }
}

/// A node of a list, and its record where there still is one.
pub(super) type Known = (Member, Option<Versioned<ResourceRecord>>);

/// A cluster as it is in the store.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: RemoteId,
    pub(super) version: Version,
    pub(super) list: List,
    pub(super) nodes: Vec<Known>,
}

/// Reads a cluster, if it is there.
pub(super) async fn find(catalog: &Catalog, id: &RemoteId) -> Result<Option<Found>> {
    match catalog.store().document(SPACE, &id.0).await? {
        Some(document) => read(catalog, &document).await.map(Some),
        None => Ok(None),
    }
}

/// Which machine is the master of the cluster that is called so, where it is one of
/// nodes: its record, and which of those begun for it.
pub(crate) async fn master(store: &dyn Store, id: &RemoteId) -> Result<Option<(ResourceId, u32)>> {
    let Some(document) = store.document(SPACE, &id.0).await? else {
        return Ok(None);
    };
    let list: List = document.record.body.read()?;
    let Some(first) = list.members.into_iter().find(|member| !member.leaving) else {
        return Ok(None);
    };
    let row = store.resource(first.id).await?;
    Ok(row.map(|row| (first.id, row.record.incarnation)))
}

/// The same of a document that was read already.
pub(super) async fn read(catalog: &Catalog, document: &Versioned<Document>) -> Result<Found> {
    let list: List = document.record.body.read()?;
    let mut nodes = Vec::with_capacity(list.members.len());
    for member in &list.members {
        let record = catalog.store().resource(member.id).await?;
        nodes.push((member.clone(), record));
    }
    Ok(Found {
        id: RemoteId(document.record.id.clone()),
        version: document.version,
        list,
        nodes,
    })
}

impl Found {
    pub(super) fn key(&self) -> Key {
        Key::Document(SPACE.to_owned(), self.id.0.clone())
    }

    pub(super) fn expect(&self) -> Expect {
        Expect::Version(self.key(), self.version)
    }

    /// Whether nothing is left of what was to go.
    pub(super) fn is_gone(&self) -> bool {
        self.list.going && self.nodes.iter().all(|(_, record)| record.is_none())
    }

    /// The nodes that are wanted and have a record.
    fn wanted(&self) -> impl Iterator<Item = (&Member, &ResourceRecord)> {
        self.nodes
            .iter()
            .filter(|(member, _)| !member.leaving)
            .filter_map(|(member, row)| Some((member, &*row.as_ref()?.record)))
    }

    /// Where the master is reached, once it works.
    pub(super) fn master_ip(&self) -> Option<String> {
        let (_, row) = self.nodes.iter().find(|(member, _)| !member.leaving)?;
        let record = &*row.as_ref()?.record;
        (record.seen == State::Ready).then(|| address(record))?
    }

    /// The hosts, the master first.
    pub(super) fn hosts(&self) -> Vec<ClusterHost> {
        self.wanted()
            .map(|(member, record)| ClusterHost {
                name: record.name.clone(),
                role: member.role.clone(),
                address: address(record),
            })
            .collect()
    }

    /// A node of which its site does not say how it is.
    pub(super) fn silent(&self) -> Option<&ResourceRecord> {
        self.wanted()
            .map(|(_, record)| record)
            .find(|record| record.seen == State::Unknown)
    }

    pub(super) fn seen(&self) -> Seen<Cluster> {
        let (phase, reason) = self.phase();
        Seen {
            id: self.id.clone(),
            name: self.list.mark.name(),
            mark: Some(self.list.mark.clone()),
            phase,
            reason,
            stamp: Some(self.stamp()),
            view: None,
        }
    }

    fn phase(&self) -> (Phase, String) {
        let records = || self.nodes.iter().filter_map(|(_, row)| row.as_ref());
        let say = |r: &ResourceRecord| match r.reason.as_str() {
            "" => format!("{} is {}", r.name, r.seen),
            reason => format!("{} is {}: {reason}", r.name, r.seen),
        };
        let first = |is: &dyn Fn(&ResourceRecord) -> bool| {
            records().map(|row| &*row.record).find(|r| is(r)).map(say)
        };
        let stuck = first(&|r| r.seen == State::Quarantined);
        if self.list.going {
            return match stuck {
                Some(why) => (Phase::DeleteFailed, why),
                None => (Phase::Deleting, String::new()),
            };
        }
        if let Some(why) = stuck.or_else(|| first(&|r| r.seen == State::Failed)) {
            return (Phase::Failed, why);
        }
        let missing = |(member, row): &&Known| !member.leaving && row.is_none();
        if let Some((member, _)) = self.nodes.iter().find(missing) {
            let why = format!("its {} {} is gone for good", member.role, member.index);
            return (Phase::Failed, why);
        }
        // What only keeps its place waits for the master, not the other way
        // round.
        let busy = |r: &ResourceRecord| {
            r.wanted != Wanted::Reserved && !matches!(r.seen, State::Ready | State::Unknown)
        };
        match first(&busy) {
            Some(why) if self.list.changed => (Phase::Changing, why),
            Some(why) => (Phase::Building, why),
            None => (Phase::Ready, String::new()),
        }
    }

    /// Moves when a node comes or goes, is made again, or is changed at its
    /// site, and while one is silent.
    fn stamp(&self) -> String {
        let mut sum = Sum::default();
        for (member, record) in self.wanted() {
            sum.add(&member.id.to_string());
            sum.add(&record.incarnation.to_string());
            sum.add(record.stamp.as_deref().unwrap_or_default());
            sum.add(if record.seen == State::Unknown {
                "?"
            } else {
                ""
            });
        }
        format!("{}-{:016x}", self.list.mark.generation, sum.0)
    }
}

/// The first address of a node.
fn address(record: &ResourceRecord) -> Option<String> {
    let view: NodeView = record.view.as_ref()?.read().ok()?;
    let address = view.interfaces.iter().flat_map(|i| &i.addresses).next()?;
    Some(address.ip.to_string())
}

/// A list as it is kept.
pub(super) fn document(list: &List, account: String) -> Result<Arc<Document>> {
    Ok(Arc::new(Document {
        space: SPACE.to_owned(),
        id: list.mark.name(),
        indexes: vec![(ACCOUNT.to_owned(), account)],
        body: Json::of(list)?,
    }))
}

/// FNV-1a: the same in every process and version.
#[derive(Debug)]
pub(super) struct Sum(pub(super) u64);

impl Default for Sum {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Sum {
    pub(super) fn add(&mut self, text: &str) {
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

//! What has its place at a site and is not there yet, of which the site does not
//! know when it says how much room there is; and what others are given of that
//! room at the same moment.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{self, Arc, PoisonError};

use futures_util::lock::Mutex;

use super::disks::OnDisks;
use super::there::read_at_site;
use crate::backend::{Capability, Cx, Offer};
use crate::error::Result;
use crate::id::{CatalogId, Kind, ResourceId};
use crate::life::{State, Wanted};
use crate::model::NodeSpec;
use crate::record::ResourceRecord;
use crate::store::{Batch, By, Count, Store};

/// So many rows are read at once.
const PAGE: u32 = 200;

/// What counters of what was given away are called.
const ROOM: &str = crate::store::HINT;

/// How many nodes wait to be made by a credential at a site, whosever they are:
/// those in the store, and those in a batch that is being written. Of what the
/// site has taken off already ([`Capability::counts_to_come`]) only the latter.
///
/// # Errors
///
/// Where the store cannot be asked.
pub async fn waiting(
    store: &dyn Store,
    cap: &Capability,
    (site, credential): (CatalogId, CatalogId),
    batch: &Batch,
) -> Result<u64> {
    let here = |r: &ResourceRecord| (r.place.site, r.place.credential) == (site, credential);
    // What has a name at the site is in the site's own count, and a cluster is there
    // by its nodes, also where it was not seen when somebody looked last.
    let to_make = |r: &ResourceRecord| match r.remote {
        None => not_there(r),
        Some(_) => 0,
    };
    let written = batch.resources.iter().map(|(record, _)| &**record);
    let mut nodes: u64 = written.filter(|r| here(r)).map(to_make).sum();
    // The nodes of a cluster that was not begun are known to nobody else.
    let counts = |r: &ResourceRecord| !cap.counts_to_come || r.kind == Kind::CLUSTER;
    let mut after = None;
    loop {
        let by = By::Account(site, credential);
        let page = store.resources(&by, after.as_ref(), PAGE).await?;
        let records = page.items.iter().map(|row| &*row.record);
        nodes += records.filter(|r| counts(r)).map(to_make).sum::<u64>();
        after = page.next;
        if after.is_none() {
            return Ok(nodes);
        }
    }
}

/// How many nodes are to be made for a record.
fn not_there(r: &ResourceRecord) -> u64 {
    // What is gone is made again from this state on.
    let is_there = r.remote.is_some() && r.seen != State::Nothing;
    // What failed keeps its room as long as its holder keeps it: who tries again
    // asks for none, and its create may come late for all that.
    match (r.wanted, r.part_of) {
        (Wanted::Absent, _) => 0,
        _ if is_there => 0,
        // The cluster is charged with it, and is there as soon as it is begun.
        (_, Some(_)) => 1,
        (_, None) => r.nodes,
    }
}

/// The nodes that are to be made at the site of a call and may not be there yet,
/// by whatever credential: those whose place is only kept, and those that are
/// being made. Who asks for this first and for what the site shows then overlooks
/// none, and may see one in both. It is read once for a call ([`Cx::asking`]).
///
/// # Errors
///
/// Where the store cannot be asked.
pub async fn to_come(cx: &Cx<'_>) -> Result<ToCome> {
    let Some(asking) = cx.asking else {
        return read_to_come(cx).await.map(ToCome::from);
    };
    let mut known = asking.known.lock().await;
    if let Some(nodes) = known.to_come.get(&cx.site.id) {
        return Ok(ToCome::clone(nodes));
    }
    let nodes = ToCome::from(read_to_come(cx).await?);
    known.to_come.insert(cx.site.id, ToCome::clone(&nodes));
    Ok(nodes)
}

async fn read_to_come(cx: &Cx<'_>) -> Result<Vec<(ResourceId, NodeSpec)>> {
    let mut nodes = Vec::new();
    let to_come = |r: &ResourceRecord| {
        if r.kind != Kind::CLUSTER
            && not_there(r) > 0
            && let Ok(spec) = r.place.spec.read()
        {
            nodes.push((r.id, spec));
        }
        ControlFlow::<()>::Continue(())
    };
    read_at_site(cx, to_come).await?;
    Ok(nodes)
}

/// Nodes that are to be made at a site.
pub type ToCome = Arc<[(ResourceId, NodeSpec)]>;

/// What one call has read of what sites do not show yet. It asks a site for each
/// size of nodes by itself, and for all of them this is read once; what was given
/// away by then ([`Given`]) is of the same moment, so that whoever is given
/// something later is not overlooked. It knows as well what the call itself takes of
/// the disks of sites, whatever that is made of.
///
/// Who begins again because of others takes a new one.
#[derive(Debug, Clone, Default)]
pub struct Asking {
    known: Arc<Mutex<Known>>,
    disks: Arc<sync::Mutex<BTreeMap<CatalogId, OnDisks>>>,
}

#[derive(Debug, Default)]
struct Known {
    given: BTreeMap<String, Given>,
    to_come: BTreeMap<CatalogId, ToCome>,
}

impl Asking {
    /// What was given away of a site's room when this was first asked for it.
    pub(crate) async fn given(
        &self,
        store: &dyn Store,
        cap: &Capability,
        (site, credential): (CatalogId, CatalogId),
    ) -> Result<Given> {
        let counter = Given::counter(cap, (site, credential));
        let mut known = self.known.lock().await;
        if let Some(given) = known.given.get(&counter) {
            return Ok(given.clone());
        }
        let given = Given::read(store, cap, (site, credential)).await?;
        known.given.insert(counter, given.clone());
        // It has to be read after what was given away, and is no older.
        known.to_come.remove(&site);
        Ok(given)
    }

    /// Takes of the disk of a site what these offers say ([`Offer::disk`]), beside
    /// what the call has taken of it already: all of it, or nothing where there is
    /// not enough. Answers of each for how many more of its kind there is room.
    pub fn take_disk(&self, site: CatalogId, offers: &[&Offer]) -> Option<Vec<u64>> {
        let mut disks = self.disks.lock().unwrap_or_else(PoisonError::into_inner);
        disks.entry(site).or_default().take(offers)
    }

    /// Which of these offers there is disk for at a site beside each other, in their
    /// order; nothing is taken.
    pub fn disk_for(&self, site: CatalogId, offers: &[&Offer]) -> Vec<bool> {
        let mut disks = self.disks.lock().unwrap_or_else(PoisonError::into_inner);
        disks.entry(site).or_default().fit(offers)
    }
}

/// How much of a site's room was given away when it was asked what is left of it.
///
/// It is counted in nodes and only ever grows. So whoever takes some of what the
/// site said writes that down in the same commit, with as much as may have been
/// given to others meanwhile: of two who are told of the last room at the same
/// moment, one gets it. Where more is left nobody is in anybody's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    counter: String,
    stood: u64,
}

impl Given {
    /// As of now, before the site is asked.
    pub(crate) async fn read(
        store: &dyn Store,
        cap: &Capability,
        (site, credential): (CatalogId, CatalogId),
    ) -> Result<Self> {
        let counter = Self::counter(cap, (site, credential));
        let stood = store.counter(&counter).await?;
        Ok(Self { counter, stood })
    }

    fn counter(cap: &Capability, (site, credential): (CatalogId, CatalogId)) -> String {
        match cap.counts_to_come {
            true => format!("{ROOM}{site}"),
            false => format!("{ROOM}{site}/{credential}"),
        }
    }

    /// Takes so many nodes of what is left beside what the same batch takes, and
    /// leaves what is over to others.
    pub(crate) fn take(&self, nodes: u64, left: u64, counts: &mut Vec<Count>) {
        let others = self.stood.saturating_add(left.saturating_sub(nodes));
        // One step for all of a batch, and the last one: ten thousand nodes need
        // not look for it.
        let known = counts.iter().rposition(|c| c.counter == self.counter);
        let known = known.map(|at| counts.swap_remove(at));
        let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
        let (before, others) = known.map_or((0, others), |c| {
            let by = unsigned(c.by);
            let may = c.at_most.map_or(others, |most| most.saturating_sub(by));
            (by, may.min(others))
        });
        let all = before.saturating_add(nodes);
        counts.push(Count {
            counter: self.counter.clone(),
            by: i64::try_from(all).unwrap_or(i64::MAX),
            at_most: Some(others.saturating_add(all)),
        });
    }
}

/// Whether it is such a counter.
pub(crate) fn is_room(counter: &str) -> bool {
    counter.starts_with(ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env as _;
    use crate::id::RemoteId;
    use crate::store::{Due, Key, MemoryStore};
    use crate::testing;

    #[test]
    fn what_is_to_be_made_holds_its_room_and_what_is_to_go_does_not() {
        let node = |edit: &dyn Fn(&mut ResourceRecord)| {
            let mut r = testing::record(&testing::Still::new(), "physics", &[]);
            (r.wanted, r.nodes) = (Wanted::Running, 2);
            edit(&mut r);
            not_there(&r)
        };
        assert_eq!(node(&|_| {}), 2);
        assert_eq!(node(&|r| r.wanted = Wanted::Reserved), 2);
        assert_eq!(node(&|r| r.wanted = Wanted::Absent), 0);
        let failed = |r: &mut ResourceRecord| {
            (r.seen, r.seen_generation) = (State::Failed, r.generation);
        };
        // Somebody may ask to try again.
        assert_eq!(node(&failed), 2);
        let there = |r: &mut ResourceRecord| {
            (r.seen, r.remote) = (State::Ready, Some(RemoteId("a".to_owned())));
        };
        assert_eq!(node(&there), 0);
        // It is gone, and made again.
        assert_eq!(
            node(&|r| {
                there(r);
                r.seen = State::Nothing;
            }),
            2
        );
    }

    #[tokio::test]
    async fn what_a_site_still_counts_itself_is_not_counted_beside_it() {
        let env = testing::Still::new();
        let store = MemoryStore::new(Arc::clone(&env) as _);
        let waits = async |remote: Option<&str>, counts_to_come: bool| {
            let mut r = testing::record(&env, "physics", &[]);
            (r.wanted, r.seen, r.nodes) = (Wanted::Running, State::Nothing, 3);
            r.remote = remote.map(|id| RemoteId(id.to_owned()));
            let id = r.id;
            let account = (r.place.site, r.place.credential);
            let resources = vec![(Arc::new(r), Due::At(env.now()))];
            let put = Batch {
                resources,
                ..Batch::default()
            };
            store.commit(put).await.unwrap();
            let mut cap = Capability::new();
            cap.counts_to_come = counts_to_come;
            let none = Batch::default();
            let nodes = waiting(&store, &cap, account, &none).await.unwrap();
            let drop = Batch {
                delete: vec![Key::Resource(id)],
                ..Batch::default()
            };
            store.commit(drop).await.unwrap();
            nodes
        };
        for counts_to_come in [false, true] {
            assert_eq!(waits(None, counts_to_come).await, 3);
            // Its holder asked to try again, or it goes behind our back: until
            // somebody looks it may be there for all that.
            assert_eq!(waits(Some("a"), counts_to_come).await, 0);
        }
    }

    #[test]
    fn all_of_a_batch_is_one_step_that_leaves_to_others_the_least_of_what_is_over() {
        let given = Given {
            counter: "room/a".to_owned(),
            stood: 5,
        };
        let quota = Count {
            counter: "quota/a/nodes".to_owned(),
            by: 1,
            at_most: None,
        };
        let mut counts = vec![quota.clone()];
        // 7 are over after the first, 2 after the second, 9 of another size after
        // the third.
        for (nodes, left) in [(1, 8), (2, 4), (1, 10)] {
            given.take(nodes, left, &mut counts);
            counts.push(quota.clone());
        }
        let room: Vec<&Count> = counts.iter().filter(|c| is_room(&c.counter)).collect();
        let [room] = room[..] else {
            panic!("{counts:?}");
        };
        assert_eq!((room.by, room.at_most), (4, Some(5 + 2 + 4)));
        assert_eq!(counts.len(), 5);
    }
}

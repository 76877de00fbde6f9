//! How a slice is read and written.
//!
//! Every call reads it, prepares one batch, and writes the slice's document
//! in it with the version that was read: of two calls at once on one slice the
//! second is refused, reads again and prepares again. Nothing is locked in the
//! store, so a crash leaves no lock, and slices have nothing to do with each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rm_core::env::{Env, Timestamp};
use rm_core::record::{Document, ResourceRecord};
use rm_core::store::{Batch, Count, Outcome, Version};
use rm_core::{Caller, Error, ErrorKind, Host, ResourceId, Result};

use super::kept::{Asked, Kept, SPACE};
use super::owner;
use crate::geni::Urn;
use crate::geni::bench::{Bench, Place};
use crate::geni::sliver::{GeniSliver, Sliver};
use crate::geni::states::{Allocation, Standing};
use crate::geni::xml::Limits;

/// How long the requests of a slice may be together, in bytes: half of the
/// largest call there is, in which they are escaped.
const MOST: usize = Limits::USUAL.bytes / 2;

/// How many documents are read at once.
const PAGE: u32 = 50;

/// A slice as it is now.
#[derive(Debug)]
pub(in crate::geni) struct Opened {
    /// Its URN, as the caller writes it.
    pub(in crate::geni) urn: Urn,
    /// Whose its resources are.
    pub(in crate::geni) owner: Caller,
    version: Option<Version>,
    kept: Kept,
    /// Its slivers, in the order in which they were asked for.
    pub(in crate::geni) slivers: Vec<Have>,
    /// Those that are there and that nothing here translates any more: an adapter
    /// or a backend is not linked into this program. They stay in the document.
    beyond: BTreeSet<ResourceId>,
    /// Its place among the slices of which there is much.
    _place: Option<Place>,
}

/// A sliver that there is.
#[derive(Debug)]
pub(in crate::geni) struct Have {
    /// The node's name in the request.
    pub(in crate::geni) client_id: String,
    /// Which of the slice's requests asked for it.
    pub(in crate::geni) request: usize,
    /// When it was to end, as was said with the request.
    wish: Option<Timestamp>,
    /// What translates it.
    pub(in crate::geni) adapter: Arc<dyn GeniSliver>,
    /// The resource.
    pub(in crate::geni) sliver: Box<dyn Sliver>,
}

impl Have {
    pub(in crate::geni) fn id(&self) -> ResourceId {
        self.sliver.record().id
    }

    pub(in crate::geni) fn standing(&self) -> Standing {
        self.adapter.standing(self.sliver.record())
    }

    /// When it was wished to end with its request; nothing where it has been given
    /// a later end since.
    pub(in crate::geni) fn wish(&self) -> Option<Timestamp> {
        self.wish
            .filter(|wish| until(self.sliver.record()) <= Some(*wish))
    }

    /// How far it has come, and when it ends by itself.
    pub(in crate::geni) fn so_far(&self) -> (Allocation, Option<Timestamp>) {
        (self.standing().allocation, until(self.sliver.record()))
    }
}

/// When a sliver ends by itself.
pub(in crate::geni) fn until(record: &ResourceRecord) -> Option<Timestamp> {
    record.holds.iter().filter_map(|h| h.until).max()
}

/// Whether what was a sliver is none any more: it is on its way out, or its end
/// has come, whether or not somebody has ended it yet.
pub(in crate::geni) fn is_over(record: &ResourceRecord, now: Timestamp) -> bool {
    Allocation::of(record.wanted) == Allocation::Unallocated
        || until(record).is_some_and(|end| end <= now)
}

impl Opened {
    /// Reads a slice; one that was never heard of, and holds nothing, is empty.
    /// One of which there is much waits for its turn, and has it until it is let
    /// go.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where its turn does not come.
    pub(in crate::geni) async fn read(host: &Host, bench: &Bench, slice: &Urn) -> Result<Self> {
        let (version, kept) = Kept::find(host, slice).await?;
        let weight = kept.weight();
        if Bench::is_small(weight) {
            return Self::of(host, slice, version, kept).await;
        }
        // Who waits holds nothing.
        drop(kept);
        let place = bench.place().await?;
        let (version, kept) = Kept::find(host, slice).await?;
        let mut opened = Self::of(host, slice, version, kept).await?;
        opened._place = Some(place);
        Ok(opened)
    }

    /// A slice of which this is kept.
    async fn of(host: &Host, slice: &Urn, version: Option<Version>, kept: Kept) -> Result<Self> {
        let mut opened = Self {
            urn: slice.clone(),
            owner: owner(slice),
            version,
            kept,
            slivers: Vec::new(),
            beyond: BTreeSet::new(),
            _place: None,
        };
        (opened.slivers, opened.beyond) = opened.slivers(host).await?;
        Ok(opened)
    }

    /// What is there of what is listed, and what is there and out of reach.
    async fn slivers(&self, host: &Host) -> Result<(Vec<Have>, BTreeSet<ResourceId>)> {
        let now = host.env().now();
        let used: BTreeSet<&str> = self.kept.listed().map(|l| &*l.adapter).collect();
        let call = host.call(&self.owner);
        let mut adapters = BTreeMap::new();
        let mut held = BTreeMap::new();
        for adapter in host.adapters().all::<dyn GeniSliver>() {
            if !used.contains(adapter.name()) {
                continue;
            }
            for sliver in adapter.held(&call).await? {
                held.insert(sliver.record().id, sliver);
            }
            adapters.insert(adapter.name(), adapter);
        }
        let mut have = Vec::with_capacity(held.len());
        let mut beyond = BTreeSet::new();
        for (request, asked) in self.kept.requests.iter().enumerate() {
            for listed in &asked.slivers {
                let adapter = adapters.get(&*listed.adapter);
                let sliver = held.remove(&listed.resource);
                let (Some(adapter), Some(sliver)) = (adapter, sliver) else {
                    // That nobody shows it does not mean that it is gone.
                    let row = host.store().resource(listed.resource).await?;
                    if row.is_some_and(|row| !is_over(&row.record, now)) {
                        beyond.insert(listed.resource);
                    }
                    continue;
                };
                if is_over(sliver.record(), now) {
                    continue;
                }
                have.push(Have {
                    client_id: listed.client_id.clone(),
                    request,
                    wish: asked.end,
                    adapter: Arc::clone(adapter),
                    sliver,
                });
            }
        }
        Ok((have, beyond))
    }

    /// Whether no other call has changed it since it was read.
    pub(super) async fn is_as_read(&self, host: &Host) -> Result<bool> {
        let now = host.store().document(SPACE, &self.urn.spelling()).await?;
        Ok(now.map(|found| found.version) == self.version)
    }

    /// Refuses what nobody may do any more with a slice that was shut down.
    pub(in crate::geni) fn is_open(&self) -> Result<()> {
        if self.kept.shut.is_none() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Forbidden,
            format!("{} was shut down at this aggregate", self.urn),
        )
        .code("shut-down")
        .advice("the operator of the aggregate knows by whom, and can open it again"))
    }

    /// Refuses a slice of which something is out of reach: what is said of all of
    /// it would not be true of that.
    pub(in crate::geni) fn is_whole(&self) -> Result<()> {
        match self.beyond.len() {
            0 => Ok(()),
            n => Err(self.out_of_reach(n)),
        }
    }

    /// Refuses a sliver that is out of reach.
    pub(in crate::geni) fn reaches(&self, sliver: ResourceId) -> Result<()> {
        match self.beyond.contains(&sliver) {
            false => Ok(()),
            true => Err(self.out_of_reach(1)),
        }
    }

    fn out_of_reach(&self, slivers: usize) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            format!(
                "{} has {slivers} slivers of kinds that this aggregate does not serve at present",
                self.urn
            ),
        )
        .code("out-of-reach")
        .advice("they are still there: tell the operator, or name the slivers that you mean")
    }

    /// Refuses a slice that has nothing here.
    pub(in crate::geni) fn has_some(&self) -> Result<()> {
        if !self.slivers.is_empty() || !self.beyond.is_empty() {
            return Ok(());
        }
        Err(
            Error::not_found(format!("{} has nothing at this aggregate", self.urn))
                .code("no-slivers")
                .advice("it has expired or was deleted, or it never had: ask for something first"),
        )
    }

    /// Its URN, as it was first written here.
    pub(in crate::geni) fn first_written(&self) -> &str {
        &self.kept.urn
    }

    /// The RSpec of a request, which is read for this.
    ///
    /// # Errors
    ///
    /// Where there is no such request, and where it cannot be read.
    pub(in crate::geni) async fn rspec(
        &self,
        host: &Host,
        bench: &Bench,
        request: usize,
    ) -> Result<Arc<str>> {
        let asked = self.kept.requests.get(request);
        let asked =
            asked.ok_or_else(|| Error::new(ErrorKind::Internal, "a request of nobody's"))?;
        asked.rspec.read(host, bench).await
    }

    /// Commits a batch for this slice: with one more request, without what was
    /// released. Refused where somebody was faster, and nothing was written.
    pub(in crate::geni) async fn write(
        &self,
        host: &Host,
        mut batch: Batch,
        more: Option<&Asked>,
        released: &BTreeSet<ResourceId>,
    ) -> Result<Outcome> {
        let document = self.document(more, released)?;
        // Asked first: where another call was faster, nothing else matters.
        batch.expect.splice(0..0, document.expect);
        batch.documents.extend(document.documents);
        batch.delete.extend(document.delete);
        Self::commit(host, batch).await
    }

    /// What of that is the slice's own document.
    pub(super) fn document(
        &self,
        more: Option<&Asked>,
        released: &BTreeSet<ResourceId>,
    ) -> Result<Batch> {
        let mut kept = self.kept.clone();
        let stay: BTreeSet<ResourceId> = self
            .slivers
            .iter()
            .map(Have::id)
            .filter(|id| !released.contains(id))
            .chain(self.beyond.iter().copied())
            .collect();
        let mut written = Batch::default();
        kept.retain(&stay, &mut written);
        if let Some(more) = more {
            kept.add(more, &mut written)?;
            self.has_place(&kept)?;
        }
        kept.put(&self.urn, self.version, &mut written)?;
        Ok(written)
    }

    /// Commits what was put together for a slice.
    pub(super) async fn commit(host: &Host, mut batch: Batch) -> Result<Outcome> {
        batch.counts = folded(batch.counts);
        host.commit(batch).await
    }

    /// Refuses requests that are too long together: a manifest repeats all of
    /// them.
    fn has_place(&self, kept: &Kept) -> Result<()> {
        if kept.bytes() <= MOST {
            return Ok(());
        }
        let most = MOST >> 20;
        Err(Error::new(
            ErrorKind::Quota,
            format!(
                "the requests of {} would be longer than {most} MiB together",
                self.urn
            ),
        )
        .code("too-large")
        .advice("delete what is not needed, or leave out what is not for this aggregate"))
    }
}

/// Forgets slices whose last sliver has expired; answers how many there were.
/// One that cannot be read is told of, and the others have their turn.
pub(in crate::geni) async fn tidy(host: &Host) -> Result<usize> {
    let mut forgotten = 0;
    let mut after = None;
    loop {
        let store = host.store();
        let page = store.documents(SPACE, None, after.as_ref(), PAGE).await?;
        for document in page.items {
            match forget(host, &document.record).await {
                Ok(true) => forgotten += 1,
                Ok(false) => {}
                Err(e) => {
                    let slice = &document.record.id;
                    tracing::warn!(slice, error = %e, "what is kept of a slice cannot be used");
                }
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(forgotten);
        }
    }
}

/// Forgets a slice that has nothing left and was not shut down; answers whether.
/// What is kept of others is written again where it tells of slivers that are
/// gone, which every call would look for, or where it is not as it is written now.
async fn forget(host: &Host, document: &Document) -> Result<bool> {
    let kept: Kept = document.body.read()?;
    let outdated = kept.is_outdated(document);
    let slice: Urn = kept.urn.parse()?;
    let (version, kept) = Kept::find(host, &slice).await?;
    let slice = Opened::of(host, &slice, version, kept).await?;
    let there = slice.slivers.len() + slice.beyond.len();
    let forgotten = there == 0 && slice.kept.shut.is_none();
    if !forgotten && !outdated && there == slice.kept.listed().count() {
        return Ok(false);
    }
    let none = BTreeSet::new();
    let written = slice.write(host, Batch::default(), None, &none).await?;
    Ok(forgotten && matches!(written, Outcome::Done(_)))
}

/// Each counter once: ten thousand nodes are one step of it. What it may be after
/// each of its steps is kept to: the least that any of them leaves to others.
fn folded(counts: Vec<Count>) -> Vec<Count> {
    let mut sums: BTreeMap<String, (i64, Option<i64>)> = BTreeMap::new();
    for count in counts {
        let (by, before) = sums.entry(count.counter).or_insert((0, None));
        *by = by.saturating_add(count.by);
        let may = count
            .at_most
            .map(|most| i64::try_from(most).unwrap_or(i64::MAX));
        let may = may.map(|most| most.saturating_sub(*by));
        *before = match (*before, may) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    let may = |by: i64, before: i64| u64::try_from(before.saturating_add(by)).unwrap_or(0);
    sums.into_iter()
        .map(|(counter, (by, before))| Count {
            counter,
            by,
            at_most: before.map(|before| may(by, before)),
        })
        .collect()
}

/// How often a call is prepared again where somebody was faster: another call
/// on the slice, or the engine.
#[derive(Debug, Default)]
pub(in crate::geni) struct Tries(u32);

impl Tries {
    /// Once more, after a while that grows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where it was often enough.
    pub(in crate::geni) async fn again(&mut self, env: &dyn Env) -> Result<()> {
        const MOST: u32 = 20;
        self.0 += 1;
        match self.0 {
            1..=3 => {}
            4..=MOST => {
                env.sleep(Duration::from_millis(5 * u64::from(self.0)))
                    .await
            }
            _ => return Err(busy()),
        }
        Ok(())
    }
}

/// Others were faster all the time.
pub(super) fn busy() -> Error {
    Error::new(ErrorKind::Busy, "too much happens to this slice at once")
        .advice("call again in a few seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_together_keeps_to_what_each_step_leaves_to_others() {
        let count = |counter: &str, by, at_most| Count {
            counter: counter.to_owned(),
            by,
            at_most,
        };
        // Each of these fits in its turn; after the second 7 more would.
        let steps = [(1, Some(9)), (2, Some(10)), (3, None), (4, Some(18))];
        let mut all: Vec<Count> = steps.map(|(by, most)| count("a", by, most)).into();
        all.push(count("b", 5, None));
        let folded = folded(all);
        assert_eq!(folded, [count("a", 10, Some(17)), count("b", 5, None)]);
    }
}

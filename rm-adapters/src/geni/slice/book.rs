//! How a slice is read and written.
//!
//! Every call reads it, prepares one batch, and writes the slice's document
//! in it with the version that was read: of two calls at once on one slice the
//! second is refused, reads again and prepares again. Nothing is locked, so a
//! crash leaves no lock, and slices have nothing to do with each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rm_core::env::{Env, Timestamp};
use rm_core::record::{Document, ResourceRecord};
use rm_core::store::{Batch, Count, Expect, Outcome, Version};
use rm_core::{Caller, Error, ErrorKind, Host, ResourceId, Result};

use super::{Asked, Kept, Listed, SPACE, Shut, owner};
use crate::geni::Urn;
use crate::geni::rspec::{Kind, Node, Rspec};
use crate::geni::sliver::{GeniSliver, Sliver};
use crate::geni::states::{Allocation, Standing};
use crate::geni::xml::Limits;

/// How long the requests of a slice may be together, in bytes: as long as the
/// largest call there is.
const MOST: usize = Limits::USUAL.bytes;

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
}

/// A sliver that there is.
#[derive(Debug)]
pub(in crate::geni) struct Have {
    /// The node's name in the request.
    pub(in crate::geni) client_id: String,
    /// Which of the slice's requests asked for it.
    pub(in crate::geni) request: usize,
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
}

/// When a sliver ends by itself.
pub(in crate::geni) fn until(record: &ResourceRecord) -> Option<Timestamp> {
    record.holds.iter().filter_map(|h| h.until).max()
}

impl Opened {
    /// Reads a slice; one that was never heard of, and holds nothing, is empty.
    pub(in crate::geni) async fn read(host: &Host, slice: &Urn) -> Result<Self> {
        let owner = owner(slice);
        let found = host.store().document(SPACE, &slice.spelling()).await?;
        let (version, kept) = match found {
            Some(found) => (Some(found.version), found.record.body.read()?),
            None => (None, Self::found(host, slice, &owner).await?),
        };
        let mut opened = Self {
            urn: slice.clone(),
            owner,
            version,
            kept,
            slivers: Vec::new(),
            beyond: BTreeSet::new(),
        };
        (opened.slivers, opened.beyond) = opened.slivers(host).await?;
        Ok(opened)
    }

    /// What is known of a slice whose document is lost, as after a rebuild of
    /// the store: what it holds, under the names that it asked for.
    async fn found(host: &Host, slice: &Urn, owner: &Caller) -> Result<Kept> {
        let call = host.call(owner);
        let mut request = Rspec::new(Kind::Request);
        let mut slivers = Vec::new();
        for adapter in host.adapters().all::<dyn GeniSliver>() {
            for sliver in adapter.held(&call).await? {
                let record = sliver.record();
                if Allocation::of(record.wanted) == Allocation::Unallocated {
                    continue;
                }
                request.nodes.push(Node {
                    client_id: Some(record.name.as_str().into()),
                    ..Node::default()
                });
                slivers.push(Listed {
                    client_id: record.name.clone(),
                    adapter: adapter.name().to_owned(),
                    resource: record.id,
                });
            }
        }
        let asked = (!slivers.is_empty()).then(|| Asked {
            rspec: request.print(),
            slivers,
        });
        Ok(Kept {
            urn: slice.to_string(),
            shut: None,
            requests: asked.into_iter().collect(),
        })
    }

    /// What is there of what is listed, and what is there and out of reach.
    async fn slivers(&self, host: &Host) -> Result<(Vec<Have>, BTreeSet<ResourceId>)> {
        let listed = || self.kept.requests.iter().flat_map(|r| &r.slivers);
        let used: BTreeSet<&str> = listed().map(|l| &*l.adapter).collect();
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
                    let there = |wanted| Allocation::of(wanted) != Allocation::Unallocated;
                    if row.is_some_and(|row| there(row.record.wanted)) {
                        beyond.insert(listed.resource);
                    }
                    continue;
                };
                if Allocation::of(sliver.record().wanted) == Allocation::Unallocated {
                    continue;
                }
                have.push(Have {
                    client_id: listed.client_id.clone(),
                    request,
                    adapter: Arc::clone(adapter),
                    sliver,
                });
            }
        }
        Ok((have, beyond))
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

    /// The RSpec of a request.
    pub(in crate::geni) fn rspec(&self, request: usize) -> &str {
        let asked = self.kept.requests.get(request);
        asked.map_or("", |asked| &asked.rspec)
    }

    /// How many requests there are.
    pub(in crate::geni) fn requests(&self) -> usize {
        self.kept.requests.len()
    }

    /// Commits a batch for this slice: with one more request, without what was
    /// released. Refused where somebody was faster, and nothing was written.
    pub(in crate::geni) async fn write(
        &self,
        host: &Host,
        batch: Batch,
        more: Option<Asked>,
        released: &BTreeSet<ResourceId>,
    ) -> Result<Outcome> {
        let mut kept = self.kept.clone();
        let stay: BTreeSet<ResourceId> = self
            .slivers
            .iter()
            .map(Have::id)
            .filter(|id| !released.contains(id))
            .chain(self.beyond.iter().copied())
            .collect();
        for asked in &mut kept.requests {
            asked.slivers.retain(|l| stay.contains(&l.resource));
        }
        kept.requests.retain(|asked| !asked.slivers.is_empty());
        if let Some(more) = more {
            kept.requests.push(more);
            self.has_place(&kept)?;
        }
        self.put(host, batch, &kept).await
    }

    /// Refuses requests that are too long together: every call reads what is kept
    /// of its slice.
    fn has_place(&self, kept: &Kept) -> Result<()> {
        let bytes: usize = kept.requests.iter().map(|asked| asked.rspec.len()).sum();
        if bytes <= MOST {
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

    /// Marks it as shut down by somebody, and writes nothing else. False where
    /// somebody was faster, and nothing was written.
    pub(in crate::geni) async fn shut(&self, host: &Host, by: &str) -> Result<bool> {
        let kept = Kept {
            shut: Some(Shut {
                by: by.to_owned(),
                at: host.env().now(),
            }),
            ..self.kept.clone()
        };
        let written = self.put(host, Batch::default(), &kept).await?;
        Ok(matches!(written, Outcome::Done(_)))
    }

    async fn put(&self, host: &Host, mut batch: Batch, kept: &Kept) -> Result<Outcome> {
        let key = Kept::key(&self.urn);
        // Asked first: where another call was faster, nothing else matters.
        let expected = match self.version {
            Some(version) => Expect::Version(key.clone(), version),
            None => Expect::Absent(key.clone()),
        };
        batch.expect.insert(0, expected);
        if !kept.requests.is_empty() || kept.shut.is_some() {
            batch.documents.push(Arc::new(kept.document(&self.urn)?));
        } else if self.version.is_some() {
            batch.delete.push(key);
        }
        batch.counts = folded(batch.counts);
        host.commit(batch).await
    }
}

/// Forgets slices whose last sliver has expired; answers how many there were.
/// One that cannot be read is told of, and the others have their turn.
pub(in crate::geni) async fn tidy(host: &Host) -> Result<usize> {
    let mut forgotten = 0;
    let mut after = None;
    loop {
        let store = host.store();
        // Each may be long.
        let page = store.documents(SPACE, None, after.as_ref(), 10).await?;
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

/// Forgets a slice that has nothing left; answers whether.
async fn forget(host: &Host, document: &Document) -> Result<bool> {
    let kept: Kept = document.body.read()?;
    let slice = Opened::read(host, &kept.urn.parse()?).await?;
    let some = !slice.slivers.is_empty() || !slice.beyond.is_empty();
    if some || slice.kept.shut.is_some() {
        return Ok(false);
    }
    let none = BTreeSet::new();
    let written = slice.write(host, Batch::default(), None, &none).await?;
    Ok(matches!(written, Outcome::Done(_)))
}

/// Each counter once: ten thousand nodes are one step of it.
fn folded(counts: Vec<Count>) -> Vec<Count> {
    let mut sums: BTreeMap<String, (i64, Option<u64>)> = BTreeMap::new();
    for count in counts {
        let (by, at_most) = sums.entry(count.counter).or_insert((0, None));
        *by = by.saturating_add(count.by);
        *at_most = match (*at_most, count.at_most) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    sums.into_iter()
        .map(|(counter, (by, at_most))| Count {
            counter,
            by,
            at_most,
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

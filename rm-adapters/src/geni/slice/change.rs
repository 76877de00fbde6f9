//! Something is done with slivers of a slice: with all of them in one commit, or
//! with none.
//!
//! The engine writes the records of slivers while it works on them, often on
//! many at once. Where it was faster, those that it has written are read and
//! drafted again: the others are as they were, and the slice's document says
//! that no other call was faster. Where it is faster again and again, as on ten
//! thousand slivers that are on their way, it is this call's turn: the engine
//! begins nothing with them until they are written, or the turn is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rm_core::record::ResourceRecord;
use rm_core::store::{Batch, By, Expect, Key, Outcome, Refusal as Why, Version};
use rm_core::{Error, ErrorKind, Host, ResourceId};

use super::book::busy;
use super::{Have, Opened};
use crate::geni::sliver::{Deed, Refusal};
use crate::geni::states::Allocation;

/// How often it is tried.
const TRIES: u32 = 100;
/// After so many of them it is this call's turn.
const BESIDE: u32 = 5;
/// How long it is tried beside the engine, and how long a turn is.
const LONGEST: Duration = Duration::from_secs(10);
/// How many rows are read at once.
const PAGE: u32 = 200;

/// What became of one of the slivers that a call is about.
#[derive(Debug)]
pub(in crate::geni) struct Part {
    /// Which of the slice's slivers.
    pub(in crate::geni) at: usize,
    /// What it is from then on; none where nothing was to be changed.
    pub(in crate::geni) record: Option<Arc<ResourceRecord>>,
    /// Why what was asked for was not done with it.
    pub(in crate::geni) error: Option<Error>,
    released: bool,
    written: Batch,
}

impl Part {
    /// The resource that is written, and the version that was read of it.
    fn expects(&self) -> Option<(ResourceId, Version)> {
        self.written.expect.iter().find_map(|expect| match expect {
            Expect::Version(Key::Resource(id), version) => Some((*id, *version)),
            _ => None,
        })
    }

    /// The resource, where something is written of it that is of another version
    /// now; of any version where `all` are meant.
    fn behind(&self, now: &BTreeMap<ResourceId, Version>, all: bool) -> Option<ResourceId> {
        let (id, read) = self.expects()?;
        (all || now.get(&id) != Some(&read)).then_some(id)
    }
}

impl Opened {
    /// Does something with some of the slivers, by their places; `deed` says
    /// what, nothing for those that are as they should be. One that refuses it is
    /// left out where as much is wanted as possible. None where the slice is not
    /// as it was read any more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where the engine was faster all the time, and why a
    /// sliver refuses it.
    pub(in crate::geni) async fn change<'d>(
        &mut self,
        host: &Host,
        chosen: &[usize],
        best_effort: bool,
        deed: &(impl Fn(&Have) -> Result<Option<Deed<'d>>, Refusal> + Send + Sync),
    ) -> Result<Option<Vec<Part>>, Refusal> {
        let mut parts = Vec::with_capacity(chosen.len());
        for at in chosen {
            parts.push(self.part(*at, best_effort, deed)?);
        }
        let env = host.env();
        let mut end = env.now().plus(LONGEST);
        let mut turn = false;
        let mut document = None;
        for tried in 1..=TRIES {
            if parts.iter().all(|part| part.written.resources.is_empty()) {
                return Ok(Some(parts));
            }
            let released: BTreeSet<_> = parts
                .iter()
                .filter(|part| part.released)
                .filter_map(|part| part.record.as_ref())
                .map(|record| record.id)
                .collect();
            // It says the same as long as the same are released.
            let written = match document.take() {
                Some((same, written)) if same == released => written,
                _ => self.document(None, &released)?,
            };
            // Asked first: where another call was faster, nothing else matters.
            let mut batch = written.clone();
            document = Some((released, written));
            for part in &parts {
                add(&mut batch, part.written.clone());
            }
            match Self::commit(host, batch).await? {
                Outcome::Done(_) => return Ok(Some(parts)),
                Outcome::Refused(Why::Stale(Key::Resource(_))) => {}
                Outcome::Refused(_) => return Ok(None),
            }
            let late = env.now() > end;
            let begins = !turn && (late || tried == BESIDE);
            if late && !begins {
                break;
            }
            if begins {
                turn = true;
                end = env.now().plus(LONGEST);
            }
            let now = self.versions(host).await?;
            // All of them are set aside where the turn begins, then what the engine
            // had in hand.
            if turn {
                let behind = parts.iter().filter_map(|part| part.behind(&now, begins));
                let behind: Vec<ResourceId> = behind.collect();
                host.set_aside(&behind, end).await?;
            }
            for part in &mut parts {
                if part.behind(&now, begins).is_none() {
                    continue;
                }
                if !self.again(part.at).await? {
                    return Ok(None);
                }
                *part = self.part(part.at, best_effort, deed)?;
            }
        }
        Err(busy().into())
    }

    /// The versions of all that the slice has.
    async fn versions(&self, host: &Host) -> Result<BTreeMap<ResourceId, Version>, Error> {
        let by = By::Tenant(self.owner.tenant.0.clone());
        let (mut versions, mut after) = (BTreeMap::new(), None);
        loop {
            let page = host.store().resources(&by, after.as_ref(), PAGE).await?;
            versions.extend(page.items.iter().map(|row| (row.record.id, row.version)));
            after = page.next;
            if after.is_none() {
                return Ok(versions);
            }
        }
    }

    /// What is to be written of one sliver, as it was read.
    fn part<'d>(
        &self,
        at: usize,
        best_effort: bool,
        deed: &impl Fn(&Have) -> Result<Option<Deed<'d>>, Refusal>,
    ) -> Result<Part, Refusal> {
        let mut part = Part {
            at,
            record: None,
            error: None,
            released: false,
            written: Batch::default(),
        };
        let Some(have) = self.slivers.get(at) else {
            return Ok(part);
        };
        let done = deed(have).and_then(|deed| {
            let Some(deed) = deed else {
                return Ok(());
            };
            let record = have.sliver.write(&self.owner, &deed, &mut part.written)?;
            part.record = Some(record);
            part.released = matches!(deed, Deed::Release);
            Ok(())
        });
        match done {
            Err(refusal) if best_effort => part.error = Some(refusal.error),
            done => done?,
        }
        Ok(part)
    }

    /// Reads one sliver anew; false where it is none any more.
    async fn again(&mut self, at: usize) -> Result<bool, Error> {
        let Some(have) = self.slivers.get_mut(at) else {
            return Ok(false);
        };
        match have.sliver.again(&self.owner).await {
            Ok(sliver) => have.sliver = sliver,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        }
        Ok(Allocation::of(have.sliver.record().wanted) != Allocation::Unallocated)
    }
}

/// All of one batch after all of another.
fn add(into: &mut Batch, one: Batch) {
    into.expect.extend(one.expect);
    into.fence.extend(one.fence);
    into.resources.extend(one.resources);
    into.documents.extend(one.documents);
    into.delete.extend(one.delete);
    into.counts.extend(one.counts);
    into.prolong.extend(one.prolong);
    into.forget.extend(one.forget);
    into.events.extend(one.events);
}

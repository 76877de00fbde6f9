//! Something is done with slivers of a slice: with all of them in one commit, or
//! with none.
//!
//! The engine writes the records of slivers while it works on them, often on
//! many at once. Where it was faster, those that it has written are read and
//! drafted again: the others are as they were, and the slice's document says
//! that no other call was faster. Where it is faster again and again, as on ten
//! thousand slivers that are on their way, it is this call's turn: the engine
//! begins nothing with them until they are written, or the turn is over. To set
//! aside writes a record, too, so one call of a slice has its turn at a time: others
//! let go of all that they have read until it comes to them. Who has it keeps it where
//! the slice is found changed, and has it for so long altogether.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use rm_core::env::Timestamp;
use rm_core::record::ResourceRecord;
use rm_core::store::{Batch, By, Expect, Key, Outcome, Refusal as Why, Version};
use rm_core::{Error, ErrorKind, Host, ResourceId};

use super::book::{busy, is_over};
use super::contract::SliceCall;
use super::{Have, Opened, Tries};
use crate::geni::bench::{Bench, Turn};
use crate::geni::sliver::{Deed, Refusal};

/// How often it is tried.
const TRIES: u32 = 100;
/// After so many of them it is this call's turn.
const BESIDE: u32 = 5;
/// How long it is tried beside the engine, and what is set aside for a try in turn.
const LONGEST: Duration = Duration::from_secs(10);
/// How long a turn is, however often the slice is found changed in it. Others wait
/// for theirs for longer than that.
const TURN: Duration = Duration::from_secs(20);
/// Of so many slivers one may be in the engine's hands, so that it alone is set
/// aside, and not all of them.
const FEW: usize = 16;
/// How many rows are read at once.
const PAGE: u32 = 200;
/// How many slivers are read anew at once.
const AT_ONCE: usize = 32;

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
}

/// How far a call on a slice has come that others are in the way of.
#[derive(Debug)]
struct Trying<'a> {
    bench: &'a Bench,
    /// Until when it is tried without a turn.
    beside: Timestamp,
    /// Its turn, and when that is over.
    turn: Option<(Turn, Timestamp)>,
}

/// What came of trying it with a slice as it was read.
#[derive(Debug)]
enum Ended {
    /// It is done.
    Done(Vec<Part>),
    /// The slice is not as it was read any more.
    Changed,
    /// Another call has its turn.
    Waits,
}

impl SliceCall<'_> {
    /// Does something with the slivers of the slice that are chosen when it is read,
    /// by their places; `deed` says what, nothing for those that are as they should
    /// be. One that refuses it is left out where as much is wanted as possible.
    ///
    /// It ends within two minutes: ten seconds beside the engine, and twenty in its
    /// turn, for which it waits half a minute, as it may for a place before either.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where the engine was faster all the time, or other calls
    /// had their turn, and why a sliver refuses it.
    pub(super) async fn with<'d>(
        &self,
        choose: impl Fn(&Opened) -> Result<Vec<usize>, Error>,
        best_effort: bool,
        deed: &(impl Fn(&Have) -> Result<Option<Deed<'d>>, Refusal> + Send + Sync),
    ) -> Result<(Opened, Vec<Part>), Refusal> {
        let env = self.host.env();
        let mut trying = Trying {
            bench: self.bench,
            beside: env.now().plus(LONGEST),
            turn: None,
        };
        let mut tries = Tries::default();
        loop {
            let mut opened = Opened::read(self.host, self.bench, self.slice).await?;
            let chosen = choose(&opened)?;
            let changed = opened.change(self.host, &mut trying, &chosen, best_effort, deed);
            let waits = match changed.await? {
                Ended::Done(parts) => return Ok((opened, parts)),
                Ended::Changed => trying.turn.is_none() && env.now() > trying.beside,
                Ended::Waits => true,
            };
            // Who waits holds nothing.
            drop(opened);
            if waits {
                let turn = self.bench.turn(self.slice).await?;
                trying.turn = Some((turn, env.now().plus(TURN)));
                continue;
            }
            if trying
                .turn
                .as_ref()
                .is_some_and(|(_, end)| env.now() > *end)
            {
                return Err(busy().into());
            }
            tries.again(&**env).await?;
        }
    }
}

impl Opened {
    /// Does it with the slice as it was read.
    async fn change<'d>(
        &mut self,
        host: &Host,
        trying: &mut Trying<'_>,
        chosen: &[usize],
        best_effort: bool,
        deed: &(impl Fn(&Have) -> Result<Option<Deed<'d>>, Refusal> + Send + Sync),
    ) -> Result<Ended, Refusal> {
        let mut parts = Vec::with_capacity(chosen.len());
        for at in chosen {
            parts.push(self.part(*at, best_effort, deed)?);
        }
        let env = host.env();
        let mut end = match &trying.turn {
            Some(_) => env.now().plus(LONGEST),
            None => trying.beside,
        };
        let mut all_aside = false;
        let mut document = None;
        for tried in 1..=TRIES {
            if parts.iter().all(|part| part.written.resources.is_empty()) {
                return Ok(Ended::Done(parts));
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
                Outcome::Done(_) => return Ok(Ended::Done(parts)),
                Outcome::Refused(Why::Stale(Key::Resource(_))) => {}
                Outcome::Refused(_) => return Ok(Ended::Changed),
            }
            let late = env.now() > end;
            let begins = trying.turn.is_none() && (late || tried == BESIDE);
            if late && !begins {
                break;
            }
            if begins {
                let Some(turn) = trying.bench.turn_now(&self.urn) else {
                    return Ok(Ended::Waits);
                };
                trying.turn = Some((turn, env.now().plus(TURN)));
                // Who had it before may have changed the slice.
                if !self.is_as_read(host).await? {
                    return Ok(Ended::Changed);
                }
                end = env.now().plus(LONGEST);
            }
            let now = self.versions(host).await?;
            let mut behind = left_behind(&parts, &now, false);
            if trying.turn.is_some() {
                // What the engine had in hand; once all of them, where that is much
                // of it, where it is not enough, and where there is no time to see.
                let much = behind.len().saturating_mul(FEW) >= parts.len();
                if !all_aside && (much || late || tried >= 2 * BESIDE) {
                    all_aside = true;
                    behind = left_behind(&parts, &now, true);
                }
                let aside: Vec<ResourceId> = behind.iter().map(|(_, id)| *id).collect();
                host.set_aside(&aside, end).await?;
            }
            let behind: BTreeSet<usize> = behind.into_iter().map(|(at, _)| at).collect();
            if !self.again(&behind, env.now()).await? {
                return Ok(Ended::Changed);
            }
            for part in &mut parts {
                if behind.contains(&part.at) {
                    *part = self.part(part.at, best_effort, deed)?;
                }
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

    /// Reads slivers anew, by their places; false where one is none any more.
    async fn again(&mut self, places: &BTreeSet<usize>, now: Timestamp) -> Result<bool, Error> {
        let (slivers, owner) = (&self.slivers, &self.owner);
        let read = stream::iter(places.clone())
            .map(|at| async move {
                let have = slivers.get(at)?;
                Some((at, have.sliver.again(owner).await))
            })
            .buffer_unordered(AT_ONCE);
        let read: Vec<_> = read.collect().await;
        for one in read {
            let Some((at, sliver)) = one else {
                return Ok(false);
            };
            let sliver = match sliver {
                Ok(sliver) => sliver,
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
                Err(e) => return Err(e),
            };
            if is_over(sliver.record(), now) {
                return Ok(false);
            }
            if let Some(have) = self.slivers.get_mut(at) {
                have.sliver = sliver;
            }
        }
        Ok(true)
    }
}

/// Of what is written, the places of those slivers that are of another version
/// now, or of `all`, with their resources.
fn left_behind(
    parts: &[Part],
    now: &BTreeMap<ResourceId, Version>,
    all: bool,
) -> Vec<(usize, ResourceId)> {
    let behind = parts.iter().filter_map(|part| {
        let (id, read) = part.expects()?;
        (all || now.get(&id) != Some(&read)).then_some((part.at, id))
    });
    behind.collect()
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

//! Verbs that are written into a batch of the caller's, so that they happen
//! together with whatever else must be true at the same moment, or not at all.

use std::sync::Arc;

use super::holder::{holder, own_hold};
use super::power::turn;
use super::{Resource, let_go, part_takes, respec};
use crate::caller::Caller;
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::HoldId;
use crate::life::{Verb, Wanted};
use crate::model::{Model, Power, wanted};
use crate::record::ResourceRecord;
use crate::store::{Batch, Due, Expect, Key, Version};

/// Verbs on one resource, as it was when it was read, that are not committed
/// yet. A verb that is refused leaves the draft as it was.
///
/// The batch that they are put into expects the version that was read: where
/// somebody was faster, everything is read and drafted again.
#[derive(Debug)]
pub struct Draft<'a, M: Model> {
    core: &'a Core,
    who: &'a Caller,
    version: Version,
    record: ResourceRecord,
    written: Batch,
    model: std::marker::PhantomData<fn() -> M>,
}

impl<M: Model> Resource<M> {
    /// Begins to write verbs of the caller's on it.
    pub fn draft<'a>(&'a self, who: &'a Caller) -> Draft<'a, M> {
        Draft {
            core: &self.core,
            who,
            version: self.row.version,
            record: (*self.row.record).clone(),
            written: Batch::default(),
            model: std::marker::PhantomData,
        }
    }
}

impl<M: Model> Draft<'_, M> {
    /// What it is to be, so far.
    pub fn record(&self) -> &ResourceRecord {
        &self.record
    }

    /// Gives it another spec.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where the table of verbs refuses it, and what `edit`
    /// says.
    pub fn change(
        &mut self,
        edit: impl Fn(&mut M::Spec) -> Result<()> + Send + Sync,
    ) -> Result<()> {
        let by = self.who.user.clone();
        self.write(Verb::Change, |core, r, batch| {
            respec::<M>(core, r, batch, &by, &edit)
        })
    }

    /// Makes what is only reserved. It does not run, where its model knows the
    /// difference, before it is started.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where it is not only reserved, or is on its way out.
    pub fn make(&mut self) -> Result<()> {
        let by = self.who.user.clone();
        self.write(Verb::Start, |core, r, batch| {
            if r.wanted != Wanted::Reserved {
                return Err(
                    Error::new(ErrorKind::Busy, "it is made already").advice("look at its state")
                );
            }
            respec::<M>(core, r, batch, &by, &|spec| {
                if let Some(power) = M::power(spec) {
                    *power = Power::Stopped;
                }
                Ok(())
            })?;
            r.wanted = wanted::<M>(&r.place.spec.read()?);
            r.renew_intent();
            batch.events.push(core.event(
                r,
                "make-requested",
                serde_json::json!({"by": by, "wanted": r.wanted, "generation": r.generation}),
            ));
            Ok(())
        })
    }

    /// Runs what is stopped or only reserved.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where it runs or is on its way.
    pub fn start(&mut self) -> Result<()> {
        let by = self.who.user.clone();
        self.write(Verb::Start, |core, r, batch| {
            turn::<M>(core, r, batch, &by, Power::Running)
        })
    }

    /// Stops what runs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where it does not run, [`ErrorKind::Unsupported`]
    /// where the model knows no difference.
    pub fn stop(&mut self) -> Result<()> {
        let by = self.who.user.clone();
        self.write(Verb::Stop, |core, r, batch| {
            turn::<M>(core, r, batch, &by, Power::Stopped)
        })
    }

    /// Gives a hold of the caller's another end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Quota`] where that is later than the tenant's longest lease
    /// allows, [`ErrorKind::Invalid`] where it is over already.
    pub fn renew(&mut self, hold: HoldId, until: Timestamp) -> Result<()> {
        let (who, now) = (self.who, self.core.env.now());
        self.write(Verb::Renew, |core, r, batch| {
            core.policy.until(&r.tenant, Some(until.since(now)), now)?;
            let at = own_hold(who, r, Some(hold))?;
            if let Some(hold) = r.holds.get_mut(at) {
                hold.until = Some(until);
            }
            batch.events.push(core.event(
                r,
                "renewed",
                serde_json::json!({"by": who.user, "hold": hold, "until": until.to_string()}),
            ));
            Ok(())
        })
    }

    /// Gives up a hold of the caller's; the last one to go releases the
    /// resource.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where it is released already.
    pub fn release(&mut self, hold: HoldId) -> Result<()> {
        let who = self.who;
        self.write(Verb::Release, |core, r, batch| {
            let at = own_hold(who, r, Some(hold))?;
            let_go(core, r, batch, &who.user, at);
            Ok(())
        })
    }

    /// Puts what was written into a batch, nothing where nothing was; answers
    /// what the record will be.
    pub fn put(mut self, into: &mut Batch) -> Arc<ResourceRecord> {
        if self.written.events.is_empty() {
            return Arc::new(self.record);
        }
        let now = self.core.env.now();
        self.record.updated = now;
        let record = Arc::new(self.record);
        let key = Key::Resource(record.id);
        into.expect.push(Expect::Version(key, self.version));
        into.counts.append(&mut self.written.counts);
        into.events.append(&mut self.written.events);
        into.delete.append(&mut self.written.delete);
        into.resources.push((Arc::clone(&record), Due::At(now)));
        record
    }

    fn write(
        &mut self,
        verb: Verb,
        change: impl FnOnce(&Core, &mut ResourceRecord, &mut Batch) -> Result<()>,
    ) -> Result<()> {
        let refused = |e: Error| e.resource(self.record.id);
        if !self.record.holds.is_empty() {
            holder(self.who, &self.record)?;
        }
        part_takes(&self.record, verb)?;
        verb.check(self.record.wanted, self.record.seen)
            .map_err(refused)?;
        let mut record = self.record.clone();
        let mut written = Batch::default();
        change(self.core, &mut record, &mut written)?;
        self.record = record;
        self.written.counts.append(&mut written.counts);
        self.written.events.append(&mut written.events);
        self.written.delete.append(&mut written.delete);
        Ok(())
    }
}

//! Resources: one reserved thing each, and the verbs that change what is wanted
//! of it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::accounts;
use crate::caller::{Caller, Role};
use crate::copies;
use crate::env::{Env, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::event::NewEvent;
use crate::host::Core;
use crate::id::{HoldId, ResourceId};
use crate::life::{State, Verb, Wanted};
use crate::manager::KEYS;
use crate::model::{Json, Model, wanted};
use crate::quota::{counts, over_quota, recharge};
use crate::record::{Hold, ResourceRecord};
use crate::store::{Batch, Due, Expect, Key, Outcome, Refusal, Version, Versioned};
use crate::visible::see;

mod adopt;
mod console;
mod draft;
mod holder;
mod power;
mod share;

pub use draft::Draft;
use holder::{holder, own_hold};

/// One reserved thing: what is wanted of it, what is seen of it, and the verbs
/// that change what is wanted. Each verb is one commit; the engine does the
/// rest.
#[derive(Clone)]
pub struct Resource<M: Model> {
    core: Arc<Core>,
    row: Versioned<ResourceRecord>,
    model: PhantomData<fn() -> M>,
}

impl<M: Model> fmt::Debug for Resource<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resource")
            .field(&self.row.record.id)
            .finish()
    }
}

impl<M: Model> Resource<M> {
    pub(crate) fn new(core: &Arc<Core>, row: Versioned<ResourceRecord>) -> Self {
        Self {
            core: Arc::clone(core),
            row,
            model: PhantomData,
        }
    }

    /// Its id.
    pub fn id(&self) -> ResourceId {
        self.row.record.id
    }

    /// The whole record, as it was when this was read.
    pub fn record(&self) -> &ResourceRecord {
        &self.row.record
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.row.version
    }

    /// What is wanted.
    pub fn spec(&self) -> Result<M::Spec> {
        self.row.record.place.spec.read()
    }

    /// What can be seen, beside the state.
    pub fn view(&self) -> Result<M::View> {
        match &self.row.record.view {
            Some(view) => view.read(),
            None => Ok(M::View::default()),
        }
    }

    /// Whether it is as wanted.
    pub fn is_ready(&self) -> bool {
        let r = self.record();
        r.seen == State::Ready && r.seen_generation == r.generation && r.wanted == Wanted::Running
    }

    /// Gives it another spec; quotas are charged in the same commit.
    pub async fn change(
        &self,
        who: &Caller,
        edit: impl Fn(&mut M::Spec) -> Result<()> + Send + Sync,
    ) -> Result<Self> {
        self.update(who, Verb::Change, |core, r, batch| {
            holder(who, r)?;
            respec::<M>(core, r, batch, &who.user, &edit)
        })
        .await
    }

    /// One more hold on it, and another spec in the same commit where `edit`
    /// asks for one.
    pub async fn join(
        &self,
        who: &Caller,
        until: Option<Timestamp>,
        edit: impl Fn(&mut M::Spec) -> Result<()> + Send + Sync,
    ) -> Result<(Self, HoldId)> {
        self.join_and(who, until, edit, |_, _, _| Ok(())).await
    }

    /// The same, and whatever `also` puts into the same commit.
    pub(crate) async fn join_and(
        &self,
        who: &Caller,
        until: Option<Timestamp>,
        edit: impl Fn(&mut M::Spec) -> Result<()> + Send + Sync,
        also: impl Fn(&ResourceRecord, HoldId, &mut Batch) -> Result<()> + Send + Sync,
    ) -> Result<(Self, HoldId)> {
        let id = HoldId::new(&*self.core.env);
        let joined = self
            .update(who, Verb::Join, |core, r, batch| {
                if r.tenant != who.tenant {
                    return Err(Error::new(
                        ErrorKind::Forbidden,
                        "what belongs to another tenant cannot be held",
                    )
                    .advice("ask for one of your own"));
                }
                respec::<M>(core, r, batch, &who.user, &edit)?;
                r.holds.push(Hold {
                    id,
                    user: who.user.clone(),
                    tenant: who.tenant.clone(),
                    until,
                    since: core.env.now(),
                });
                batch.events.push(core.event(
                    r,
                    "joined",
                    serde_json::json!({"by": who.user, "hold": id, "until": until.map(|t| t.to_string())}),
                ));
                also(r, id, batch)
            })
            .await?;
        Ok((joined, id))
    }

    /// Gives a hold of the caller's another end: `lease` from now.
    pub async fn renew(
        &self,
        who: &Caller,
        hold: Option<HoldId>,
        lease: Option<Duration>,
    ) -> Result<Self> {
        let until = self
            .core
            .policy
            .until(&who.tenant, lease, self.core.env.now())?;
        self.update(who, Verb::Renew, |core, r, batch| {
            let at = own_hold(who, r, hold)?;
            r.holds[at].until = until;
            batch.events.push(core.event(
                r,
                "renewed",
                serde_json::json!({"by": who.user, "hold": r.holds[at].id, "until": until.map(|t| t.to_string())}),
            ));
            Ok(())
        })
        .await
    }

    /// Gives up a hold of the caller's; the last one to go releases the
    /// resource. An operator may give up anybody's.
    pub async fn release(&self, who: &Caller, hold: Option<HoldId>) -> Result<Self> {
        self.release_and(who, hold, |_| Ok(())).await
    }

    /// The same, and whatever `also` puts into the same commit: the end of an
    /// adapter's own record of the hold, say.
    pub async fn release_and(
        &self,
        who: &Caller,
        hold: Option<HoldId>,
        also: impl Fn(&mut Batch) -> Result<()> + Send + Sync,
    ) -> Result<Self> {
        self.update(who, Verb::Release, |core, r, batch| {
            let at = own_hold(who, r, hold)?;
            let_go(core, r, batch, &who.user, at);
            also(batch)
        })
        .await
    }

    /// Tries again what failed or is in quarantine, and what has failed of what
    /// it needs.
    pub async fn retry(&self, who: &Caller) -> Result<Self> {
        let r = self.record();
        if holder(who, r).is_ok() && Verb::Retry.check(r.wanted, r.seen).is_ok() {
            copies::retry_failed(&self.core, &r.needs, &who.user).await?;
        }
        self.update(who, Verb::Retry, |core, r, batch| {
            holder(who, r)?;
            if r.seen == State::Quarantined {
                who.need(Role::Operator)?;
                if r.wanted != Wanted::Absent && r.remote.is_none() {
                    // The operator says that nothing of ours came of it:
                    // another one is made under a name of its own.
                    r.attempt = None;
                }
            }
            try_again(&*core.env, r, batch, &who.user);
            Ok(())
        })
        .await
    }

    /// Forgets what is in quarantine, whatever is left of it at the site. Only
    /// an operator may, and must say why.
    pub async fn abandon(&self, who: &Caller, reason: &str) -> Result<()> {
        who.need(Role::Operator)?;
        if reason.trim().is_empty() {
            return Err(Error::invalid("to abandon something needs a reason")
                .advice("say who cleans up what is left at the site, and when"));
        }
        loop {
            let row = see(&self.core, who, self.id()).await?;
            Verb::Abandon.check(row.record.wanted, row.record.seen)?;
            let data =
                serde_json::json!({"by": who.user, "reason": reason, "remote": row.record.remote});
            if remove(&self.core, &row, None, "abandoned", data).await? {
                return Ok(());
            }
        }
    }

    /// Reads it anew.
    pub async fn again(&self, who: &Caller) -> Result<Self> {
        Ok(Self::new(
            &self.core,
            see(&self.core, who, self.id()).await?,
        ))
    }

    async fn update(
        &self,
        who: &Caller,
        verb: Verb,
        change: impl Fn(&Core, &mut ResourceRecord, &mut Batch) -> Result<()> + Send + Sync,
    ) -> Result<Self> {
        let core = &*self.core;
        loop {
            let row = see(core, who, self.id()).await?;
            // Who holds nothing is told that, whatever the state. What nobody
            // holds any more is on its way out, which the table says.
            if verb != Verb::Join && !row.record.holds.is_empty() {
                holder(who, &row.record)?;
            }
            part_takes(&row.record, verb)?;
            verb.check(row.record.wanted, row.record.seen)
                .map_err(|e| e.resource(self.id()))?;
            let mut record = (*row.record).clone();
            let mut batch = Batch::default();
            change(core, &mut record, &mut batch)?;
            let now = core.env.now();
            record.updated = now;
            let record = Arc::new(record);
            batch
                .expect
                .push(Expect::Version(Key::Resource(record.id), row.version));
            batch.resources.push((Arc::clone(&record), Due::At(now)));
            match core.commit(batch).await? {
                Outcome::Done(_) => {
                    return Ok(Self::new(
                        &self.core,
                        Versioned {
                            version: Version(row.version.0 + 1),
                            record,
                        },
                    ));
                }
                Outcome::Refused(Refusal::Limit {
                    counter,
                    value,
                    at_most,
                }) => return Err(over_quota(&counter, value, at_most)),
                // Something beside the resource is not as the caller knew it.
                Outcome::Refused(Refusal::Stale(Key::Document(..))) => {
                    return Err(
                        Error::new(ErrorKind::Busy, "somebody was faster").resource(self.id())
                    );
                }
                Outcome::Refused(_) => {}
            }
        }
    }
}

/// A hold is given up; with the last one the resource is.
fn let_go(core: &Core, r: &mut ResourceRecord, batch: &mut Batch, by: &str, at: usize) {
    let gone = r.holds.remove(at);
    batch.events.push(core.event(
        r,
        "released",
        serde_json::json!({"by": by, "hold": gone.id, "left": r.holds.len()}),
    ));
    accounts::forget(r, &gone.user, batch);
    if r.holds.is_empty() {
        want_absent(&*core.env, r, batch, "its last holder gave it up");
    }
}

/// What is a part of another resource is as that one wants it: only the ways
/// out of trouble are its own.
fn part_takes(r: &ResourceRecord, verb: Verb) -> Result<()> {
    match (r.part_of, verb) {
        (None, _) | (_, Verb::Retry | Verb::Adopt | Verb::Abandon) => Ok(()),
        (Some(whole), _) => Err(Error::new(
            ErrorKind::Conflict,
            format!("it is a part of the cluster {whole}"),
        )
        .code("part-of-cluster")
        .advice("ask that of the cluster: resize it, or delete it")
        .resource(r.id)),
    }
}

/// The intent to try again what failed.
pub(crate) fn try_again(env: &dyn Env, r: &mut ResourceRecord, batch: &mut Batch, by: &str) {
    r.doubted |= r.seen == State::Quarantined;
    r.seen = if r.wanted == Wanted::Absent {
        State::Releasing
    } else {
        State::Nothing
    };
    // What is there and broken is changed once more; and an engine that is
    // looking at it now sees that something new is wanted.
    r.renew_intent();
    r.tries = 0;
    r.looks = 0;
    r.deadline = None;
    batch.events.push(NewEvent::of(
        env,
        r,
        "retried",
        serde_json::json!({"by": by, "generation": r.generation}),
    ));
}

/// The intent to have it no more.
pub(crate) fn want_absent(env: &dyn Env, r: &mut ResourceRecord, batch: &mut Batch, why: &str) {
    r.wanted = Wanted::Absent;
    r.renew_intent();
    r.doubted |= r.seen == State::Quarantined;
    r.tries = 0;
    r.looks = 0;
    r.deadline = None;
    why.clone_into(&mut r.reason);
    if r.seen != State::Releasing {
        r.seen = State::Releasing;
        batch.events.push(NewEvent::of(
            env,
            r,
            "releasing",
            serde_json::json!({"to": r.seen, "wanted": r.wanted, "generation": r.generation, "reason": why}),
        ));
    }
}

/// Removes the record of what is gone: its row, its key, its share of the
/// quota. False where somebody else was faster.
pub(crate) async fn remove(
    core: &Core,
    row: &Versioned<ResourceRecord>,
    fence: Option<crate::store::Fence>,
    verb: &str,
    data: serde_json::Value,
) -> Result<bool> {
    let r = &*row.record;
    loop {
        let mut batch = Batch::default();
        batch.fence.extend(fence);
        batch
            .expect
            .push(Expect::Version(Key::Resource(r.id), row.version));
        batch.delete.push(Key::Resource(r.id));
        if let Some(key) = &r.place.key
            && let Some(found) = core.store.document(KEYS, key).await?
            && found.record.body == Json::of(&r.id)?
        {
            let key = Key::Document(KEYS.to_owned(), key.clone());
            batch
                .expect
                .push(Expect::Version(key.clone(), found.version));
            batch.delete.push(key);
        }
        let nodes = i64::try_from(r.nodes).unwrap_or(i64::MAX);
        batch.counts.extend(counts(
            &r.tenant.0,
            -i64::from(nodes > 0),
            -nodes,
            None,
            None,
        ));
        batch.counts.extend(copies::forgotten(r));
        batch.events.push(core.event(r, verb, data.clone()));
        match core.commit(batch).await? {
            Outcome::Done(_) => return Ok(true),
            Outcome::Refused(Refusal::Stale(Key::Document(..))) => {}
            Outcome::Refused(_) => return Ok(false),
        }
    }
}

fn respec<M: Model>(
    core: &Core,
    r: &mut ResourceRecord,
    batch: &mut Batch,
    by: &str,
    edit: &(impl Fn(&mut M::Spec) -> Result<()> + Send + Sync),
) -> Result<()> {
    let before: M::Spec = r.place.spec.read()?;
    let mut after = before.clone();
    edit(&mut after)?;
    if after == before {
        return Ok(());
    }
    // Its owner is charged, whoever asks.
    let quota = core.policy.quota(&r.tenant);
    let nodes = M::nodes(&after);
    // What is there counts until it is seen to be smaller.
    let there = match r.remote.is_some() || r.attempt.is_some() {
        true => r.nodes,
        false => 0,
    };
    let count = recharge(r, nodes.max(there), quota.nodes);
    batch.counts.push(count);
    r.place.spec = Json::of(&after)?;
    if r.wanted != Wanted::Reserved {
        r.wanted = wanted::<M>(&after);
    }
    // What was ranked for the old spec says nothing about the new one.
    r.fallbacks.clear();
    r.renew_intent();
    r.tries = 0;
    r.deadline = None;
    batch.events.push(core.event(
        r,
        "change-requested",
        serde_json::json!({"by": by, "wanted": r.wanted, "generation": r.generation, "nodes": nodes}),
    ));
    Ok(())
}

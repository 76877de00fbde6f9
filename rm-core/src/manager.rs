//! Resource managers: the database of their resources. Core implements them
//! over any backend.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::backend::{Cx, Offer, Serves};
use crate::caller::{Caller, Role};
use crate::catalog::Site;
use crate::driver::Driver;
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::{CatalogId, HoldId, Kind, ResourceId};
use crate::life::{State, Verb, Wanted};
use crate::model::{Json, Model};
use crate::record::{Document, Hold, Place, ResourceRecord};
use crate::store::{
    Batch, By, Count, Cursor, Due, Expect, Key, Outcome, Page, Refusal, Version, Versioned,
};

/// The space of the keys by which equal requests share a resource.
pub(crate) const KEYS: &str = "engine.key";

/// What is asked of a manager.
#[derive(Debug, Clone)]
pub struct Want<M: Model> {
    /// Where.
    pub site: Site,
    /// By whose means.
    pub credential: CatalogId,
    /// What.
    pub spec: M::Spec,
    /// The key by which an equal request shall find it; absent where it must
    /// not be shared.
    pub key: Option<String>,
}

/// How a resource is to be called and held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// A name for people.
    pub name: String,
    /// When the hold ends by itself.
    pub until: Option<Timestamp>,
    /// What must be ready first.
    pub needs: Vec<ResourceId>,
}

/// The database of the resources of a kind, on the sites it serves.
#[async_trait]
pub trait ResourceManager<M: Model>: fmt::Debug + Send + Sync {
    /// What it serves.
    fn serves(&self) -> &Serves;

    /// How the request could be served, each with its place filled in. Asks
    /// the site; changes nothing.
    async fn offers(&self, who: &Caller, want: &Want<M>) -> Result<Vec<Offer>>;

    /// An offer that nobody asked the site about.
    fn unasked(&self, want: &Want<M>) -> Result<Offer>;

    /// Writes the reservation of the first offer into a batch; the others are
    /// where else it could be made as long as nothing was tried. Nothing
    /// happens before the batch is committed.
    fn prepare(
        &self,
        who: &Caller,
        offers: &[Offer],
        terms: &Terms,
        into: &mut Batch,
    ) -> Result<(ResourceId, HoldId)>;

    /// The caller's resources of this kind; all of them for an operator who
    /// asks for all.
    async fn find(
        &self,
        who: &Caller,
        all: bool,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Resource<M>>>;

    /// One resource that the caller may see.
    async fn get(&self, who: &Caller, id: ResourceId) -> Result<Resource<M>>;
}

/// Core's manager over a backend.
pub(crate) struct Managed<M: Model> {
    core: Arc<Core>,
    name: String,
    serves: Serves,
    driver: Arc<dyn Driver>,
    model: PhantomData<fn() -> M>,
}

impl<M: Model> fmt::Debug for Managed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Managed").field(&self.name).finish()
    }
}

impl<M: Model> Managed<M> {
    pub(crate) fn new(
        core: Arc<Core>,
        name: String,
        serves: Serves,
        driver: Arc<dyn Driver>,
    ) -> Self {
        Self {
            core,
            name,
            serves,
            driver,
            model: PhantomData,
        }
    }

    fn place(&self, want: &Want<M>) -> Result<Place> {
        Ok(Place {
            manager: self.name.clone(),
            site: want.site.id,
            site_name: want.site.name.clone(),
            credential: want.credential,
            spec: Json::of(&want.spec)?,
            key: want.key.clone(),
        })
    }
}

#[async_trait]
impl<M: Model> ResourceManager<M> for Managed<M> {
    fn serves(&self) -> &Serves {
        &self.serves
    }

    async fn offers(&self, _who: &Caller, want: &Want<M>) -> Result<Vec<Offer>> {
        let core = &*self.core;
        let (site, credential, secret) = core.catalog.open(want.site.id, want.credential).await?;
        let cx = Cx {
            env: &core.env,
            site: &site,
            credential: &credential,
            secret: &secret,
            catalog: &core.catalog,
            progress: &Arc::default(),
            timeout: self.driver.capability(&site).call_timeout,
        };
        let place = self.place(want)?;
        let call = self.driver.offers(&cx, &place.spec);
        let mut offers = core.timed("offers", cx.timeout, call).await?;
        for offer in &mut offers {
            offer.place = Some(place.clone());
        }
        Ok(offers)
    }

    fn unasked(&self, want: &Want<M>) -> Result<Offer> {
        let mut offer = Offer::room(None);
        "the only place; it was not asked".clone_into(&mut offer.why);
        offer.place = Some(self.place(want)?);
        Ok(offer)
    }

    fn prepare(
        &self,
        who: &Caller,
        offers: &[Offer],
        terms: &Terms,
        into: &mut Batch,
    ) -> Result<(ResourceId, HoldId)> {
        who.need(Role::User)?;
        let core = &*self.core;
        let mut places: Vec<Place> = offers.iter().filter_map(|o| o.place.clone()).collect();
        if places.is_empty() {
            return Err(Error::new(
                ErrorKind::NoCapacity,
                "there is no offer to take",
            ));
        }
        let place = places.remove(0);
        let nodes = self.driver.nodes(&place.spec)?;
        let now = core.env.now();
        let id = ResourceId::new(&*core.env);
        let hold = Hold {
            id: HoldId::new(&*core.env),
            user: who.user.clone(),
            tenant: who.tenant.clone(),
            until: terms.until,
            since: now,
        };
        let hold_id = hold.id;
        into.expect.push(Expect::Absent(Key::Resource(id)));
        if let Some(key) = &place.key {
            into.documents.push(key_document(key, id)?);
        }
        // What stands for no node (an image) takes nothing of a quota.
        let one = i64::from(nodes > 0);
        into.counts.extend(quota_counts(
            core,
            who,
            one,
            i64::try_from(nodes).unwrap_or(i64::MAX),
        ));
        let record = ResourceRecord {
            id,
            kind: self.serves.kind.clone(),
            tenant: who.tenant.clone(),
            name: terms.name.clone(),
            place,
            fallbacks: places,
            needs: terms.needs.clone(),
            wanted: Wanted::Running,
            generation: 1,
            seen: State::Nothing,
            seen_generation: 0,
            reason: String::new(),
            seen_spec: None,
            stamp: None,
            view: None,
            remote: None,
            incarnation: 0,
            attempt: None,
            tries: 0,
            looks: 0,
            deadline: None,
            holds: vec![hold],
            grants: Vec::new(),
            nodes,
            created: now,
            updated: now,
        };
        into.events.push(core.event(
            &record,
            "requested",
            serde_json::json!({"by": who.user, "site": record.place.site_name, "name": record.name}),
        ));
        into.resources.push((Arc::new(record), Due::At(now)));
        Ok((id, hold_id))
    }

    async fn find(
        &self,
        who: &Caller,
        all: bool,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Resource<M>>> {
        let page = visible(&self.core, who, all, after, limit).await?;
        Ok(Page {
            items: page
                .items
                .into_iter()
                .filter(|row| {
                    row.record.kind == self.serves.kind && row.record.place.manager == self.name
                })
                .map(|row| Resource::new(&self.core, row))
                .collect(),
            next: page.next,
        })
    }

    async fn get(&self, who: &Caller, id: ResourceId) -> Result<Resource<M>> {
        let row = see(&self.core, who, id).await?;
        if row.record.place.manager != self.name {
            return Err(missing(&self.serves.kind, id));
        }
        Ok(Resource::new(&self.core, row))
    }
}

/// Resources that the caller may see, whatever their kind: those of the
/// caller's tenant, then those of others that were granted.
pub(crate) async fn visible(
    core: &Core,
    who: &Caller,
    all: bool,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Versioned<ResourceRecord>>> {
    if all {
        who.need(Role::Operator)?;
        return core.store.resources(&By::All, after, limit).await;
    }
    who.need(Role::User)?;
    let granted = |page: Page<Versioned<ResourceRecord>>| Page {
        items: page
            .items
            .into_iter()
            .filter(|row| row.record.tenant != who.tenant)
            .collect(),
        next: page.next.map(|c| Cursor(format!("g{}", c.0))),
    };
    let party = By::Party(who.user.clone());
    let after = after.map(|c| c.0.as_str());
    if let Some(rest) = after.and_then(|c| c.strip_prefix('g')) {
        let cursor = (!rest.is_empty()).then(|| Cursor(rest.to_owned()));
        return Ok(granted(
            core.store.resources(&party, cursor.as_ref(), limit).await?,
        ));
    }
    let cursor = after.map(|c| Cursor(c.strip_prefix('t').unwrap_or(c).to_owned()));
    let own = By::Tenant(who.tenant.0.clone());
    let mut page = core.store.resources(&own, cursor.as_ref(), limit).await?;
    page.next = Some(match page.next {
        Some(c) => Cursor(format!("t{}", c.0)),
        None => {
            // Most callers were granted nothing: say so at once.
            let more = granted(core.store.resources(&party, None, limit).await?);
            if more.items.is_empty() && more.next.is_none() {
                page.next = None;
                return Ok(page);
            }
            if page.items.is_empty() {
                return Ok(more);
            }
            Cursor("g".to_owned())
        }
    });
    Ok(page)
}

/// One resource, if the caller may see it. What is somebody else's is missing.
pub(crate) async fn see(
    core: &Core,
    who: &Caller,
    id: ResourceId,
) -> Result<Versioned<ResourceRecord>> {
    match core.store.resource(id).await? {
        Some(row) if may_see(who, &row.record) => Ok(row),
        Some(row) => Err(missing(&row.record.kind, id)),
        None => Err(missing(&Kind::CLUSTER, id)),
    }
}

pub(crate) fn may_see(who: &Caller, r: &ResourceRecord) -> bool {
    who.is(Role::Operator)
        || (who.is(Role::User)
            && (r.tenant == who.tenant || r.parties().contains(&who.user.as_str())))
}

pub(crate) fn missing(kind: &Kind, id: ResourceId) -> Error {
    Error::not_found(format!("there is no {kind} {id}"))
        .advice("it was deleted, or it never was yours; list those you have")
        .resource(id)
}

pub(crate) fn key_document(key: &str, id: ResourceId) -> Result<Arc<Document>> {
    Ok(Arc::new(Document {
        space: KEYS.to_owned(),
        id: key.to_owned(),
        indexes: Vec::new(),
        body: Json::of(&id)?,
    }))
}

/// What a tenant's quota is charged with.
pub(crate) fn quota_counts(core: &Core, who: &Caller, resources: i64, nodes: i64) -> [Count; 2] {
    let quota = core.policy.quota(&who.tenant);
    counts(&who.tenant.0, resources, nodes, quota.clusters, quota.nodes)
}

/// What is given back, or moved without a limit.
pub(crate) fn counts(
    tenant: &str,
    resources: i64,
    nodes: i64,
    most_resources: Option<u64>,
    most_nodes: Option<u64>,
) -> [Count; 2] {
    [
        Count {
            counter: format!("quota/{tenant}/clusters"),
            by: resources,
            at_most: most_resources,
        },
        Count {
            counter: format!("quota/{tenant}/nodes"),
            by: nodes,
            at_most: most_nodes,
        },
    ]
}

/// A limit that was reached, as the caller is told.
pub(crate) fn over_quota(counter: &str, value: u64, at_most: u64) -> Error {
    let what = counter.rsplit('/').next().unwrap_or(counter);
    Error::new(
        ErrorKind::Quota,
        format!("the quota of {at_most} {what} does not allow this: {value} are in use"),
    )
    .code("quota-exceeded")
    .advice(format!(
        "delete {what} that are not needed, ask for fewer, or ask an operator for more"
    ))
}

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
        let quota = self.core.policy.quota(&who.tenant);
        self.update(who, Verb::Change, |core, r, batch| {
            holder(who, r)?;
            respec::<M>(core, r, batch, quota.clusters, quota.nodes, &edit)
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
        self.join_and(who, until, edit, |_, _| Ok(())).await
    }

    /// The same, and whatever `also` puts into the same commit.
    pub(crate) async fn join_and(
        &self,
        who: &Caller,
        until: Option<Timestamp>,
        edit: impl Fn(&mut M::Spec) -> Result<()> + Send + Sync,
        also: impl Fn(HoldId, &mut Batch) -> Result<()> + Send + Sync,
    ) -> Result<(Self, HoldId)> {
        let id = HoldId::new(&*self.core.env);
        let quota = self.core.policy.quota(&who.tenant);
        let joined = self
            .update(who, Verb::Join, |core, r, batch| {
                respec::<M>(core, r, batch, quota.clusters, quota.nodes, &edit)?;
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
                    serde_json::json!({"by": who.user, "hold": id}),
                ));
                also(id, batch)
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
        self.update(who, Verb::Release, |core, r, batch| {
            let at = own_hold(who, r, hold)?;
            let gone = r.holds.remove(at);
            batch.events.push(core.event(
                r,
                "released",
                serde_json::json!({"by": who.user, "hold": gone.id, "left": r.holds.len()}),
            ));
            if r.holds.is_empty() {
                want_absent(core, r, batch, "its last holder gave it up");
            }
            Ok(())
        })
        .await
    }

    /// Lets another user see and use it.
    pub async fn grant(&self, who: &Caller, to: &str) -> Result<Self> {
        crate::catalog::check_name("user", to)?;
        self.update(who, Verb::Renew, |core, r, batch| {
            holder(who, r)?;
            if !r.grants.iter().any(|g| g.user == to) {
                r.grants.push(crate::record::Grant {
                    user: to.to_owned(),
                    by: who.user.clone(),
                    since: core.env.now(),
                });
                batch.events.push(core.event(
                    r,
                    "granted",
                    serde_json::json!({"by": who.user, "to": to}),
                ));
            }
            Ok(())
        })
        .await
    }

    /// Takes a grant back.
    pub async fn revoke(&self, who: &Caller, from: &str) -> Result<Self> {
        self.update(who, Verb::Renew, |core, r, batch| {
            holder(who, r)?;
            let before = r.grants.len();
            r.grants.retain(|g| g.user != from);
            if r.grants.len() == before {
                return Err(Error::not_found(format!("nothing was granted to {from:?}")));
            }
            batch.events.push(core.event(
                r,
                "revoked",
                serde_json::json!({"by": who.user, "from": from}),
            ));
            Ok(())
        })
        .await
    }

    /// Tries again what failed or is in quarantine.
    pub async fn retry(&self, who: &Caller) -> Result<Self> {
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
            r.seen = if r.wanted == Wanted::Absent {
                State::Releasing
            } else {
                State::Nothing
            };
            if r.wanted != Wanted::Absent && r.remote.is_some() {
                // What is there and broken is changed once more.
                r.generation += 1;
            }
            r.tries = 0;
            r.looks = 0;
            r.deadline = None;
            batch
                .events
                .push(core.event(r, "retried", serde_json::json!({"by": who.user})));
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

/// The intent to have it no more.
pub(crate) fn want_absent(core: &Core, r: &mut ResourceRecord, batch: &mut Batch, why: &str) {
    r.wanted = Wanted::Absent;
    r.generation += 1;
    r.tries = 0;
    r.looks = 0;
    r.deadline = None;
    why.clone_into(&mut r.reason);
    if r.seen != State::Releasing {
        r.seen = State::Releasing;
        batch
            .events
            .push(core.event(r, "releasing", serde_json::json!({"reason": why})));
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
    most_resources: Option<u64>,
    most_nodes: Option<u64>,
    edit: &(impl Fn(&mut M::Spec) -> Result<()> + Send + Sync),
) -> Result<()> {
    let before: M::Spec = r.place.spec.read()?;
    let mut after = before.clone();
    edit(&mut after)?;
    if after == before {
        return Ok(());
    }
    let nodes = M::nodes(&after);
    let more = i64::try_from(nodes).unwrap_or(i64::MAX) - i64::try_from(r.nodes).unwrap_or(0);
    batch
        .counts
        .extend(counts(&r.tenant.0, 0, more, most_resources, most_nodes));
    r.nodes = nodes;
    r.place.spec = Json::of(&after)?;
    // What was ranked for the old spec says nothing about the new one.
    r.fallbacks.clear();
    r.generation += 1;
    r.tries = 0;
    r.deadline = None;
    batch.events.push(core.event(
        r,
        "change-requested",
        serde_json::json!({"generation": r.generation, "nodes": nodes}),
    ));
    Ok(())
}

fn holder(who: &Caller, r: &ResourceRecord) -> Result<()> {
    if who.is(Role::Operator) || r.holds.iter().any(|h| h.user == who.user) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Forbidden,
        format!("{} holds nothing of this {}", who.user, r.kind),
    )
    .advice("ask one of its holders, or request it yourself to hold it too")
    .resource(r.id))
}

fn own_hold(who: &Caller, r: &ResourceRecord, hold: Option<HoldId>) -> Result<usize> {
    holder(who, r)?;
    let mine: Vec<usize> = (0..r.holds.len())
        .filter(|i| match hold {
            Some(id) => {
                r.holds[*i].id == id && (who.is(Role::Operator) || r.holds[*i].user == who.user)
            }
            None => r.holds[*i].user == who.user,
        })
        .collect();
    match (mine.as_slice(), hold) {
        ([one], _) => Ok(*one),
        ([], Some(id)) => {
            Err(Error::not_found(format!("there is no hold {id} of yours on it")).resource(r.id))
        }
        ([], None) if r.holds.len() == 1 => Ok(0),
        (several, _) => {
            let ids: Vec<String> = several.iter().map(|i| r.holds[*i].id.to_string()).collect();
            Err(Error::new(
                ErrorKind::Conflict,
                format!("it has {} holds: which one?", r.holds.len()),
            )
            .code("several-holds")
            .advice(if ids.is_empty() {
                "name the hold".to_owned()
            } else {
                format!("name the hold; yours are: {}", ids.join(", "))
            })
            .resource(r.id))
        }
    }
}

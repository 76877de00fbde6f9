//! Copies of images: what a cluster needs and a site lacks is brought there as
//! a resource of its own.
//!
//! A copy belongs to its image, not to who happened to need it first: it
//! counts in no user's quota, and it stays when the clusters that needed it
//! are gone, so that the next one need not wait. Operators see and drop it. An
//! image may be private to the project that a credential is for, so there is
//! one for each credential, unless the site shows that another one will do.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::backend::Offer;
use crate::caller::{Caller, Role, Tenant};
use crate::catalog::Site;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::{CatalogId, Kind, ResourceId};
use crate::life::{State, Verb, Wanted};
use crate::manager::{KEYS, Managed, ResourceManager, Terms, Want};
use crate::model::{ImageSpec, Json, SiteImage};
use crate::record::{Place, ResourceRecord};
use crate::resource::{self, Resource};
use crate::store::{
    Batch, By, Count, Cursor, Due, Expect, Key, Outcome, Page, Refusal, Version, Versioned,
};
use crate::visible::missing;

/// Whose the copies of an image are. No user and no tenant has a "/" in its
/// name.
pub(crate) fn owner(image: CatalogId) -> Tenant {
    Tenant(format!("image/{image}"))
}

/// The key by which requests find the copy of an image.
pub(crate) fn key(image: CatalogId, site: CatalogId, credential: CatalogId) -> String {
    format!("image/{image}/{site}/{credential}")
}

/// Counts who needs a resource. It is counted up in the commit that makes
/// something need it and down in the one that forgets that, so that what is
/// needed cannot be dropped, however close they come.
fn needs(id: ResourceId, by: i64, at_most: Option<u64>) -> Count {
    Count {
        counter: format!("needs/{id}"),
        by,
        at_most,
    }
}

/// What is counted down when the needs of a resource are forgotten.
pub(crate) fn needed_no_more(ids: &[ResourceId]) -> impl Iterator<Item = Count> {
    ids.iter().map(|id| needs(*id, -1, None))
}

/// What is counted down when a record is removed.
pub(crate) fn forgotten(r: &ResourceRecord) -> impl Iterator<Item = Count> {
    // Whoever drops a copy counts as the one who needs it.
    let dropped = (r.kind == Kind::IMAGE).then(|| needs(r.id, -1, None));
    needed_no_more(&r.needs).chain(dropped)
}

/// Copies that a cluster needs, and what must be committed with it so that
/// they are or will be there.
#[derive(Debug, Default)]
pub(crate) struct Needed {
    pub(crate) ids: Vec<ResourceId>,
    batch: Batch,
}

/// What a spec says of images.
#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    images: BTreeMap<String, String>,
}

/// The copies that a cluster at this place needs: those that are there or on
/// their way, tried again where they have failed, else new ones. What the site
/// has without our doing needs none. What is in `so_far`, which is committed
/// together with them, is not brought twice.
pub(crate) async fn needed_at(
    core: &Arc<Core>,
    tenant: &Tenant,
    place: &Place,
    so_far: &Batch,
) -> Result<Needed> {
    let names: Names = place.spec.read()?;
    let mut needed = Needed::default();
    if names.images.is_empty() {
        return Ok(needed);
    }
    let site = core.catalog.site_of(place.site).await?;
    let manager = manager(core, &site)?;
    for name in names.images.keys() {
        let image = core.catalog.image(name).await?;
        let key = key(image.id, site.id, place.credential);
        let want = Want::<SiteImage> {
            site: Site::clone(&site),
            credential: place.credential,
            spec: ImageSpec {
                image: image.id,
                name: image.name,
                source: image.source,
                sha256: image.sha256,
                disk_format: image.disk_format,
            },
            key: Some(key),
            asking: None,
        };
        match begun(so_far, want.key.as_deref().unwrap_or_default())? {
            Some(id) => needed.need(id),
            None => needed.add(core, &manager, tenant, &want, so_far).await?,
        }
    }
    Ok(needed)
}

/// The copy that a batch makes under this key.
fn begun(batch: &Batch, key: &str) -> Result<Option<ResourceId>> {
    let mut keys = batch.documents.iter().filter(|d| d.space == KEYS);
    let made = keys.find(|document| document.id == key);
    made.map(|document| document.body.read()).transpose()
}

/// The copies that a thing of this spec was made of, where they have a record:
/// none is brought.
pub(crate) async fn still_needed(core: &Core, place: &Place) -> Result<Needed> {
    let names: Names = place.spec.read()?;
    let mut needed = Needed::default();
    for name in names.images.keys() {
        let image = core.catalog.image(name).await?;
        let key = key(image.id, place.site, place.credential);
        if let Some(found) = core.store.document(KEYS, &key).await? {
            let id = found.record.body.read()?;
            needed.join(core, id, &Batch::default()).await?;
        }
    }
    Ok(needed)
}

impl Needed {
    /// Puts all of it into a batch.
    pub(crate) fn put(&self, into: &mut Batch) {
        into.expect.extend(self.batch.expect.iter().cloned());
        into.resources.extend(self.batch.resources.iter().cloned());
        into.documents.extend(self.batch.documents.iter().cloned());
        into.counts.extend(self.batch.counts.iter().cloned());
        into.events.extend(self.batch.events.iter().cloned());
    }

    async fn add(
        &mut self,
        core: &Arc<Core>,
        manager: &Managed<SiteImage>,
        tenant: &Tenant,
        want: &Want<SiteImage>,
        so_far: &Batch,
    ) -> Result<()> {
        let key = want.key.clone().unwrap_or_default();
        let found = core.store.document(KEYS, &key).await?;
        if let Some(found) = &found
            && self.join(core, found.record.body.read()?, so_far).await?
        {
            return Ok(());
        }
        let owner = owner(want.spec.image);
        let who = Caller::user(owner.0.clone(), tenant.0.clone());
        let offers = manager.offers(&who, want).await?;
        for offer in &offers {
            let ours = match offer.existing {
                Some(id) if self.join(core, id, so_far).await? => return Ok(()),
                Some(id) => core.store.resource(id).await?.is_some(),
                None => false,
            };
            // What is ours and of no use is on its way out.
            if offer.there && !ours {
                return Ok(());
            }
        }
        let offers: Vec<Offer> = offers
            .into_iter()
            .filter(|o| !o.there && o.existing.is_none())
            .collect();
        let key = Key::Document(KEYS.to_owned(), key);
        self.batch.expect.push(match found {
            Some(found) => Expect::Version(key, found.version),
            None => Expect::Absent(key),
        });
        let terms = Terms {
            name: want.spec.name.clone(),
            ..Terms::default()
        };
        let (id, _) = manager.prepare(&who, &offers, &terms, &mut self.batch)?;
        // Those for whom it is brought hear of it. It is not theirs.
        if let Some((record, _)) = self.batch.resources.last_mut() {
            Arc::make_mut(record).tenant = owner;
        }
        self.need(id);
        Ok(())
    }

    /// Takes a copy that is there already or on its way; false where it is of
    /// no use.
    async fn join(&mut self, core: &Core, id: ResourceId, so_far: &Batch) -> Result<bool> {
        if self.ids.contains(&id) {
            return Ok(true);
        }
        let Some(row) = core.store.resource(id).await? else {
            return Ok(false);
        };
        let r = &*row.record;
        if !is_copy(r) || r.wanted != Wanted::Running || r.seen == State::Quarantined {
            return Ok(false);
        }
        // Who drops it takes its key away.
        let Some((key, version)) = own_key(core, r).await? else {
            return Ok(false);
        };
        self.batch.expect.push(Expect::Version(key, version));
        let written = so_far.resources.iter().any(|(record, _)| record.id == id);
        if r.seen == State::Failed && !written {
            try_again(core, &row, &r.tenant.0, &mut self.batch);
        }
        self.need(id);
        Ok(true)
    }

    fn need(&mut self, id: ResourceId) {
        self.batch.counts.push(needs(id, 1, None));
        self.ids.push(id);
    }
}

/// Tries again what failed of what a resource needs.
pub(crate) async fn retry_failed(core: &Core, ids: &[ResourceId], by: &str) -> Result<()> {
    for id in ids {
        if let Some(row) = core.store.resource(*id).await?
            && row.record.wanted == Wanted::Running
            && row.record.seen == State::Failed
        {
            let mut batch = Batch::default();
            try_again(core, &row, by, &mut batch);
            // Where this is refused somebody else has done something about it.
            core.commit(batch).await?;
        }
    }
    Ok(())
}

fn try_again(core: &Core, row: &Versioned<ResourceRecord>, by: &str, batch: &mut Batch) {
    let mut record = (*row.record).clone();
    resource::try_again(&*core.env, &mut record, batch, by);
    write(core, row.version, record, batch);
}

fn write(core: &Core, version: Version, mut record: ResourceRecord, batch: &mut Batch) {
    let now = core.env.now();
    record.updated = now;
    let key = Key::Resource(record.id);
    batch.expect.push(Expect::Version(key, version));
    batch.resources.push((Arc::new(record), Due::At(now)));
}

/// The key by which requests find a copy, if it still has it.
async fn own_key(core: &Core, r: &ResourceRecord) -> Result<Option<(Key, Version)>> {
    let Some(key) = &r.place.key else {
        return Ok(None);
    };
    let found = core.store.document(KEYS, key).await?;
    let id = Json::of(&r.id)?;
    Ok(found
        .filter(|found| found.record.body == id)
        .map(|found| (Key::Document(KEYS.to_owned(), key.clone()), found.version)))
}

fn is_copy(r: &ResourceRecord) -> bool {
    r.kind == Kind::IMAGE
}

/// Who brings images to a site.
fn manager(core: &Arc<Core>, site: &Site) -> Result<Managed<SiteImage>> {
    for (name, serves) in &core.serves {
        let driver = core.driver(name)?;
        if serves.kind == Kind::IMAGE
            && serves.api == site.api
            && driver.model() == TypeId::of::<SiteImage>()
        {
            let (core, driver) = (Arc::clone(core), Arc::clone(driver));
            return Ok(Managed::new(core, name.clone(), serves.clone(), driver));
        }
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("no linked plugin can bring images to {:?}", site.name),
    )
    .advice("take the images out of the appliance, or link a plugin that can"))
}

/// Copies of images at sites, for operators.
#[derive(Debug, Clone, Copy)]
pub struct Copies<'a> {
    core: &'a Arc<Core>,
}

impl<'a> Copies<'a> {
    pub(crate) fn new(core: &'a Arc<Core>) -> Self {
        Self { core }
    }

    /// The copies of an image, which is given by its id or name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] for anybody but an operator.
    pub async fn list(
        &self,
        who: &Caller,
        image: &str,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Resource<SiteImage>>> {
        who.need(Role::Operator)?;
        let image = self.core.catalog.image(image).await?;
        let by = By::Tenant(owner(image.id).0);
        let page = self.core.store.resources(&by, after, limit).await?;
        Ok(Page {
            items: page
                .items
                .into_iter()
                .filter(|row| is_copy(&row.record))
                .map(|row| Resource::new(self.core, row))
                .collect(),
            next: page.next,
        })
    }

    /// One copy of an image.
    ///
    /// # Errors
    ///
    /// As for [`Copies::list`], and [`ErrorKind::NotFound`].
    pub async fn get(
        &self,
        who: &Caller,
        image: &str,
        id: ResourceId,
    ) -> Result<Resource<SiteImage>> {
        who.need(Role::Operator)?;
        let image = self.core.catalog.image(image).await?;
        match self.core.store.resource(id).await? {
            Some(row) if is_copy(&row.record) && row.record.tenant == owner(image.id) => {
                Ok(Resource::new(self.core, row))
            }
            _ => Err(missing(&Kind::IMAGE, id)),
        }
    }

    /// How many clusters need a copy.
    pub async fn needed_by(&self, copy: &Resource<SiteImage>) -> Result<u64> {
        match copy.record().wanted {
            Wanted::Absent => Ok(0),
            _ => {
                self.core
                    .store
                    .counter(&needs(copy.id(), 0, None).counter)
                    .await
            }
        }
    }

    /// Begins to remove a copy from its site. What would not go is tried again.
    ///
    /// # Errors
    ///
    /// As for [`Copies::get`]; [`ErrorKind::Conflict`] with the code
    /// `image-needed` while a cluster needs it; [`ErrorKind::Busy`] where it is
    /// going already.
    pub async fn remove(
        &self,
        who: &Caller,
        image: &str,
        id: ResourceId,
    ) -> Result<Resource<SiteImage>> {
        let core = &**self.core;
        loop {
            let copy = self.get(who, image, id).await?;
            let r = copy.record();
            if r.wanted == Wanted::Absent && r.seen == State::Quarantined {
                return copy.retry(who).await;
            }
            Verb::Release
                .check(r.wanted, r.seen)
                .map_err(|e| e.resource(id))?;
            let mut batch = Batch::default();
            let mut record = r.clone();
            record.holds.clear();
            let why = format!("{} dropped it", who.user);
            resource::want_absent(&*core.env, &mut record, &mut batch, &why);
            if let Some((key, version)) = own_key(core, r).await? {
                batch.expect.push(Expect::Version(key.clone(), version));
                batch.delete.push(key);
            }
            batch.counts.push(needs(id, 1, Some(1)));
            write(core, copy.version(), record, &mut batch);
            match core.commit(batch).await? {
                Outcome::Done(_) => return copy.again(who).await,
                Outcome::Refused(Refusal::Limit { value, .. }) => {
                    return Err(self.needed(r, value).await);
                }
                Outcome::Refused(_) => {}
            }
        }
    }

    /// Forgets a copy that would not go, whatever is left of it at the site.
    ///
    /// # Errors
    ///
    /// As for [`Copies::get`]; [`ErrorKind::Busy`] for what was not dropped or
    /// is still going; [`ErrorKind::Invalid`] without a reason.
    pub async fn abandon(
        &self,
        who: &Caller,
        image: &str,
        id: ResourceId,
        reason: &str,
    ) -> Result<()> {
        let copy = self.get(who, image, id).await?;
        if copy.record().wanted != Wanted::Absent {
            return Err(Error::new(
                ErrorKind::Busy,
                "\"abandon\" is not possible now: it was not dropped yet",
            )
            .advice("drop it first; abandon it where it will not go")
            .resource(id));
        }
        copy.abandon(who, reason).await
    }

    async fn needed(&self, r: &ResourceRecord, count: u64) -> Error {
        const NAMED: usize = 5;
        let by = By::Account(r.place.site, r.place.credential);
        // Only some of them are named, so that those of one page will do.
        let page = self.core.store.resources(&by, None, 500).await;
        let users: Vec<String> = page
            .map(|page| page.items)
            .unwrap_or_default()
            .iter()
            .filter(|row| row.record.needs.contains(&r.id))
            .take(NAMED)
            .map(|row| row.record.id.to_string())
            .collect();
        let advice = match users.as_slice() {
            [] => "delete those clusters first".to_owned(),
            users => format!(
                "delete those clusters first; among them are: {}",
                users.join(", ")
            ),
        };
        let what = format!(
            "the copy of the image {:?} at {:?}",
            r.name, r.place.site_name
        );
        Error::new(
            ErrorKind::Conflict,
            match count {
                1 => format!("a cluster needs {what}"),
                n => format!("{n} clusters need {what}"),
            },
        )
        .code("image-needed")
        .advice(advice)
        .resource(r.id)
    }
}

//! What all entries have in common: found by id or name, added, changed and
//! removed in one commit each.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Catalog, Credential, Implementation};
use crate::caller::Caller;
use crate::error::{Error, ErrorKind, Result};
use crate::event::NewEvent;
use crate::id::CatalogId;
use crate::model::Json;
use crate::name::NAME_MAX;
use crate::record::Document;
use crate::store::{Batch, Cursor, Expect, Key, Outcome, Page, Refusal, Version};

/// What the spaces of all entries begin with.
const PREFIX: &str = "catalog.";

/// One kind of entry: where it is kept and how people call it.
pub(crate) trait Entry:
    Serialize + DeserializeOwned + Clone + Send + Sync + 'static
{
    const SPACE: &'static str;
    const WHAT: &'static str;
    fn id(&self) -> CatalogId;
    /// What no other of its sort may be called; the name comes last.
    fn unique(&self) -> String;
    fn indexes(&self) -> Vec<(String, String)>;
    /// What is kept of it.
    fn body(&self) -> Result<Json> {
        Json::of(self)
    }
}

pub(super) fn named(name: &str) -> (String, String) {
    ("name".to_owned(), name.to_owned())
}

impl Catalog {
    pub(super) async fn get<E: Entry>(&self, id: CatalogId) -> Result<Option<(Version, Arc<E>)>> {
        let mut text = Uuid::encode_buffer();
        let id = id.0.hyphenated().encode_lower(&mut text);
        match self.store.document(E::SPACE, id).await? {
            Some(found) => Ok(Some((found.version, self.remembered.read(&found.record)?))),
            None => Ok(None),
        }
    }

    pub(super) async fn need<E: Entry>(&self, id: CatalogId) -> Result<Arc<E>> {
        match self.get(id).await? {
            Some((_, entry)) => Ok(entry),
            None => Err(missing::<E>(&id.to_string())),
        }
    }

    pub(super) async fn look_up<E: Entry>(&self, id_or_name: &str) -> Result<(Version, Arc<E>)> {
        if let Ok(id) = id_or_name.parse::<CatalogId>()
            && let Some(found) = self.get(id).await?
        {
            return Ok(found);
        }
        let name = Some(("name", id_or_name));
        let page = self.store.documents(E::SPACE, name, None, 1).await?;
        match page.items.first() {
            Some(found) => Ok((found.version, self.remembered.read(&found.record)?)),
            None => Err(self.missing_among::<E>(id_or_name).await),
        }
    }

    pub(crate) async fn find<E: Entry>(&self, id_or_name: &str) -> Result<Arc<E>> {
        Ok(self.look_up(id_or_name).await?.1)
    }

    /// What a new entry refers to, and the expectation that it is still there
    /// when the new one is written. Where there is none, the request is at
    /// fault.
    pub(super) async fn parent<E: Entry>(
        &self,
        id_or_name: &str,
        expect: &mut Vec<Expect>,
    ) -> Result<Arc<E>> {
        let (version, entry) = self.look_up::<E>(id_or_name).await.map_err(as_invalid)?;
        expect.push(Expect::Version(key(&*entry), version));
        Ok(entry)
    }

    /// "There is none", with the names there are; credentials' names are the
    /// tenants' own and are not told.
    async fn missing_among<E: Entry>(&self, wanted: &str) -> Error {
        let error = missing::<E>(wanted);
        if E::SPACE == Credential::SPACE || E::SPACE == Implementation::SPACE {
            return error;
        }
        let Ok(page) = self.store.documents(E::SPACE, None, None, 20).await else {
            return error;
        };
        let mut names: Vec<&str> = page
            .items
            .iter()
            .flat_map(|d| &d.record.indexes)
            .filter(|(index, _)| index == "name")
            .map(|(_, name)| name.as_str())
            .collect();
        names.sort_unstable();
        if names.is_empty() {
            return error.advice(format!("there is no {} at all yet", E::WHAT));
        }
        let more = if page.next.is_some() { ", ..." } else { "" };
        error.advice(format!("there are: {}{more}", names.join(", ")))
    }

    pub(crate) async fn list<E: Entry>(
        &self,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Arc<E>>> {
        let page = self.store.documents(E::SPACE, index, after, limit).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for found in page.items {
            items.push(self.remembered.read(&found.record)?);
        }
        Ok(Page {
            items,
            next: page.next,
        })
    }

    /// The same for whoever keeps them.
    pub(super) async fn list_owned<E: Entry>(
        &self,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<E>> {
        let page = self.list(index, after, limit).await?;
        Ok(page.map(Arc::unwrap_or_clone))
    }

    /// Writes a new entry; `parents` are what it refers to.
    pub(super) async fn insert<E: Entry>(
        &self,
        entry: &E,
        parents: Vec<Expect>,
        who: &Caller,
    ) -> Result<()> {
        let (id, unique) = (entry.id().to_string(), unique(entry));
        let mut batch = Batch::default();
        batch.expect.push(Expect::Absent(key(entry)));
        batch.expect.push(Expect::Absent(unique.clone()));
        batch.expect.extend(parents);
        if let Key::Document(space, name) = &unique {
            batch.documents.push(Arc::new(Document {
                space: space.clone(),
                id: name.clone(),
                indexes: Vec::new(),
                body: Json::of(&id)?,
            }));
        }
        batch.documents.push(document(entry)?);
        batch.events.push(self.event::<E>("added", &id, who));
        match self.store.commit(batch).await? {
            Outcome::Done(_) => Ok(()),
            Outcome::Refused(Refusal::Stale(stale)) if stale != unique && stale != key(entry) => {
                Err(moved(what(&stale)))
            }
            Outcome::Refused(_) => Err(Error::new(
                ErrorKind::Exists,
                format!(
                    "there is {} {} named {:?} already",
                    article(E::WHAT),
                    E::WHAT,
                    name(entry)
                ),
            )
            .advice("choose another name, or use the one that is there")),
        }
    }

    /// Whether the entry was still in that version.
    pub(super) async fn replace<E: Entry>(
        &self,
        entry: &E,
        version: Version,
        who: &Caller,
    ) -> Result<bool> {
        let mut batch = Batch::default();
        batch.expect.push(Expect::Version(key(entry), version));
        batch.documents.push(document(entry)?);
        let id = entry.id().to_string();
        batch.events.push(self.event::<E>("changed", &id, who));
        Ok(matches!(self.store.commit(batch).await?, Outcome::Done(_)))
    }

    /// Removes an entry that was read in this version, if nothing refers to
    /// it: that is what is `unused`.
    pub(super) async fn remove<E: Entry>(
        &self,
        entry: &E,
        version: Version,
        unused: Vec<Expect>,
        who: &Caller,
    ) -> Result<()> {
        let key = key(entry);
        let mut batch = Batch::default();
        // Who removes it a second time must not remove another of its name.
        batch.expect.push(Expect::Version(key.clone(), version));
        batch.expect.extend(unused);
        batch.delete.extend([key.clone(), unique(entry)]);
        let id = entry.id().to_string();
        batch.events.push(self.event::<E>("removed", &id, who));
        match self.store.commit(batch).await? {
            Outcome::Done(_) => Ok(()),
            Outcome::Refused(Refusal::Stale(user)) if user != key => {
                let users = format!("{}s", what(&user));
                Err(in_use(E::WHAT, &name(entry), &users))
            }
            Outcome::Refused(_) => Err(moved(E::WHAT)),
        }
    }

    fn event<E: Entry>(&self, verb: &str, id: &str, who: &Caller) -> NewEvent {
        NewEvent {
            at: self.env.now(),
            what: format!("{}.{verb}", E::SPACE),
            tenant: None,
            audience: Vec::new(),
            resource: None,
            data: serde_json::json!({"id": id, "by": who.user}).into(),
        }
    }
}

/// No entry of this sort refers to that.
pub(super) fn none<E: Entry>(index: &str, value: impl ToString) -> Expect {
    Expect::NoDocument {
        space: E::SPACE.to_owned(),
        index: index.to_owned(),
        value: value.to_string(),
    }
}

pub(super) fn document<E: Entry>(entry: &E) -> Result<Arc<Document>> {
    Ok(Arc::new(Document {
        space: E::SPACE.to_owned(),
        id: entry.id().to_string(),
        indexes: entry.indexes(),
        body: entry.body()?,
    }))
}

pub(super) fn key<E: Entry>(entry: &E) -> Key {
    Key::Document(E::SPACE.to_owned(), entry.id().to_string())
}

/// A document of its own, so that no two can have the same name.
fn unique<E: Entry>(entry: &E) -> Key {
    Key::Document(format!("{}.unique", E::SPACE), entry.unique())
}

/// What people call it.
fn name<E: Entry>(entry: &E) -> String {
    let unique = entry.unique();
    unique.rsplit('/').next().unwrap_or(&unique).to_owned()
}

/// What is kept under a key, in a word.
fn what(key: &Key) -> &str {
    match key {
        Key::Resource(_) => "resource",
        Key::Document(space, _) => space.strip_prefix(PREFIX).unwrap_or(space),
    }
}

fn article(what: &str) -> &'static str {
    if what.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    }
}

pub(super) fn missing<E: Entry>(wanted: &str) -> Error {
    let wanted: String = wanted.chars().take(NAME_MAX).collect();
    Error::not_found(format!("there is no {} {wanted:?}", E::WHAT))
}

pub(super) fn in_use(what: &str, name: &str, by: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("the {what} {name:?} is still used by {by}"),
    )
    .code("in-use")
    .advice(format!("remove those {by} first"))
}

/// What was read is not there any more, or is another now.
pub(super) fn moved(what: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("the {what} was changed or removed at the same moment"),
    )
    .advice("look at it again, then try once more")
}

/// A thing named inside a request does not exist: the request is at fault.
fn as_invalid(e: Error) -> Error {
    if e.kind() != ErrorKind::NotFound {
        return e;
    }
    let invalid = Error::invalid(e.what());
    match e.next() {
        Some(advice) => invalid.advice(advice),
        None => invalid,
    }
}

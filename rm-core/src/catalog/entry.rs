//! What all entries have in common: found by id or name, added, changed and
//! removed in one commit each.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::name::NAME_MAX;
use super::{Catalog, Credential, Implementation};
use crate::caller::Caller;
use crate::error::{Error, ErrorKind, Result};
use crate::event::NewEvent;
use crate::id::CatalogId;
use crate::model::Json;
use crate::record::Document;
use crate::store::{Batch, Cursor, Expect, Key, Outcome, Page, Version};

/// One kind of entry: where it is kept and how people call it.
pub(super) trait Entry: Serialize + DeserializeOwned + Clone + Send + Sync {
    const SPACE: &'static str;
    const WHAT: &'static str;
    fn id(&self) -> CatalogId;
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
    pub(super) async fn get<E: Entry>(&self, id: CatalogId) -> Result<Option<(Version, E)>> {
        match self.store.document(E::SPACE, &id.to_string()).await? {
            Some(found) => Ok(Some((found.version, found.record.body.read()?))),
            None => Ok(None),
        }
    }

    pub(super) async fn need<E: Entry>(&self, id: CatalogId) -> Result<E> {
        match self.get(id).await? {
            Some((_, entry)) => Ok(entry),
            None => Err(missing::<E>(&id.to_string())),
        }
    }

    pub(super) async fn find<E: Entry>(&self, id_or_name: &str) -> Result<E> {
        if let Ok(id) = id_or_name.parse::<CatalogId>()
            && let Some((_, entry)) = self.get(id).await?
        {
            return Ok(entry);
        }
        let page = self.list::<E>(Some(("name", id_or_name)), None, 1).await?;
        match page.items.into_iter().next() {
            Some(entry) => Ok(entry),
            None => Err(self.missing_among::<E>(id_or_name).await),
        }
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

    pub(super) async fn list<E: Entry>(
        &self,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<E>> {
        let page = self.store.documents(E::SPACE, index, after, limit).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for found in page.items {
            items.push(found.record.body.read()?);
        }
        Ok(Page {
            items,
            next: page.next,
        })
    }

    pub(super) async fn insert<E: Entry>(
        &self,
        entry: &E,
        unique: Option<&str>,
        who: &Caller,
    ) -> Result<()> {
        let id = entry.id().to_string();
        let mut batch = Batch::default();
        batch.expect.push(Expect::Absent(Key::Document(
            E::SPACE.to_owned(),
            id.clone(),
        )));
        if let Some(unique) = unique {
            let space = format!("{}.unique", E::SPACE);
            batch.expect.push(Expect::Absent(Key::Document(
                space.clone(),
                unique.to_owned(),
            )));
            batch.documents.push(Arc::new(Document {
                space,
                id: unique.to_owned(),
                indexes: Vec::new(),
                body: Json::of(&id)?,
            }));
        }
        batch.documents.push(self.document(entry)?);
        batch.events.push(self.event::<E>("added", &id, who));
        match self.store.commit(batch).await? {
            Outcome::Done(_) => Ok(()),
            Outcome::Refused(_) => {
                let name = unique.unwrap_or_default();
                let name = name.rsplit('/').next().unwrap_or(name);
                Err(Error::new(
                    ErrorKind::Exists,
                    format!(
                        "there is {} {} named {name:?} already",
                        article(E::WHAT),
                        E::WHAT
                    ),
                )
                .advice("choose another name, or use the one that is there"))
            }
        }
    }

    /// Whether the entry was still in that version.
    pub(super) async fn replace<E: Entry>(
        &self,
        entry: &E,
        version: Version,
        who: &Caller,
    ) -> Result<bool> {
        let id = entry.id().to_string();
        let mut batch = Batch::default();
        let key = Key::Document(E::SPACE.to_owned(), id.clone());
        batch.expect.push(Expect::Version(key, version));
        batch.documents.push(self.document(entry)?);
        batch.events.push(self.event::<E>("changed", &id, who));
        Ok(matches!(self.store.commit(batch).await?, Outcome::Done(_)))
    }

    pub(super) async fn remove<E: Entry>(
        &self,
        entry: &E,
        unique: Option<&str>,
        who: &Caller,
    ) -> Result<()> {
        let id = entry.id().to_string();
        let Some((version, _)) = self.get::<E>(entry.id()).await? else {
            return Err(missing::<E>(&id));
        };
        let mut batch = Batch::default();
        let key = Key::Document(E::SPACE.to_owned(), id.clone());
        // Who removes it a second time must not remove another of its name.
        batch.expect.push(Expect::Version(key.clone(), version));
        batch.delete.push(key);
        if let Some(unique) = unique {
            let space = format!("{}.unique", E::SPACE);
            batch.delete.push(Key::Document(space, unique.to_owned()));
        }
        batch.events.push(self.event::<E>("removed", &id, who));
        match self.store.commit(batch).await? {
            Outcome::Done(_) => Ok(()),
            Outcome::Refused(_) => Err(Error::new(
                ErrorKind::Conflict,
                format!("the {} was changed at the same moment", E::WHAT),
            )
            .advice("look at it again, then remove it")),
        }
    }

    pub(super) async fn unused<E: Entry>(
        &self,
        index: &str,
        value: &str,
        what: &str,
        name: &str,
    ) -> Result<()> {
        let users = self.list::<E>(Some((index, value)), None, 1).await?;
        if users.items.is_empty() {
            Ok(())
        } else {
            Err(in_use(what, name, &format!("{}s", E::WHAT)))
        }
    }

    fn document<E: Entry>(&self, entry: &E) -> Result<Arc<Document>> {
        Ok(Arc::new(Document {
            space: E::SPACE.to_owned(),
            id: entry.id().to_string(),
            indexes: entry.indexes(),
            body: entry.body()?,
        }))
    }

    fn event<E: Entry>(&self, verb: &str, id: &str, who: &Caller) -> NewEvent {
        NewEvent {
            at: self.env.now(),
            what: format!("{}.{verb}", E::SPACE),
            tenant: None,
            resource: None,
            data: serde_json::json!({"id": id, "by": who.user}),
        }
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

/// A thing named inside a request does not exist: the request is at fault.
pub(super) fn as_invalid(e: Error) -> Error {
    if e.kind() != ErrorKind::NotFound {
        return e;
    }
    let invalid = Error::invalid(e.what());
    match e.next() {
        Some(advice) => invalid.advice(advice),
        None => invalid,
    }
}

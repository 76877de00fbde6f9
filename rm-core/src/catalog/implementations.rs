//! Implementations: how an appliance is made at a site or a type of site, in
//! revisions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::{Entry, document, in_use, key, missing, moved};
use super::{Appliance, Catalog, Credential, Site};
use crate::caller::{Caller, Role};
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id::CatalogId;
use crate::name::check_name;
use crate::record::Document;
use crate::store::{Batch, By, Cursor, Expect, Key, Outcome, Page, Version};

/// The longest name of a parameter, in bytes.
const LONGEST_NAME: usize = 255;

/// For what an implementation was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// For one site.
    Site(CatalogId),
    /// For all sites of one API type.
    Api(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site(id) => write!(f, "site:{id}"),
            Self::Api(api) => write!(f, "type:{api}"),
        }
    }
}

/// How an appliance is made at its target. Everything but `enabled` stays as
/// it was uploaded; a change is another revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Implementation {
    /// Its id.
    pub id: CatalogId,
    /// Who loaded it.
    pub owner: String,
    /// Of which appliance.
    pub appliance: CatalogId,
    /// For what it was written.
    pub target: Target,
    /// Counts from 1 for an appliance and a target.
    pub revision: u32,
    /// Whether it is chosen for new clusters.
    pub enabled: bool,
    /// What the body is.
    pub media_type: String,
    /// The body: a Heat template, ...
    pub body: String,
    /// Scripts for moments of the life cycle; what understands the body hands
    /// them to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scripts: Vec<Script>,
    /// What the software declares that it expects; handed to the body like
    /// the scripts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Value>,
    /// When it was added.
    pub created: Timestamp,
}

/// What is given to make an [`Implementation`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewImplementation {
    /// Of which appliance: its id or name.
    pub appliance: String,
    /// For one site: its id or name.
    #[serde(default)]
    pub site: Option<String>,
    /// For all sites of one API type.
    #[serde(default)]
    pub site_type: Option<String>,
    /// What the body is.
    pub media_type: String,
    /// The body.
    pub body: String,
    /// Scripts for moments of the life cycle.
    #[serde(default)]
    pub scripts: Vec<Script>,
    /// What the software declares that it expects.
    #[serde(default)]
    pub environment: BTreeMap<String, Value>,
}

impl NewImplementation {
    /// One for all sites of an API type.
    pub fn new(appliance: &str, site_type: &str, media_type: &str, body: &str) -> Self {
        Self {
            appliance: appliance.to_owned(),
            site: None,
            site_type: Some(site_type.to_owned()),
            media_type: media_type.to_owned(),
            body: body.to_owned(),
            scripts: Vec::new(),
            environment: BTreeMap::new(),
        }
    }
}

/// A script, tied to a moment of the life cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// When it is for: `prepare_node`, `configure_node`,
    /// `update_master_node`, `user_data`, or a word of the appliance's own.
    pub action: String,
    /// The script.
    pub code: String,
}

impl Entry for Implementation {
    const SPACE: &'static str = "catalog.implementation";
    const WHAT: &'static str = "implementation";

    fn id(&self) -> CatalogId {
        self.id
    }

    fn unique(&self) -> String {
        format!("{}/{}/{}", self.appliance, self.target, self.revision)
    }

    fn indexes(&self) -> Vec<(String, String)> {
        let mut indexes = vec![("appliance".to_owned(), self.appliance.to_string())];
        if let Target::Site(site) = &self.target {
            indexes.push(("site".to_owned(), site.to_string()));
        }
        indexes
    }
}

impl Catalog {
    /// Adds an implementation as the newest revision for its appliance and
    /// target, after the backend that understands its media type has checked
    /// its body.
    pub async fn add_implementation(
        &self,
        who: &Caller,
        new: NewImplementation,
    ) -> Result<Implementation> {
        who.need(Role::Operator)?;
        let mut parents = Vec::new();
        let appliance: Arc<Appliance> = self.parent(&new.appliance, &mut parents).await?;
        let media = self.media.get(&new.media_type).ok_or_else(|| {
            Error::invalid(format!(
                "no linked plugin understands implementations of the type {:?}",
                new.media_type
            ))
            .advice(format!(
                "the types are: {}",
                self.media.keys().cloned().collect::<Vec<_>>().join(", ")
            ))
        })?;
        let target = match (&new.site, &new.site_type) {
            (Some(site), None) => Target::Site(self.parent::<Site>(site, &mut parents).await?.id),
            (None, Some(api)) if self.apis.contains(api) => Target::Api(api.clone()),
            (None, Some(api)) => {
                return Err(Error::invalid(format!(
                    "no linked plugin serves sites of the type {api:?}"
                ))
                .advice(format!("the types are: {}", self.apis.join(", "))));
            }
            _ => {
                return Err(Error::invalid(
                    "an implementation is for one site or for one type of site",
                )
                .advice("give either site or site_type"));
            }
        };
        media.check(&new.body)?;
        for (n, script) in new.scripts.iter().enumerate() {
            check_name("script", &script.name)?;
            check_name("script's action", &script.action)?;
            let same = |s: &Script| (&s.action, &s.name) == (&script.action, &script.name);
            if new.scripts[..n].iter().any(same) {
                return Err(Error::invalid(format!(
                    "two scripts for {:?} are called {:?}",
                    script.action, script.name
                ))
                .advice("give one of them another name"));
            }
        }
        media.takes(&new.body, &new.scripts, &new.environment)?;
        // Revisions count per appliance and target. The number is part of what
        // is unique, so that two uploads cannot get the same one.
        let newest = self
            .implementations_of(appliance.id)
            .await?
            .into_iter()
            .filter(|i| i.target == target)
            .map(|i| i.revision)
            .max();
        let mut implementation = Implementation {
            id: CatalogId::new(&*self.env),
            owner: who.user.clone(),
            appliance: appliance.id,
            target,
            revision: newest.unwrap_or(0),
            enabled: true,
            media_type: new.media_type,
            body: new.body,
            scripts: new.scripts,
            environment: new.environment,
            created: self.env.now(),
        };
        loop {
            implementation.revision += 1;
            match self.insert(&implementation, parents.clone(), who).await {
                Ok(()) => return Ok(implementation),
                Err(e) if e.kind() == ErrorKind::Exists => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// One implementation, by id.
    pub async fn implementation(&self, id: CatalogId) -> Result<Arc<Implementation>> {
        let known = self
            .bodies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.need::<Implementation>(id).await?;
        let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        if bodies.len() >= 1000 {
            bodies.clear();
        }
        bodies.insert(id, Arc::clone(&found));
        Ok(found)
    }

    /// One implementation as it is now, with whether it is enabled.
    pub async fn implementation_now(&self, id: CatalogId) -> Result<Implementation> {
        self.need(id).await.map(Arc::unwrap_or_clone)
    }

    /// All implementations, by id.
    pub async fn implementations(
        &self,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Implementation>> {
        self.list_owned(None, after, limit).await
    }

    /// All implementations of an appliance.
    pub async fn implementations_of(
        &self,
        appliance: CatalogId,
    ) -> Result<Vec<Arc<Implementation>>> {
        let id = appliance.to_string();
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = self
                .list(Some(("appliance", &id)), after.as_ref(), 200)
                .await?;
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// Enables or disables a revision. Running clusters are not touched.
    pub async fn enable_implementation(
        &self,
        who: &Caller,
        id: CatalogId,
        enabled: bool,
    ) -> Result<Implementation> {
        who.need(Role::Operator)?;
        loop {
            let Some((version, found)) = self.get::<Implementation>(id).await? else {
                return Err(missing::<Implementation>(&id.to_string()));
            };
            let mut implementation = Arc::unwrap_or_clone(found);
            implementation.enabled = enabled;
            if self.replace(&implementation, version, who).await? {
                return Ok(implementation);
            }
        }
    }

    /// Removes an implementation that no resource was made by.
    pub async fn remove_implementation(&self, who: &Caller, id: CatalogId) -> Result<()> {
        who.need(Role::Operator)?;
        let Some((version, implementation)) = self.get::<Implementation>(id).await? else {
            return Err(missing::<Implementation>(&id.to_string()));
        };
        self.made_nothing(id).await?;
        // Resources have no index by what they were made by, so one commit
        // cannot expect that there is none. Without its indexes the
        // implementation is found by no new request, and who found it before
        // expects a version that it has no longer.
        let hidden = Arc::new(Document {
            indexes: Vec::new(),
            ..(*document(&*implementation)?).clone()
        });
        let hide = Batch {
            expect: vec![Expect::Version(key(&*implementation), version)],
            documents: vec![hidden],
            ..Batch::default()
        };
        if let Outcome::Refused(_) = self.store.commit(hide).await? {
            return Err(moved(Implementation::WHAT));
        }
        let version = Version(version.0 + 1);
        if let Err(e) = self.made_nothing(id).await {
            // Where that fails, enabling it shows it again.
            self.replace(&*implementation, version, who).await?;
            return Err(e);
        }
        self.remove(&*implementation, version, Vec::new(), who)
            .await
    }

    async fn made_nothing(&self, id: CatalogId) -> Result<()> {
        let marker = id.to_string();
        let mut after = None;
        loop {
            let page = self.store.resources(&By::All, after.as_ref(), 500).await?;
            let made = page
                .items
                .iter()
                .any(|r| r.record.place.spec.as_str().contains(&marker));
            if made {
                return Err(in_use(Implementation::WHAT, &marker, "resources"));
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// What must still be true when something is made by these: that neither
    /// was changed or removed. Nothing where one is gone already.
    pub async fn still(
        &self,
        implementation: Option<CatalogId>,
        credential: CatalogId,
    ) -> Result<Option<Vec<Expect>>> {
        let mut expect = Vec::with_capacity(2);
        let implementation = implementation.map(|id| (Implementation::SPACE, id.to_string()));
        let credential = Some((Credential::SPACE, credential.to_string()));
        for (space, id) in [implementation, credential].into_iter().flatten() {
            match self.store.document(space, &id).await? {
                Some(found) if !found.record.indexes.is_empty() => {
                    expect.push(Expect::Version(
                        Key::Document(space.to_owned(), id),
                        found.version,
                    ));
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(expect))
    }

    /// Refuses parameters that the implementation does not declare.
    pub(crate) fn check_parameters(
        &self,
        implementation: &Implementation,
        parameters: &BTreeMap<String, Value>,
    ) -> Result<()> {
        // It would be told again with each refusal.
        if let Some(name) = parameters.keys().find(|name| name.len() > LONGEST_NAME) {
            return Err(Error::invalid(format!(
                "the name of a parameter has {} bytes",
                name.len()
            ))
            .advice(format!("{LONGEST_NAME} are the most")));
        }
        match self.media.get(&implementation.media_type) {
            Some(media) if !parameters.is_empty() => {
                media.accepts(&implementation.body, parameters)
            }
            _ => Ok(()),
        }
    }

    /// Refuses a number of slaves that the implementation cannot make.
    pub(crate) fn check_size(&self, implementation: &Implementation, slaves: u32) -> Result<()> {
        match self.media.get(&implementation.media_type) {
            Some(media) => media.fits(&implementation.body, slaves),
            None => Ok(()),
        }
    }

    /// How many slaves the implementation makes where nobody says.
    pub fn default_slaves(&self, implementation: &Implementation) -> u32 {
        self.media
            .get(&implementation.media_type)
            .and_then(|media| media.default_slaves(&implementation.body))
            .unwrap_or(0)
    }
}

//! The catalog: cold things, loaded one by one by a person and immutable once
//! used. Sites, credentials, appliances, their implementations, and images.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::caller::{Caller, Role};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::event::NewEvent;
use crate::id::CatalogId;
use crate::model::Json;
use crate::record::Document;
use crate::registry::Media;
use crate::secret::{Sealer, Secret};
use crate::store::{Batch, By, Cursor, Expect, Key, Outcome, Page, Store, Version};

mod entries;

pub use entries::{
    Appliance, Credential, Image, Implementation, NewAppliance, NewCredential, NewImage,
    NewImplementation, NewSite, Script, Site, Target,
};

/// The longest name of a catalog entry, in characters.
pub const NAME_MAX: usize = 100;

/// One kind of entry: where it is kept and how people call it.
trait Entry: Serialize + DeserializeOwned + Clone + Send + Sync {
    const SPACE: &'static str;
    const WHAT: &'static str;
    fn id(&self) -> CatalogId;
    fn indexes(&self) -> Vec<(String, String)>;
    /// What is kept of it.
    fn body(&self) -> Result<Json> {
        Json::of(self)
    }
}

/// The catalog of one store.
#[derive(Debug)]
pub struct Catalog {
    env: Arc<dyn Env>,
    store: Arc<dyn Store>,
    sealer: Arc<dyn Sealer>,
    media: BTreeMap<String, Arc<dyn Media>>,
    apis: Vec<String>,
    // An implementation's body never changes, so what was read once stays true.
    bodies: Mutex<BTreeMap<CatalogId, Arc<Implementation>>>,
}

impl Catalog {
    /// The catalog that is kept in this store. `media` checks implementations
    /// when they are uploaded; `apis` are the site types that are served here.
    pub fn new(
        env: Arc<dyn Env>,
        store: Arc<dyn Store>,
        sealer: Arc<dyn Sealer>,
        media: Vec<Arc<dyn Media>>,
        apis: Vec<String>,
    ) -> Self {
        Self {
            env,
            store,
            sealer,
            media: media
                .into_iter()
                .map(|m| (m.media_type().to_owned(), m))
                .collect(),
            apis,
            bodies: Mutex::default(),
        }
    }

    /// What seals secrets: for adapters that keep secrets of their own.
    pub fn sealer(&self) -> &dyn Sealer {
        &*self.sealer
    }

    // -- sites ---------------------------------------------------------------

    /// Adds a site.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] for anybody but an operator,
    /// [`ErrorKind::Exists`] where the name is taken,
    /// [`ErrorKind::Invalid`] for a bad name, URL or an API type that no
    /// linked plugin serves.
    pub async fn add_site(&self, who: &Caller, new: NewSite) -> Result<Site> {
        who.need(Role::Operator)?;
        check_name("site", &new.name)?;
        if !self.apis.contains(&new.api) {
            return Err(Error::invalid(format!(
                "no linked plugin serves sites of the type {:?}",
                new.api
            ))
            .advice(format!("the types are: {}", self.apis.join(", "))));
        }
        check_url(&new.url)?;
        let site = Site {
            id: CatalogId::new(&*self.env),
            name: new.name,
            api: new.api,
            url: new.url,
            region: new.region,
            interface: new.interface,
            defaults: new.defaults,
            created: self.env.now(),
        };
        self.insert(&site, Some(&site.name), who).await?;
        Ok(site)
    }

    /// One site, by id or name.
    pub async fn site(&self, id_or_name: &str) -> Result<Site> {
        self.find(id_or_name).await
    }

    /// All sites, by id.
    pub async fn sites(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<Site>> {
        self.list(None, after, limit).await
    }

    /// Removes a site that nothing uses.
    pub async fn remove_site(&self, who: &Caller, id_or_name: &str) -> Result<()> {
        who.need(Role::Operator)?;
        let site: Site = self.find(id_or_name).await?;
        let id = site.id.to_string();
        self.unused::<Credential>("site", &id, "site", &site.name)
            .await?;
        self.unused::<Implementation>("site", &id, "site", &site.name)
            .await?;
        self.remove(&site, Some(&site.name), who).await
    }

    // -- credentials -----------------------------------------------------------

    /// Adds the caller's credential for a site; an operator may add one for
    /// somebody else.
    pub async fn add_credential(&self, who: &Caller, new: NewCredential) -> Result<Credential> {
        who.need(Role::User)?;
        check_name("credential", &new.name)?;
        let user = new.user.unwrap_or_else(|| who.user.clone());
        let tenant = new.tenant.unwrap_or_else(|| who.tenant.clone());
        if user != who.user || tenant != who.tenant {
            who.need(Role::Operator)?;
        }
        let site: Site = self.find(&new.site).await.map_err(as_invalid)?;
        check_secret(&new.secret)?;
        let id = CatalogId::new(&*self.env);
        let secret = Secret::new(new.secret.to_string());
        let credential = Credential {
            id,
            revision: 1,
            name: new.name,
            tenant,
            user,
            site: site.id,
            sealed: self.sealer.seal(&secret, &id.to_string())?,
            created: self.env.now(),
        };
        let unique = format!("{}/{}", credential.tenant, credential.name);
        self.insert(&credential, Some(&unique), who).await?;
        Ok(credential)
    }

    /// One credential of the caller, by id or name.
    pub async fn credential(&self, who: &Caller, id_or_name: &str) -> Result<Credential> {
        let missing = || missing::<Credential>(id_or_name);
        let found: Credential = match id_or_name.parse::<CatalogId>() {
            Ok(id) => self.get(id).await?.ok_or_else(missing)?.1,
            Err(_) => {
                let unique = format!("{}/{id_or_name}", who.tenant);
                self.find(&unique).await.map_err(|e| match e.kind() {
                    ErrorKind::NotFound => missing(),
                    _ => e,
                })?
            }
        };
        if found.tenant == who.tenant || who.is(Role::Operator) {
            Ok(found)
        } else {
            Err(missing())
        }
    }

    /// The caller's tenant's credentials; all of them for an operator.
    pub async fn credentials(
        &self,
        who: &Caller,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Credential>> {
        let index = (!who.is(Role::Operator)).then_some(("tenant", who.tenant.0.as_str()));
        self.list(index, after, limit).await
    }

    /// One that the caller may change: others of the tenant may use it only.
    async fn own_credential(&self, who: &Caller, id_or_name: &str) -> Result<Credential> {
        let found = self.credential(who, id_or_name).await?;
        if found.user == who.user || who.is(Role::Operator) {
            return Ok(found);
        }
        Err(Error::new(
            ErrorKind::Forbidden,
            format!("the credential {:?} is {}'s", found.name, found.user),
        )
        .advice("ask its owner or an operator to change it"))
    }

    /// Gives a credential another secret; clusters that use it are not touched.
    pub async fn rotate_credential(
        &self,
        who: &Caller,
        id_or_name: &str,
        secret: &Value,
    ) -> Result<Credential> {
        let id = self.own_credential(who, id_or_name).await?.id;
        check_secret(secret)?;
        loop {
            let Some((version, mut credential)) = self.get::<Credential>(id).await? else {
                return Err(missing::<Credential>(id_or_name));
            };
            credential.revision += 1;
            credential.sealed = self
                .sealer
                .seal(&Secret::new(secret.to_string()), &id.to_string())?;
            if self.replace(&credential, version, who).await? {
                return Ok(credential);
            }
        }
    }

    /// Seals every credential anew with the sealer's current key and answers
    /// how many there were.
    pub async fn reseal(&self, who: &Caller) -> Result<u64> {
        who.need(Role::Operator)?;
        let mut count = 0;
        let mut after = None;
        loop {
            let page: Page<Credential> = self.list(None, after.as_ref(), 100).await?;
            for credential in page.items {
                loop {
                    let Some((version, mut now)) = self.get::<Credential>(credential.id).await?
                    else {
                        break;
                    };
                    let bound = now.id.to_string();
                    now.sealed = self
                        .sealer
                        .seal(&self.sealer.open(&now.sealed, &bound)?, &bound)?;
                    if self.replace(&now, version, who).await? {
                        count += 1;
                        break;
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Removes a credential by which nothing is held any more.
    pub async fn remove_credential(&self, who: &Caller, id_or_name: &str) -> Result<()> {
        let credential = self.own_credential(who, id_or_name).await?;
        let by = By::Account(credential.site, credential.id);
        if !self.store.resources(&by, None, 1).await?.items.is_empty() {
            return Err(in_use("credential", &credential.name, "resources"));
        }
        let unique = format!("{}/{}", credential.tenant, credential.name);
        self.remove(&credential, Some(&unique), who).await
    }

    /// What the engine needs to reach a place.
    pub(crate) async fn open(
        &self,
        site: CatalogId,
        credential: CatalogId,
    ) -> Result<(Site, Credential, Secret)> {
        let site = self.need::<Site>(site).await?;
        let credential = self.need::<Credential>(credential).await?;
        let secret = self
            .sealer
            .open(&credential.sealed, &credential.id.to_string())?;
        Ok((site, credential, secret))
    }

    /// The credentials by which a tenant can use a site, oldest first.
    pub(crate) async fn credentials_for(
        &self,
        who: &Caller,
        site: CatalogId,
    ) -> Result<Vec<Credential>> {
        let value = format!("{}/{site}", who.tenant);
        Ok(self
            .list(Some(("tenant-site", &value)), None, 100)
            .await?
            .items)
    }

    // -- appliances --------------------------------------------------------------

    /// Adds an appliance under a name of its own.
    pub async fn add_appliance(&self, who: &Caller, new: NewAppliance) -> Result<Appliance> {
        who.need(Role::Operator)?;
        check_name("appliance", &new.name)?;
        // Kept by name, by whatever they were called: that is how an image
        // finds who uses it.
        let mut images = Vec::with_capacity(new.images.len());
        for image in &new.images {
            images.push(self.find::<Image>(image).await.map_err(as_invalid)?.name);
        }
        let appliance = Appliance {
            id: CatalogId::new(&*self.env),
            owner: who.user.clone(),
            name: new.name,
            description: new.description,
            ready_port: new.ready_port,
            images,
            created: self.env.now(),
        };
        self.insert(&appliance, Some(&appliance.name), who).await?;
        Ok(appliance)
    }

    /// One appliance, by id or name. An unknown name lists those there are.
    pub async fn appliance(&self, id_or_name: &str) -> Result<Appliance> {
        self.find(id_or_name).await
    }

    /// All appliances, by id.
    pub async fn appliances(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<Appliance>> {
        self.list(None, after, limit).await
    }

    /// Removes an appliance that has no implementation.
    pub async fn remove_appliance(&self, who: &Caller, id_or_name: &str) -> Result<()> {
        who.need(Role::Operator)?;
        let appliance: Appliance = self.find(id_or_name).await?;
        let id = appliance.id.to_string();
        self.unused::<Implementation>("appliance", &id, "appliance", &appliance.name)
            .await?;
        self.remove(&appliance, Some(&appliance.name), who).await
    }

    // -- implementations ---------------------------------------------------------

    /// Adds an implementation as the newest revision for its appliance and
    /// target, after the backend that understands its media type has checked
    /// its body.
    pub async fn add_implementation(
        &self,
        who: &Caller,
        new: NewImplementation,
    ) -> Result<Implementation> {
        who.need(Role::Operator)?;
        let appliance: Appliance = self.find(&new.appliance).await.map_err(as_invalid)?;
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
            (Some(site), None) => {
                Target::Site(self.find::<Site>(site).await.map_err(as_invalid)?.id)
            }
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
        for script in &new.scripts {
            check_name("script", &script.name)?;
        }
        // Revisions count per appliance and target. The number is taken by a
        // document of its own, so that two uploads cannot get the same one.
        loop {
            let newest = self
                .implementations_of(appliance.id)
                .await?
                .into_iter()
                .filter(|i| i.target == target)
                .map(|i| i.revision)
                .max()
                .unwrap_or(0);
            let implementation = Implementation {
                id: CatalogId::new(&*self.env),
                owner: who.user.clone(),
                appliance: appliance.id,
                target: target.clone(),
                revision: newest + 1,
                enabled: true,
                media_type: new.media_type.clone(),
                body: new.body.clone(),
                scripts: new.scripts.clone(),
                environment: new.environment.clone(),
                created: self.env.now(),
            };
            let unique = format!("{}/{}/{}", appliance.id, target, newest + 1);
            match self.insert(&implementation, Some(&unique), who).await {
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
        let found = Arc::new(self.need::<Implementation>(id).await?);
        let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        if bodies.len() >= 1000 {
            bodies.clear();
        }
        bodies.insert(id, Arc::clone(&found));
        Ok(found)
    }

    /// One implementation as it is now, with whether it is enabled.
    pub async fn implementation_now(&self, id: CatalogId) -> Result<Implementation> {
        self.need(id).await
    }

    /// All implementations, by id.
    pub async fn implementations(
        &self,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Implementation>> {
        self.list(None, after, limit).await
    }

    /// All implementations of an appliance.
    pub async fn implementations_of(&self, appliance: CatalogId) -> Result<Vec<Implementation>> {
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
            let Some((version, mut implementation)) = self.get::<Implementation>(id).await? else {
                return Err(missing::<Implementation>(&id.to_string()));
            };
            implementation.enabled = enabled;
            if self.replace(&implementation, version, who).await? {
                return Ok(implementation);
            }
        }
    }

    /// Removes an implementation that no resource was made by.
    pub async fn remove_implementation(&self, who: &Caller, id: CatalogId) -> Result<()> {
        who.need(Role::Operator)?;
        let implementation = self.need::<Implementation>(id).await?;
        let marker = id.to_string();
        let mut after = None;
        loop {
            let page = self.store.resources(&By::All, after.as_ref(), 500).await?;
            if page
                .items
                .iter()
                .any(|r| r.record.place.spec.as_str().contains(&marker))
            {
                return Err(in_use("implementation", &marker, "resources"));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let unique = format!(
            "{}/{}/{}",
            implementation.appliance, implementation.target, implementation.revision
        );
        self.remove(&implementation, Some(&unique), who).await
    }

    /// Refuses parameters that the implementation does not declare.
    pub(crate) fn check_parameters(
        &self,
        implementation: &Implementation,
        parameters: &BTreeMap<String, Value>,
    ) -> Result<()> {
        match self.media.get(&implementation.media_type) {
            Some(media) if !parameters.is_empty() => {
                media.accepts(&implementation.body, parameters)
            }
            _ => Ok(()),
        }
    }

    /// How many slaves the implementation makes where nobody says.
    pub(crate) fn default_slaves(&self, implementation: &Implementation) -> u32 {
        self.media
            .get(&implementation.media_type)
            .and_then(|media| media.default_slaves(&implementation.body))
            .unwrap_or(0)
    }

    // -- images ------------------------------------------------------------------

    /// Adds an image: where its bytes are and what they must be.
    pub async fn add_image(&self, who: &Caller, new: NewImage) -> Result<Image> {
        who.need(Role::Operator)?;
        check_name("image", &new.name)?;
        if new.sha256.len() != 64 || !new.sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Error::invalid("sha256 must be 64 hexadecimal digits")
                .advice("take it from sha256sum"));
        }
        if !["file:", "http://", "https://"]
            .iter()
            .any(|scheme| new.source.starts_with(scheme))
        {
            return Err(
                Error::invalid("an image's source is a file or an HTTP address")
                    .advice("write file:/path, http://... or https://..."),
            );
        }
        let image = Image {
            id: CatalogId::new(&*self.env),
            owner: who.user.clone(),
            name: new.name,
            source: new.source,
            sha256: new.sha256.to_ascii_lowercase(),
            disk_format: new.disk_format,
            created: self.env.now(),
        };
        self.insert(&image, Some(&image.name), who).await?;
        Ok(image)
    }

    /// One image, by id or name.
    pub async fn image(&self, id_or_name: &str) -> Result<Image> {
        self.find(id_or_name).await
    }

    /// All images, by id.
    pub async fn images(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<Image>> {
        self.list(None, after, limit).await
    }

    /// Removes an image that no appliance names.
    pub async fn remove_image(&self, who: &Caller, id_or_name: &str) -> Result<()> {
        who.need(Role::Operator)?;
        let image: Image = self.find(id_or_name).await?;
        self.unused::<Appliance>("image", &image.name, "image", &image.name)
            .await?;
        self.remove(&image, Some(&image.name), who).await
    }

    // -- all entries ---------------------------------------------------------------

    async fn get<E: Entry>(&self, id: CatalogId) -> Result<Option<(Version, E)>> {
        match self.store.document(E::SPACE, &id.to_string()).await? {
            Some(found) => Ok(Some((found.version, found.record.body.read()?))),
            None => Ok(None),
        }
    }

    async fn need<E: Entry>(&self, id: CatalogId) -> Result<E> {
        match self.get(id).await? {
            Some((_, entry)) => Ok(entry),
            None => Err(missing::<E>(&id.to_string())),
        }
    }

    async fn find<E: Entry>(&self, id_or_name: &str) -> Result<E> {
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

    async fn list<E: Entry>(
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

    async fn insert<E: Entry>(&self, entry: &E, unique: Option<&str>, who: &Caller) -> Result<()> {
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
    async fn replace<E: Entry>(&self, entry: &E, version: Version, who: &Caller) -> Result<bool> {
        let id = entry.id().to_string();
        let mut batch = Batch::default();
        let key = Key::Document(E::SPACE.to_owned(), id.clone());
        batch.expect.push(Expect::Version(key, version));
        batch.documents.push(self.document(entry)?);
        batch.events.push(self.event::<E>("changed", &id, who));
        Ok(matches!(self.store.commit(batch).await?, Outcome::Done(_)))
    }

    async fn remove<E: Entry>(&self, entry: &E, unique: Option<&str>, who: &Caller) -> Result<()> {
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

    async fn unused<E: Entry>(
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

fn missing<E: Entry>(wanted: &str) -> Error {
    let wanted: String = wanted.chars().take(NAME_MAX).collect();
    Error::not_found(format!("there is no {} {wanted:?}", E::WHAT))
}

fn in_use(what: &str, name: &str, by: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("the {what} {name:?} is still used by {by}"),
    )
    .code("in-use")
    .advice(format!("remove those {by} first"))
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

/// Refuses names that could not be told apart, printed or stored.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    let advice = format!(
        "a name has 1 to {NAME_MAX} characters, no control characters, no \"/\", and no blanks at its ends"
    );
    let fault = if name.is_empty() {
        "is empty"
    } else if name.chars().count() > NAME_MAX {
        "is too long"
    } else if name.chars().any(char::is_control) {
        "has control characters"
    } else if name.trim() != name {
        "begins or ends with a blank"
    } else if name.contains('/') {
        "has a \"/\""
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("the name of the {what} {fault}")).advice(advice))
}

/// Refuses what no site's API could read as a credential.
fn check_secret(secret: &Value) -> Result<()> {
    if secret.is_object() {
        return Ok(());
    }
    Err(Error::invalid("a credential is a JSON object")
        .advice("for OpenStack: username, password and project_name, or an application credential"))
}

/// Refuses what is not an address that a site could have.
fn check_url(url: &str) -> Result<()> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .or_else(|| url.strip_prefix("sim:"));
    let good = rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.contains('@') && !rest.contains(char::is_whitespace)
    });
    if good && url.len() <= 2000 {
        return Ok(());
    }
    Err(Error::invalid("that is not the address of a site").advice(
        "write http://host:port/path or https://host/path, without a user or password in it",
    ))
}

#[cfg(test)]
mod tests;

//! Credentials: somebody's means to use a site, sealed.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::{Entry, missing, named};
use super::{Catalog, Site};
use crate::caller::{Caller, Role, Tenant, known_tenant, known_user};
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id::CatalogId;
use crate::model::Json;
use crate::name::check_name;
use crate::secret::Secret;
use crate::store::{By, Cursor, Expect, Page, Version};

/// Somebody's means to use a site. The secret is sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Its id.
    pub id: CatalogId,
    /// Counts the secrets it has had.
    pub revision: u32,
    /// Unique within the tenant.
    pub name: String,
    /// For whom it may be used.
    pub tenant: Tenant,
    /// Whose it is.
    pub user: String,
    /// For which site.
    pub site: CatalogId,
    /// The sealed secret. It is kept in the store and shown to nobody, so it is
    /// no part of the credential as JSON.
    #[serde(skip_serializing)]
    pub(crate) sealed: String,
    /// When it was added.
    pub created: Timestamp,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("id", &self.id)
            .field("revision", &self.revision)
            .field("name", &self.name)
            .field("tenant", &self.tenant)
            .field("user", &self.user)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

/// What is given to make a [`Credential`].
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCredential {
    /// Unique within the tenant.
    pub name: String,
    /// For which site: its id or name.
    pub site: String,
    /// Whose; the caller's own where absent.
    #[serde(default)]
    pub user: Option<String>,
    /// For whom; the caller's own tenant where absent.
    #[serde(default)]
    pub tenant: Option<Tenant>,
    /// A JSON object, in the shape that the site's API wants.
    pub secret: Value,
}

impl NewCredential {
    /// The caller's own, for a site.
    pub fn new(name: &str, site: &str, secret: Value) -> Self {
        Self {
            name: name.to_owned(),
            site: site.to_owned(),
            user: None,
            tenant: None,
            secret,
        }
    }
}

impl fmt::Debug for NewCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewCredential")
            .field("name", &self.name)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

impl Entry for Credential {
    const SPACE: &'static str = "catalog.credential";
    const WHAT: &'static str = "credential";

    fn id(&self) -> CatalogId {
        self.id
    }

    fn unique(&self) -> String {
        format!("{}/{}", self.tenant, self.name)
    }

    fn indexes(&self) -> Vec<(String, String)> {
        vec![
            named(&self.unique()),
            ("tenant".to_owned(), self.tenant.0.clone()),
            ("site".to_owned(), self.site.to_string()),
            (
                "tenant-site".to_owned(),
                format!("{}/{}", self.tenant, self.site),
            ),
        ]
    }

    fn body(&self) -> Result<Json> {
        #[derive(Serialize)]
        struct Kept<'a> {
            #[serde(flatten)]
            credential: &'a Credential,
            sealed: &'a str,
        }
        Json::of(&Kept {
            credential: self,
            sealed: &self.sealed,
        })
    }
}

impl Catalog {
    /// Adds the caller's credential for a site; an operator may add one for
    /// somebody else.
    pub async fn add_credential(&self, who: &Caller, new: NewCredential) -> Result<Credential> {
        who.need(Role::User)?;
        check_name("credential", &new.name)?;
        let user = new.user.unwrap_or_else(|| who.user.clone());
        let tenant = new.tenant.unwrap_or_else(|| who.tenant.clone());
        check_name("user", &user)?;
        check_name("tenant", &tenant.0)?;
        if user != who.user || tenant != who.tenant {
            who.need(Role::Operator)?;
            known_user(&*self.directory, &user).await?;
            known_tenant(&*self.directory, &tenant).await?;
        }
        let mut parents = Vec::new();
        let site: Arc<Site> = self.parent(&new.site, &mut parents).await?;
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
        self.insert(&credential, parents, who).await?;
        Ok(credential)
    }

    /// One credential of the caller, by id or name.
    pub async fn credential(&self, who: &Caller, id_or_name: &str) -> Result<Credential> {
        Ok(Arc::unwrap_or_clone(self.visible(who, id_or_name).await?.1))
    }

    async fn visible(&self, who: &Caller, id_or_name: &str) -> Result<(Version, Arc<Credential>)> {
        let missing = || missing::<Credential>(id_or_name);
        let found = match id_or_name.parse::<CatalogId>() {
            Ok(id) => self.get::<Credential>(id).await?.ok_or_else(missing)?,
            Err(_) => {
                let unique = format!("{}/{id_or_name}", who.tenant);
                self.look_up(&unique).await.map_err(|e| match e.kind() {
                    ErrorKind::NotFound => missing(),
                    _ => e,
                })?
            }
        };
        if found.1.tenant == who.tenant || who.is(Role::Operator) {
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
        self.list_owned(index, after, limit).await
    }

    /// All there are, by id.
    pub(crate) async fn all_credentials(
        &self,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Credential>> {
        self.list_owned(None, after, limit).await
    }

    /// All for one site, whosever they are.
    pub(crate) async fn credentials_at(
        &self,
        site: CatalogId,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Credential>> {
        let site = site.to_string();
        self.list_owned(Some(("site", &site)), after, limit).await
    }

    /// One that the caller may change: others of the tenant may use it only.
    async fn own_credential(
        &self,
        who: &Caller,
        id_or_name: &str,
    ) -> Result<(Version, Arc<Credential>)> {
        let found = self.visible(who, id_or_name).await?;
        let Credential { name, user, .. } = &*found.1;
        if *user == who.user || who.is(Role::Operator) {
            return Ok(found);
        }
        Err(Error::new(
            ErrorKind::Forbidden,
            format!("the credential {name:?} is {user}'s"),
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
        let id = self.own_credential(who, id_or_name).await?.1.id;
        check_secret(secret)?;
        loop {
            let Some((version, found)) = self.get::<Credential>(id).await? else {
                return Err(missing::<Credential>(id_or_name));
            };
            let mut credential = Arc::unwrap_or_clone(found);
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
            let page: Page<Arc<Credential>> = self.list(None, after.as_ref(), 100).await?;
            for credential in page.items {
                loop {
                    let Some((version, now)) = self.get::<Credential>(credential.id).await? else {
                        break;
                    };
                    let mut now = Arc::unwrap_or_clone(now);
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
        let (version, credential) = self.own_credential(who, id_or_name).await?;
        let account = By::Account(credential.site, credential.id);
        let unused = vec![Expect::NoResource(account)];
        self.remove(&*credential, version, unused, who).await
    }

    /// What the engine needs to reach a place.
    pub(crate) async fn open(
        &self,
        site: CatalogId,
        credential: CatalogId,
    ) -> Result<(Arc<Site>, Arc<Credential>, Secret)> {
        let site = self.site_of(site).await?;
        let credential = self.need::<Credential>(credential).await?;
        let secret = self
            .sealer
            .open(&credential.sealed, &credential.id.to_string())?;
        Ok((site, credential, secret))
    }

    /// Which of its secrets a credential has by now.
    pub(crate) async fn revision(&self, credential: CatalogId) -> Result<u32> {
        Ok(self.need::<Credential>(credential).await?.revision)
    }

    /// The credentials by which a tenant can use a site: the caller's own, then
    /// those of others, the oldest first.
    pub async fn credentials_for(
        &self,
        who: &Caller,
        site: CatalogId,
    ) -> Result<Vec<Arc<Credential>>> {
        let value = format!("{}/{site}", who.tenant);
        let index = Some(("tenant-site", &*value));
        let mut all: Vec<Arc<Credential>> = Vec::new();
        let mut after = None;
        loop {
            let page = self.list(index, after.as_ref(), 100).await?;
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        all.sort_by_key(|credential| credential.user != who.user);
        Ok(all)
    }
}

/// Refuses what no site's API could read as a credential.
fn check_secret(secret: &Value) -> Result<()> {
    if secret.is_object() {
        return Ok(());
    }
    Err(Error::invalid("a credential is a JSON object")
        .advice("for OpenStack: username, password and project_name, or an application credential"))
}

//! Sites: places with computational resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::{Entry, named, none};
use super::{Catalog, Credential, Implementation};
use crate::caller::{Caller, Role};
use crate::env::Timestamp;
use crate::error::{Error, Result};
use crate::id::CatalogId;
use crate::name::check_name;
use crate::store::{Cursor, Page};

/// A place with computational resources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Its id.
    pub id: CatalogId,
    /// Unique.
    pub name: String,
    /// Which API it speaks: `openstack`, ...
    pub api: String,
    /// Where; for OpenStack the address of Keystone v3.
    pub url: String,
    /// The region, where the site has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// `public`, `internal` or `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Values for parameters for which a request says nothing (`network`,
    /// `key`, `flavor`, ...).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, Value>,
    /// When it was added.
    pub created: Timestamp,
}

/// What is given to make a [`Site`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSite {
    /// Unique.
    pub name: String,
    /// Which API it speaks.
    #[serde(alias = "type")]
    pub api: String,
    /// Where.
    #[serde(alias = "api_url")]
    pub url: String,
    /// The region.
    #[serde(default)]
    pub region: Option<String>,
    /// The interface.
    #[serde(default)]
    pub interface: Option<String>,
    /// Values for parameters for which a request says nothing.
    #[serde(default)]
    pub defaults: BTreeMap<String, Value>,
}

impl NewSite {
    /// A site that speaks this API at this address.
    pub fn new(name: &str, api: &str, url: &str) -> Self {
        Self {
            name: name.to_owned(),
            api: api.to_owned(),
            url: url.to_owned(),
            region: None,
            interface: None,
            defaults: BTreeMap::new(),
        }
    }
}

impl Entry for Site {
    const SPACE: &'static str = "catalog.site";
    const WHAT: &'static str = "site";

    fn id(&self) -> CatalogId {
        self.id
    }

    fn unique(&self) -> String {
        self.name.clone()
    }

    fn indexes(&self) -> Vec<(String, String)> {
        vec![named(&self.name), ("api".to_owned(), self.api.clone())]
    }
}

impl Catalog {
    /// Adds a site.
    ///
    /// # Errors
    ///
    /// [`Forbidden`] for anybody but an operator, [`Exists`] where the name is
    /// taken, [`Invalid`] for a bad name, URL or an API type that no linked
    /// plugin serves.
    ///
    /// [`Forbidden`]: crate::ErrorKind::Forbidden
    /// [`Exists`]: crate::ErrorKind::Exists
    /// [`Invalid`]: crate::ErrorKind::Invalid
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
        self.insert(&site, Vec::new(), who).await?;
        Ok(site)
    }

    /// One site, by id or name.
    pub async fn site(&self, id_or_name: &str) -> Result<Site> {
        self.find(id_or_name).await.map(Arc::unwrap_or_clone)
    }

    /// The site that a record or a credential names. It is never changed, and
    /// stays as long as something names it, so it is read once.
    pub(crate) async fn site_of(&self, id: CatalogId) -> Result<Arc<Site>> {
        match self.remembered.known(id) {
            Some(site) => Ok(site),
            None => self.need(id).await,
        }
    }

    /// All sites, by id.
    pub async fn sites(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<Site>> {
        self.list_owned(None, after, limit).await
    }

    /// Removes a site that nothing uses.
    pub async fn remove_site(&self, who: &Caller, id_or_name: &str) -> Result<()> {
        who.need(Role::Operator)?;
        let (version, site) = self.look_up::<Site>(id_or_name).await?;
        let unused = vec![
            none::<Credential>("site", site.id),
            none::<Implementation>("site", site.id),
        ];
        self.remove(&*site, version, unused, who).await
    }
}

/// Refuses what is not an address that a site could have.
fn check_url(url: &str) -> Result<()> {
    // Of libvirt's addresses (`xen+tls://host/`) the part after the sign says
    // how the host is reached.
    let good = url.split_once(':').is_some_and(|(scheme, rest)| {
        let (scheme, reached) = scheme.split_once('+').unwrap_or((scheme, ""));
        let known = match scheme {
            "http" | "https" => reached.is_empty() && rest.starts_with("//"),
            "file" | "sim" => reached.is_empty(),
            "xen" | "lxc" | "qemu" | "test" => ["", "unix", "tcp", "tls"].contains(&reached),
            _ => false,
        };
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        known && !rest.is_empty() && !rest.contains('@') && !rest.contains(char::is_whitespace)
    });
    if good && url.len() <= 2000 {
        return Ok(());
    }
    Err(Error::invalid("that is not the address of a site").advice(
        "write http://host:port/path or https://host/path, file:/path for this machine, or libvirt's address of a host (xen+tls://host/), without a user or password in it",
    ))
}

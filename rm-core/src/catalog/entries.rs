//! The entries of the catalog, and what is given to make them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Entry;
use crate::caller::Tenant;
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::CatalogId;
use crate::model::Json;

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

/// A named thing that operations ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appliance {
    /// Its id.
    pub id: CatalogId,
    /// Who loaded it.
    pub owner: String,
    /// Unique.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// A TCP port of the master that must answer before a cluster is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_port: Option<u16>,
    /// Names of images that a site must hold first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// When it was added.
    pub created: Timestamp,
}

/// What is given to make an [`Appliance`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAppliance {
    /// Unique.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// A TCP port of the master that must answer before a cluster is ready.
    #[serde(default)]
    pub ready_port: Option<u16>,
    /// Names of images that a site must hold first.
    #[serde(default)]
    pub images: Vec<String>,
}

impl NewAppliance {
    /// An appliance of this name.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: String::new(),
            ready_port: None,
            images: Vec::new(),
        }
    }
}

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
    /// Scripts for moments of the life cycle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scripts: Vec<Script>,
    /// What the software declares that it expects.
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

/// An image that sites must hold before an appliance can be made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its id.
    pub id: CatalogId,
    /// Who loaded it.
    pub owner: String,
    /// Unique; the name under which it is put at a site.
    pub name: String,
    /// `file:` path, or an HTTP address.
    pub source: String,
    /// SHA-256 of the bytes, hexadecimal.
    pub sha256: String,
    /// `raw`, `qcow2`, ...
    pub disk_format: String,
    /// When it was added.
    pub created: Timestamp,
}

/// What is given to make an [`Image`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewImage {
    /// Unique.
    pub name: String,
    /// `file:` path, or an HTTP address.
    pub source: String,
    /// SHA-256 of the bytes, hexadecimal.
    pub sha256: String,
    /// `raw`, `qcow2`, ...
    pub disk_format: String,
}

fn named(name: &str) -> (String, String) {
    ("name".to_owned(), name.to_owned())
}

impl Entry for Site {
    const SPACE: &'static str = "catalog.site";
    const WHAT: &'static str = "site";

    fn id(&self) -> CatalogId {
        self.id
    }

    fn indexes(&self) -> Vec<(String, String)> {
        vec![named(&self.name), ("api".to_owned(), self.api.clone())]
    }
}

impl Entry for Credential {
    const SPACE: &'static str = "catalog.credential";
    const WHAT: &'static str = "credential";

    fn id(&self) -> CatalogId {
        self.id
    }

    fn indexes(&self) -> Vec<(String, String)> {
        vec![
            named(&format!("{}/{}", self.tenant, self.name)),
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

impl Entry for Appliance {
    const SPACE: &'static str = "catalog.appliance";
    const WHAT: &'static str = "appliance";

    fn id(&self) -> CatalogId {
        self.id
    }

    fn indexes(&self) -> Vec<(String, String)> {
        let images = self.images.iter().map(|i| ("image".to_owned(), i.clone()));
        std::iter::once(named(&self.name)).chain(images).collect()
    }
}

impl Entry for Implementation {
    const SPACE: &'static str = "catalog.implementation";
    const WHAT: &'static str = "implementation";

    fn id(&self) -> CatalogId {
        self.id
    }

    fn indexes(&self) -> Vec<(String, String)> {
        let mut indexes = vec![("appliance".to_owned(), self.appliance.to_string())];
        if let Target::Site(site) = &self.target {
            indexes.push(("site".to_owned(), site.to_string()));
        }
        indexes
    }
}

impl Entry for Image {
    const SPACE: &'static str = "catalog.image";
    const WHAT: &'static str = "image";

    fn id(&self) -> CatalogId {
        self.id
    }

    fn indexes(&self) -> Vec<(String, String)> {
        vec![named(&self.name)]
    }
}

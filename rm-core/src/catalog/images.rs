//! Images that sites must hold before an appliance can be made of them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entry::{Entry, in_use, named, none};
use super::{Appliance, Catalog};
use crate::caller::{Caller, Role};
use crate::copies::owner;
use crate::env::Timestamp;
use crate::error::{Error, Result};
use crate::id::CatalogId;
use crate::name::check_name;
use crate::store::{By, Cursor, Expect, Page};

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

impl Entry for Image {
    const SPACE: &'static str = "catalog.image";
    const WHAT: &'static str = "image";

    fn id(&self) -> CatalogId {
        self.id
    }

    fn unique(&self) -> String {
        self.name.clone()
    }

    fn indexes(&self) -> Vec<(String, String)> {
        vec![named(&self.name)]
    }
}

impl Catalog {
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
        self.insert(&image, Vec::new(), who).await?;
        Ok(image)
    }

    /// One image, by id or name.
    pub async fn image(&self, id_or_name: &str) -> Result<Image> {
        self.find(id_or_name).await.map(Arc::unwrap_or_clone)
    }

    /// All images, by id.
    pub async fn images(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<Image>> {
        self.list_owned(None, after, limit).await
    }

    /// Removes an image that no appliance names and of which no site has a
    /// copy.
    pub async fn remove_image(&self, who: &Caller, id_or_name: &str) -> Result<()> {
        who.need(Role::Operator)?;
        let (version, image) = self.look_up::<Image>(id_or_name).await?;
        let copies = By::Tenant(owner(image.id).0);
        let found = self.store.resources(&copies, None, 1).await?;
        if !found.items.is_empty() {
            return Err(in_use("image", &image.name, "copies at sites"));
        }
        let unused = vec![
            none::<Appliance>("image", &image.name),
            Expect::NoResource(copies),
        ];
        self.remove(&*image, version, unused, who).await
    }
}

//! Appliances: named things that operations ask for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entry::{Entry, named, none};
use super::{Catalog, Image, Implementation};
use crate::caller::{Caller, Role};
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::CatalogId;
use crate::name::check_name;
use crate::store::{Cursor, Page};

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

impl Entry for Appliance {
    const SPACE: &'static str = "catalog.appliance";
    const WHAT: &'static str = "appliance";

    fn id(&self) -> CatalogId {
        self.id
    }

    fn unique(&self) -> String {
        self.name.clone()
    }

    fn indexes(&self) -> Vec<(String, String)> {
        let images = self.images.iter().map(|i| ("image".to_owned(), i.clone()));
        std::iter::once(named(&self.name)).chain(images).collect()
    }
}

impl Catalog {
    /// Adds an appliance under a name of its own.
    pub async fn add_appliance(&self, who: &Caller, new: NewAppliance) -> Result<Appliance> {
        who.need(Role::Operator)?;
        check_name("appliance", &new.name)?;
        // Kept by name, by whatever they were called: that is how an image
        // finds who uses it.
        let mut images = Vec::with_capacity(new.images.len());
        let mut parents = Vec::with_capacity(new.images.len());
        for image in &new.images {
            let image = self.parent::<Image>(image, &mut parents).await?;
            images.push(image.name.clone());
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
        self.insert(&appliance, parents, who).await?;
        Ok(appliance)
    }

    /// One appliance, by id or name. An unknown name lists those there are.
    pub async fn appliance(&self, id_or_name: &str) -> Result<Appliance> {
        self.find(id_or_name).await.map(Arc::unwrap_or_clone)
    }

    /// All appliances, by id.
    pub async fn appliances(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<Appliance>> {
        self.list_owned(None, after, limit).await
    }

    /// Removes an appliance that has no implementation.
    pub async fn remove_appliance(&self, who: &Caller, id_or_name: &str) -> Result<()> {
        who.need(Role::Operator)?;
        let (version, appliance) = self.look_up::<Appliance>(id_or_name).await?;
        let unused = vec![none::<Implementation>("appliance", appliance.id)];
        self.remove(&*appliance, version, unused, who).await
    }
}

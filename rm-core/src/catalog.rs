//! The catalog: cold things, loaded one by one by a person and immutable once
//! used. Sites, credentials, appliances, their implementations, and images.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::caller::{Directory, Everybody};
use crate::env::Env;
use crate::id::CatalogId;
use crate::registry::Media;
use crate::secret::Sealer;
use crate::store::Store;

mod appliances;
mod credentials;
mod entry;
mod images;
mod implementations;
mod recall;
mod remembered;
mod sites;

pub use appliances::{Appliance, NewAppliance};
pub use credentials::{Credential, NewCredential};
pub use images::{Image, NewImage};
pub use implementations::{Implementation, NewImplementation, Script, Target};
pub use sites::{NewSite, Site};

use remembered::Remembered;

/// The catalog of one store.
#[derive(Debug)]
pub struct Catalog {
    env: Arc<dyn Env>,
    store: Arc<dyn Store>,
    sealer: Arc<dyn Sealer>,
    directory: Arc<dyn Directory>,
    media: BTreeMap<String, Arc<dyn Media>>,
    apis: Vec<String>,
    // An implementation's body never changes, so what was read once stays true.
    bodies: Mutex<BTreeMap<CatalogId, Arc<Implementation>>>,
    remembered: Remembered,
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
            directory: Arc::new(Everybody),
            media: media
                .into_iter()
                .map(|m| (m.media_type().to_owned(), m))
                .collect(),
            apis,
            bodies: Mutex::default(),
            remembered: Remembered::default(),
        }
    }

    /// What understands implementations of a media type, if anything does.
    pub fn media(&self, media_type: &str) -> Option<&dyn Media> {
        self.media.get(media_type).map(|media| &**media)
    }

    /// The same, for who keeps it.
    pub(crate) fn media_of(&self, media_type: &str) -> Option<Arc<dyn Media>> {
        self.media.get(media_type).cloned()
    }

    /// The same for hosts that can tell who there is.
    #[must_use]
    pub fn with_directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.directory = directory;
        self
    }

    /// Where it is kept.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// What seals secrets: for adapters that keep secrets of their own.
    pub fn sealer(&self) -> &dyn Sealer {
        &*self.sealer
    }
}

#[cfg(test)]
mod tests;

//! From what is at a site back to the catalog, when a store is lost.

use super::{Appliance, Catalog, Image, Implementation, Site, Target};
use crate::error::Result;

impl Catalog {
    /// The newest implementation for a site that a real thing can have been
    /// made by, and its appliance; `is` compares what the site knows of the
    /// thing.
    pub async fn made_by(
        &self,
        site: &Site,
        is: impl Fn(&Implementation) -> bool + Send,
    ) -> Result<Option<(Appliance, Implementation)>> {
        let mut found: Option<Implementation> = None;
        let mut after = None;
        loop {
            let page = self.implementations(after.as_ref(), 100).await?;
            for implementation in page.items {
                let fits = match &implementation.target {
                    Target::Site(id) => *id == site.id,
                    Target::Api(api) => *api == site.api,
                };
                let newer = |known: &Implementation| known.created < implementation.created;
                if fits && found.as_ref().is_none_or(newer) && is(&implementation) {
                    found = Some(implementation);
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let Some(implementation) = found else {
            return Ok(None);
        };
        let appliance = self
            .appliance(&implementation.appliance.to_string())
            .await?;
        Ok(Some((appliance, implementation)))
    }

    /// The image that has these bytes.
    pub async fn image_of(&self, sha256: &str) -> Result<Option<Image>> {
        let mut after = None;
        loop {
            let page = self.images(after.as_ref(), 200).await?;
            let found = page.items.into_iter().find(|i| i.sha256 == sha256);
            after = page.next;
            if found.is_some() || after.is_none() {
                return Ok(found);
            }
        }
    }
}

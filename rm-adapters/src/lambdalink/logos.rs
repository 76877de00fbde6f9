//! The addresses of logos that older registries kept with implementations. The
//! catalog knows none: they are kept beside it, for the clients that show them.

use std::sync::Arc;

use rm_core::model::Json;
use rm_core::record::Document;
use rm_core::store::{Batch, Key};
use rm_core::{CatalogId, Host, Result};

/// Where they are kept, by the id of the implementation.
const SPACE: &str = "lambdalink.logo";

/// The one of an implementation.
pub(super) async fn find(host: &Host, implementation: CatalogId) -> Result<Option<String>> {
    let id = implementation.to_string();
    match host.store().document(SPACE, &id).await? {
        Some(found) => Ok(Some(found.record.body.read()?)),
        None => Ok(None),
    }
}

/// Keeps one.
pub(super) async fn keep(host: &Host, implementation: CatalogId, url: &str) -> Result<()> {
    let mut batch = Batch::default();
    batch.documents.push(Arc::new(Document {
        space: SPACE.to_owned(),
        id: implementation.to_string(),
        indexes: Vec::new(),
        body: Json::of(&url)?,
    }));
    host.store().commit(batch).await.map(drop)
}

/// Forgets the one of an implementation that was removed.
pub(super) async fn forget(host: &Host, implementation: CatalogId) -> Result<()> {
    let mut batch = Batch::default();
    let id = implementation.to_string();
    batch.delete.push(Key::Document(SPACE.to_owned(), id));
    host.store().commit(batch).await.map(drop)
}

//! What is known to be at a site.

use crate::backend::Cx;
use crate::error::Result;
use crate::id::{Kind, RemoteId};
use crate::store::By;

/// So many rows are read at once.
const PAGE: u32 = 50;

/// One of the nodes that are known to be at the site of a call, by whatever
/// credential; nothing where none is. A backend whose site can look empty because
/// what belongs there is away asks for it before it makes anything there.
///
/// # Errors
///
/// Where the store cannot be asked.
pub async fn there(cx: &Cx<'_>) -> Result<Option<RemoteId>> {
    let (store, site) = (cx.catalog.store(), cx.site.id);
    let mut credentials = None;
    loop {
        let page = cx.catalog.credentials_at(site, credentials.as_ref(), PAGE);
        let page = page.await?;
        for credential in &page.items {
            let by = By::Account(site, credential.id);
            let mut after = None;
            loop {
                let page = store.resources(&by, after.as_ref(), PAGE).await?;
                let nodes = page.items.iter().map(|row| &row.record);
                let mut nodes = nodes.filter(|r| r.kind != Kind::CLUSTER && r.kind != Kind::IMAGE);
                if let Some(remote) = nodes.find_map(|r| r.remote.clone()) {
                    return Ok(Some(remote));
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        credentials = page.next;
        if credentials.is_none() {
            return Ok(None);
        }
    }
}

//! What is known of a site, by whatever credential.

use std::ops::ControlFlow;

use crate::backend::Cx;
use crate::error::Result;
use crate::id::{Kind, RemoteId};
use crate::record::ResourceRecord;
use crate::store::By;

/// So many rows are read at once.
const PAGE: u32 = 200;

/// One of the nodes that are known to be at the site of a call, by whatever
/// credential; nothing where none is. A backend whose site can look empty because
/// what belongs there is away asks for it before it makes anything there.
///
/// # Errors
///
/// Where the store cannot be asked.
pub async fn there(cx: &Cx<'_>) -> Result<Option<RemoteId>> {
    let node = |r: &ResourceRecord| match &r.remote {
        Some(remote) if r.kind != Kind::CLUSTER && r.kind != Kind::IMAGE => {
            ControlFlow::Break(remote.clone())
        }
        _ => ControlFlow::Continue(()),
    };
    read_at_site(cx, node).await
}

/// Reads the records at the site of a call, by whatever credential, until there
/// is an answer.
pub(super) async fn read_at_site<T>(
    cx: &Cx<'_>,
    mut each: impl FnMut(&ResourceRecord) -> ControlFlow<T>,
) -> Result<Option<T>> {
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
                for row in &page.items {
                    if let ControlFlow::Break(answer) = each(&row.record) {
                        return Ok(Some(answer));
                    }
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

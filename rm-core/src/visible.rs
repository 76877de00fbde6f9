//! Who may see what: checked on every find, get and verb.

use crate::caller::{Caller, Role};
use crate::error::{Error, Result};
use crate::event::NewEvent;
use crate::host::Core;
use crate::id::{Kind, ResourceId};
use crate::record::ResourceRecord;
use crate::store::{By, Cursor, Page, Versioned};

/// Resources that the caller may see, whatever their kind: those of the
/// caller's tenant, then those of others that were granted.
pub(crate) async fn visible(
    core: &Core,
    who: &Caller,
    all: bool,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Versioned<ResourceRecord>>> {
    if all {
        who.need(Role::Operator)?;
        return core.store.resources(&By::All, after, limit).await;
    }
    who.need(Role::User)?;
    let granted = |page: Page<Versioned<ResourceRecord>>| Page {
        items: page
            .items
            .into_iter()
            .filter(|row| row.record.tenant != who.tenant)
            .collect(),
        next: page.next.map(|c| Cursor(format!("g{}", c.0))),
    };
    let party = By::Party(who.user.clone());
    let after = after.map(|c| c.0.as_str());
    if let Some(rest) = after.and_then(|c| c.strip_prefix('g')) {
        let cursor = (!rest.is_empty()).then(|| Cursor(rest.to_owned()));
        return Ok(granted(
            core.store.resources(&party, cursor.as_ref(), limit).await?,
        ));
    }
    let cursor = after.map(|c| Cursor(c.strip_prefix('t').unwrap_or(c).to_owned()));
    let own = By::Tenant(who.tenant.0.clone());
    let mut page = core.store.resources(&own, cursor.as_ref(), limit).await?;
    page.next = Some(match page.next {
        Some(c) => Cursor(format!("t{}", c.0)),
        None => {
            // Most callers were granted nothing: say so at once.
            let more = granted(core.store.resources(&party, None, limit).await?);
            if more.items.is_empty() && more.next.is_none() {
                page.next = None;
                return Ok(page);
            }
            if page.items.is_empty() {
                return Ok(more);
            }
            Cursor("g".to_owned())
        }
    });
    Ok(page)
}

/// One resource, if the caller may see it. What is somebody else's is missing.
pub(crate) async fn see(
    core: &Core,
    who: &Caller,
    id: ResourceId,
) -> Result<Versioned<ResourceRecord>> {
    match core.store.resource(id).await? {
        Some(row) if may_see(who, &row.record) => Ok(row),
        Some(row) => Err(missing(&row.record.kind, id)),
        None => Err(missing(&Kind::CLUSTER, id)),
    }
}

pub(crate) fn may_see(who: &Caller, r: &ResourceRecord) -> bool {
    who.is(Role::Operator)
        || (who.is(Role::User)
            && (r.tenant == who.tenant || r.parties().contains(&who.user.as_str())))
}

/// Whether the caller may hear of something that happened.
pub(crate) fn may_hear(who: &Caller, e: &NewEvent) -> bool {
    who.is(Role::Operator)
        || (who.is(Role::User)
            && (e.tenant.as_ref() == Some(&who.tenant) || e.audience.contains(&who.user)))
}

pub(crate) fn missing(kind: &Kind, id: ResourceId) -> Error {
    Error::not_found(format!("there is no {kind} {id}"))
        .advice("it was deleted, or it never was yours; list those you have")
        .resource(id)
}

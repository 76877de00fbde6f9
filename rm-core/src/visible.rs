//! Who may see what: checked on every find, get and verb.

use crate::caller::{Caller, Role};
use crate::error::{Error, Result};
use crate::event::NewEvent;
use crate::host::Core;
use crate::id::{Kind, ResourceId};
use crate::record::ResourceRecord;
use crate::store::{By, Cursor, Page, Versioned};

/// So many rows are read at once, where fewer would do.
const READ: u32 = 100;
/// Begins the cursors of what is other tenants'; no id does.
const GUEST: char = 'g';

/// Resources that the caller may see and that are to be kept: those of the
/// caller's tenant, then those of others; all there are for an operator who
/// asks for all. A page is full unless the list ends with it.
pub(crate) async fn visible(
    core: &Core,
    who: &Caller,
    all: bool,
    after: Option<&Cursor>,
    limit: u32,
    keep: impl Fn(&ResourceRecord) -> bool + Send + Sync,
) -> Result<Page<Versioned<ResourceRecord>>> {
    let own = By::Tenant(who.tenant.0.clone());
    listed(core, who, (all.then_some(By::All), own), after, limit, keep).await
}

/// The same of what is in quarantine, however much else there is: everybody's
/// for an operator.
pub(crate) async fn held(
    core: &Core,
    who: &Caller,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Versioned<ResourceRecord>>> {
    let all = who.is(Role::Operator).then_some(By::Held(None));
    let own = By::Held(Some(who.tenant.0.clone()));
    let keep = ResourceRecord::is_held;
    listed(core, who, (all, own), after, limit, keep).await
}

/// Where all are asked for, those; else the tenant's own, and those of others.
async fn listed(
    core: &Core,
    who: &Caller,
    (all, own): (Option<By>, By),
    after: Option<&Cursor>,
    limit: u32,
    keep: impl Fn(&ResourceRecord) -> bool + Send + Sync,
) -> Result<Page<Versioned<ResourceRecord>>> {
    let limit = limit.max(1);
    if let Some(all) = all {
        who.need(Role::Operator)?;
        return some(core, &all, after.cloned(), limit, &keep).await;
    }
    who.need(Role::User)?;
    let (mut page, from) = match after.and_then(|c| c.0.strip_prefix(GUEST)) {
        Some(rest) => (Page::default(), rest),
        None => {
            let page = some(core, &own, after.cloned(), limit, &keep).await?;
            if page.next.is_some() {
                return Ok(page);
            }
            (page, "")
        }
    };
    let guest = By::Guest {
        user: who.user.clone(),
        but: who.tenant.0.clone(),
    };
    let from = (!from.is_empty()).then(|| Cursor(from.to_owned()));
    let found = u32::try_from(page.items.len()).unwrap_or(limit);
    let left = limit.saturating_sub(found);
    // Behind a full page there may be nothing: most callers are guests nowhere.
    let rest = some(core, &guest, from, left.max(1), &keep).await?;
    if left > 0 {
        page.items.extend(rest.items);
        page.next = rest.next.map(|c| Cursor(format!("{GUEST}{}", c.0)));
    } else if !rest.items.is_empty() {
        page.next = Some(Cursor(GUEST.to_string()));
    }
    Ok(page)
}

/// So many of one list as are to be kept; fewer only where it ends. Where what
/// is kept is far apart, it is read in pages of some size, however few are
/// still missing.
async fn some(
    core: &Core,
    by: &By,
    mut after: Option<Cursor>,
    limit: u32,
    keep: &(impl Fn(&ResourceRecord) -> bool + Send + Sync),
) -> Result<Page<Versioned<ResourceRecord>>> {
    let full = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut items: Vec<Versioned<ResourceRecord>> = Vec::new();
    let mut read = limit;
    loop {
        let page = core.store.resources(by, after.as_ref(), read).await?;
        items.extend(page.items.into_iter().filter(|row| keep(&row.record)));
        if items.len() > full {
            // There is more: the next page begins behind the last one of this.
            items.truncate(full);
            let next = items.last().map(|row| Cursor::behind(by, &row.record));
            return Ok(Page { items, next });
        }
        after = page.next;
        if items.len() == full || after.is_none() {
            return Ok(Page { items, next: after });
        }
        read = limit.max(READ);
    }
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

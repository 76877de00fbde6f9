//! What is found, page by page.

use std::ops::Bound::{Excluded, Included, Unbounded};

use super::Inner;
use crate::id::ResourceId;
use crate::record::{Document, ResourceRecord};
use crate::store::{By, Cursor, Page, Versioned};

impl Inner {
    pub(super) fn resources(
        &self,
        by: &By,
        after: Option<(ResourceId, &str)>,
        limit: u32,
    ) -> Page<Versioned<ResourceRecord>> {
        let nil = ResourceId(uuid::Uuid::nil());
        let (from, of) = after.unwrap_or((nil, ""));
        let cut = |ids: &mut dyn Iterator<Item = &ResourceId>| {
            let rows = ids.filter_map(|id| self.versioned(*id));
            page(rows, limit, |row| Cursor::behind(by, &row.record))
        };
        match by {
            By::All => {
                let rows = self
                    .resources
                    .range((after.map_or(Unbounded, |_| Excluded(from)), Unbounded));
                cut(&mut rows.map(|(id, _)| id))
            }
            By::Tenant(who) => {
                let rows = self
                    .tenants
                    .range((Excluded((who.clone(), from)), Unbounded))
                    .take_while(|(tenant, _)| tenant == who);
                cut(&mut rows.map(|(_, id)| id))
            }
            By::Guest { user, but } => {
                let at = |tenant: &str, id| (user.clone(), tenant.to_owned(), id);
                let before = (of < but.as_str()).then(|| {
                    self.parties
                        .range((Excluded(at(of, from)), Excluded(at(but, nil))))
                });
                // Past the tenant's own, however many those are.
                let past = match of > but.as_str() {
                    true => at(of, from),
                    false => at(but, ResourceId(uuid::Uuid::max())),
                };
                let behind = self
                    .parties
                    .range((Excluded(past), Unbounded))
                    .take_while(|(party, ..)| party == user);
                let rows = before.into_iter().flatten().chain(behind);
                cut(&mut rows.map(|(.., id)| id))
            }
            By::Account(site, credential) => {
                let rows = self
                    .accounts
                    .range((Excluded((*site, *credential, from)), Unbounded))
                    .take_while(|(s, c, _)| (s, c) == (site, credential));
                cut(&mut rows.map(|(.., id)| id))
            }
            By::Held(of) => {
                let rows = self
                    .held
                    .range((Excluded((of.clone(), from)), Unbounded))
                    .take_while(|(whose, _)| whose == of);
                cut(&mut rows.map(|(_, id)| id))
            }
        }
    }

    pub(super) fn documents(
        &self,
        space: &str,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Page<Versioned<Document>> {
        let cursor = |row: &Versioned<Document>| Cursor(row.record.id.clone());
        match index {
            None => {
                let from = after.map_or(Unbounded, |c| Excluded(c.0.as_str()));
                let space = self.documents.get(space).into_iter();
                let rows = space.flat_map(|all| all.range::<str, _>((from, Unbounded)));
                page(rows.map(|(_, row)| row.clone()), limit, cursor)
            }
            Some((name, value)) => {
                let at = |id: String| (space.to_owned(), name.to_owned(), value.to_owned(), id);
                let from = match after {
                    Some(c) => Excluded(at(c.0.clone())),
                    None => Included(at(String::new())),
                };
                let rows = self
                    .indexes
                    .range((from, Unbounded))
                    .take_while(|(s, n, v, _)| s == space && n == name && v == value);
                let found = rows.filter_map(|(.., id)| self.document(space, id));
                page(found, limit, cursor)
            }
        }
    }
}

/// Cuts a page out of what comes in order.
fn page<T>(
    mut rows: impl Iterator<Item = T>,
    limit: u32,
    cursor: impl Fn(&T) -> Cursor,
) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).max(1);
    let items: Vec<T> = rows.by_ref().take(limit).collect();
    let next = match rows.next() {
        Some(_) => items.last().map(cursor),
        None => None,
    };
    Page { items, next }
}

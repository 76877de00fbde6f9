//! What is found, page by page.

use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use super::Inner;
use crate::id::ResourceId;
use crate::record::{Document, ResourceRecord};
use crate::store::{By, Cursor, Page, Versioned};

impl Inner {
    pub(super) fn resources(
        &self,
        by: &By,
        after: Option<ResourceId>,
        limit: u32,
    ) -> Page<Versioned<ResourceRecord>> {
        let nil = ResourceId(uuid::Uuid::nil());
        let from = after.unwrap_or(nil);
        let get = |id: &ResourceId| self.versioned(*id);
        match by {
            By::All => page(
                self.resources
                    .range((after.map_or(Unbounded, Excluded), Unbounded))
                    .map(|(id, _)| *id),
                limit,
                get,
            ),
            By::Tenant(who) => page(
                self.tenants
                    .range((Excluded((who.clone(), from)), Unbounded))
                    .take_while(|(tenant, _)| tenant == who)
                    .map(|(_, id)| *id),
                limit,
                get,
            ),
            By::Party(who) => page(
                self.parties
                    .range((Excluded((who.clone(), from)), Unbounded))
                    .take_while(|(party, _)| party == who)
                    .map(|(_, id)| *id),
                limit,
                get,
            ),
            By::Account(site, credential) => page(
                self.accounts
                    .range((Excluded((*site, *credential, from)), Unbounded))
                    .take_while(|(s, c, _)| (s, c) == (site, credential))
                    .map(|(_, _, id)| *id),
                limit,
                get,
            ),
        }
    }

    pub(super) fn documents(
        &self,
        space: &str,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Page<Versioned<Document>> {
        let get = |id: &&String| {
            self.documents
                .get(&(space.to_owned(), (*id).clone()))
                .map(|(version, record)| Versioned {
                    version: *version,
                    record: Arc::clone(record),
                })
        };
        match index {
            None => {
                let from = match after {
                    Some(c) => Excluded((space.to_owned(), c.0.clone())),
                    None => Included((space.to_owned(), String::new())),
                };
                page(
                    self.documents
                        .range((from, Unbounded))
                        .take_while(|((s, _), _)| s == space)
                        .map(|((_, id), _)| id),
                    limit,
                    get,
                )
            }
            Some((name, value)) => {
                let at = |id: String| (space.to_owned(), name.to_owned(), value.to_owned(), id);
                let from = match after {
                    Some(c) => Excluded(at(c.0.clone())),
                    None => Included(at(String::new())),
                };
                page(
                    self.indexes
                        .range((from, Unbounded))
                        .take_while(|(s, n, v, _)| s == space && n == name && v == value)
                        .map(|(_, _, _, id)| id),
                    limit,
                    get,
                )
            }
        }
    }
}

/// Cuts a page out of ids that come in order.
fn page<I: ToString, T>(
    ids: impl Iterator<Item = I>,
    limit: u32,
    mut get: impl FnMut(&I) -> Option<T>,
) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).max(1);
    let mut items = Vec::new();
    let mut last = None;
    for id in ids {
        if items.len() == limit {
            return Page {
                items,
                next: last.map(|id: I| Cursor(id.to_string())),
            };
        }
        items.extend(get(&id));
        last = Some(id);
    }
    Page { items, next: None }
}

//! The questions that are asked of the tables.

use std::fmt;
use std::sync::Arc;

use rm_core::env::Timestamp;
use rm_core::event::{Event, NewEvent};
use rm_core::id::{CatalogId, ResourceId};
use rm_core::record::{Document, ResourceRecord};
use rm_core::store::{Account, By, Cursor, HINT, Page, Queue, Version, Versioned};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Params, Row};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::sum::Of;

/// What the column holds for an id.
pub(super) fn blob(id: &Uuid) -> &[u8] {
    id.as_bytes()
}

/// A number as SQLite has it; the largest one where it is larger.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An unsigned number out of a column.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// An id out of a column.
pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get::<_, [u8; 16]>(column).map(Uuid::from_bytes)
}

/// A text as it is on the disk, where a change may have left none.
pub(super) fn bytes<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r [u8]> {
    Ok(row.get_ref(column)?.as_bytes()?)
}

/// What a text is found by. Of one that is no text any more something else is
/// told, so that the sum of what it names is wrong.
fn name(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    bytes(row, column).map(|name| String::from_utf8_lossy(name).into_owned())
}

/// Why a body could not be read, without a word of the body.
#[derive(Debug)]
struct Unreadable {
    what: String,
    line: usize,
    column: usize,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, line, column } = self;
        write!(f, "{what}, at line {line}, column {column}")
    }
}

impl std::error::Error for Unreadable {}

/// A body out of a column, if it is what was written.
pub(super) fn body<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
    of: Of<'_>,
) -> rusqlite::Result<T> {
    let text = of.text(bytes(row, column).map_err(|_| of.damaged())?)?;
    serde_json::from_str(text).map_err(|e| {
        let why = Unreadable {
            what: of.to_string(),
            line: e.line(),
            column: e.column(),
        };
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(why))
    })
}

/// Columns: id, version, body.
pub(super) fn to_resource(row: &Row<'_>) -> rusqlite::Result<Versioned<ResourceRecord>> {
    let id = id(row, 0)?;
    Ok(Versioned {
        version: Version(unsigned(row, 1)?),
        record: Arc::new(body(row, 2, Of::Resource(id.as_bytes()))?),
    })
}

/// Columns: space, id, version, indexes, body.
fn to_document(row: &Row<'_>) -> rusqlite::Result<Versioned<Document>> {
    let (space, id) = (name(row, 0)?, name(row, 1)?);
    let (version, indexes, body) = (
        Version(unsigned(row, 2)?),
        body(row, 3, Of::Indexes(&space, &id))?,
        body(row, 4, Of::Document(&space, &id))?,
    );
    Ok(Versioned {
        version,
        record: Arc::new(Document {
            space,
            id,
            indexes,
            body,
        }),
    })
}

pub(super) fn resource(
    conn: &Connection,
    id: ResourceId,
) -> rusqlite::Result<Option<Versioned<ResourceRecord>>> {
    conn.prepare_cached("SELECT id, version, body FROM resource WHERE id = ?1")?
        .query_row([blob(&id.0)], to_resource)
        .optional()
}

pub(super) fn is_claimed(conn: &Connection, id: ResourceId) -> rusqlite::Result<bool> {
    let claimed = conn
        .prepare_cached("SELECT leased IS NOT NULL FROM resource WHERE id = ?1")?
        .query_row([blob(&id.0)], |row| row.get(0))
        .optional()?;
    Ok(claimed.unwrap_or(false))
}

const ALL: &str = "SELECT id, version, body FROM resource WHERE id > ?1 ORDER BY id LIMIT ?2";
const TENANT: &str = "SELECT id, version, body FROM resource \
     WHERE tenant = ?3 AND id > ?1 ORDER BY id LIMIT ?2";
const ACCOUNT: &str = "SELECT id, version, body FROM resource \
     WHERE site = ?3 AND credential = ?4 AND id > ?1 ORDER BY id LIMIT ?2";
// Left to itself SQLite takes the index of all ids.
const HELD: &str = "SELECT id, version, body FROM resource INDEXED BY resource_held \
     WHERE held IS NOT NULL AND id > ?1 ORDER BY id LIMIT ?2";
const HELD_OF: &str = "SELECT id, version, body FROM resource INDEXED BY resource_held_tenant \
     WHERE held IS NOT NULL AND tenant = ?3 AND id > ?1 ORDER BY id LIMIT ?2";
// CROSS keeps the order of the tables: the small one leads.
const GUEST_BEFORE: &str = "SELECT r.id, r.version, r.body \
     FROM resource_party p CROSS JOIN resource r ON r.id = p.id \
     WHERE p.user = ?3 AND (p.tenant, p.id) > (?4, ?1) AND p.tenant < ?5 \
     ORDER BY p.tenant, p.id LIMIT ?2";
const GUEST: &str = "SELECT r.id, r.version, r.body \
     FROM resource_party p CROSS JOIN resource r ON r.id = p.id \
     WHERE p.user = ?3 AND (p.tenant, p.id) > (?4, ?1) \
     ORDER BY p.tenant, p.id LIMIT ?2";

/// Where a page ended: the resource, and its tenant where that counts.
pub(super) type Behind = (ResourceId, String);

pub(super) fn behind(cursor: &Cursor) -> rm_core::Result<Behind> {
    let (id, tenant) = cursor.resource()?;
    Ok((id, tenant.to_owned()))
}

pub(super) fn resources(
    conn: &Connection,
    by: &By,
    after: Option<&Behind>,
    limit: u32,
) -> rusqlite::Result<Page<Versioned<ResourceRecord>>> {
    // The empty blob comes before every id.
    let (id, of): (&[u8], &str) = after.map_or((&[], ""), |(id, of)| (blob(&id.0), of));
    let fetch = fetch(limit);
    let rows = match by {
        By::All => rows(conn, ALL, (id, fetch), to_resource),
        By::Tenant(who) => rows(conn, TENANT, (id, fetch, who), to_resource),
        By::Guest { user, but } => guest(conn, user, but, (of, id), fetch),
        By::Account(site, credential) => rows(
            conn,
            ACCOUNT,
            (id, fetch, blob(&site.0), blob(&credential.0)),
            to_resource,
        ),
        By::Held(None) => rows(conn, HELD, (id, fetch), to_resource),
        By::Held(Some(who)) => rows(conn, HELD_OF, (id, fetch, who), to_resource),
    };
    Ok(page(rows?, limit, |r| Cursor::behind(by, &r.record)))
}

/// What a user may see of other tenants' than this one, from there on.
fn guest<'a>(
    conn: &Connection,
    user: &str,
    but: &'a str,
    mut from: (&'a str, &'a [u8]),
    fetch: i64,
) -> rusqlite::Result<Vec<Versioned<ResourceRecord>>> {
    /// Comes behind every id.
    const LAST: &[u8] = &[0xff; 17];
    let mut found = Vec::new();
    if from.0 < but {
        let params = (from.1, fetch, user, from.0, but);
        found = rows(conn, GUEST_BEFORE, params, to_resource)?;
    }
    // Past the tenant's own, however many those are.
    if from.0 <= but {
        from = (but, LAST);
    }
    let left = fetch - i64::try_from(found.len()).unwrap_or(fetch);
    if left > 0 {
        let params = (from.1, left, user, from.0);
        found.extend(rows(conn, GUEST, params, to_resource)?);
    }
    Ok(found)
}

pub(super) fn document(
    conn: &Connection,
    space: &str,
    id: &str,
) -> rusqlite::Result<Option<Versioned<Document>>> {
    conn.prepare_cached(
        "SELECT space, id, version, indexes, body FROM document WHERE space = ?1 AND id = ?2",
    )?
    .query_row([space, id], to_document)
    .optional()
}

const SPACE_FIRST: &str = "SELECT space, id, version, indexes, body FROM document \
     WHERE space = ?1 ORDER BY id LIMIT ?2";
const SPACE_AFTER: &str = "SELECT space, id, version, indexes, body FROM document \
     WHERE space = ?1 AND id > ?3 ORDER BY id LIMIT ?2";
const INDEX_FIRST: &str = "SELECT d.space, d.id, d.version, d.indexes, d.body \
     FROM document_index i CROSS JOIN document d ON d.space = i.space AND d.id = i.id \
     WHERE i.space = ?1 AND i.name = ?3 AND i.value = ?4 ORDER BY i.id LIMIT ?2";
const INDEX_AFTER: &str = "SELECT d.space, d.id, d.version, d.indexes, d.body \
     FROM document_index i CROSS JOIN document d ON d.space = i.space AND d.id = i.id \
     WHERE i.space = ?1 AND i.name = ?3 AND i.value = ?4 AND i.id > ?5 ORDER BY i.id LIMIT ?2";

pub(super) fn documents(
    conn: &Connection,
    space: &str,
    index: Option<&(String, String)>,
    after: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Page<Versioned<Document>>> {
    let fetch = fetch(limit);
    let rows = match (index, after) {
        (None, None) => rows(conn, SPACE_FIRST, (space, fetch), to_document),
        (None, Some(after)) => rows(conn, SPACE_AFTER, (space, fetch, after), to_document),
        (Some((name, value)), None) => {
            rows(conn, INDEX_FIRST, (space, fetch, name, value), to_document)
        }
        (Some((name, value)), Some(after)) => {
            let params = (space, fetch, name, value, after);
            rows(conn, INDEX_AFTER, params, to_document)
        }
    };
    Ok(page(rows?, limit, |d| Cursor(d.record.id.clone())))
}

pub(super) fn counter(conn: &Connection, name: &str) -> rusqlite::Result<u64> {
    let of = Of::Counter(name);
    let read = |row: &Row<'_>| {
        let (value, sum): (i64, i64) = (row.get(0)?, row.get(1)?);
        match of.beside(value) == sum {
            true => unsigned(row, 0),
            false => Err(of.damaged().into()),
        }
    };
    let found = conn
        .prepare_cached("SELECT value, sum FROM counter WHERE name = ?1")?
        .query_row([name], |row| Ok(read(row)))
        .optional()?;
    match found {
        None => Ok(0),
        Some(Err(e)) if name.starts_with(HINT) => {
            tracing::error!(counter = name, error = %e, "it cannot be read and begins again");
            Ok(0)
        }
        Some(read) => read,
    }
}

/// What the column `swept` holds for a queue.
pub(super) fn swept(queue: Queue) -> i64 {
    i64::from(queue == Queue::Sweep)
}

const NEXT_DUE: &str = "SELECT claimable FROM resource \
     WHERE swept = ?1 AND claimable >= ?2 ORDER BY claimable LIMIT 1";
// Behind the last that an account can have: by the account alone SQLite would
// begin with its first row and pass over each.
const NEXT_ACCOUNT: &str = "SELECT site, credential, claimable FROM resource \
     WHERE swept = ?3 AND claimable IS NOT NULL \
     AND (site, credential, claimable) > (?1, ?2, 9223372036854775807) \
     ORDER BY site, credential, claimable LIMIT 1";

/// When something of a queue can next be claimed, but of these accounts.
pub(super) fn next_due(
    conn: &Connection,
    queue: Queue,
    except: &[Account],
) -> rusqlite::Result<Option<Timestamp>> {
    if except.is_empty() {
        return conn
            .prepare_cached(NEXT_DUE)?
            .query_row([swept(queue), i64::MIN], |row| {
                row.get(0).map(Timestamp::from_millis)
            })
            .optional();
    }
    let mut next: Option<Timestamp> = None;
    each_first(conn, queue, except, |_, first| {
        next = Some(next.map_or(first, |next| next.min(first)));
        Ok(())
    })?;
    Ok(next)
}

/// Goes from account to account that has something in a queue, but these, with
/// when something of it can first be claimed: however much an account has, it is passed over in one
/// step.
pub(super) fn each_first(
    conn: &Connection,
    queue: Queue,
    except: &[Account],
    mut each: impl FnMut(Account, Timestamp) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut next = conn.prepare_cached(NEXT_ACCOUNT)?;
    let mut last = (Vec::new(), Vec::new());
    loop {
        let found = next
            .query_row((&last.0, &last.1, swept(queue)), |row| {
                let account = (CatalogId(id(row, 0)?), CatalogId(id(row, 1)?));
                Ok((account, Timestamp::from_millis(row.get(2)?)))
            })
            .optional()?;
        let Some((account, first)) = found else {
            return Ok(());
        };
        if !except.contains(&account) {
            each(account, first)?;
        }
        last = (blob(&account.0.0).to_vec(), blob(&account.1.0).to_vec());
    }
}

const ENDED: &str = "SELECT id, version, body FROM resource \
     WHERE ends <= ?1 ORDER BY ends, id LIMIT ?2";

pub(super) fn ended(
    conn: &Connection,
    now: Timestamp,
    limit: u32,
) -> rusqlite::Result<Vec<Versioned<ResourceRecord>>> {
    let found = rows(conn, ENDED, (now.millis(), limit), |row| {
        Ok((id(row, 0)?, to_resource(row)))
    })?;
    let readable = |(id, row): (Uuid, rusqlite::Result<_>)| {
        row.inspect_err(|e| tracing::error!(resource = %id, error = %e, "it cannot be read"))
            .ok()
    };
    Ok(found.into_iter().filter_map(readable).collect())
}

const NEXT_END: &str = "SELECT ends FROM resource WHERE ends > 0 ORDER BY ends LIMIT 1";

pub(super) fn next_end(conn: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    conn.prepare_cached(NEXT_END)?
        .query_row([], |row| row.get(0).map(Timestamp::from_millis))
        .optional()
}

const EVENTS: &str = "SELECT seq, body, resource FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2";
const EVENTS_OF: &str = "SELECT seq, body, resource FROM event \
     WHERE resource = ?3 AND seq > ?1 ORDER BY seq LIMIT ?2";

pub(super) fn since(
    conn: &Connection,
    seq: u64,
    of: Option<ResourceId>,
    limit: u32,
) -> rusqlite::Result<Vec<Event>> {
    let to_event = |row: &Row<'_>| {
        let seq = unsigned(row, 0)?;
        let event = body(row, 1, Of::Event(seq)).unwrap_or_else(|e| {
            // One that is damaged must not stop all who read the log.
            tracing::error!(event = seq, error = %e, "an event cannot be read");
            NewEvent::unreadable(id(row, 2).ok().map(ResourceId))
        });
        Ok(Event { seq, event })
    };
    let seq = int(seq);
    match of {
        None => rows(conn, EVENTS, (seq, limit), to_event),
        Some(id) => rows(conn, EVENTS_OF, (seq, limit, blob(&id.0)), to_event),
    }
}

pub(super) fn newest(conn: &Connection) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT coalesce(max(seq), 0) FROM event")?
        .query_row([], |row| unsigned(row, 0))
}

pub(super) fn rows<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    to: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    conn.prepare_cached(sql)?.query_map(params, to)?.collect()
}

/// One more than is asked for tells whether there is another page.
fn fetch(limit: u32) -> i64 {
    i64::from(limit.max(1)) + 1
}

fn page<T>(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> Cursor) -> Page<T> {
    let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(cursor);
    Page { items, next }
}

#[cfg(test)]
mod tests;

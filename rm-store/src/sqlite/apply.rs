//! One batch in SQL: what is expected is looked at first, so that a batch that
//! is refused has written nothing.

use std::sync::Arc;

use rm_core::env::Timestamp;
use rm_core::id::ResourceId;
use rm_core::record::{Document, ResourceRecord};
use rm_core::store::{Batch, Count, Due, Expect, Fence, Key, Queue, Refusal, Version};
use rm_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::read::{blob, bytes, counter, documents, int, newest, resources, rows, swept, unsigned};
use super::sum::Of;

/// A batch whose bodies are text already: that is done by the caller, not by
/// the thread that everybody waits for.
#[derive(Debug)]
pub(super) struct Write {
    /// What is left of the batch beside the lists below.
    batch: Batch,
    resources: Vec<(Arc<ResourceRecord>, Due, String)>,
    /// With their indexes and bodies as text.
    documents: Vec<(Arc<Document>, String, String)>,
    events: Vec<(Option<ResourceId>, String)>,
}

impl Write {
    pub(super) fn prepare(mut batch: Batch) -> Result<Self> {
        let resources = std::mem::take(&mut batch.resources)
            .into_iter()
            .map(|(record, due)| {
                let body = text(&*record)?;
                let body = Of::Resource(record.id.0.as_bytes()).summed(&body);
                Ok((record, due, body))
            })
            .collect::<Result<_>>()?;
        let documents = std::mem::take(&mut batch.documents)
            .into_iter()
            .map(|document| {
                let (space, id) = (&document.space, &document.id);
                let indexes = Of::Indexes(space, id).summed(&text(&document.indexes)?);
                let body = Of::Document(space, id).summed(document.body.as_str());
                Ok((document, indexes, body))
            })
            .collect::<Result<_>>()?;
        let events = std::mem::take(&mut batch.events)
            .into_iter()
            .map(|event| text(&event).map(|body| (event.resource, Of::Event(0).summed(&body))))
            .collect::<Result<_>>()?;
        Ok(Self {
            batch,
            resources,
            documents,
            events,
        })
    }
}

fn text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| {
        Error::new(ErrorKind::Internal, "a record cannot be written as JSON").because(e)
    })
}

/// Writes the batch as part of the writer's transaction, or says why not.
pub(super) fn apply(
    conn: &Connection,
    write: &Write,
    now: Timestamp,
) -> rusqlite::Result<Option<Refusal>> {
    if let Some(refusal) = check(conn, &write.batch)? {
        return Ok(Some(refusal));
    }
    for (record, due, body) in &write.resources {
        put_resource(conn, record, *due, body)?;
    }
    for (document, indexes, body) in &write.documents {
        put_document(conn, document, indexes, body)?;
    }
    for key in &write.batch.delete {
        delete(conn, key)?;
    }
    for count in &write.batch.counts {
        let value = counter(conn, &count.counter)?.saturating_add_signed(count.by);
        let sum = Of::Counter(&count.counter).beside(int(value));
        conn.prepare_cached(
            "INSERT INTO counter (name, value, sum) VALUES (?1, ?2, ?3) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value, sum = excluded.sum",
        )?
        .execute((&count.counter, int(value), sum))?;
    }
    for (fence, ttl) in &write.batch.prolong {
        conn.prepare_cached("UPDATE resource SET leased = ?2 WHERE id = ?1")?
            .execute((blob(&fence.resource.0), now.plus(*ttl).millis()))?;
    }
    forget(conn, &write.batch.forget)?;
    for (resource, body) in &write.events {
        conn.prepare_cached("INSERT INTO event (resource, body) VALUES (?1, ?2)")?
            .execute((resource.as_ref().map(|id| blob(&id.0)), body))?;
    }
    Ok(None)
}

/// In the order in which the store in memory looks, so that both give the same
/// reason.
fn check(conn: &Connection, batch: &Batch) -> rusqlite::Result<Option<Refusal>> {
    let claims = batch.prolong.iter().map(|(fence, _)| fence);
    for fence in batch.fence.iter().chain(claims) {
        if !holds(conn, fence)? {
            return Ok(Some(Refusal::Fenced(fence.resource)));
        }
    }
    for expect in &batch.expect {
        if let Some(key) = stale(conn, expect)? {
            return Ok(Some(Refusal::Stale(key)));
        }
    }
    for (at, count) in batch.counts.iter().enumerate() {
        if let Some(refusal) = check_count(conn, count, &batch.counts[..at])? {
            return Ok(Some(refusal));
        }
    }
    Ok(None)
}

/// The row that is not as expected.
fn stale(conn: &Connection, expect: &Expect) -> rusqlite::Result<Option<Key>> {
    let unlike = |key: &Key, wanted: Option<Version>| {
        version(conn, key).map(|is| (is != wanted).then(|| key.clone()))
    };
    match expect {
        Expect::Absent(key) => unlike(key, None),
        Expect::Version(key, version) => unlike(key, Some(*version)),
        Expect::NoDocument {
            space,
            index,
            value,
        } => {
            let index = (index.clone(), value.clone());
            let found = documents(conn, space, Some(&index), None, 1)?.items;
            Ok(found
                .first()
                .map(|d| Key::Document(space.clone(), d.record.id.clone())))
        }
        Expect::NoResource(by) => {
            let found = resources(conn, by, None, 1)?.items;
            Ok(found.first().map(|r| Key::Resource(r.record.id)))
        }
    }
}

fn holds(conn: &Connection, fence: &Fence) -> rusqlite::Result<bool> {
    let epoch = conn
        .prepare_cached("SELECT epoch FROM resource WHERE id = ?1")?
        .query_row([blob(&fence.resource.0)], |row| unsigned(row, 0))
        .optional()?;
    Ok(epoch == Some(fence.epoch))
}

fn version(conn: &Connection, key: &Key) -> rusqlite::Result<Option<Version>> {
    let to = |row: &rusqlite::Row<'_>| unsigned(row, 0).map(Version);
    match key {
        Key::Resource(id) => conn
            .prepare_cached("SELECT version FROM resource WHERE id = ?1")?
            .query_row([blob(&id.0)], to),
        Key::Document(space, id) => conn
            .prepare_cached("SELECT version FROM document WHERE space = ?1 AND id = ?2")?
            .query_row([space, id], to),
    }
    .optional()
}

/// `before` are the counts of the same batch that come first: they count too.
fn check_count(
    conn: &Connection,
    count: &Count,
    before: &[Count],
) -> rusqlite::Result<Option<Refusal>> {
    let (true, Some(at_most)) = (count.by > 0, count.at_most) else {
        return Ok(None);
    };
    let value = counter(conn, &count.counter)?;
    let then = before
        .iter()
        .filter(|c| c.counter == count.counter)
        .fold(value, |sum, c| sum.saturating_add_signed(c.by));
    if then.saturating_add_signed(count.by) <= at_most {
        return Ok(None);
    }
    Ok(Some(Refusal::Limit {
        counter: count.counter.clone(),
        value,
        at_most,
    }))
}

/// Nearly always the row is there and stays where it is found. SQLite rewrites
/// the index of every column that is set, changed or not, so that those are
/// compared instead.
pub(super) const REWRITE: &str = "UPDATE resource SET version = version + 1, \
     due = CASE WHEN ?3 THEN ?2 ELSE due END, \
     swept = CASE WHEN ?3 THEN ?11 ELSE swept END, \
     leased = CASE WHEN ?4 THEN NULL ELSE leased END, \
     owner = CASE WHEN ?4 THEN NULL ELSE owner END, \
     body = ?8 \
     WHERE id = ?1 AND tenant = ?5 AND site = ?6 AND credential = ?7 AND ends IS ?9 \
     AND held IS ?10";

fn put_resource(
    conn: &Connection,
    record: &ResourceRecord,
    due: Due,
    body: &str,
) -> rusqlite::Result<()> {
    let (at, moves, gives_back) = match due {
        Due::Keep => (None, false, false),
        Due::At(at) => (Some(at), true, false),
        Due::Release(at) | Due::Sweep(at) => (Some(at), true, true),
        Due::Rest => (None, true, true),
    };
    let queue = match due {
        Due::Sweep(_) => Queue::Sweep,
        _ => Queue::Awaited,
    };
    let id = blob(&record.id.0);
    let params = (
        id,
        at.map(Timestamp::millis),
        moves,
        gives_back,
        &record.tenant.0,
        blob(&record.place.site.0),
        blob(&record.place.credential.0),
        body,
        record.first_end().map(Timestamp::millis),
        record.is_held().then_some(1),
        swept(queue),
    );
    let written = conn.prepare_cached(REWRITE)?.execute(params)?;
    if written == 0 {
        conn.prepare_cached(
            "INSERT INTO resource \
             (id, version, epoch, due, tenant, site, credential, body, ends, held, swept) \
             VALUES (?1, 1, 0, ?2, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
             ON CONFLICT (id) DO UPDATE SET version = version + 1, \
             due = CASE WHEN ?3 THEN excluded.due ELSE due END, \
             swept = CASE WHEN ?3 THEN excluded.swept ELSE swept END, \
             leased = CASE WHEN ?4 THEN NULL ELSE leased END, \
             owner = CASE WHEN ?4 THEN NULL ELSE owner END, \
             tenant = excluded.tenant, site = excluded.site, \
             credential = excluded.credential, body = excluded.body, \
             ends = excluded.ends, held = excluded.held",
        )?
        .execute(params)?;
    }
    // Parties hardly ever change, so only the difference is written.
    let old: Vec<(String, String)> = rows(
        conn,
        "SELECT user, tenant FROM resource_party WHERE id = ?1",
        [id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let new = record.parties();
    let tenant = record.tenant.0.as_str();
    let stays = |(user, of): &&(String, String)| of == tenant && new.contains(&user.as_str());
    for (user, of) in old.iter().filter(|party| !stays(party)) {
        conn.prepare_cached(
            "DELETE FROM resource_party WHERE user = ?1 AND tenant = ?2 AND id = ?3",
        )?
        .execute((user, of, id))?;
    }
    let known = |user: &&&str| old.iter().any(|(o, of)| of == tenant && o == **user);
    for user in new.iter().filter(|user| !known(user)) {
        conn.prepare_cached("INSERT INTO resource_party (user, tenant, id) VALUES (?1, ?2, ?3)")?
            .execute((user, tenant, id))?;
    }
    Ok(())
}

fn forget(conn: &Connection, events: &[u64]) -> rusqlite::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    // SQLite gives the number of the last row again where that is removed.
    let newest = newest(conn)?;
    let mut delete = conn.prepare_cached("DELETE FROM event WHERE seq = ?1")?;
    for seq in events.iter().filter(|seq| **seq != newest) {
        delete.execute([int(*seq)])?;
    }
    Ok(())
}

fn put_document(
    conn: &Connection,
    document: &Document,
    indexes: &str,
    body: &str,
) -> rusqlite::Result<()> {
    let Document { space, id, .. } = document;
    let old: Option<Vec<u8>> = conn
        .prepare_cached("SELECT indexes FROM document WHERE space = ?1 AND id = ?2")?
        .query_row([space, id], |row| bytes(row, 0).map(<[u8]>::to_vec))
        .optional()?;
    conn.prepare_cached(
        "INSERT INTO document (space, id, version, indexes, body) VALUES (?1, ?2, 1, ?3, ?4) \
         ON CONFLICT (space, id) DO UPDATE SET version = version + 1, \
         indexes = excluded.indexes, body = excluded.body",
    )?
    .execute((space, id, indexes, body))?;
    if old.as_deref() == Some(indexes.as_bytes()) {
        return Ok(());
    }
    if old.is_some() {
        unindex(conn, space, id, old.as_deref())?;
    }
    for (name, value) in &document.indexes {
        conn.prepare_cached(
            "INSERT OR IGNORE INTO document_index (space, name, value, id) \
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((space, name, value, id))?;
    }
    Ok(())
}

/// Removes what the document's old text of indexes says.
fn unindex(
    conn: &Connection,
    space: &str,
    id: &str,
    indexes: Option<&[u8]>,
) -> rusqlite::Result<()> {
    let indexes = indexes.map(|kept| Of::Indexes(space, id).text(kept));
    let old: Vec<(String, String)> = match indexes.transpose()?.map(serde_json::from_str) {
        None => Vec::new(),
        Some(Ok(old)) => old,
        Some(Err(e)) => {
            let text = rusqlite::types::Type::Text;
            return Err(rusqlite::Error::FromSqlConversionFailure(0, text, e.into()));
        }
    };
    for (name, value) in old {
        conn.prepare_cached(
            "DELETE FROM document_index \
             WHERE space = ?1 AND name = ?2 AND value = ?3 AND id = ?4",
        )?
        .execute((space, name, value, id))?;
    }
    Ok(())
}

fn delete(conn: &Connection, key: &Key) -> rusqlite::Result<()> {
    match key {
        Key::Resource(id) => {
            let id = blob(&id.0);
            conn.prepare_cached("DELETE FROM resource WHERE id = ?1")?
                .execute([id])?;
            conn.prepare_cached("DELETE FROM resource_party WHERE id = ?1")?
                .execute([id])?;
        }
        Key::Document(space, id) => {
            let old: Option<Vec<u8>> = conn
                .prepare_cached(
                    "DELETE FROM document WHERE space = ?1 AND id = ?2 RETURNING indexes",
                )?
                .query_row([space, id], |row| bytes(row, 0).map(<[u8]>::to_vec))
                .optional()?;
            unindex(conn, space, id, old.as_deref())?;
        }
    }
    Ok(())
}

//! SQLite alone: the statements by which a store writes a transition, in a
//! loop that does nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use rm_core::record::ResourceRecord;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::records::event;
use benches::Result;

/// One resource, its text and that of its event ready.
#[derive(Debug)]
pub(super) struct Row {
    id: [u8; 16],
    tenant: String,
    site: [u8; 16],
    credential: [u8; 16],
    body: String,
    event: String,
}

impl Row {
    pub(super) fn of(r: &ResourceRecord) -> Result<Self> {
        Ok(Self {
            id: *r.id.0.as_bytes(),
            tenant: r.tenant.0.clone(),
            site: *r.place.site.0.as_bytes(),
            credential: *r.place.credential.0.as_bytes(),
            body: serde_json::to_string(r)?,
            event: serde_json::to_string(&event(r))?,
        })
    }
}

/// Opens a store's file as the store's writer does.
pub(super) fn open(path: &Path) -> Result<Connection> {
    let conn = Connection::open(path)?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA journal_mode = WAL;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -4096;
         PRAGMA wal_autocheckpoint = 4096;
         PRAGMA journal_size_limit = 16777216;",
    )?;
    Ok(conn)
}

/// Writes transitions, so many with one commit of the disk, for so long;
/// answers how many a second.
pub(super) fn transitions(
    conn: &Connection,
    rows: &[Row],
    group: usize,
    time: Duration,
) -> Result<f64> {
    let begun = Instant::now();
    let mut written = 0.0;
    let mut next = rows.iter().cycle();
    while begun.elapsed() < time {
        let tx = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
        let _: i64 = tx
            .prepare_cached("PRAGMA user_version")?
            .query_row([], |row| row.get(0))?;
        let revision: i64 = tx
            .prepare_cached("SELECT value FROM meta WHERE name = 'revision'")?
            .query_row([], |row| row.get(0))?;
        let mut more = 0;
        for row in next.by_ref().take(group) {
            transition(&tx, row)?;
            more += 1;
        }
        tx.prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'revision'")?
            .execute([revision + more])?;
        tx.commit()?;
        written += f64::from(u32::try_from(more)?);
    }
    Ok(written / begun.elapsed().as_secs_f64())
}

/// The fence (of the write and of the longer claim), the version, the record,
/// who may see it, the claim, the event.
fn transition(conn: &Connection, row: &Row) -> rusqlite::Result<()> {
    for _ in 0..2 {
        let _: Option<i64> = conn
            .prepare_cached("SELECT epoch FROM resource WHERE id = ?1")?
            .query_row([&row.id[..]], |row| row.get(0))
            .optional()?;
    }
    let _: Option<i64> = conn
        .prepare_cached("SELECT version FROM resource WHERE id = ?1")?
        .query_row([&row.id[..]], |row| row.get(0))
        .optional()?;
    conn.prepare_cached(
        "UPDATE resource SET version = version + 1, \
         due = CASE WHEN ?3 THEN ?2 ELSE due END, \
         leased = CASE WHEN ?4 THEN NULL ELSE leased END, \
         owner = CASE WHEN ?4 THEN NULL ELSE owner END, \
         body = ?8 \
         WHERE id = ?1 AND tenant = ?5 AND site = ?6 AND credential = ?7 AND ends IS ?9 \
         AND held IS ?10",
    )?
    .execute((
        &row.id[..],
        None::<i64>,
        false,
        false,
        &row.tenant,
        &row.site[..],
        &row.credential[..],
        &row.body,
        None::<i64>,
        None::<i64>,
    ))?;
    let _: Vec<(String, String)> = conn
        .prepare_cached("SELECT user, tenant FROM resource_party WHERE id = ?1")?
        .query_map([&row.id[..]], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    conn.prepare_cached("UPDATE resource SET leased = ?2 WHERE id = ?1")?
        .execute((&row.id[..], i64::MAX))?;
    conn.prepare_cached("INSERT INTO event (resource, body) VALUES (?1, ?2)")?
        .execute((&row.id[..], &row.event))?;
    Ok(())
}

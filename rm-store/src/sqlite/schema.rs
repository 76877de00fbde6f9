//! The tables, and how a store of an older version becomes one of this.

use rusqlite::{Connection, Row, Transaction, TransactionBehavior};

use super::sum::Of;

/// Marks the file as ours, for this program and for `file(1)`: "rmst".
pub(super) const APPLICATION: i64 = 0x726d_7374;

/// The format that this program writes: how many steps there are.
pub(super) const FORMAT: i64 = STEPS.len() as i64;

/// One step makes of one format the next. A released step never changes.
type Step = fn(&Connection) -> rusqlite::Result<()>;

static STEPS: [Step; 6] = [first, second, third, fourth, fifth, sixth];

/// Brings the store to this program's format, or leaves it as it is.
pub(super) fn upgrade(conn: &Connection) -> rusqlite::Result<()> {
    upgrade_by(conn, &STEPS)
}

fn upgrade_by(conn: &Connection, steps: &[Step]) -> rusqlite::Result<()> {
    let tx = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    // Read under the lock: another process may just have done it.
    let done = format(&tx)?;
    let missing = steps.get(usize::try_from(done).unwrap_or(usize::MAX)..);
    let missing = missing.unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    for step in missing {
        step(&tx)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION)?;
    let format = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    tx.pragma_update(None, "user_version", format)?;
    tx.commit()
}

/// The format of the store.
pub(super) fn format(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("PRAGMA user_version")?
        .query_row([], |row| row.get(0))
}

/// Whether the file is another program's database.
pub(super) fn is_foreign(conn: &Connection) -> rusqlite::Result<bool> {
    let application: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(application != APPLICATION && (application != 0 || tables != 0))
}

/// Rows with bodies that may be long have a rowid, so that the trees that are
/// searched stay small; the others are their own index.
fn first(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "
        -- One number by name: `revision`.
        CREATE TABLE meta (
            name TEXT PRIMARY KEY NOT NULL,
            value INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        INSERT INTO meta (name, value) VALUES ('revision', 0);

        -- `claimable` is when it can next be claimed, `ends` when the first
        -- of its holds ends; never where null.
        CREATE TABLE resource (
            id BLOB PRIMARY KEY NOT NULL,
            version INTEGER NOT NULL,
            epoch INTEGER NOT NULL,
            due INTEGER,
            leased INTEGER,
            owner BLOB,
            claimable INTEGER AS (max(due, coalesce(leased, due))) VIRTUAL,
            tenant TEXT NOT NULL,
            site BLOB NOT NULL,
            credential BLOB NOT NULL,
            ends INTEGER,
            body TEXT NOT NULL
        ) STRICT;
        CREATE INDEX resource_tenant ON resource (tenant, id);
        CREATE INDEX resource_account ON resource (site, credential, id);
        -- With the account, so that those which are to be left alone are
        -- passed over within the index.
        CREATE INDEX resource_claimable ON resource (claimable, id, site, credential);
        CREATE INDEX resource_ends ON resource (ends, id) WHERE ends IS NOT NULL;
        CREATE INDEX resource_owner ON resource (owner, leased) WHERE owner IS NOT NULL;

        CREATE TABLE resource_party (
            user TEXT NOT NULL,
            id BLOB NOT NULL,
            PRIMARY KEY (user, id)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX resource_party_id ON resource_party (id);

        -- `indexes` is what the writer declared, in the writer's order.
        CREATE TABLE document (
            space TEXT NOT NULL,
            id TEXT NOT NULL,
            version INTEGER NOT NULL,
            indexes TEXT NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (space, id)
        ) STRICT;
        CREATE TABLE document_index (
            space TEXT NOT NULL,
            name TEXT NOT NULL,
            value TEXT NOT NULL,
            id TEXT NOT NULL,
            PRIMARY KEY (space, name, value, id)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE counter (
            name TEXT PRIMARY KEY NOT NULL,
            value INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE event (
            seq INTEGER PRIMARY KEY NOT NULL,
            resource BLOB,
            body TEXT NOT NULL
        ) STRICT;
        CREATE INDEX event_resource ON event (resource, seq) WHERE resource IS NOT NULL;
        ",
    )
}

/// Who may see a resource is found by its tenant too, so that a user's own
/// tenant can be left out without passing over everything it has.
fn second(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "
        CREATE TABLE party (
            user TEXT NOT NULL,
            tenant TEXT NOT NULL,
            id BLOB NOT NULL,
            PRIMARY KEY (user, tenant, id)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO party (user, tenant, id)
            SELECT p.user, r.tenant, p.id
            FROM resource_party p CROSS JOIN resource r ON r.id = p.id;
        DROP TABLE resource_party;
        ALTER TABLE party RENAME TO resource_party;
        CREATE INDEX resource_party_id ON resource_party (id);
        ",
    )
}

/// What is in quarantine is found without reading what is not. A body that
/// cannot be read is nobody's to lead out.
fn third(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "
        -- 1 while it is in quarantine.
        ALTER TABLE resource ADD COLUMN held INTEGER;
        UPDATE resource SET held = 1
            WHERE json_valid(body) AND json_extract(body, '$.seen') = 'quarantined';
        CREATE INDEX resource_held ON resource (id) WHERE held IS NOT NULL;
        CREATE INDEX resource_held_tenant ON resource (tenant, id) WHERE held IS NOT NULL;
        ",
    )
}

/// What is due is found by its account where some accounts are to be left alone,
/// however much these have.
fn fourth(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "
        DROP INDEX resource_claimable;
        CREATE INDEX resource_claimable ON resource (claimable, id)
            WHERE claimable IS NOT NULL;
        CREATE INDEX resource_account_claimable ON resource (site, credential, claimable, id)
            WHERE claimable IS NOT NULL;
        ",
    )
}

/// What is only to be looked at again is in a queue of its own. Of what an older
/// program has written that is so where it is at rest and as wanted: whatever
/// cannot be read, or may be under way, counts as awaited until it is written
/// again.
fn fifth(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "
        -- 1 where nothing is left to do but to look again.
        ALTER TABLE resource ADD COLUMN swept INTEGER NOT NULL DEFAULT 0;
        UPDATE resource SET swept = 1
            WHERE due IS NOT NULL AND leased IS NULL AND json_valid(body)
            AND json_extract(body, '$.seen') IN ('ready', 'failed')
            AND json_extract(body, '$.wanted') <> 'absent'
            AND json_extract(body, '$.seen_generation') = json_extract(body, '$.generation')
            AND json_extract(body, '$.attempt') IS NULL;
        DROP INDEX resource_claimable;
        CREATE INDEX resource_claimable ON resource (swept, claimable, id)
            WHERE claimable IS NOT NULL;
        DROP INDEX resource_account_claimable;
        CREATE INDEX resource_account_claimable
            ON resource (swept, site, credential, claimable, id)
            WHERE claimable IS NOT NULL;
        ",
    )
}

/// Everything has a sum by which a byte that changed on the disk is noticed: a
/// text before it, a number beside it. What was changed before is not known, but
/// where it is no text any more: that gets no sum, so that it stays unreadable
/// and is told when it is read, and keeps nobody from the rest.
fn sixth(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch("ALTER TABLE counter ADD COLUMN sum INTEGER NOT NULL DEFAULT 0")?;
    let mut numbers = conn.prepare("SELECT name, value FROM counter")?;
    let numbers: Vec<(Option<String>, i64)> = numbers
        .query_map([], |row| Ok((text(row, 0).map(str::to_owned), row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut put = conn.prepare("UPDATE counter SET sum = ?2 WHERE name = ?1")?;
    for (name, value) in &numbers {
        if let Some(name) = name {
            put.execute((name, Of::Counter(name).beside(*value)))?;
        }
    }
    // By their numbers and one at a time: there may be more than memory holds.
    let each =
        |table: &str, columns: &str, sum: &mut dyn FnMut(i64, &Row<'_>) -> rusqlite::Result<()>| {
            let mut next = conn.prepare(&format!(
                "SELECT rowid, {columns} FROM {table} WHERE rowid > ?1 ORDER BY rowid LIMIT 1"
            ))?;
            let mut last = i64::MIN;
            loop {
                let mut rows = next.query([last])?;
                let Some(row) = rows.next()? else {
                    return rusqlite::Result::Ok(());
                };
                last = row.get(0)?;
                sum(last, row)?;
            }
        };
    let mut put = conn.prepare("UPDATE resource SET body = ?2 WHERE rowid = ?1")?;
    each("resource", "id, body", &mut |at, row| {
        // What has no id of ours was never readable, and stays so.
        if let (Ok(id), Some(body)) = (row.get::<_, [u8; 16]>(1), text(row, 2)) {
            put.execute((at, Of::Resource(&id).summed(body)))?;
        }
        Ok(())
    })?;
    // Each for itself: with its indexes a document can be replaced and deleted.
    let mut put = conn.prepare(
        "UPDATE document SET indexes = coalesce(?2, indexes), body = coalesce(?3, body) \
         WHERE rowid = ?1",
    )?;
    each("document", "space, id, indexes, body", &mut |at, row| {
        if let (Some(space), Some(id)) = (text(row, 1), text(row, 2)) {
            let indexes = text(row, 3).map(|text| Of::Indexes(space, id).summed(text));
            let body = text(row, 4).map(|text| Of::Document(space, id).summed(text));
            put.execute((at, indexes, body))?;
        }
        Ok(())
    })?;
    let mut put = conn.prepare("UPDATE event SET body = ?2 WHERE seq = ?1")?;
    each("event", "body", &mut |at, row| {
        if let Some(body) = text(row, 1) {
            put.execute((at, Of::Event(0).summed(body)))?;
        }
        Ok(())
    })
}

/// A text out of a column, if it is one.
fn text<'r>(row: &'r Row<'_>, column: usize) -> Option<&'r str> {
    row.get_ref(column).ok()?.as_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::read;

    #[test]
    fn an_upgrade_that_fails_leaves_the_store_as_it_was() {
        let conn = Connection::open_in_memory().unwrap();
        upgrade(&conn).unwrap();
        let broken: Step = |conn| conn.execute_batch("DROP TABLE event; DROP TABLE nothing;");
        assert!(upgrade_by(&conn, &[first, second, third, fourth, fifth, sixth, broken]).is_err());
        assert_eq!(format(&conn).unwrap(), FORMAT);
        let events: i64 = conn
            .query_row("SELECT count(*) FROM event", [], |row| row.get(0))
            .unwrap();
        assert_eq!(events, 0);
    }

    #[test]
    fn an_upgrade_runs_only_the_steps_that_are_missing() {
        let conn = Connection::open_in_memory().unwrap();
        upgrade(&conn).unwrap();
        let more: Step = |conn| conn.execute_batch("CREATE TABLE more (x INTEGER)");
        let steps = [first, second, third, fourth, fifth, sixth, more];
        upgrade_by(&conn, &steps).unwrap();
        upgrade_by(&conn, &steps).unwrap();
        assert_eq!(format(&conn).unwrap(), 7);
    }

    #[test]
    fn who_may_see_what_is_known_after_an_upgrade() {
        let conn = Connection::open_in_memory().unwrap();
        upgrade_by(&conn, &[first]).unwrap();
        conn.execute_batch(
            "INSERT INTO resource (id, version, epoch, tenant, site, credential, body)
                VALUES (x'01', 1, 0, 'physics', x'', x'', '');
            INSERT INTO resource_party (user, id) VALUES ('anna', x'01');",
        )
        .unwrap();
        upgrade(&conn).unwrap();
        let of: String = conn
            .query_row(
                "SELECT tenant FROM resource_party WHERE user = 'anna' AND id = x'01'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(of, "physics");
    }

    #[test]
    fn what_is_in_quarantine_is_known_after_an_upgrade() {
        let conn = Connection::open_in_memory().unwrap();
        upgrade_by(&conn, &[first, second]).unwrap();
        for (id, body) in [
            (1, r#"{"seen": "quarantined"}"#),
            (2, r#"{"seen": "ready", "spec": {"seen": "quarantined"}}"#),
            (3, "unreadable"),
        ] {
            conn.execute(
                "INSERT INTO resource (id, version, epoch, tenant, site, credential, body)
                    VALUES (?1, 1, 0, '', x'', x'', ?2)",
                ([id], body),
            )
            .unwrap();
        }
        upgrade(&conn).unwrap();
        let held: Vec<Vec<u8>> = conn
            .prepare("SELECT id FROM resource WHERE held IS NOT NULL")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(held, [[1]]);
    }

    #[test]
    fn what_is_only_looked_at_again_is_known_after_an_upgrade() {
        let conn = Connection::open_in_memory().unwrap();
        upgrade_by(&conn, &[first, second, third, fourth]).unwrap();
        let body = |seen: &str, wanted: &str, generation: u64, rest: &str| {
            format!(
                r#"{{"seen": "{seen}", "wanted": "{wanted}", "generation": {generation},
                    "seen_generation": 1{rest}}}"#
            )
        };
        let begun = r#", "attempt": {"effect": "change"}"#;
        let none = "NULL";
        for (id, body, leased) in [
            (1, body("ready", "running", 1, ""), none),
            (
                2,
                body("failed", "running", 1, r#", "attempt": null"#),
                none,
            ),
            (3, body("ready", "running", 2, ""), none),
            (4, body("ready", "absent", 1, ""), none),
            (5, body("building", "running", 1, ""), none),
            (6, body("ready", "running", 1, begun), none),
            (7, body("ready", "running", 1, ""), "99"),
            (8, body("quarantined", "absent", 1, ""), none),
            (9, "unreadable".to_owned(), none),
        ] {
            conn.execute(
                &format!(
                    "INSERT INTO resource \
                     (id, version, epoch, due, leased, tenant, site, credential, body) \
                     VALUES (?1, 1, 0, 7, {leased}, '', x'', x'', ?2)"
                ),
                ([id], body),
            )
            .unwrap();
        }
        upgrade(&conn).unwrap();
        let swept: Vec<Vec<u8>> = conn
            .prepare("SELECT id FROM resource WHERE swept = 1 ORDER BY id")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(swept, [[1], [2]]);
    }

    #[test]
    fn what_an_older_program_wrote_has_its_sums_after_an_upgrade() {
        let conn = Connection::open_in_memory().unwrap();
        upgrade_by(&conn, &[first, second, third, fourth, fifth]).unwrap();
        conn.execute_batch(
            r#"INSERT INTO counter (name, value) VALUES ('nodes:physics', 7), ('none', 0);
            INSERT INTO document (space, id, version, indexes, body)
                VALUES ('s', 'a', 1, '[["i","v"]]', '"one"'), ('s', 'b', 1, '[]', '"two"');
            INSERT INTO document_index (space, name, value, id) VALUES ('s', 'i', 'v', 'a');"#,
        )
        .unwrap();
        upgrade(&conn).unwrap();
        assert_eq!(read::counter(&conn, "nodes:physics").unwrap(), 7);
        assert_eq!(read::counter(&conn, "none").unwrap(), 0);
        for (id, body) in [("a", "one"), ("b", "two")] {
            let found = read::document(&conn, "s", id).unwrap().unwrap();
            assert_eq!(found.record.body.read::<String>().unwrap(), body);
        }
    }
}

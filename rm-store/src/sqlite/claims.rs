//! Claiming what is due, and giving back what the dead held.

use std::time::Duration;

use rm_core::env::Timestamp;
use rm_core::id::InstanceId;
use rm_core::store::{Account, Claim, Queue};
use rusqlite::{Connection, Row};
use uuid::Uuid;

use super::locks::{Dead, Locks};
use super::read::{blob, each_first, id, next_due, rows, swept, to_resource, unsigned};

/// What somebody who wants work asks for.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) owner: InstanceId,
    pub(super) ttl: Duration,
    pub(super) queue: Queue,
    pub(super) max: u32,
    /// Which accounts are left alone.
    pub(super) except: Vec<Account>,
    /// Whose claims are given back first.
    pub(super) dead: Vec<Dead>,
}

/// What can be known without writing.
#[derive(Debug)]
pub(super) struct Look {
    /// Something can be claimed.
    pub(super) due: bool,
    /// Engines that hold claims and are no more.
    pub(super) dead: Vec<Dead>,
}

// Claims whose lease is over need nobody to give them back.
pub(super) const OWNERS: &str =
    "SELECT DISTINCT owner FROM resource WHERE owner > x'' AND leased > ?1";
pub(super) const DUE: &str = "SELECT claimable, id FROM resource \
     WHERE swept = ?3 AND claimable <= ?1 ORDER BY claimable, id LIMIT ?2";
pub(super) const DUE_OF: &str = "SELECT claimable, id FROM resource \
     WHERE swept = ?3 AND site = ?4 AND credential = ?5 AND claimable <= ?1 \
     ORDER BY claimable, id LIMIT ?2";
const CLAIM: &str = "UPDATE resource SET leased = ?2, owner = ?3, epoch = epoch + 1 \
     WHERE id = ?1 RETURNING id, version, body, epoch";

/// Whether it is worth writing.
pub(super) fn look(
    conn: &Connection,
    locks: &Locks,
    me: Option<InstanceId>,
    queue: Queue,
    except: &[Account],
    now: Timestamp,
) -> rusqlite::Result<Look> {
    let due = next_due(conn, queue, except)?.is_some_and(|at| at <= now);
    let owners = rows(conn, OWNERS, [now.millis()], |row| {
        id(row, 0).map(InstanceId)
    })?;
    let dead = owners
        .into_iter()
        .filter(|owner| Some(*owner) != me)
        .filter_map(|owner| locks.dead(owner))
        .collect();
    Ok(Look { due, dead })
}

/// Gives back everything that an engine holds.
pub(super) fn free(conn: &Connection, owner: InstanceId) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE resource SET leased = NULL, owner = NULL WHERE owner = ?1")?
        .execute([blob(&owner.0)])
        .map(|_| ())
}

/// At opening: frees whatever the dead left behind, and removes their locks.
pub(super) fn free_all_dead(conn: &Connection, locks: &Locks) -> rusqlite::Result<()> {
    for dead in locks.all_dead() {
        free(conn, dead.owner)?;
        dead.bury();
    }
    Ok(())
}

/// So many that are due, the oldest first.
fn due(conn: &Connection, wish: &Wish, now: Timestamp) -> rusqlite::Result<Vec<Uuid>> {
    let found = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, id(row, 1)?));
    let Wish { max, except, .. } = wish;
    let (now, most) = (now.millis(), usize::try_from(*max).unwrap_or(usize::MAX));
    let queue = swept(wish.queue);
    let mut due = Vec::new();
    if except.is_empty() {
        due = rows(conn, DUE, (now, max, queue), found)?;
    } else {
        each_first(conn, wish.queue, except, |(site, credential), first| {
            if first.millis() <= now {
                let (site, credential) = (blob(&site.0), blob(&credential.0));
                let of = (now, max, queue, site, credential);
                due.extend(rows(conn, DUE_OF, of, found)?);
            }
            Ok(())
        })?;
        due.sort_unstable();
        due.truncate(most);
    }
    Ok(due.into_iter().map(|(_, id)| id).collect())
}

/// Claims what is due; part of the writer's transaction.
pub(super) fn claim(
    conn: &Connection,
    wish: &Wish,
    now: Timestamp,
) -> rusqlite::Result<Vec<Claim>> {
    for dead in &wish.dead {
        free(conn, dead.owner)?;
    }
    let until = now.plus(wish.ttl);
    let mut lease = conn.prepare_cached(CLAIM)?;
    let mut claims = Vec::new();
    for id in due(conn, wish, now)? {
        let params = (blob(&id), until.millis(), blob(&wish.owner.0));
        let claim = lease.query_row(params, |row| {
            Ok(to_resource(row).and_then(|row_| {
                let epoch = unsigned(row, 3)?;
                Ok(Claim {
                    row: row_,
                    queue: wish.queue,
                    epoch,
                    until,
                })
            }))
        })?;
        match claim {
            Ok(claim) => claims.push(claim),
            // Left alone for the length of a lease; it must not keep the
            // others from being worked on.
            Err(e) => tracing::error!(resource = %id, error = %e, "a resource cannot be read"),
        }
    }
    Ok(claims)
}

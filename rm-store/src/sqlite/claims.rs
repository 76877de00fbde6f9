//! Claiming what is due, and giving back what the dead held.

use std::time::Duration;

use rm_core::env::Timestamp;
use rm_core::id::InstanceId;
use rm_core::store::{Account, Claim};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::locks::{Dead, Locks};
use super::read::{blob, id, rows, to_resource, unsigned};

/// What somebody who wants work asks for.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) owner: InstanceId,
    pub(super) ttl: Duration,
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

pub(super) const ANY_DUE: &str = "SELECT 1 FROM resource WHERE claimable <= ?1{} LIMIT 1";
// Claims whose lease is over need nobody to give them back.
pub(super) const OWNERS: &str =
    "SELECT DISTINCT owner FROM resource WHERE owner > x'' AND leased > ?1";
pub(super) const DUE: &str = "SELECT id, version, body, epoch FROM resource \
     WHERE claimable <= ?1{} ORDER BY claimable, id LIMIT ?2";

/// Puts into a statement's gap which accounts are left alone, and their
/// parameters after those that it has already.
pub(super) fn leaving_out(
    sql: &str,
    except: &[Account],
    mut params: Vec<Value>,
) -> (String, Vec<Value>) {
    let mut gap = String::new();
    for (site, credential) in except {
        for id in [site, credential] {
            params.push(Value::Blob(blob(&id.0).to_vec()));
        }
        let n = params.len();
        gap += &format!(" AND NOT (site = ?{} AND credential = ?{n})", n - 1);
    }
    (sql.replacen("{}", &gap, 1), params)
}

/// Whether it is worth writing.
pub(super) fn look(
    conn: &Connection,
    locks: &Locks,
    me: Option<InstanceId>,
    except: &[Account],
    now: Timestamp,
) -> rusqlite::Result<Look> {
    let (sql, params) = leaving_out(ANY_DUE, except, vec![now.millis().into()]);
    let due = conn
        .prepare_cached(&sql)?
        .query_row(params_from_iter(params), |_| Ok(()))
        .optional()?
        .is_some();
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
    let params = vec![now.millis().into(), i64::from(wish.max).into()];
    let (sql, params) = leaving_out(DUE, &wish.except, params);
    let found = rows(conn, &sql, params_from_iter(params), |row| {
        let claim = to_resource(row).and_then(|row_| {
            Ok(Claim {
                row: row_,
                epoch: unsigned(row, 3)? + 1,
                until,
            })
        });
        Ok((id(row, 0)?, claim))
    })?;
    let mut lease = conn.prepare_cached(
        "UPDATE resource SET leased = ?2, owner = ?3, epoch = epoch + 1 WHERE id = ?1",
    )?;
    let mut claims = Vec::with_capacity(found.len());
    for (id, claim) in found {
        lease.execute((blob(&id), until.millis(), blob(&wish.owner.0)))?;
        match claim {
            Ok(claim) => claims.push(claim),
            // Left alone for the length of a lease; it must not keep the
            // others from being worked on.
            Err(e) => tracing::error!(resource = %id, error = %e, "a resource cannot be read"),
        }
    }
    Ok(claims)
}

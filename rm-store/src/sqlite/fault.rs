//! What SQLite says, as the error of the house.

use std::path::Path;

use rm_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

use super::sum::Damaged;

/// Nothing that is kept is ever in SQLite's messages: every value is bound, so
/// they name tables and columns only.
pub(super) fn explain(path: &Path, e: &rusqlite::Error) -> Error {
    let name = path.display().to_string();
    let unavailable = |what: String| Error::new(ErrorKind::Unavailable, what);
    let error = match e.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => full(&name),
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed,
        ) => unavailable(format!("another process keeps the store {name} locked"))
            .advice("try again; if it stays so, look for a program that has the file open"),
        Some(ErrorCode::DatabaseCorrupt) => damaged(&name),
        Some(ErrorCode::NotADatabase) => not_a_database(path),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            Error::invalid(format!("this process may not write the store {name}")).advice(
                "look at the owner and permissions of the file and of its folder, in which SQLite \
             keeps a log beside it",
            )
        }
        Some(ErrorCode::CannotOpen) => unavailable(format!("the store {name} cannot be opened"))
            .advice("look whether the file is there and may be read and written"),
        Some(ErrorCode::SystemIoFailure) => unavailable(format!(
            "the disk failed under the store {name}"
        ))
        .advice("look at the disk and whether it is full; the store goes on when it works again"),
        Some(ErrorCode::OutOfMemory) => {
            unavailable(format!("there is no memory left for the store {name}"))
        }
        Some(ErrorCode::TooBig) => Error::invalid("a record is too long for the store"),
        _ => match e {
            rusqlite::Error::FromSqlConversionFailure(_, _, why) if why.is::<Damaged>() => {
                tracing::error!(store = name, error = %why, "the store is damaged");
                changed(why.downcast_ref().map_or("something", Damaged::told))
            }
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => {
                tracing::error!(store = name, error = %e, "the store holds what cannot be read");
                let what = "the store holds a record that this version cannot read";
                Error::new(ErrorKind::Corrupt, what)
                    .advice("the log has its name; was the store written by a newer version?")
            }
            _ => Error::new(
                ErrorKind::Internal,
                format!("the store {name} refused a statement"),
            ),
        },
    };
    error.because(e.to_string())
}

/// The same for a commit of which nobody knows whether the disk took it.
pub(super) fn explain_commit(path: &Path, e: &rusqlite::Error) -> Error {
    let error = explain(path, e);
    match e.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => error.effect_unknown(),
        _ => error,
    }
}

pub(super) fn full(name: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("there is no room left for the store {name}; nothing of this was written"),
    )
    .code("store-full")
    .advice("make room on its disk, then try again")
}

fn damaged(name: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the store {name} is damaged")).advice(
        "stop every program that uses it, keep a copy of the file and of those beside it, and \
         put back the newest copy for which `PRAGMA integrity_check` says ok",
    )
}

/// One thing in it is not what was written; the others can be read. Whoever asks
/// may be anybody: the file and the whole name are in the log.
fn changed(told: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the store is damaged: {told} is not what was written"),
    )
    .code("store-damaged")
    .advice(
        "the log has its name; stop every program that uses the store, keep a copy of its file and \
         of those beside it, and put back the newest copy; without one, `operation-manager store \
         rebuild` makes a new store of what the sites tell",
    )
}

pub(super) fn not_a_database(path: &Path) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!(
            "{} is not the file of a store; it was not touched",
            path.display()
        ),
    )
    .advice("give the store another path, or put back a copy of its file")
}

/// The thread is gone that should have answered.
pub(super) fn closed(path: &Path) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("the store {} is closed", path.display()),
    )
}

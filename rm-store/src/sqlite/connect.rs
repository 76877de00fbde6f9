//! Finding the file, looking whether it is ours, and connecting to it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind as Io, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rm_core::{Error, ErrorKind, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{Options, fault, schema};

/// How much of the file the writer keeps in memory, in KiB.
const WRITER_CACHE: i64 = 4096;
/// The same for each reader: room for what leads to the rows of a few million
/// resources, so that only the rows themselves are fetched.
const READER_CACHE: i64 = 12288;

/// The absolute path, so that a change of the working directory or a name that
/// looks like a URI changes nothing.
pub(super) fn locate(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(
            Error::invalid(format!("{} cannot be the file of a store", path.display()))
                .advice("give the path of a file, such as /var/lib/operation-manager/store.db"),
        );
    };
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let real = folder.canonicalize().map_err(|e| {
        let (what, advice) = match e.kind() {
            Io::NotFound => (
                "does not exist",
                "create it, or give the store another path",
            ),
            _ => ("cannot be entered", "look at its permissions"),
        };
        Error::invalid(format!(
            "the folder {} of the store {what}",
            folder.display()
        ))
        .advice(advice)
        .because(e)
    })?;
    Ok(real.join(name))
}

/// The connection that writes: checks the file, then makes or upgrades it.
pub(super) fn writer(path: &Path, options: &Options) -> Result<Connection> {
    match header(path)? {
        None => create(path)?,
        Some(header) => header.check(path)?,
    }
    let explain = |e: rusqlite::Error| fault::explain(path, &e);
    let conn = connect(path, options).map_err(explain)?;
    // Until it is known to be ours, closing must not carry the log over into
    // the file.
    let keep_log = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    conn.set_db_config(keep_log, true).map_err(explain)?;
    if schema::is_foreign(&conn).map_err(explain)? {
        return Err(foreign(path));
    }
    // The header is older than the log, so the format is asked for again.
    let format = schema::format(&conn).map_err(explain)?;
    if format > schema::FORMAT {
        return Err(newer(path, format));
    }
    conn.set_db_config(keep_log, false).map_err(explain)?;
    keep_a_log(&conn, path, options.patience)?;
    schema::upgrade(&conn).map_err(explain)?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE)
        .map_err(explain)?;
    if let Some(max) = options.max_bytes {
        limit(&conn, max).map_err(explain)?;
    }
    Ok(conn)
}

/// A connection that reads.
pub(super) fn reader(path: &Path, options: &Options) -> Result<Connection> {
    let open = || {
        let conn = connect(path, options)?;
        conn.pragma_update(None, "cache_size", -READER_CACHE)?;
        conn.pragma_update(None, "query_only", true)?;
        Ok(conn)
    };
    open().map_err(|e: rusqlite::Error| fault::explain(path, &e))
}

fn connect(path: &Path, options: &Options) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(options.patience)?;
    conn.set_prepared_statement_cache_capacity(64);
    // A plan does not depend on what is asked for: SQLite would else make those
    // that could be better for another value anew each time one is bound, which
    // costs more than to carry them out.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // FULL: a commit that was answered survives a power cut. The log is carried
    // over into the file every 16 MiB: each time costs two waits for the disk.
    conn.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = OFF;
         PRAGMA mmap_size = 0;
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;
         PRAGMA wal_autocheckpoint = 4096;
         PRAGMA journal_size_limit = 16777216;",
    )?;
    Ok(conn)
}

/// Switches to a write-ahead log, once in the life of a file. Two processes
/// that do it at the same time may refuse each other without waiting.
fn keep_a_log(conn: &Connection, path: &Path, patience: Duration) -> Result<()> {
    let begun = Instant::now();
    loop {
        let mode: rusqlite::Result<String> =
            conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match mode {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => {
                return Err(Error::invalid(format!(
                    "the store cannot be kept at {}: its file system has no shared memory",
                    path.display()
                ))
                .advice("keep it on a local disk"));
            }
            Err(e)
                if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < patience =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(e) => return Err(fault::explain(path, &e)),
        }
    }
}

fn limit(conn: &Connection, bytes: u64) -> rusqlite::Result<()> {
    let page: i64 = conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page.max(1);
    conn.pragma_update_and_check(None, "max_page_count", pages.max(1), |_| Ok(()))
}

/// What the first hundred bytes of a database say.
struct Header {
    format: i64,
    application: i64,
    is_database: bool,
}

impl Header {
    /// Refuses what is not ours before anything opens it.
    fn check(&self, path: &Path) -> Result<()> {
        if !self.is_database {
            return Err(fault::not_a_database(path));
        }
        match self.application {
            schema::APPLICATION if self.format > schema::FORMAT => Err(newer(path, self.format)),
            // A new file has its mark in the log only, until that is carried over.
            schema::APPLICATION | 0 => Ok(()),
            _ => Err(foreign(path)),
        }
    }
}

/// None where there is no file, or an empty one.
fn header(path: &Path) -> Result<Option<Header>> {
    let mut bytes = Vec::with_capacity(100);
    let read = File::open(path).and_then(|file| file.take(100).read_to_end(&mut bytes));
    match read {
        Ok(0) => return Ok(None),
        Ok(_) => {}
        Err(e) if e.kind() == Io::NotFound => return Ok(None),
        Err(e) => return Err(unusable(path, e)),
    }
    let number = |at: usize| {
        let four = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
        i64::from(i32::from_be_bytes(four.unwrap_or_default()))
    };
    Ok(Some(Header {
        format: number(60),
        application: number(68),
        is_database: bytes.len() == 100 && bytes.starts_with(b"SQLite format 3\0"),
    }))
}

/// Makes the file, readable by nobody else, and sees to it that the folder
/// remembers it after a power cut.
fn create(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let made = options.open(path).and_then(|_| match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    });
    made.map_err(|e| unusable(path, e))
}

fn unusable(path: &Path, e: std::io::Error) -> Error {
    let path = path.display();
    match e.kind() {
        Io::PermissionDenied | Io::ReadOnlyFilesystem => Error::invalid(format!(
            "this process may not read and write the store {path}"
        ))
        .advice("look at the owner and permissions of the file and of its folder"),
        Io::IsADirectory => Error::invalid(format!("{path} is a folder, not the file of a store"))
            .advice("give the path of a file in it"),
        Io::StorageFull => fault::full(&path.to_string()),
        _ => Error::new(
            ErrorKind::Unavailable,
            format!("the store {path} cannot be opened"),
        )
        .advice("look at the disk, then start again"),
    }
    .because(e)
}

fn foreign(path: &Path) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!(
            "{} is a database of another program; it was not touched",
            path.display()
        ),
    )
    .advice("give the store another path")
}

/// A newer program has written the store.
pub(super) fn newer(path: &Path, format: i64) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "a newer version of this program has written the store {}: it has format {format}, \
             and this version knows formats up to {}; it was not touched",
            path.display(),
            schema::FORMAT
        ),
    )
    .code("store-too-new")
    .advice("start the newer version, or put back the copy that was made before that version ran")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_waits_for_the_disk_and_memory_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = locate(&folder.path().join("s.db")).unwrap();
        let conn = writer(&path, &Options::default()).unwrap();
        let ask = |name: &str| -> String {
            conn.query_row(&format!("PRAGMA {name}"), [], |row| {
                row.get_ref(0).map(|value| match value {
                    rusqlite::types::ValueRef::Integer(i) => i.to_string(),
                    other => other.as_str().unwrap().to_owned(),
                })
            })
            .unwrap()
        };
        assert_eq!(ask("synchronous"), "2");
        assert_eq!(ask("journal_mode"), "wal");
        assert_eq!(ask("cache_size"), "-4096");
        assert_eq!(ask("mmap_size"), "0");
        assert_eq!(ask("integrity_check"), "ok");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_a_new_store() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = locate(&folder.path().join("s.db")).unwrap();
        let _conn = writer(&path, &Options::default()).unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
    }
}

//! Files that are none, are too new, are full, locked or damaged.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rm_core::store::{Batch, By, Due, Key, Store};
use rm_core::{Effect, Error, ErrorKind, Host};
use rm_store::{AeadSealer, Options, SqliteStore, generate_key};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use support::{TestEnv, document, done, keep, put, record};

mod support;

fn open(path: &Path) -> Result<SqliteStore, Error> {
    SqliteStore::open(path, TestEnv::new())
}

/// Every file of a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect()
}

async fn filled(path: &Path) {
    let store = open(path).unwrap();
    for n in 0..80 {
        let body = "x".repeat(500);
        let mut batch = put(record(n, "t", &["u"]), Due::Keep);
        batch.documents = vec![document("s", &n.to_string(), &[("i", "v")], &body)];
        done(&store, batch).await;
    }
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    filled(&path).await;
    let conn = Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    let before = files(folder.path());
    let e = open(&path).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert_eq!(e.stable_code(), "store-too-new");
    let text = e.to_string();
    for part in [
        "store.db",
        "format 99",
        "up to 6",
        "not touched",
        "newer version",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(files(folder.path()), before);
}

#[tokio::test]
async fn it_is_not_touched_either_where_only_its_log_says_that_it_is_newer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    filled(&path).await;
    let conn = Connection::open(&path).unwrap();
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    let without_index = |folder: &Path| {
        let mut files = files(folder);
        files.retain(|name, _| !name.ends_with("-shm"));
        files
    };
    let before = without_index(folder.path());
    assert_eq!(before.len(), 2);
    assert_eq!(open(&path).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(without_index(folder.path()), before);
}

#[tokio::test]
async fn a_store_that_is_upgraded_under_a_running_program_is_written_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path).unwrap();
    done(&store, Batch::default()).await;
    let conn = Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    let e = store.commit(Batch::default()).await.unwrap_err();
    assert_eq!(e.stable_code(), "store-too-new");
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let other = Connection::open(folder.path().join("other.db")).unwrap();
    other
        .execute_batch("CREATE TABLE t (x); PRAGMA application_id = 7")
        .unwrap();
    drop(other);
    let unmarked = Connection::open(folder.path().join("unmarked.db")).unwrap();
    unmarked.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(unmarked);
    std::fs::write(&path, "this is a letter ".repeat(100)).unwrap();
    std::fs::write(folder.path().join("short.db"), "SQLite format 3\0").unwrap();
    let before = files(folder.path());
    for name in ["store.db", "short.db", "other.db", "unmarked.db"] {
        let e = open(&folder.path().join(name)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
        assert!(e.to_string().contains("not touched"), "{e}");
        assert!(e.next().is_some());
    }
    assert_eq!(files(folder.path()), before);
}

#[tokio::test]
async fn a_place_where_no_store_can_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let e = open(&folder.path().join("no/such/store.db")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
    assert!(e.to_string().contains("does not exist; create it"), "{e}");
    let e = open(folder.path()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
    assert!(e.to_string().contains("is a folder"), "{e}");
    assert_eq!(open(Path::new("/")).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(files(folder.path()).is_empty());
}

#[tokio::test]
async fn a_path_that_looks_like_a_uri_is_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file:store.db?mode=memory");
    let store = open(&path).unwrap();
    done(&store, put(record(1, "t", &[]), Due::Keep)).await;
    assert!(store.path().is_file());
    drop(store);
    let page = open(&path).unwrap().resources(&By::All, None, 9).await;
    assert_eq!(page.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_full_disk_writes_nothing_by_half_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.db");
    drop(SqliteStore::open(&empty, TestEnv::new()).unwrap());
    let empty = std::fs::metadata(&empty).unwrap().len();
    let options = Options {
        max_bytes: Some(empty + 404 * 1024),
        ..Options::default()
    };
    let path = folder.path().join("store.db");
    let store = SqliteStore::open_with(&path, TestEnv::new(), &options).unwrap();
    let body = "x".repeat(9_000);
    let pair = |n: usize| {
        let id = n.to_string();
        let documents = vec![
            document("a", &id, &[("i", "v")], &body),
            document("b", &id, &[("i", "v")], &body),
        ];
        keep(documents)
    };
    let mut written = 0;
    let e = loop {
        match store.commit(pair(written)).await {
            Ok(_) => written += 1,
            Err(e) => break e,
        }
    };
    assert!(written > 5);
    assert_eq!(
        (e.kind(), e.effect()),
        (ErrorKind::Unavailable, Effect::None)
    );
    assert_eq!(e.stable_code(), "store-full");
    assert!(e.is_temporary());
    assert!(e.to_string().contains("no room left"), "{e}");
    // Those that fit are written although they shared a disk commit with some
    // that do not.
    let small = |n: usize| keep(vec![document("small", &n.to_string(), &[], "")]);
    let big = (0..20).map(|n| store.commit(pair(1000 + n)));
    let small = (0..20).map(|n| store.commit(small(n)));
    let (big, small) = futures_util::future::join(
        futures_util::future::join_all(big),
        futures_util::future::join_all(small),
    )
    .await;
    assert!(big.iter().all(Result::is_err));
    assert!(small.iter().all(Result::is_ok), "{small:?}");
    for space in ["a", "b"] {
        for index in [None, Some(("i", "v"))] {
            let page = store.documents(space, index, None, u32::MAX).await;
            assert_eq!(page.unwrap().items.len(), written);
        }
    }
    // Room is made, and it goes on.
    let key = |space: &str| Key::Document(space.to_owned(), "0".to_owned());
    done(
        &store,
        Batch {
            delete: vec![key("a"), key("b")],
            ..Batch::default()
        },
    )
    .await;
    done(&store, pair(0)).await;
}

#[tokio::test]
async fn a_file_that_another_process_keeps_locked_is_waited_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        patience: Duration::from_millis(100),
        ..Options::default()
    };
    let path = folder.path().join("store.db");
    let store = SqliteStore::open_with(&path, TestEnv::new(), &options).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let e = store.commit(Batch::default()).await.unwrap_err();
    assert_eq!(
        (e.kind(), e.effect()),
        (ErrorKind::Unavailable, Effect::None)
    );
    assert!(e.is_temporary() && e.to_string().contains("locked"), "{e}");
    // Readers do not mind.
    assert_eq!(store.newest().await.unwrap(), 0);
    other.execute_batch("COMMIT").unwrap();
    done(&store, Batch::default()).await;
}

#[tokio::test]
async fn a_damaged_file_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    filled(&path).await;
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = 0;
    for page in 1..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let found = match open(&path) {
            Err(e) => Err(e),
            Ok(store) => {
                let all = store.resources(&By::All, None, 1000).await;
                let notes = store.documents("s", Some(("i", "v")), None, 1000).await;
                let write = store.commit(put(record(999, "t", &["u"]), Due::Keep)).await;
                all.map(|_| ())
                    .and(notes.map(|_| ()))
                    .and(write.map(|_| ()))
            }
        };
        if let Err(e) = found {
            damaged += 1;
            assert_eq!(e.kind(), ErrorKind::Corrupt, "page {page}: {e:?}");
            assert!(e.to_string().contains("integrity_check"), "{e}");
        }
    }
    assert!(damaged > 3, "{damaged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_on_one_file_share_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    // All open it at the same time, the first one makes it.
    let threads: Vec<_> = (0..6)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || open(&path).unwrap())
        })
        .collect();
    let stores: Vec<Arc<SqliteStore>> = threads
        .into_iter()
        .map(|t| Arc::new(t.join().unwrap()))
        .collect();
    let tasks: Vec<_> = (0..60)
        .map(|n| {
            let store = stores[n % stores.len()].clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    let count = rm_core::store::Count {
                        counter: "c".to_owned(),
                        by: 1,
                        at_most: None,
                    };
                    let batch = Batch {
                        counts: vec![count],
                        events: vec![support::event("e", None)],
                        ..Batch::default()
                    };
                    done(&*store, batch).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for store in &stores {
        assert_eq!(store.counter("c").await.unwrap(), 300);
        assert_eq!(store.newest().await.unwrap(), 300);
    }
}

#[test]
fn a_host_keeps_no_secret_unsealed_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder.path().join("store.db")).unwrap());
    let builder = || Host::builder(TestEnv::new()).store(Arc::clone(&store) as Arc<dyn Store>);
    let e = builder().build().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
    assert!(e.to_string().contains("give the builder a sealer"), "{e}");
    let sealer = AeadSealer::new(&[generate_key().unwrap()]).unwrap();
    builder().sealer(Arc::new(sealer)).build().unwrap();
}

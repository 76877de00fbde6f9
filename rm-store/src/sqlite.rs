//! The store that lives in one SQLite file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rm_core::env::{Env, Timestamp};
use rm_core::event::Event;
use rm_core::id::{InstanceId, ResourceId};
use rm_core::record::{Document, ResourceRecord};
use rm_core::store::{Account, Batch, By, Claim, Cursor, Outcome, Page, Queue, Store, Versioned};
use rm_core::{Error, ErrorKind, Result};

mod apply;
mod claims;
mod connect;
mod fault;
mod locks;
mod read;
mod readers;
mod schema;
mod sum;
mod writer;

use locks::Locks;
use readers::Readers;
use writer::{Answer, Work, Writer};

/// What can be chosen when a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many threads read. Each has a connection with a cache of its own.
    pub readers: usize,
    /// How long a write or a read waits for another process that holds the
    /// file, before it fails as unavailable.
    pub patience: Duration,
    /// Beyond this many bytes the file counts as full.
    pub max_bytes: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 2,
            patience: Duration::from_secs(10),
            max_bytes: None,
        }
    }
}

/// Everything durable in one SQLite file.
///
/// One thread writes. Batches that wait while the disk is busy are written by
/// the next disk commit together, and each is answered only after that commit
/// has returned; a batch is handed over whole before the first await, so that a
/// dropped `commit` future is either wholly written or not at all. Other
/// threads read beside it.
///
/// Several processes of *one host* may open the same file, on a local disk;
/// network file systems lose SQLite's locks. Times are the clock of the
/// [`Env`] given at opening, which is therefore the same clock for all of them.
///
/// # Takeover
///
/// A claim names the engine that holds it, and each engine that ever claimed
/// something keeps a file `STORE.lock-ENGINE` locked while it lives. The kernel
/// drops that lock when the process ends, however it ends. Whoever finds the
/// lock of an engine free gives that engine's claims back at once instead of
/// waiting for their leases. A stalled process keeps its lock, so its claims
/// wait for their leases; a lock file that is not there proves nothing, so
/// neither does removing one by hand. Nothing rests on this for safety: a claim
/// given back keeps its epoch, the next one gets a higher one, and the store
/// refuses every write under the older.
pub struct SqliteStore {
    path: PathBuf,
    env: Arc<dyn Env>,
    locks: Locks,
    // The order matters: the writer's connection closes last and tidies up
    // after the readers.
    readers: Readers,
    writer: Writer,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the store at `path`, creates it where there is none, and upgrades
    /// one of an older version. Blocks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] where a newer version has written it,
    /// [`ErrorKind::Corrupt`] where the file is no store or is damaged,
    /// [`ErrorKind::Invalid`] where there can be no store at `path`. Neither
    /// touches the file.
    pub fn open(path: impl AsRef<Path>, env: Arc<dyn Env>) -> Result<Self> {
        Self::open_with(path, env, &Options::default())
    }

    /// Like [`Self::open`], with options.
    ///
    /// # Errors
    ///
    /// Those of [`Self::open`].
    pub fn open_with(path: impl AsRef<Path>, env: Arc<dyn Env>, options: &Options) -> Result<Self> {
        let path = connect::locate(path.as_ref())?;
        let conn = connect::writer(&path, options)?;
        let locks = Locks::beside(&path);
        claims::free_all_dead(&conn, &locks).map_err(|e| fault::explain(&path, &e))?;
        let readers = (0..options.readers.max(1))
            .map(|_| connect::reader(&path, options))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            writer: Writer::start(conn, &path, Arc::clone(&env), locks.clone())?,
            readers: Readers::start(readers, &path)?,
            path,
            env,
            locks,
        })
    }

    /// Where its file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn defect() -> Error {
    Error::new(
        ErrorKind::Internal,
        "the store's writer answered another question",
    )
}

#[async_trait]
impl Store for SqliteStore {
    async fn resource(&self, id: ResourceId) -> Result<Option<Versioned<ResourceRecord>>> {
        self.readers.read(move |c| read::resource(c, id)).await
    }

    async fn resources(
        &self,
        by: &By,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<ResourceRecord>>> {
        let after = after.map(read::behind).transpose()?;
        let by = by.clone();
        self.readers
            .read(move |c| read::resources(c, &by, after.as_ref(), limit))
            .await
    }

    async fn document(&self, space: &str, id: &str) -> Result<Option<Versioned<Document>>> {
        let (space, id) = (space.to_owned(), id.to_owned());
        self.readers
            .read(move |c| read::document(c, &space, &id))
            .await
    }

    async fn documents(
        &self,
        space: &str,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<Document>>> {
        let space = space.to_owned();
        let index = index.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let after = after.map(|c| c.0.clone());
        self.readers
            .read(move |c| read::documents(c, &space, index.as_ref(), after.as_deref(), limit))
            .await
    }

    async fn counter(&self, counter: &str) -> Result<u64> {
        let counter = counter.to_owned();
        self.readers.read(move |c| read::counter(c, &counter)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome> {
        let write = apply::Write::prepare(batch)?;
        match self.writer.work(Work::Commit(Box::new(write))).await? {
            Answer::Outcome(outcome) => Ok(outcome),
            Answer::Claims(_) => Err(defect()),
        }
    }

    async fn claim(
        &self,
        owner: InstanceId,
        ttl: Duration,
        queue: Queue,
        max: u32,
        except: &[Account],
    ) -> Result<Vec<Claim>> {
        let now = self.env.now();
        let locks = self.locks.clone();
        let except = except.to_vec();
        let but = except.clone();
        let me = Some(owner);
        let look = move |c: &rusqlite::Connection| claims::look(c, &locks, me, queue, &but, now);
        let claims::Look { due, dead } = self.readers.read(look).await?;
        if max == 0 || (!due && dead.is_empty()) {
            return Ok(Vec::new());
        }
        let wish = claims::Wish {
            owner,
            ttl,
            queue,
            max,
            except,
            dead,
        };
        match self.writer.work(Work::Claim(wish)).await? {
            Answer::Claims(claims) => Ok(claims),
            Answer::Outcome(_) => Err(defect()),
        }
    }

    async fn is_claimed(&self, id: ResourceId) -> Result<bool> {
        self.readers.read(move |c| read::is_claimed(c, id)).await
    }

    async fn next_due(&self, queue: Queue, except: &[Account]) -> Result<Option<Timestamp>> {
        let now = self.env.now();
        let locks = self.locks.clone();
        let except = except.to_vec();
        self.readers
            .read(move |c| {
                let next = read::next_due(c, queue, &except)?;
                // What a dead engine holds can be claimed now, whatever its
                // leases say.
                if next.is_some_and(|at| at > now)
                    && !claims::look(c, &locks, None, queue, &except, now)?
                        .dead
                        .is_empty()
                {
                    return Ok(Some(now));
                }
                Ok(next)
            })
            .await
    }

    async fn ended(&self, now: Timestamp, limit: u32) -> Result<Vec<Versioned<ResourceRecord>>> {
        self.readers.read(move |c| read::ended(c, now, limit)).await
    }

    async fn next_end(&self) -> Result<Option<Timestamp>> {
        self.readers.read(read::next_end).await
    }

    async fn since(&self, seq: u64, of: Option<ResourceId>, limit: u32) -> Result<Vec<Event>> {
        self.readers
            .read(move |c| read::since(c, seq, of, limit))
            .await
    }

    async fn newest(&self) -> Result<u64> {
        self.readers.read(read::newest).await
    }
}

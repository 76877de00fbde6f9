//! A store in one file, for one process: each batch that was written is a line
//! of it, and what all lines say is kept in memory.
//!
//! It is small, not fast: a commit waits for the disk in the caller's thread,
//! and the file only grows. `rm-store` has a thread for that.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use rm_core::env::{Env, Timestamp};
use rm_core::event::{Event, NewEvent};
use rm_core::id::InstanceId;
use rm_core::record::{Document, ResourceRecord};
use rm_core::store::{
    Account, Batch, By, Claim, Count, Cursor, Due, Key, MemoryStore, Outcome, Page, Queue, Store,
    Versioned,
};
use rm_core::{Error, ErrorKind, ResourceId, Result};
use serde::{Deserialize, Serialize};

/// A store in one file.
#[derive(Debug)]
pub(crate) struct FileStore {
    memory: MemoryStore,
    /// Nothing where a line could not be written: then nobody knows what is in
    /// the file until it is opened again.
    pub(super) file: Mutex<Option<File>>,
}

/// What a batch writes. What it expected was true when it was written, and
/// claims end with the process that held them.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    resources: Vec<(ResourceRecord, Due)>,
    documents: Vec<Document>,
    delete: Vec<Key>,
    counts: Vec<Count>,
    forget: Vec<u64>,
    events: Vec<NewEvent>,
}

impl FileStore {
    /// Opens a store, or begins one.
    pub(crate) fn open(path: &Path, env: Arc<dyn Env>) -> Result<Self> {
        let failed = |e: io::Error| {
            Error::new(
                ErrorKind::Unavailable,
                "the file of the store cannot be opened",
            )
            .advice("see whether it is there and no other process has it")
            .because(e)
        };
        let mut options = File::options();
        let file = options.read(true).append(true).create(true).open(path);
        let file = file.map_err(failed)?;
        // Two processes would each know only what they wrote themselves.
        file.try_lock().map_err(|e| failed(e.into()))?;
        let memory = MemoryStore::new(env);
        let (mut whole, mut line) = (0, Vec::new());
        let mut lines = BufReader::new(&file);
        while lines.read_until(b'\n', &mut line).map_err(failed)? > 0 && line.ends_with(b"\n") {
            let batch = read(&line)?;
            at_once(memory.commit(batch))?;
            whole += u64::try_from(line.len()).unwrap_or(u64::MAX);
            line.clear();
        }
        // Whoever wrote a line that is cut off has never been answered.
        file.set_len(whole).map_err(failed)?;
        let file = Mutex::new(Some(file));
        Ok(Self { memory, file })
    }

    fn file(&self) -> std::sync::MutexGuard<'_, Option<File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For reading: what is in it is in the file, too.
    fn sound(&self) -> Result<&MemoryStore> {
        match *self.file() {
            Some(_) => Ok(&self.memory),
            None => Err(broken()),
        }
    }
}

fn read(line: &[u8]) -> Result<Batch> {
    let Line {
        resources,
        documents,
        delete,
        counts,
        forget,
        events,
    } = serde_json::from_slice(line).map_err(|e| {
        Error::new(
            ErrorKind::Corrupt,
            "the file of the store has a line that is none",
        )
        .advice("restore the file from a backup")
        .because(e)
    })?;
    Ok(Batch {
        resources: resources
            .into_iter()
            .map(|(record, due)| (Arc::new(record), due))
            .collect(),
        documents: documents.into_iter().map(Arc::new).collect(),
        delete,
        counts,
        forget,
        events,
        ..Batch::default()
    })
}

fn write(batch: &Batch) -> Result<Vec<u8>> {
    let line = Line {
        resources: batch
            .resources
            .iter()
            .map(|(record, due)| ((**record).clone(), *due))
            .collect(),
        documents: batch.documents.iter().map(|d| (**d).clone()).collect(),
        delete: batch.delete.clone(),
        counts: batch.counts.clone(),
        forget: batch.forget.clone(),
        events: batch.events.clone(),
    };
    let mut line = serde_json::to_vec(&line).map_err(|e| {
        Error::new(ErrorKind::Internal, "a batch cannot be written as JSON").because(e)
    })?;
    line.push(b'\n');
    Ok(line)
}

/// The store in memory never waits.
fn at_once<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    let answer = answer.now_or_never();
    answer.unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "the memory waits")))
}

fn broken() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the file of the store could not be written",
    )
    .advice("make room on its disk and start the program again")
}

#[async_trait]
impl Store for FileStore {
    async fn commit(&self, batch: Batch) -> Result<Outcome> {
        let line = write(&batch)?;
        // Held until the line is on the disk: lines are in the order of
        // commits, and nobody builds on what is in the memory alone.
        let mut guard = self.file();
        let Some(file) = &mut *guard else {
            return Err(broken());
        };
        let outcome = at_once(self.memory.commit(batch))?;
        if let Outcome::Done(_) = outcome
            && let Err(e) = file.write_all(&line).and_then(|()| file.sync_data())
        {
            *guard = None;
            return Err(broken().effect_unknown().because(e));
        }
        Ok(outcome)
    }

    async fn claim(
        &self,
        owner: InstanceId,
        ttl: Duration,
        queue: Queue,
        max: u32,
        except: &[Account],
    ) -> Result<Vec<Claim>> {
        self.sound()?.claim(owner, ttl, queue, max, except).await
    }

    async fn resource(&self, id: ResourceId) -> Result<Option<Versioned<ResourceRecord>>> {
        self.sound()?.resource(id).await
    }

    async fn resources(
        &self,
        by: &By,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<ResourceRecord>>> {
        self.sound()?.resources(by, after, limit).await
    }

    async fn document(&self, space: &str, id: &str) -> Result<Option<Versioned<Document>>> {
        self.sound()?.document(space, id).await
    }

    async fn documents(
        &self,
        space: &str,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<Document>>> {
        self.sound()?.documents(space, index, after, limit).await
    }

    async fn counter(&self, counter: &str) -> Result<u64> {
        self.sound()?.counter(counter).await
    }

    async fn next_due(&self, queue: Queue, except: &[Account]) -> Result<Option<Timestamp>> {
        self.sound()?.next_due(queue, except).await
    }

    async fn ended(&self, now: Timestamp, limit: u32) -> Result<Vec<Versioned<ResourceRecord>>> {
        self.sound()?.ended(now, limit).await
    }

    async fn next_end(&self) -> Result<Option<Timestamp>> {
        self.sound()?.next_end().await
    }

    async fn since(&self, seq: u64, of: Option<ResourceId>, limit: u32) -> Result<Vec<Event>> {
        self.sound()?.since(seq, of, limit).await
    }

    async fn newest(&self) -> Result<u64> {
        self.sound()?.newest().await
    }
}

//! Threads that read beside the writer.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rm_core::{Error, ErrorKind, Result};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::fault;

type Task = Box<dyn FnOnce(&Connection) + Send>;

/// A few connections, each on a thread of its own, and one queue.
pub(super) struct Readers {
    path: PathBuf,
    queue: Option<mpsc::Sender<Task>>,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readers").field(&self.threads.len()).finish()
    }
}

impl Readers {
    pub(super) fn start(connections: Vec<Connection>, path: &Path) -> Result<Self> {
        let (queue, tasks) = mpsc::channel::<Task>();
        let tasks = Arc::new(Mutex::new(tasks));
        let mut readers = Self {
            path: path.to_owned(),
            queue: Some(queue),
            threads: Vec::new(),
        };
        for conn in connections {
            let tasks = Arc::clone(&tasks);
            let thread = spawn("store-reader", move || {
                loop {
                    // One waits in the queue, the others wait for the lock.
                    let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    match task {
                        Ok(task) => task(&conn),
                        Err(_) => return,
                    }
                }
            })?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Asks on one of the threads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let task: Task = Box::new(move |conn| {
            // Who no longer waits needs no answer.
            if !reply.is_closed() {
                let _ = reply.send(query(conn));
            }
        });
        let sent = self.queue.as_ref().map(|queue| queue.send(task));
        let Some(Ok(())) = sent else {
            return Err(fault::closed(&self.path));
        };
        match answer.await {
            Ok(found) => found.map_err(|e| fault::explain(&self.path, &e)),
            Err(_) => Err(fault::closed(&self.path)),
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Starts a thread of the store.
pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|e| {
            Error::new(
                ErrorKind::Unavailable,
                "no thread can be started for the store",
            )
            .advice("look at the limits on threads and memory of this process")
            .because(e)
        })
}

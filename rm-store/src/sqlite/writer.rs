//! The one thread that writes: what waits while the disk is busy is written by
//! the next disk commit together.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use rm_core::env::Env;
use rm_core::event::Revision;
use rm_core::store::{Claim, Outcome};
use rm_core::{Error, Result};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::apply::{Write, apply};
use super::claims::{self, Wish};
use super::locks::Locks;
use super::readers::spawn;
use super::{connect, fault, read, schema};

/// How many share one disk commit at the most.
const GROUP: usize = 256;

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Work {
    Commit(Box<Write>),
    Claim(Wish),
}

/// What it answers.
#[derive(Debug)]
pub(super) enum Answer {
    Outcome(Outcome),
    Claims(Vec<Claim>),
}

#[derive(Debug)]
struct Job {
    work: Work,
    reply: oneshot::Sender<Result<Answer>>,
}

/// The way to the thread.
pub(super) struct Writer {
    path: PathBuf,
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    pub(super) fn start(
        conn: Connection,
        path: &Path,
        env: Arc<dyn Env>,
        locks: Locks,
    ) -> Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let desk = Desk {
            conn,
            path: path.to_owned(),
            env,
            locks,
        };
        Ok(Self {
            path: path.to_owned(),
            queue: Some(queue),
            thread: Some(spawn("store-writer", move || desk.run(&jobs))?),
        })
    }

    /// Has it done. Once the work is handed over it is done, whether or not
    /// anybody waits for the answer.
    pub(super) async fn work(&self, work: Work) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        let job = Job { work, reply };
        let sent = self.queue.as_ref().map(|queue| queue.send(job));
        let Some(Ok(())) = sent else {
            return Err(fault::closed(&self.path));
        };
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(fault::closed(&self.path).effect_unknown()),
        }
    }
}

impl Drop for Writer {
    /// Returns when everything handed over is written and the file is closed.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Why a group was not written; in any case it was rolled back.
enum Failure {
    Statement(rusqlite::Error),
    Commit(rusqlite::Error),
    /// Somebody upgraded the store under us.
    Newer(i64),
}

impl From<rusqlite::Error> for Failure {
    fn from(e: rusqlite::Error) -> Self {
        Self::Statement(e)
    }
}

impl Failure {
    fn explain(&self, path: &Path) -> Error {
        match self {
            Self::Statement(e) => fault::explain(path, e),
            Self::Commit(e) => fault::explain_commit(path, e),
            Self::Newer(format) => connect::newer(path, *format),
        }
    }

    /// Whether each alone would fail in the same way.
    fn hits_everybody(&self) -> bool {
        match self {
            Self::Newer(_) => true,
            Self::Statement(e) | Self::Commit(e) => {
                e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
            }
        }
    }
}

/// What the thread has.
struct Desk {
    conn: Connection,
    path: PathBuf,
    env: Arc<dyn Env>,
    locks: Locks,
}

impl Desk {
    fn run(self, jobs: &mpsc::Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let mut group = vec![first];
            group.extend(jobs.try_iter().take(GROUP - 1));
            self.group(group);
        }
        self.leave();
    }

    fn group(&self, jobs: Vec<Job>) {
        match self.write(&jobs) {
            Ok(answers) => {
                for (job, answer) in jobs.into_iter().zip(answers) {
                    job.done(Ok(answer));
                }
            }
            Err(failure) if jobs.len() == 1 || failure.hits_everybody() => {
                for job in jobs {
                    job.done(Err(failure.explain(&self.path)));
                }
            }
            // One of them is the reason. Nothing was written, so each can be
            // tried alone: where the disk is full, a small batch may still
            // fit, and one that deletes makes room.
            Err(_) => {
                for job in jobs {
                    let answer = match self.write(std::slice::from_ref(&job)) {
                        Ok(mut answers) => answers.pop().ok_or_else(super::defect),
                        Err(failure) => Err(failure.explain(&self.path)),
                    };
                    job.done(answer);
                }
            }
        }
    }

    /// Does all of it in one disk commit, or nothing.
    fn write(&self, jobs: &[Job]) -> Result<Vec<Answer>, Failure> {
        for job in jobs {
            if let Work::Claim(wish) = &job.work {
                self.locks.hold(wish.owner);
            }
        }
        let tx = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
        let format = schema::format(&tx)?;
        if format > schema::FORMAT {
            return Err(Failure::Newer(format));
        }
        // After the wait for the lock, so that no lease is shorter than it says.
        let now = self.env.now();
        let before = revision(&tx)?;
        let mut revision = before;
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            answers.push(match &job.work {
                Work::Commit(write) => Answer::Outcome(match apply(&tx, write, now)? {
                    Some(refusal) => Outcome::Refused(refusal),
                    None => {
                        revision += 1;
                        Outcome::Done(Revision(revision))
                    }
                }),
                Work::Claim(wish) => Answer::Claims(claims::claim(&tx, wish, now)?),
            });
        }
        if revision != before {
            tx.prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'revision'")?
                .execute([read::int(revision)])?;
        }
        tx.commit().map_err(Failure::Commit)?;
        Ok(answers)
    }

    /// Gives back what the engines of this process still hold: whoever drops
    /// the store does not work with it any more.
    fn leave(&self) {
        for owner in self.locks.mine() {
            match claims::free(&self.conn, owner) {
                Ok(()) => self.locks.leave(owner),
                // The lock ends with the process, its file tells the next one.
                Err(e) => tracing::warn!(error = %e, "claims could not be given back"),
            }
        }
    }
}

impl Job {
    fn done(self, answer: Result<Answer>) {
        if let (Work::Claim(wish), Ok(_)) = (&self.work, &answer) {
            wish.dead.iter().for_each(super::locks::Dead::bury);
        }
        let _ = self.reply.send(answer);
    }
}

fn revision(conn: &Connection) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT value FROM meta WHERE name = 'revision'")?
        .query_row([], |row| read::unsigned(row, 0))
}

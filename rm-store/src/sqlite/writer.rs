//! The one thread that writes: what waits while the disk is busy is written by
//! the next disk commit together.

use std::cell::Cell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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

/// How long a group waits for those who were in the last one. A disk takes
/// about as long for its commit.
const COME_BACK: Duration = Duration::from_micros(300);

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
            waits: Cell::new(true),
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
    /// Whether a disk commit waits for the disk, as it does at first.
    waits: Cell<bool>,
}

impl Desk {
    fn run(self, jobs: &mpsc::Receiver<Job>) {
        let mut before = 1;
        while let Ok(first) = jobs.recv() {
            let group = gather(first, jobs, before, COME_BACK);
            before = group.len();
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
        let is_commit = |job: &Job| matches!(job.work, Work::Commit(_));
        self.wait_for_disk(jobs.iter().any(is_commit))?;
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

    /// Whether the next disk commit waits for the disk. Claims alone need not:
    /// power that goes takes all who could hold them, for they are of this
    /// host, and whatever is done under a claim is written behind it in the
    /// same log, which that commit syncs whole.
    fn wait_for_disk(&self, wait: bool) -> rusqlite::Result<()> {
        if self.waits.get() != wait {
            let mode = if wait { "FULL" } else { "NORMAL" };
            self.conn.pragma_update(None, "synchronous", mode)?;
            self.waits.set(wait);
        }
        Ok(())
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

/// Whatever waits already; and where the last group was of several, those of
/// them who come back at once with more. Without that the first to come back
/// would get a disk commit alone, and the others would wait for it.
fn gather(first: Job, jobs: &mpsc::Receiver<Job>, before: usize, patience: Duration) -> Vec<Job> {
    let mut group = vec![first];
    group.extend(jobs.try_iter().take(GROUP - 1));
    let until = Instant::now() + patience;
    while group.len() < before {
        let left = until.saturating_duration_since(Instant::now());
        match jobs.recv_timeout(left) {
            Ok(job) => group.push(job),
            Err(_) => break,
        }
    }
    group
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

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures_util::future::{BoxFuture, pending};
    use rm_core::env::Timestamp;
    use rm_core::id::InstanceId;
    use rm_core::store::{Batch, Queue};

    use super::*;
    use crate::Options;

    #[derive(Debug)]
    struct Still;

    #[async_trait]
    impl Env for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(0)
        }

        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(pending())
        }

        fn random(&self) -> u64 {
            4
        }

        async fn reaches(&self, _: &str, _: u16) -> bool {
            false
        }
    }

    fn job(work: Work) -> Job {
        let (reply, _) = oneshot::channel();
        Job { work, reply }
    }

    fn commit() -> Job {
        let write = Write::prepare(Batch::default()).unwrap();
        job(Work::Commit(Box::new(write)))
    }

    fn claim() -> Job {
        job(Work::Claim(Wish {
            owner: InstanceId(uuid::Uuid::nil()),
            ttl: Duration::from_secs(60),
            queue: Queue::Awaited,
            max: 1,
            except: Vec::new(),
            dead: Vec::new(),
        }))
    }

    #[test]
    fn only_claims_do_not_wait_for_the_disk() {
        const NORMAL: i64 = 1;
        const FULL: i64 = 2;
        let folder = tempfile::tempdir().unwrap();
        let path = connect::locate(&folder.path().join("s.db")).unwrap();
        let desk = Desk {
            conn: connect::writer(&path, &Options::default()).unwrap(),
            locks: Locks::beside(&path),
            path,
            env: Arc::new(Still),
            waits: Cell::new(true),
        };
        for (jobs, mode) in [
            (vec![commit()], FULL),
            (vec![claim()], NORMAL),
            (vec![claim(), claim()], NORMAL),
            (vec![claim(), commit()], FULL),
            (vec![claim()], NORMAL),
            (vec![commit()], FULL),
        ] {
            assert!(desk.write(&jobs).is_ok());
            let is: i64 = desk
                .conn
                .query_row("PRAGMA synchronous", [], |row| row.get(0))
                .unwrap();
            assert_eq!(is, mode);
        }
    }

    #[test]
    fn a_group_waits_for_those_of_the_last_one_and_for_nobody_else() {
        let patience = Duration::from_secs(600);
        let (send, jobs) = mpsc::channel();
        assert_eq!(gather(commit(), &jobs, 1, patience).len(), 1);
        let others = std::thread::spawn(move || {
            for _ in 0..2 {
                send.send(commit()).unwrap();
                std::thread::yield_now();
            }
            send
        });
        assert_eq!(gather(commit(), &jobs, 3, patience).len(), 3);
        drop(others.join().unwrap());
        assert_eq!(gather(commit(), &jobs, 3, Duration::ZERO).len(), 1);
    }
}

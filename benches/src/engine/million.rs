//! Very many clusters in one SQLite file: how fast they are read, how soon a
//! host that starts on them serves, and what it takes of memory.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use rm_adapters::TokioEnv;
use rm_core::env::Env;
use rm_core::policy::Policy;
use rm_core::store::{Batch, Cursor, Due, Page, Store};
use rm_core::{Caller, Host};
use rm_store::{AeadSealer, SqliteStore, generate_key};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::process;
use crate::records::{cluster, clusters, event, id, tenant, user};
use benches::Result;
use benches::numbers::Samples;
use benches::status;

/// How many tenants share them.
const TENANTS: u32 = 1000;

/// How many one commit writes.
const FILL: u32 = 1000;

/// How many clusters a page has.
const PAGE: u32 = 100;

/// How often one cluster is read, and a page, where there are many.
const GETS: u32 = 20_000;
const PAGES: u32 = 2000;

/// How many clusters change before the power is cut.
const CHANGES: u32 = 2000;

/// What the process says as soon as it has answered somebody, and when it can
/// be killed.
const SERVES: &str = "serves";
const CHANGED: &str = "changed";

#[derive(Debug)]
pub(super) struct Million {
    clusters: u32,
    file_mib: f64,
    /// Seconds from starting the process to its first answers.
    restart: Samples,
    read: Read,
}

/// What one process measures.
#[derive(Debug, Serialize, Deserialize)]
struct Read {
    /// Milliseconds.
    get: Samples,
    page: Samples,
    tenant_page: Samples,
    most_resident_mib: f64,
}

fn path(folder: &Path) -> std::path::PathBuf {
    folder.join("million.db")
}

/// Writes them.
async fn fill(folder: &Path, many: u32, say: &impl Fn(&str)) -> Result<()> {
    let env: Arc<dyn Env> = Arc::new(TokioEnv::new());
    let store = Arc::new(SqliteStore::open(path(folder), env)?);
    let starts = (0..many).step_by(usize::try_from(FILL)?);
    // Texts are made beside the disk's work.
    let writes = starts.map(|from| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut batch = Batch::default();
            for record in clusters(from, FILL.min(many - from), TENANTS)? {
                batch.events.push(event(&record));
                batch.resources.push((record, Due::Rest));
            }
            store.commit(batch).await?;
            Result::Ok(from)
        })
    });
    stream::iter(writes)
        .buffered(4)
        .map_err(benches::Error::from)
        .try_for_each(async |from| {
            let from = from?;
            if from % 100_000 == 0 {
                say(&format!("{from} of {many} clusters are written"));
            }
            Ok(())
        })
        .await
}

pub(super) async fn measure(
    folder: &Path,
    rounds: u32,
    many: u32,
    say: &impl Fn(&str),
) -> Result<Million> {
    fill(folder, many, say).await?;
    let mut restart = Samples::default();
    for round in 1..=rounds {
        let words = ["serve", "--then-change"];
        let mut child = process::this(&words, folder, many)?
            .stdin(Stdio::null())
            .spawn()?;
        let begun = Instant::now();
        let out = child.stdout.take().ok_or("a process without output")?;
        let mut lines = BufReader::new(out).lines();
        while let Some(line) = lines.next_line().await? {
            match line.as_str() {
                SERVES => restart.push(begun.elapsed().as_secs_f64()),
                CHANGED => break,
                _ => {}
            }
        }
        // The next one finds the log of one that was killed.
        child.kill().await?;
        if restart.count() != usize::try_from(round)? {
            return Err("a host did not serve".into());
        }
        say(&format!(
            "{many} clusters, start {round} of {rounds} after a kill: serves in {:.3} s",
            restart.last()
        ));
    }
    let read: Read = process::measured(process::this(&["serve"], folder, many)?).await?;
    let file = std::fs::metadata(path(folder))?.len() >> 20;
    Ok(Million {
        clusters: many,
        file_mib: f64::from(u32::try_from(file)?),
        restart,
        read,
    })
}

/// A host on such a file, in this process: says when it serves, and then reads
/// and measures, or changes something and waits to be killed.
pub(super) async fn serve(folder: &Path, many: u32, then_change: bool) -> Result<()> {
    let env: Arc<dyn Env> = Arc::new(TokioEnv::new());
    let store = Arc::new(SqliteStore::open(path(folder), Arc::clone(&env))?);
    let host = Host::builder(env)
        .store(Arc::clone(&store) as Arc<dyn Store>)
        .sealer(Arc::new(AeadSealer::new(&[generate_key()?])?))
        .policy(Policy::default())
        .build()?;
    let host = Arc::new(host);
    let engine = host.engine();
    let running = tokio::spawn(async move { engine.run(std::future::pending()).await });
    let reader = Reader { host, many };
    reader.get(many / 2).await?;
    reader.page(None).await?;
    reader.tenant_page(many / 3, None).await?;
    println!("{SERVES}");
    if then_change {
        for n in 0..CHANGES.min(many) {
            let mut record = cluster(dice(n, many), TENANTS)?;
            record.reason = "changed".to_owned();
            let batch = Batch {
                events: vec![event(&record)],
                resources: vec![(Arc::new(record), Due::Keep)],
                ..Batch::default()
            };
            store.commit(batch).await?;
        }
        println!("{CHANGED}");
        std::future::pending::<()>().await;
    }
    let read = reader.read().await?;
    running.abort();
    println!("{}", serde_json::to_string(&read)?);
    Ok(())
}

/// One of so many; the same every time.
fn dice(n: u32, many: u32) -> u32 {
    n.wrapping_add(1).wrapping_mul(0x9e37_79b1) % many
}

struct Reader {
    host: Arc<Host>,
    many: u32,
}

impl Reader {
    fn owner(&self, n: u32) -> Caller {
        Caller::user(user(n, TENANTS), tenant(n, TENANTS).0)
    }

    /// One cluster, asked for by its owner.
    async fn get(&self, n: u32) -> Result<()> {
        let cluster = self.host.clusters().get(&self.owner(n), id(n)).await?;
        match cluster.view()?.hosts.is_empty() {
            false => Ok(()),
            true => Err("a cluster without hosts".into()),
        }
    }

    /// A page of all.
    async fn page(&self, after: Option<u32>) -> Result<()> {
        let operator = Caller::operator("operator", "operators");
        let after = after.map(|n| Cursor(id(n).to_string()));
        let clusters = self.host.clusters();
        let page = clusters.list(&operator, true, after.as_ref(), PAGE).await?;
        full(&page, PAGE.min(self.many / 2))
    }

    /// A page of one tenant's own.
    async fn tenant_page(&self, n: u32, after: Option<Cursor>) -> Result<Option<Cursor>> {
        let clusters = self.host.clusters();
        let page = clusters
            .list(&self.owner(n), false, after.as_ref(), PAGE)
            .await?;
        full(
            &page,
            if after.is_some() {
                0
            } else {
                PAGE.min(self.many / TENANTS)
            },
        )?;
        Ok(page.next)
    }

    async fn read(&self) -> Result<Read> {
        let mut read = Read {
            get: Samples::default(),
            page: Samples::default(),
            tenant_page: Samples::default(),
            most_resident_mib: 0.0,
        };
        for n in 0..PAGES.min(self.many / 10) {
            for m in 0..GETS / PAGES {
                let n = dice(n * (GETS / PAGES) + m, self.many);
                let begun = Instant::now();
                self.get(n).await?;
                read.get.push(millis(begun.elapsed()));
            }
            let after = dice(n, self.many) / 2;
            let begun = Instant::now();
            self.page(Some(after)).await?;
            read.page.push(millis(begun.elapsed()));
            let begun = Instant::now();
            let next = self.tenant_page(after, None).await?;
            read.tenant_page.push(millis(begun.elapsed()));
            if let Some(next) = next {
                let begun = Instant::now();
                self.tenant_page(after, Some(next)).await?;
                read.tenant_page.push(millis(begun.elapsed()));
            }
        }
        read.most_resident_mib = status::most_resident()? / 1024.0 / 1024.0;
        Ok(read)
    }
}

fn full<T>(page: &Page<T>, wanted: u32) -> Result<()> {
    match page.items.len() >= usize::try_from(wanted)? {
        true => Ok(()),
        false => Err(format!("a page of {}, not of {wanted}", page.items.len()).into()),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

impl Million {
    pub(super) fn get(&self) -> f64 {
        self.read.get.percentile(99)
    }

    pub(super) fn page(&self) -> f64 {
        self.read.page.percentile(99)
    }

    pub(super) fn tenant_page(&self) -> f64 {
        self.read.tenant_page.percentile(99)
    }

    pub(super) fn restart(&self) -> f64 {
        self.restart.median()
    }

    pub(super) fn memory(&self) -> f64 {
        self.read.most_resident_mib
    }

    pub(super) fn json(&self) -> Value {
        let of = |samples: &Samples| {
            json!({
                "count": samples.count(),
                "median_ms": samples.median(),
                "p99_ms": samples.percentile(99),
                "most_ms": samples.max(),
            })
        };
        json!({
            "clusters": self.clusters,
            "file_mib": self.file_mib,
            "get": of(&self.read.get),
            "page": of(&self.read.page),
            "tenant_page": of(&self.read.tenant_page),
            "restart_seconds": self.restart,
            "most_resident_mib": self.memory(),
        })
    }

    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let row = |name: &str, samples: &Samples| {
            vec![
                name.to_owned(),
                format!("{:.3}", samples.median()),
                format!("{:.3}", samples.percentile(99)),
                format!("{:.3}", samples.max()),
            ]
        };
        let head = ["milliseconds", "median", "p99", "max"];
        vec![
            head.map(str::to_owned).to_vec(),
            row("get", &self.read.get),
            row("a page of 100", &self.read.page),
            row("a page of 100 of one tenant", &self.read.tenant_page),
        ]
    }
}

//! Durable transitions: many callers on SQLite, beside SQLite alone.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rm_adapters::TokioEnv;
use rm_core::env::Env;
use rm_core::id::InstanceId;
use rm_core::store::{Batch, Claim, Due, Expect, Fence, Key, Outcome, Queue, Store, Version};
use rm_store::SqliteStore;
use serde_json::{Value, json};

use crate::bare::{self, Row};
use crate::records::{clusters, event};
use benches::Result;
use benches::numbers::Samples;

/// How many resources each caller works on.
const EACH: u32 = 16;

/// Longer than any measurement.
const LEASE: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Default)]
pub(super) struct Durable {
    callers: u32,
    /// A second.
    ours: Samples,
    group: Samples,
    single: Samples,
}

/// A store with records that an engine has claimed.
async fn prepare(path: &Path, many: u32) -> Result<(Arc<SqliteStore>, Vec<Claim>)> {
    let env: Arc<dyn Env> = Arc::new(TokioEnv::new());
    let store = SqliteStore::open(path, Arc::clone(&env))?;
    let due = Due::At(env.now());
    let mut batch = Batch::default();
    let records = clusters(0, many, 1)?;
    batch.resources = records.into_iter().map(|r| (r, due)).collect();
    store.commit(batch).await?;
    let claims = store
        .claim(InstanceId::new(&*env), LEASE, Queue::Awaited, many, &[])
        .await?;
    Ok((Arc::new(store), claims))
}

/// Writes one transition after the other, as an engine does that keeps its
/// claims; answers them and how many it wrote.
async fn work(
    store: Arc<SqliteStore>,
    mut claims: Vec<Claim>,
    until: Instant,
) -> Result<(Vec<Claim>, u32)> {
    let mut written = 0;
    loop {
        for claim in &mut claims {
            let record = Arc::clone(&claim.row.record);
            let fence = Fence {
                resource: record.id,
                epoch: claim.epoch,
            };
            let batch = Batch {
                fence: vec![fence],
                prolong: vec![(fence, LEASE)],
                expect: vec![Expect::Version(Key::Resource(record.id), claim.row.version)],
                events: vec![event(&record)],
                resources: vec![(record, Due::Keep)],
                ..Batch::default()
            };
            match store.commit(batch).await? {
                Outcome::Done(_) => claim.row.version = Version(claim.row.version.0 + 1),
                Outcome::Refused(why) => {
                    return Err(format!("a transition is refused: {why:?}").into());
                }
            }
            written += 1;
        }
        if Instant::now() >= until {
            return Ok((claims, written));
        }
    }
}

pub(super) async fn measure(
    folder: &Path,
    rounds: u32,
    callers: u32,
    time: Duration,
    say: &impl Fn(&str),
) -> Result<Durable> {
    let many = callers * EACH;
    let (store, claims) = prepare(&folder.join("ours.db"), many).await?;
    let bare_path = folder.join("bare.db");
    let (other, theirs) = prepare(&bare_path, many).await?;
    let rows: Vec<Row> = theirs
        .iter()
        .map(|claim| Row::of(&claim.row.record))
        .collect::<Result<_>>()?;
    drop(other);
    let mut conn = bare::open(&bare_path)?;
    let mut rows = rows;
    let size = usize::try_from(EACH)?;
    let mut claims: Vec<Vec<Claim>> = claims.chunks(size).map(<[Claim]>::to_vec).collect();
    let group = usize::try_from(callers)?;
    let mut all = Durable {
        callers,
        ..Durable::default()
    };
    for round in 1..=rounds {
        let rate;
        (rate, claims) = ours(&store, claims, time).await?;
        all.ours.push(rate);
        let both = tokio::task::spawn_blocking(move || {
            let many = bare::transitions(&conn, &rows, group, time);
            let one = bare::transitions(&conn, &rows, 1, time / 2);
            (conn, rows, many, one)
        });
        let (many, one);
        (conn, rows, many, one) = both.await?;
        all.group.push(many?);
        all.single.push(one?);
        say(&format!(
            "durable transitions, round {round} of {rounds}: {callers} callers {:.0}, bare groups of {callers} {:.0}, one commit each {:.0} a second",
            all.ours.last(),
            all.group.last(),
            all.single.last(),
        ));
    }
    Ok(all)
}

type Work = Vec<Vec<Claim>>;

/// All callers at once; how many transitions a second, and their claims.
async fn ours(store: &Arc<SqliteStore>, claims: Work, time: Duration) -> Result<(f64, Work)> {
    let begun = Instant::now();
    let until = begun + time;
    let tasks: Vec<_> = claims
        .into_iter()
        .map(|claims| tokio::spawn(work(Arc::clone(store), claims, until)))
        .collect();
    let mut written = 0.0;
    let mut back = Vec::new();
    for task in tasks {
        let (claims, n) = task.await??;
        written += f64::from(n);
        back.push(claims);
    }
    Ok((written / begun.elapsed().as_secs_f64(), back))
}

impl Durable {
    pub(super) fn to_group(&self) -> f64 {
        self.ours.ratio(&self.group)
    }

    pub(super) fn to_single(&self) -> f64 {
        self.ours.ratio(&self.single)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "callers": self.callers,
            "ours_per_second": self.ours,
            "bare_groups_per_second": self.group,
            "one_commit_each_per_second": self.single,
            "median": self.ours.median(),
            "ours_to_groups": self.to_group(),
            "ours_to_one_commit_each": self.to_single(),
        })
    }

    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let row = |name: String, samples: &Samples| {
            vec![
                name,
                format!("{:.0}", samples.median()),
                format!("{:.0}", samples.min()),
                format!("{:.0}", samples.max()),
            ]
        };
        let head = ["durable transitions a second", "median", "min", "max"];
        vec![
            head.map(str::to_owned).to_vec(),
            row(format!("ours, {} callers", self.callers), &self.ours),
            row(format!("bare, {} a commit", self.callers), &self.group),
            row("bare, one commit each".to_owned(), &self.single),
        ]
    }
}

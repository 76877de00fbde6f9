//! The list of all domains, by our client and by the `virt` crate, both by a
//! connection that is kept. That crate links the C library of libvirt, so it is
//! in a program of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use rm_libvirt::{Client, Config, ListFlags};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use benches::Result;
use benches::numbers::Samples;

/// So many lists by each.
const ROUNDS: u32 = 200;

/// Milliseconds, round by round.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) domains: usize,
    pub(crate) ours: Samples,
    pub(crate) theirs: Samples,
}

pub(crate) async fn measure(program: &Path, uri: &str) -> Result<Listed> {
    let (client, connection) = Client::new(Config::new(uri.parse()?));
    tokio::spawn(connection.run());
    let mut child = Command::new(program)
        .arg(uri)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut ask = child.stdin.take().ok_or("no standard input")?;
    let told = child.stdout.take().ok_or("no standard output")?;
    let mut told = BufReader::new(told).lines();
    let mut listed = Listed {
        domains: 0,
        ours: Samples::default(),
        theirs: Samples::default(),
    };
    for round in 0..=ROUNDS {
        let begun = Instant::now();
        let domains = client.list_domains(ListFlags::default()).await?.len();
        let ours = begun.elapsed().as_secs_f64() * 1e3;
        ask.write_all(b"\n").await?;
        let line = told.next_line().await?.ok_or("the other program ended")?;
        let mut words = line.split_whitespace();
        let count: usize = words.next().unwrap_or_default().parse()?;
        let nanos: f64 = words.next().unwrap_or_default().parse()?;
        if count != domains {
            return Err(format!("{domains} domains, and the other lists {count}").into());
        }
        listed.domains = domains;
        // The first makes everything warm.
        if round > 0 {
            listed.ours.push(ours);
            listed.theirs.push(nanos / 1e6);
        }
    }
    Ok(listed)
}

impl Listed {
    pub(crate) fn json(&self) -> Value {
        json!({
            "domains": self.domains,
            "ours_ms": self.ours.median(),
            "virt_ms": self.theirs.median(),
            "ratio": self.ours.ratio(&self.theirs),
        })
    }
}

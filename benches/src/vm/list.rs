//! The list of all domains, by our client and by the `virt` crate, both by a
//! connection that is kept, and each in a place of its own: that crate links the
//! C library of libvirt, so it is in another program; ours has a runtime that
//! does nothing else.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use rm_libvirt::{Client, Config, ListFlags};
use serde_json::{Value, json};

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

/// How many there are, and the milliseconds that it took to have all names.
type List = (usize, f64);

pub(crate) async fn measure(program: &Path, uri: &str) -> Result<Listed> {
    let (program, uri) = (program.to_owned(), uri.to_owned());
    let measured = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(side_by_side(&program, &uri))
    });
    measured.await?
}

async fn side_by_side(program: &Path, uri: &str) -> Result<Listed> {
    let (client, connection) = Client::new(Config::new(uri.parse()?));
    tokio::spawn(connection.run());
    let mut other = Other::start(program, uri)?;
    let mut listed = Listed {
        domains: 0,
        ours: Samples::default(),
        theirs: Samples::default(),
    };
    for round in 0..=ROUNDS {
        // Who comes first changes from round to round.
        let ((count, ours), (their_count, theirs)) = if round % 2 == 0 {
            let ours = by_us(&client).await?;
            (ours, other.list()?)
        } else {
            let theirs = other.list()?;
            (by_us(&client).await?, theirs)
        };
        if count != their_count {
            return Err(format!("{count} domains, and the other lists {their_count}").into());
        }
        listed.domains = count;
        // The first makes everything warm.
        if round > 0 {
            listed.ours.push(ours);
            listed.theirs.push(theirs);
        }
    }
    Ok(listed)
}

async fn by_us(client: &Client) -> Result<List> {
    let begun = Instant::now();
    let domains = client.list_domains(ListFlags::default()).await?;
    let took = begun.elapsed();
    Ok((domains.len(), took.as_secs_f64() * 1e3))
}

/// The program with the `virt` crate.
struct Other {
    child: Child,
    ask: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Other {
    fn start(program: &Path, uri: &str) -> Result<Self> {
        let mut child = Command::new(program)
            .arg(uri)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ask = child.stdin.take().ok_or("no standard input")?;
        let told = child.stdout.take().ok_or("no standard output")?;
        Ok(Self {
            child,
            ask,
            told: BufReader::new(told),
        })
    }

    fn list(&mut self) -> Result<List> {
        self.ask.write_all(b"\n")?;
        let mut line = String::new();
        self.told.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let count = words.next().ok_or("the other program ended")?.parse()?;
        let nanos: f64 = words.next().unwrap_or_default().parse()?;
        Ok((count, nanos / 1e6))
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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

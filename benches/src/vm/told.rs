//! How soon a change behind our back is known: from the moment at which
//! somebody begins to make it to that at which who listens to our events hears
//! of it. What the host itself takes for it counts, too.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rm_libvirt::{Client, Config, DestroyFlags};
use serde_json::{Value, json};

use super::lab::Place;
use super::program::Program;
use super::tools;
use benches::Result;
use benches::numbers::Samples;

/// So many nodes are there, and one after the other is changed.
const NODES: u32 = 20;

/// Changes come no sooner than so after the node before is at rest again: a
/// host on which they come faster is looked at for several at once.
const APART: Duration = Duration::from_millis(150);

/// What was measured on one host.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) ms: Samples,
}

/// Somebody who knows nothing of us.
enum Somebody {
    /// Kills a container's first process.
    Kills(String),
    /// Destroys a domain by a connection of their own.
    Destroys(Client),
}

impl Somebody {
    fn of(place: &Place) -> Result<Self> {
        if !place.address.contains("://") {
            return Ok(Self::Kills(place.address.clone()));
        }
        let (client, connection) = Client::new(Config::new(place.address.parse()?));
        tokio::spawn(connection.run());
        Ok(Self::Destroys(client))
    }

    /// Ends a node, and says when they began to.
    async fn ends(&self, name: &str) -> Result<Instant> {
        match self {
            Self::Kills(path) => {
                let init = tools::init(Path::new(path), name)?;
                let begun = Instant::now();
                Command::new("kill").args(["-9", &init]).status()?;
                Ok(begun)
            }
            Self::Destroys(client) => {
                let domain = client.domain_by_name(name).await?;
                let begun = Instant::now();
                client.destroy(&domain, DestroyFlags::default()).await?;
                Ok(begun)
            }
        }
    }
}

pub(crate) async fn measure(folder: &Path, place: Place, changes: u32) -> Result<Known> {
    let somebody = Somebody::of(&place)?;
    let program = Program::start(folder, place).await?;
    let nodes = program.nodes(NODES).await?;
    let mut ms = Samples::default();
    for (id, name) in nodes.iter().cycle().take(usize::try_from(changes)?) {
        tokio::time::sleep(APART).await;
        let mut events = program.events().await?;
        let begun = somebody.ends(name).await?;
        loop {
            let heard = events.next().await?;
            let known = Instant::now();
            let of_it = |e: &rm_core::event::Event| {
                e.event.resource == Some(*id) && e.event.what.ends_with(".failed")
            };
            if heard.iter().any(of_it) {
                ms.push((known - begun).as_secs_f64() * 1e3);
                break;
            }
        }
        let mut events = program.events().await?;
        program.get(*id).await?.retry(&program.user).await?;
        program.until(&mut events, &[*id], "ready").await?;
        program.rests(*id).await?;
    }
    let ids: Vec<_> = nodes.into_iter().map(|(id, _)| id).collect();
    program.end(&ids).await?;
    Ok(Known {
        name: program.place().name,
        ms,
    })
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} changes known after {:.0} ms (p50), {:.0} (p99), {:.0} (most)",
            self.name,
            self.ms.count(),
            self.ms.percentile(50),
            self.ms.percentile(99),
            self.ms.max()
        )
    }
}

impl Known {
    pub(crate) fn json(&self) -> Value {
        json!({"host": self.name, "ms": self.ms, "p50": self.ms.percentile(50), "p99": self.ms.percentile(99)})
    }
}

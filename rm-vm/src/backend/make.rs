//! Making a node: addresses chosen, the domain defined and started.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rm_core::backend::Mark;
use rm_core::env::{Env, Timestamp};
use rm_core::model::{Interface, NodeInterface, NodeSpec, Power};
use rm_core::owner::Owner;
use rm_core::{Error, ErrorKind, Result};

use super::LATE;
use crate::addresses::{self, Taken};
use crate::driver::{self, Definition, Image, Seed, Size};
use crate::failure::{at, failure};
use crate::hosts::{Host, Promise};
use crate::links;
use crate::mark::Record;

/// How often addresses are chosen anew that somebody else has chosen, too.
const CHOICES: u32 = 8;

/// A node that is to be made.
pub(super) struct Make {
    pub(super) host: Arc<Host>,
    pub(super) image: Image,
    pub(super) mark: Mark,
    pub(super) spec: NodeSpec,
    pub(super) owner: Option<Owner>,
    pub(super) env: Arc<dyn Env>,
    /// What has to wait for others for longer is not begun: the engine may have
    /// seen that there is nothing, and have forgotten it.
    pub(super) until: Timestamp,
}

impl Make {
    /// All of it or nothing, unless the process ends in the middle: then what
    /// is there is seen to be of generation 0 and brought to its spec by a
    /// change.
    pub(super) async fn run(self) -> Result<()> {
        let name = self.mark.name();
        let _turn = self.host.turn(&name).await;
        let record = self.define(&name).await?;
        if self.spec.power != Power::Stopped && self.left().is_zero() {
            // It is there, and whoever looks for it brings it to its end.
            let late = driver::Error::Late(name);
            return Err(failure(&self.host.name, "create node", late).effect_unknown());
        }
        if let Err(e) = self.begin(&name, &record).await {
            return Err(self.undo(&name, record, e).await);
        }
        Ok(())
    }

    /// Defines it with addresses that nobody else has.
    async fn define(&self, name: &str) -> Result<Record> {
        let host = &self.host;
        let failed = |e| failure(&host.name, "create node", e);
        let wanted = links::plugged(&self.spec.interfaces, host.id, &host.site)?;
        let mut shunned = Vec::new();
        for _ in 0..CHOICES {
            // Others choose while this one is defined.
            let (nics, mut promise) = self.choose(name, &wanted, &shunned).await?;
            let record = self.record(nics);
            let metadata = record.write()?;
            let mut new = definition(host, name, &self.image, &self.spec, &record.nics, metadata);
            new.unfinished = record.unfinished().write()?;
            new.by = Instant::now().checked_add(self.left());
            self.in_time()?;
            if let Err(e) = host.driver.define(&new).await {
                if matches!(e, driver::Error::Unclear(_)) {
                    promise.outlast(LATE);
                }
                return Err(failed(e));
            }
            // Another manager may have chosen at the same moment: of two that
            // look after they have defined, at least one sees the other.
            let notes = match self.notes().await {
                Ok(notes) => notes,
                Err(e) => return Err(self.undo(name, record, e).await),
            };
            let others = Taken::of(&notes, name);
            if !others.any(&record.nics) {
                return Ok(record);
            }
            host.driver
                .undefine(name)
                .await
                .map_err(|e| failed(e).effect_unknown())?;
            if self.spec.interfaces.iter().all(|i| i.addresses.is_empty()) {
                shunned.extend(record.nics);
            }
        }
        Err(Error::new(
            ErrorKind::NoCapacity,
            format!(
                "{}: others choose the same addresses at the same moment",
                host.name
            ),
        )
        .advice("it is tried again by itself; give each manager pools of its own")
        .site(&*host.name))
    }

    /// Interfaces that nobody has and nobody else is given; the addresses of
    /// what is `shunned` are not chosen again.
    async fn choose(
        &self,
        name: &str,
        wanted: &[Interface],
        shunned: &[NodeInterface],
    ) -> Result<(Vec<NodeInterface>, Promise<'_>)> {
        let host = &*self.host;
        let _choosing = host.choosing.lock().await;
        let promised = host.promised(name);
        let notes = self.notes().await;
        let notes = notes.map_err(|e| failure(&host.name, "create node", e))?;
        let mut taken = Taken::of(&notes, name);
        taken.add(&promised);
        taken.pass_over(shunned);
        let nics = addresses::choose(name, wanted, &host.site, &mut taken);
        let nics = nics.map_err(|e| {
            // What is only promised may come to be free again.
            let mut shown = Taken::of(&notes, name);
            shown.pass_over(shunned);
            let told = at(&host.name, e);
            match addresses::choose(name, wanted, &host.site, &mut shown) {
                Ok(_) => told.temporary(),
                Err(_) => told,
            }
        })?;
        let promise = host.promise(name, &nics);
        Ok((nics, promise))
    }

    /// What it says of itself from its define on. What is made now is as new as
    /// anything that was asked for before.
    fn record(&self, nics: Vec<NodeInterface>) -> Record {
        let (generation, new) = match self.spec.power {
            // Nothing follows the define.
            Power::Stopped => (self.mark.generation, false),
            // The start follows, of which the host itself tells.
            Power::Running => (self.mark.generation, true),
            Power::Suspended => (0, false),
        };
        Record {
            mark: Mark {
                generation,
                ..self.mark.clone()
            },
            new,
            unfinished: false,
            spec: self.spec.clone(),
            nics,
            owner: self.owner.clone(),
            done: self.spec.requests.last().map_or(0, |r| r.number),
            begun: None,
            maybe: None,
            once: Vec::new(),
        }
    }

    /// What everybody on the host has noted, where this takes addresses.
    async fn notes(&self) -> driver::Result<Vec<(String, String)>> {
        match addresses::are_none(&self.spec.interfaces, &self.host.site) {
            true => Ok(Vec::new()),
            false => self.host.driver.notes().await,
        }
    }

    /// Whether somebody waits for it still.
    fn in_time(&self) -> Result<()> {
        if self.env.now() <= self.until {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Busy,
            format!(
                "{}: so much is made there that this has to wait",
                self.host.name
            ),
        )
        .advice("it is tried again by itself")
        .site(&*self.host.name)
        .temporary())
    }

    /// How long there is still time to send a host what makes something appear
    /// there. What is sent by then has the rest of [`LATE`] to be carried out, so
    /// that nothing comes after who looks for it has ceased to.
    fn left(&self) -> Duration {
        self.until.plus(LATE / 2).since(self.env.now())
    }

    async fn begin(&self, name: &str, record: &Record) -> driver::Result<()> {
        let driver = &self.host.driver;
        match self.spec.power {
            Power::Stopped => Ok(()),
            Power::Running => driver.start(name).await,
            Power::Suspended => {
                driver.start(name).await?;
                driver.suspend(name).await?;
                let whole = Record {
                    mark: self.mark.clone(),
                    ..record.clone()
                };
                let metadata = whole
                    .write()
                    .map_err(|e| driver::Error::Failed(e.to_string()))?;
                driver.annotate(name, &metadata).await
            }
        }
    }

    /// Takes away what was made in vain. What will not go, or is cut off on its
    /// way, may have run: that it is half-made is written down first, so that a
    /// change goes on from it all the same.
    async fn undo(&self, name: &str, mut record: Record, e: driver::Error) -> Error {
        let host = &self.host;
        let error = failure(&host.name, "create node", e);
        record.mark.generation = 0;
        record.new = false;
        if let Ok(metadata) = record.write() {
            // The error says more than that this could not be noted.
            let _ = host.driver.annotate(name, &metadata).await;
        }
        let stopped = host.driver.stop(name, Duration::ZERO).await;
        match (stopped, host.driver.undefine(name).await) {
            (_, Ok(()) | Err(driver::Error::NotFound(_))) => error,
            (_, Err(e)) => {
                tracing::warn!(%name, error = %e, "what was made in vain is still there");
                error.effect_unknown()
            }
        }
    }
}

/// A domain of this spec, with these interfaces.
pub(super) fn definition(
    host: &Host,
    name: &str,
    image: &Image,
    spec: &NodeSpec,
    given: &[NodeInterface],
    metadata: String,
) -> Definition {
    Definition {
        name: name.to_owned(),
        size: Size {
            vcpus: spec.vcpus,
            memory_mib: spec.memory_mib,
        },
        image: image.clone(),
        disk_mib: spec.disk_gib.map(|gib| gib * 1024),
        nics: addresses::nics(given, &host.site),
        seed: Seed {
            hostname: spec.hostname.clone().unwrap_or_else(|| name.to_owned()),
            users: spec.users.clone(),
            user_data: spec.user_data.clone(),
            boot_commands: spec.boot_commands.clone(),
        },
        metadata,
        unfinished: String::new(),
        by: None,
    }
}

#[cfg(test)]
mod tests;

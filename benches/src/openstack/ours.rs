//! Ours: the daemon over REST, or the library in this process.

mod daemon;
mod library;

use std::path::Path;

use futures_util::future::try_join_all;

use super::lab::Lab;
use crate::Result;
use daemon::Daemon;
use library::Library;

/// The appliance that is asked for.
const APPLIANCE: &str = "trivial";

#[derive(Debug)]
pub(super) enum Ours {
    Daemon(Box<Daemon>),
    Library(Box<Library>),
}

impl Ours {
    /// The daemon where its program is given, else the library; with a site, a
    /// credential and the appliance.
    pub(super) async fn start(program: Option<&Path>, lab: &Lab, template: &str) -> Result<Self> {
        Ok(match program {
            Some(program) => Self::Daemon(Box::new(Daemon::start(program, lab, template).await?)),
            None => Self::Library(Box::new(Library::start(lab, template).await?)),
        })
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Daemon(_) => "the daemon over REST, its store in SQLite",
            Self::Library(_) => "the library in this process, its store in SQLite",
        }
    }

    /// One cluster of its own, from the request to its address; its id.
    pub(super) async fn one(&self, name: &str) -> Result<String> {
        match self {
            Self::Daemon(daemon) => daemon.one(name).await,
            Self::Library(library) => library.one(name).await,
        }
    }

    /// So many, all asked for at once.
    pub(super) async fn many(&self, names: &[String]) -> Result<Vec<String>> {
        try_join_all(names.iter().map(|name| self.one(name))).await
    }

    /// Deletes them all at once, and waits until they are seen to be gone.
    pub(super) async fn delete(&self, ids: &[String]) -> Result<()> {
        try_join_all(ids.iter().map(async |id| match self {
            Self::Daemon(daemon) => daemon.delete(id).await,
            Self::Library(library) => library.delete(id).await,
        }))
        .await
        .map(drop)
    }

    /// Deletes whatever clusters there are.
    pub(super) async fn clear(&self) -> Result<()> {
        let ids = match self {
            Self::Daemon(daemon) => daemon.ids().await?,
            Self::Library(library) => library.ids().await?,
        };
        self.delete(&ids).await
    }

    /// The most memory that the daemon ever had resident, in MiB.
    pub(super) fn peak(&self) -> Option<f64> {
        match self {
            Self::Daemon(daemon) => daemon.peak(),
            // This process is the minimal client, too.
            Self::Library(_) => None,
        }
    }

    pub(super) async fn stop(self) -> Result<()> {
        match self {
            Self::Daemon(daemon) => daemon.stop().await,
            Self::Library(_) => Ok(()),
        }
    }
}

//! Containers by the tools of LXC, on this machine.
//!
//! A container is a folder below the host's path, as for every tool of LXC:
//! `config`, and beside it `rm.json` with the metadata. It is made aside and
//! put in its place in one step, so it is never there without its mark; that is
//! why `lxc-copy` does not make it. Its root is an overlay of the unpacked
//! image, so it takes room only for what it changes.
//!
//! The tools start, stop, freeze and limit it. Their exit code is 1 for every
//! failure and their words change, so before and after each the state is asked
//! for, and their words are only told to people. Nothing is ever started inside
//! this process.

mod cgroups;
mod config;
mod container;
mod disks;
mod events;
mod host;
mod links;
mod notes;
mod power;
mod running;
mod shaping;
mod tools;
mod users;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use rm_core::backend::Cx;
use rm_core::model::NodeUser;

use crate::config::Config;
use crate::driver::{
    Definition, Disk, Domain, Driver, Error, Event, Features, Host, Image, Result, Share, Size,
    name,
};
use crate::images::Images;
use container::Containers;

/// Containers below one path of this machine.
#[derive(Debug, Clone)]
pub struct Lxc {
    containers: Arc<Containers>,
}

/// Opens the containers of a site: its address is `file:` and the path that the
/// tools call `lxcpath`.
pub fn open(cx: &Cx<'_>, config: &Config) -> rm_core::Result<Arc<dyn Driver>> {
    let path = cx.site.url.strip_prefix("file:").unwrap_or_default();
    let path = path.strip_prefix("//").unwrap_or(path);
    let lxc = Lxc::at(Path::new(path), config.image_mib)
        .map_err(|e| crate::failure::failure(&cx.site.name, "open host", e))?;
    Ok(Arc::new(lxc))
}

impl Lxc {
    /// Below this path, which is made when it is first needed; images unpack to
    /// at most so many MiB.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a path that is not absolute, or has in it what
    /// the tools cannot take: they know a container by the very text of it.
    pub fn at(path: &Path, image_mib: u64) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-._".contains(c);
        let text = path
            .to_str()
            .filter(|t| t.chars().all(plain) && t.len() <= 200);
        let same: PathBuf = path.components().collect();
        match text {
            Some(text)
                if path.is_absolute() && same.as_os_str() == text && !text.contains("..") => {}
            _ => {
                return Err(Error::invalid(
                    "the address of an LXC host is file: and an absolute path of letters, digits, hyphens, dots and underscores",
                ));
            }
        }
        let images = Images::at(&path.join(container::IMAGES), image_mib);
        Ok(Self {
            containers: Arc::new(Containers::at(path, images)),
        })
    }

    /// Runs what blocks beside everything else. It goes on when nobody waits
    /// for it any more.
    async fn blocking<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Containers) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let containers = Arc::clone(&self.containers);
        let done = tokio::task::spawn_blocking(move || what(&containers)).await;
        done.unwrap_or_else(|_| {
            Err(Error::Unclear(
                "a call on a container was cut off by a defect of this program".to_owned(),
            ))
        })
    }
}

#[async_trait]
impl Driver for Lxc {
    fn name(&self) -> &'static str {
        "lxc"
    }

    fn features(&self) -> Features {
        Features {
            live_memory: true,
            live_vcpus: true,
            suspend: true,
            snapshots: true,
            reimage: true,
            disk_size: false,
            links: true,
            rates: shaping::rates(),
            delays: shaping::delays(),
            seed: true,
            users: true,
            vcpus: None,
        }
    }

    async fn host(&self) -> Result<Host> {
        self.blocking(|c| host::facts(c.path())).await
    }

    async fn list(&self) -> Result<Vec<Domain>> {
        self.blocking(Containers::list).await
    }

    async fn these(&self, names: &[String]) -> Result<Vec<Domain>> {
        let names = names.to_vec();
        self.blocking(move |c| c.these(&names)).await
    }

    async fn shares(&self) -> Result<Vec<Share>> {
        self.blocking(Containers::shares).await
    }

    async fn notes(&self) -> Result<Vec<(String, String)>> {
        self.blocking(Containers::notes).await
    }

    async fn takes(&self, image: &Image) -> Result<Disk> {
        let image = image.clone();
        // A root is an overlay: what it takes is what is changed in it.
        self.blocking(move |c| {
            Ok(Disk {
                once_mib: c.images().to_bring_mib(&image),
                each_mib: 1,
            })
        })
        .await
    }

    async fn sweep_up(&self) -> Result<()> {
        self.blocking(Containers::sweep_up).await
    }

    async fn bring(&self, image: &Image) -> Result<()> {
        self.blocking(Containers::be_there).await?;
        self.containers.images().bring_from_anywhere(image).await
    }

    async fn define(&self, new: &Definition) -> Result<()> {
        name(&new.name)?;
        let new = new.clone();
        self.blocking(move |c| c.define(&new)).await
    }

    async fn annotate(&self, of: &str, metadata: &str) -> Result<()> {
        let (of, metadata) = (name(of)?.to_owned(), metadata.to_owned());
        self.blocking(move |c| c.annotate(&of, &metadata)).await
    }

    async fn annotate_over(&self, of: &str, before: &str, metadata: &str) -> Result<bool> {
        let (of, before) = (name(of)?.to_owned(), before.to_owned());
        let metadata = metadata.to_owned();
        self.blocking(move |c| c.annotate_over(&of, &before, &metadata))
            .await
    }

    async fn start(&self, of: &str) -> Result<()> {
        let of = name(of)?.to_owned();
        self.blocking(move |c| c.start(&of)).await
    }

    async fn stop(&self, of: &str, grace: Duration) -> Result<()> {
        let of = name(of)?.to_owned();
        self.blocking(move |c| c.stop(&of, grace)).await
    }

    async fn undefine(&self, of: &str) -> Result<()> {
        let of = name(of)?.to_owned();
        self.blocking(move |c| c.undefine(&of)).await
    }

    async fn suspend(&self, of: &str) -> Result<()> {
        let of = name(of)?.to_owned();
        self.blocking(move |c| c.freeze(&of, true)).await
    }

    async fn resume(&self, of: &str) -> Result<()> {
        let of = name(of)?.to_owned();
        self.blocking(move |c| c.freeze(&of, false)).await
    }

    async fn resize(&self, of: &str, size: Size) -> Result<()> {
        let of = name(of)?.to_owned();
        self.blocking(move |c| c.resize(&of, size)).await
    }

    async fn snapshots(&self, of: &str) -> Result<Vec<String>> {
        let of = name(of)?.to_owned();
        self.blocking(move |c| c.snapshots(&of)).await
    }

    async fn snapshot(&self, of: &str, snapshot: &str) -> Result<()> {
        let (of, snapshot) = (name(of)?.to_owned(), name(snapshot)?.to_owned());
        self.blocking(move |c| c.snapshot(&of, &snapshot)).await
    }

    async fn restore(&self, of: &str, snapshot: &str) -> Result<()> {
        let (of, snapshot) = (name(of)?.to_owned(), name(snapshot)?.to_owned());
        self.blocking(move |c| c.restore(&of, &snapshot)).await
    }

    async fn reimage(&self, new: &Definition) -> Result<()> {
        name(&new.name)?;
        let new = new.clone();
        self.blocking(move |c| c.reimage(&new)).await
    }

    async fn users(&self, of: &str, before: &[NodeUser], now: &[NodeUser]) -> Result<()> {
        let of = name(of)?.to_owned();
        let (before, now) = (before.to_vec(), now.to_vec());
        self.blocking(move |c| c.users(&of, &before, &now)).await
    }

    async fn console(&self, of: &str, most: usize) -> Result<Vec<u8>> {
        let of = name(of)?.to_owned();
        self.blocking(move |c| c.console(&of, most)).await
    }

    fn console_hint(&self, name: &str) -> Option<String> {
        let log = self.containers.path().join(name).join(container::CONSOLE);
        Some(format!("tail -f {}", log.display()))
    }

    async fn events(&self) -> Result<BoxStream<'static, Event>> {
        events::of(self.containers.path()).await
    }
}

//! Another size for a domain, for this life and for later ones.

use std::time::Duration;

use rm_libvirt::{Affect, Domain as Handle, Error as Said, XmlFlags};

use super::failure::failure;
use super::kind::Kind;
use super::{Libvirt, partly, read, xml};
use crate::driver::{Error, Result, Size};

/// How long a guest may take to give memory back, and how often it is looked
/// whether it has.
const GIVES: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(100);

impl Libvirt {
    /// Memory of the host that is free or can be freed. Of Linux that is what it
    /// keeps of files, too, which is most of it on one that has run for a while.
    pub(super) async fn free_mib(&self) -> Result<u64, Said> {
        if self.kind != Kind::Lxc && !self.kind.is_qemu() {
            return Ok(self.client.free_memory().await? >> 20);
        }
        let stats = self.client.memory_stats().await?;
        let kib = |what: &str| stats.get(what).copied().unwrap_or(0);
        let kib = kib("free")
            .saturating_add(kib("buffers"))
            .saturating_add(kib("cached"));
        Ok(kib >> 10)
    }

    /// Gives a domain another size.
    pub(super) async fn resized(&self, of: &str, size: Size) -> Result<()> {
        let handle = self.look_up(of).await?;
        let failed = |e: Said| failure(of, &e);
        if !self.is_active(&handle).await? {
            let xml = self
                .client
                .xml(&handle, XmlFlags::INACTIVE)
                .await
                .map_err(failed)?;
            let resized = xml::resized(self.kind, &xml, size)?;
            return self
                .client
                .define_xml(&resized)
                .await
                .map(drop)
                .map_err(failed);
        }
        let xml = self
            .client
            .xml(&handle, XmlFlags::default())
            .await
            .map_err(failed)?;
        let read = read::domain(&xml)?;
        if size.memory_mib > read.most.memory_mib || size.vcpus > read.most.vcpus {
            return Err(Error::invalid(format!(
                "{of:?} can have at most {} MiB of memory and {} processors while it runs; stop it first",
                read.most.memory_mib, read.most.vcpus
            )));
        }
        // Not every driver takes both lives in one call, and the limit of a
        // container's next life is more than a number.
        let mut touched = false;
        let lives: &[Affect] = match self.kind {
            Kind::Lxc => &[Affect::LIVE],
            _ => &[Affect::LIVE, Affect::CONFIG],
        };
        for life in lives.iter().copied() {
            if size.memory_mib != read.size.memory_mib {
                let memory = [read.size.memory_mib << 10, size.memory_mib << 10];
                let set = self.set_memory(&handle, memory, life);
                set.await.map_err(|e| partly(touched, e))?;
                touched = true;
            }
            if size.vcpus != read.size.vcpus {
                let set = self.client.set_vcpus(&handle, size.vcpus, life);
                set.await.map_err(|e| partly(touched, failed(e)))?;
                touched = true;
            }
        }
        if self.kind == Kind::Lxc {
            let later = self.client.xml(&handle, XmlFlags::INACTIVE).await;
            let later = later.map_err(|e| partly(touched, failed(e)))?;
            let resized = xml::resized(self.kind, &later, size)?;
            let defined = self.client.define_xml(&resized).await;
            defined.map_err(|e| partly(touched, failed(e)))?;
        }
        Ok(())
    }

    /// So many KiB in the stead of so many.
    async fn set_memory(&self, of: &Handle, [was, kib]: [u64; 2], life: Affect) -> Result<()> {
        let failed = |e: Said| failure(&of.name, &e);
        if self.kind.is_qemu() && life == Affect::CONFIG {
            // It would start with all that it could have.
            let most = Affect::CONFIG | Affect::MAXIMUM;
            let set = self.client.set_memory(of, kib, most).await;
            set.map_err(failed)?;
        }
        let set = self.client.set_memory(of, kib, life).await;
        set.map_err(failed)?;
        let asked = self.kind.is_qemu() && life == Affect::LIVE && kib < was;
        if !asked || self.given_back(of, kib).await? {
            return Ok(());
        }
        let as_before = self.client.set_memory(of, was, life).await;
        as_before.map_err(|e| partly(true, failed(e)))?;
        Err(Error::Failed(format!(
            "the guest of {:?} gives no memory back; stop it first",
            of.name
        )))
    }

    /// Whether a guest of QEMU has given back what is more than this, which
    /// nobody but the guest can do.
    async fn given_back(&self, of: &Handle, kib: u64) -> Result<bool> {
        let gives = async {
            while self.client.info(of).await?.memory_kib > kib {
                tokio::time::sleep(LOOK).await;
            }
            Ok(())
        };
        match tokio::time::timeout(GIVES, gives).await {
            Ok(given) => given
                .map(|()| true)
                .map_err(|e: Said| partly(true, failure(&of.name, &e))),
            Err(_) => Ok(false),
        }
    }
}

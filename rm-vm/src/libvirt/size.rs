//! Another size for a domain, for this life and for later ones.

use rm_libvirt::{Affect, Error as Said, XmlFlags};

use super::failure::failure;
use super::kind::Kind;
use super::{Libvirt, partly, read, xml};
use crate::driver::{Error, Result, Size};

impl Libvirt {
    /// Gives a domain another size.
    pub(super) async fn resized(&self, of: &str, size: Size) -> Result<()> {
        let handle = self.handle(of).await?;
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
                let kib = size.memory_mib << 10;
                // It starts with all that it could have.
                if self.kind.is_qemu() && life == Affect::CONFIG {
                    let most = Affect::CONFIG | Affect::MAXIMUM;
                    let set = self.client.set_memory(&handle, kib, most).await;
                    set.map_err(|e| partly(touched, failed(e)))?;
                }
                let set = self.client.set_memory(&handle, kib, life);
                set.await.map_err(|e| partly(touched, failed(e)))?;
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
}

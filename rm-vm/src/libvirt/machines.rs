//! What machines are made of: what they boot, their disk, and the disc with
//! what they are born with. All of it is in one storage pool of their host.

use rm_libvirt::Client;

use super::cloud;
use super::disks::{self, Disks};
use super::kernels::{self, Kernels};
use super::kind::Kind;
use super::volumes::{New, Volumes};
use super::xml::{Boot, Drive};
use crate::driver::{Definition, Error, Image, Result};
use crate::files::Aside;
use crate::images::{KERNEL, QCOW2};

/// Machines of one host.
#[derive(Debug)]
pub(super) struct Machines {
    kind: Kind,
    image_mib: u64,
    volumes: Volumes,
    kernels: Kernels,
    disks: Disks,
}

/// What a machine's disc is called.
fn seed(domain: &str) -> String {
    format!("{domain}-seed")
}

/// What a machine is made of, at its host.
#[derive(Debug, Default)]
pub(super) struct Parts {
    kernel: Option<(String, Option<String>, String)>,
    drives: Vec<Drive>,
}

impl Parts {
    pub(super) fn boot(&self) -> Boot<'_> {
        match &self.kernel {
            Some((kernel, initrd, cmdline)) => Boot::Kernel {
                kernel,
                initrd: initrd.as_deref(),
                cmdline,
            },
            None => Boot::Nothing,
        }
    }

    pub(super) fn drives(&self) -> &[Drive] {
        &self.drives
    }
}

/// Removes what those left here who were cut off while they looked at an image.
pub(super) async fn sweep_up() {
    let swept = tokio::task::spawn_blocking(|| {
        let temporary = std::env::temp_dir();
        [disks::ASIDE, kernels::ASIDE]
            .into_iter()
            .try_for_each(|aside| Aside::private(&temporary, aside).map(drop))
    });
    if let Ok(Err(e)) = swept.await {
        tracing::warn!(error = %e, "what a crash left of an image cannot be looked for");
    }
}

impl Machines {
    /// In this pool, of images of at most so many MiB.
    pub(super) fn new(kind: Kind, client: Client, pool: String, image_mib: u64) -> Self {
        Self {
            kind,
            image_mib,
            volumes: Volumes::new(client, pool),
            kernels: Kernels::default(),
            disks: Disks::default(),
        }
    }

    pub(super) async fn bring(&self, image: &Image) -> Result<()> {
        let (volumes, most) = (&self.volumes, self.image_mib);
        if !Disks::are_of(image) {
            return self.kernels.bring(volumes, image, most).await;
        }
        self.can_boot(image)?;
        self.disks.bring(volumes, image, most).await
    }

    fn can_boot(&self, image: &Image) -> Result<()> {
        if self.kind.is_qemu() || !Disks::are_of(image) {
            return Ok(());
        }
        Err(Error::Image {
            name: image.name.clone(),
            why: format!("is a disk, and machines of this host boot images of the format {KERNEL}"),
        })
    }

    /// Whether a machine of this image has a disk that it writes to.
    pub(super) fn has_disks_of(image: &Image) -> bool {
        Disks::are_of(image)
    }

    /// Refuses a machine that cannot be made, as far as that is known: of an image
    /// that was brought, all but what its interfaces will be.
    pub(super) fn check(&self, new: &Definition) -> Result<()> {
        self.can_boot(&new.image)?;
        if Disks::are_of(&new.image) {
            return self.disks.check(new);
        }
        if new.disk_mib.is_some() {
            return Err(Error::invalid(
                "an image of a kernel has no disk that could have a size",
            ));
        }
        if self.kind.is_qemu() {
            return Ok(());
        }
        if !new.seed.user_data.is_empty() {
            return Err(Error::Unsupported {
                driver: self.kind.name(),
                what: "bring user data into a machine",
            });
        }
        match self.kernels.of(&new.image) {
            Ok(kernel) => kernel.cmdline(new, true).map(drop),
            Err(_) => kernels::holds(&new.seed),
        }
    }

    /// The room for disks of machines, where they have some.
    pub(super) async fn free_mib(&self) -> Result<Option<u64>> {
        match self.kind.is_qemu() {
            true => self.volumes.free_mib().await,
            false => Ok(None),
        }
    }

    /// Makes what a machine needs that is not there yet. What was left under
    /// its name goes.
    pub(super) async fn make(&self, new: &Definition) -> Result<Parts> {
        self.check(new)?;
        let mut parts = Parts::default();
        let by_disc = self.kind.is_qemu();
        let of_disk = Disks::are_of(&new.image);
        // What is wrong with a request is told before anything goes.
        let disc = match by_disc && (of_disk || cloud::is_born_with(&new.seed)) {
            true => Some(cloud::seed(new)?),
            false => None,
        };
        if of_disk {
            new.in_time()?;
            let path = self.disks.make(&self.volumes, new).await?;
            parts.drives.push(Drive::writable(path, QCOW2));
        } else {
            let kernel = self.kernels.of(&new.image)?;
            let cmdline = kernel.cmdline(new, !by_disc)?;
            parts.kernel = Some((kernel.kernel, kernel.initrd, cmdline));
        }
        if let Some(disc) = disc {
            new.in_time()?;
            let bytes = u64::try_from(disc.len()).unwrap_or(u64::MAX);
            let name = seed(&new.name);
            let path = self.volumes.make(&name, New::raw(bytes)).await?;
            self.volumes.upload(&name, &*disc).await?;
            parts.drives.push(Drive::read_only(path));
        }
        Ok(parts)
    }

    /// Whether machines have volumes of their own.
    pub(super) fn makes_volumes(&self) -> bool {
        self.kind.is_qemu()
    }

    /// Whether a machine has a disk that it writes to.
    pub(super) async fn has_disk(&self, domain: &str) -> Result<bool> {
        Disks::is_there(&self.volumes, domain).await
    }

    /// Removes what was made for a machine alone.
    pub(super) async fn remove(&self, domain: &str) -> Result<()> {
        if self.makes_volumes() {
            Disks::remove(&self.volumes, domain).await?;
            self.volumes.remove(&seed(domain)).await?;
        }
        Ok(())
    }
}

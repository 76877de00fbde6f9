//! What machines boot: kernels, as volumes of a storage pool of their host.
//!
//! An image of the format `kernel` is an archive of the files `kernel`,
//! `initrd` and `cmdline`, of which only the first must be there. It is checked
//! here and brought to the host through libvirt, however far that is. A volume
//! of its own says that all of it is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rm_libvirt::{Client, Code, Error as Said, Pool, Volume};
use tokio::sync::Mutex;

use super::failure::failure;
use crate::driver::{Definition, Error, Image, Result};
use crate::files::Aside;
use crate::images::{Images, KERNEL};

/// What folders are called in which archives are looked at.
const ASIDE: &str = "rm-kernel-";
/// More than a command line can have.
const CMDLINE: usize = 4096;

/// A kernel on the host.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    pub(super) kernel: String,
    pub(super) initrd: Option<String>,
    cmdline: String,
}

impl Kernel {
    /// The command line, with what is between braces filled in: `{name}`,
    /// `{hostname}`, and of the first interface `{address}` and `{gateway}`.
    pub(super) fn cmdline(&self, new: &Definition) -> String {
        let nic = new.nics.first();
        let address = nic.and_then(|nic| nic.addresses.first());
        let gateway = nic.and_then(|nic| nic.gateways.first());
        self.cmdline
            .replace("{name}", &new.name)
            .replace("{hostname}", &new.seed.hostname)
            .replace(
                "{address}",
                &address.map(ToString::to_string).unwrap_or_default(),
            )
            .replace(
                "{gateway}",
                &gateway.map(ToString::to_string).unwrap_or_default(),
            )
    }
}

/// The kernels in a pool of a host.
#[derive(Debug)]
pub(super) struct Kernels {
    client: Client,
    pool: String,
    image_mib: u64,
    /// By checksum: those that were brought. One is brought at a time.
    known: Mutex<BTreeMap<String, Kernel>>,
}

/// An archive that was looked at here.
struct Opened {
    cmdline: String,
    /// Names and files.
    files: Vec<(&'static str, PathBuf)>,
    /// They go with this.
    _aside: Aside,
}

impl Kernels {
    pub(super) fn new(client: Client, pool: String, image_mib: u64) -> Self {
        Self {
            client,
            pool,
            image_mib,
            known: Mutex::default(),
        }
    }

    /// A kernel that was brought.
    pub(super) async fn of(&self, image: &Image) -> Result<Kernel> {
        let known = self.known.lock().await;
        known
            .get(&image.sha256)
            .cloned()
            .ok_or_else(|| Error::Image {
                name: image.name.clone(),
                why: "is not on the host yet".to_owned(),
            })
    }

    pub(super) async fn bring(self: Arc<Self>, image: &Image) -> Result<()> {
        let mut known = self.known.lock().await;
        if known.contains_key(&image.sha256) {
            return Ok(());
        }
        let (wanted, most) = (image.clone(), self.image_mib);
        let opened = tokio::task::spawn_blocking(move || open(&wanted, most)).await;
        let opened = opened.map_err(|_| {
            Error::Failed("an image was cut off by a defect of this program".to_owned())
        })??;
        let failed = |e: Said| failure(&image.name, &e);
        let pool = self.client.pool_by_name(&self.pool).await.map_err(failed)?;
        let whole = format!("rm-{}-whole", image.sha256);
        let is_there = self.volume(&pool, &whole).await?.is_some();
        let mut kernel = Kernel {
            kernel: String::new(),
            initrd: None,
            cmdline: opened.cmdline,
        };
        for (what, file) in &opened.files {
            let name = format!("rm-{}-{what}", image.sha256);
            let volume = match self.volume(&pool, &name).await? {
                Some(volume) if is_there => volume,
                // Who brought it was cut off.
                Some(left) => {
                    self.client.delete_volume(&left).await.map_err(failed)?;
                    self.upload(&pool, &name, file).await?
                }
                None => self.upload(&pool, &name, file).await?,
            };
            let path = self.client.volume_path(&volume).await.map_err(failed)?;
            match *what {
                "kernel" => kernel.kernel = path,
                _ => kernel.initrd = Some(path),
            }
        }
        if !is_there {
            self.make(&pool, &whole, 1).await?;
        }
        known.insert(image.sha256.clone(), kernel);
        Ok(())
    }

    async fn volume(&self, pool: &Pool, name: &str) -> Result<Option<Volume>> {
        match self.client.volume_by_name(pool, name).await {
            Ok(volume) => Ok(Some(volume)),
            Err(e) if e.code() == Some(Code::NO_STORAGE_VOL) => Ok(None),
            Err(e) => Err(failure(name, &e)),
        }
    }

    async fn make(&self, pool: &Pool, name: &str, bytes: u64) -> Result<Volume> {
        // The name is made of digits and letters.
        let xml = format!(
            "<volume><name>{name}</name><capacity unit='bytes'>{bytes}</capacity>\
             <target><format type='raw'/></target></volume>"
        );
        let made = self.client.create_volume_xml(pool, &xml).await;
        made.map_err(|e| failure(name, &e))
    }

    async fn upload(&self, pool: &Pool, name: &str, file: &Path) -> Result<Volume> {
        let unread = |e: std::io::Error| Error::Unavailable(format!("{}: {e}", file.display()));
        let bytes = tokio::fs::File::open(file).await.map_err(unread)?;
        let size = bytes.metadata().await.map_err(unread)?.len();
        let volume = self.make(pool, name, size).await?;
        let uploaded = self.client.upload_volume(&volume, bytes).await;
        uploaded.map_err(|e| failure(name, &e))?;
        Ok(volume)
    }
}

/// Checks an archive and looks at what is in it. Blocks.
fn open(image: &Image, most_mib: u64) -> Result<Opened> {
    let wrong = |why: &str| {
        Err(Error::Image {
            name: image.name.clone(),
            why: why.to_owned(),
        })
    };
    let aside = Aside::make(&std::env::temp_dir(), ASIDE)?;
    let images = Images::at(&aside.path().join("images"), most_mib).of_format(KERNEL);
    let root = images.bring(image)?;
    let is_file = |path: &PathBuf| std::fs::symlink_metadata(path).is_ok_and(|m| m.is_file());
    let mut files = Vec::new();
    for what in ["kernel", "initrd"] {
        files.extend(Some((what, root.join(what))).filter(|(_, path)| is_file(path)));
    }
    if !files.iter().any(|(what, _)| *what == "kernel") {
        return wrong("has no file kernel in its root");
    }
    let cmdline = Some(root.join("cmdline")).filter(is_file);
    let cmdline = cmdline.map(std::fs::read_to_string).transpose();
    let Ok(cmdline) = cmdline else {
        return wrong("has a cmdline that cannot be read");
    };
    let cmdline = cmdline.unwrap_or_default().trim().to_owned();
    if cmdline.len() > CMDLINE || cmdline.chars().any(char::is_control) {
        return wrong("has a cmdline that is no line of at most 4096 bytes");
    }
    Ok(Opened {
        cmdline,
        files,
        _aside: aside,
    })
}

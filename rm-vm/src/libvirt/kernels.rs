//! Kernels that machines boot, as volumes of a storage pool of their host.
//!
//! An image of the format `kernel` is an archive of the files `kernel`,
//! `initrd` and `cmdline`, of which only the first must be there. It is checked
//! here and brought to the host through libvirt, however far that is.

use std::path::PathBuf;

use super::brought::{Brought, Part, copy};
use super::cloud;
use super::volumes::{New, Volumes};
use crate::driver::{Definition, Error, Image, Result};
use crate::files::{Aside, told};
use crate::images::{Images, KERNEL, source};

/// What folders are called in which archives are looked at.
const ASIDE: &str = "rm-kernel-";
/// More than a command line can have.
const CMDLINE: usize = 4096;
/// The least that kernels and hypervisors take.
const LONGEST: usize = 1023;
/// Where a command line has place for what cloud-init reads.
const CONFIG: &str = "{cloud-config}";

/// A kernel on the host.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    pub(super) kernel: String,
    pub(super) initrd: Option<String>,
    cmdline: String,
}

impl Kernel {
    /// The command line, with what is between braces filled in: `{name}`,
    /// `{hostname}`, of the first interface `{address}` and `{gateway}`, and
    /// `{cloud-config}`: users, keys and commands for the guest's cloud-init.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where users, keys or commands are asked for and it
    /// has no place for them, though `must` it tell them; and where it gets
    /// too long.
    pub(super) fn cmdline(&self, new: &Definition, must: bool) -> Result<String> {
        let tells = self.cmdline.contains(CONFIG) && new.seed.user_data.is_empty();
        if must && cloud::is_born_with(&new.seed) && !tells {
            return Err(Error::invalid(format!(
                "the command line of this image has no {CONFIG}, by which users, keys and commands reach a machine of this host; user data does not"
            )));
        }
        let nic = new.nics.first();
        let address = nic.and_then(|nic| nic.addresses.first());
        let gateway = nic.and_then(|nic| nic.gateways.first());
        let cmdline = self
            .cmdline
            .replace(CONFIG, &cloud::on_command_line(&new.seed))
            .replace("{name}", &new.name)
            .replace("{hostname}", &new.seed.hostname)
            .replace(
                "{address}",
                &address.map(ToString::to_string).unwrap_or_default(),
            )
            .replace(
                "{gateway}",
                &gateway.map(ToString::to_string).unwrap_or_default(),
            );
        match cmdline.len() <= LONGEST {
            true => Ok(cmdline),
            false => Err(Error::invalid(format!(
                "users, keys and commands make a command line of more than the {LONGEST} bytes that a kernel takes"
            ))),
        }
    }
}

/// The kernels that were brought to a host, by checksum.
#[derive(Debug, Default)]
pub(super) struct Kernels {
    brought: Brought<Kernel>,
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
    /// A kernel that was brought.
    pub(super) fn of(&self, image: &Image) -> Result<Kernel> {
        self.brought.of(image)
    }

    pub(super) async fn bring(&self, volumes: &Volumes, image: &Image, most: u64) -> Result<()> {
        let bring = async {
            let here = source::here(image, &std::env::temp_dir(), ASIDE, most).await?;
            let wanted = here.image.clone();
            let opened = tokio::task::spawn_blocking(move || open(&wanted, most)).await;
            let opened = opened.map_err(|_| {
                Error::Failed("an image was cut off by a defect of this program".to_owned())
            })??;
            let mut parts = Vec::with_capacity(opened.files.len());
            for (what, file) in &opened.files {
                let unread = |e: std::io::Error| told(file, &e);
                let bytes = tokio::fs::File::open(file).await.map_err(unread)?;
                let size = bytes.metadata().await.map_err(unread)?.len();
                parts.push(Part {
                    what,
                    new: New::raw(size),
                    bytes,
                });
            }
            let placed = copy(volumes, image, parts).await?;
            let mut kernel = Kernel {
                kernel: String::new(),
                initrd: None,
                cmdline: opened.cmdline,
            };
            for part in &placed {
                match part.what {
                    "kernel" => kernel.kernel.clone_from(&part.path),
                    _ => kernel.initrd = Some(part.path.clone()),
                }
            }
            Ok::<_, Error>((placed, kernel))
        };
        self.brought.bring(volumes, image, bring).await
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
    let aside = Aside::private(&std::env::temp_dir(), ASIDE)?;
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

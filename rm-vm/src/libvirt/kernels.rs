//! Kernels that machines boot, as volumes of a storage pool of their host.
//!
//! An image of the format `kernel` is an archive of the files `kernel`,
//! `initrd` and `cmdline`, of which only the first must be there. It is checked
//! here and brought to the host through libvirt, however far that is.

use std::net::IpAddr;
use std::path::PathBuf;

use super::brought::{Brought, Part, copy};
use super::cloud;
use super::volumes::{New, Volumes};
use crate::driver::{Definition, Error, Image, Result, Seed};
use crate::files::{Aside, told};
use crate::images::{Images, KERNEL, source};

/// What folders are called in which archives are looked at.
pub(super) const ASIDE: &str = "rm-kernel-";
/// More than a command line can have.
const CMDLINE: usize = 4096;
/// The least that kernels and hypervisors take.
const LONGEST: usize = 1023;
/// Where a command line has place for what cloud-init reads.
const CONFIG: &str = "{cloud-config}";
/// And for the addresses of all interfaces.
const IP: &str = "{ip}";

/// A kernel on the host.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    pub(super) kernel: String,
    pub(super) initrd: Option<String>,
    cmdline: String,
}

impl Kernel {
    /// The command line, with what is between braces filled in: `{name}`,
    /// `{hostname}`, of the first interface `{address}` and `{gateway}`, of all
    /// interfaces `{ip}`, and `{cloud-config}`: users, keys and commands for the
    /// guest's cloud-init.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where users, keys, commands or addresses of several
    /// interfaces are asked for and it has no place for them, though `must` it
    /// tell them; and where it gets too long.
    pub(super) fn cmdline(&self, new: &Definition, must: bool) -> Result<String> {
        let tells = self.cmdline.contains(CONFIG) && new.seed.user_data.is_empty();
        if must && cloud::is_born_with(&new.seed) && !tells {
            return Err(Error::invalid(format!(
                "the command line of this image has no {CONFIG}, by which users, keys and commands reach a machine of this host; user data does not"
            )));
        }
        let given = new.nics.iter().filter(|nic| !nic.addresses.is_empty());
        if must && given.count() > 1 && !self.cmdline.contains(IP) {
            return Err(Error::invalid(format!(
                "the command line of this image has no {IP}, by which the addresses of more than one interface reach a machine of this host"
            )));
        }
        let nic = new.nics.first();
        let address = nic.and_then(|nic| nic.addresses.first());
        let gateway = nic.and_then(|nic| nic.gateways.first());
        let cmdline = self
            .cmdline
            .replace(CONFIG, &cloud::on_command_line(&new.seed))
            .replace(IP, &addresses(new))
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
        fits(&cmdline)?;
        Ok(cmdline)
    }
}

fn fits(cmdline: &str) -> Result<()> {
    match cmdline.len() <= LONGEST {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "users, keys and commands make a command line of more than the {LONGEST} bytes that a kernel takes"
        ))),
    }
}

/// Refuses what no command line can hold.
pub(super) fn holds(seed: &Seed) -> Result<()> {
    fits(&cloud::on_command_line(seed))
}

/// A word `ip=` for each address, as the kernel documents it for one and what
/// is booted before the system reads them all: with brackets around those of
/// version 6.
fn addresses(new: &Definition) -> String {
    let written = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let mut words = Vec::new();
    for (at, nic) in new.nics.iter().enumerate() {
        for address in &nic.addresses {
            let same = |gateway: &&IpAddr| gateway.is_ipv4() == address.ip.is_ipv4();
            let gateway = nic.gateways.iter().find(same).map(written);
            let mask = match address.ip {
                IpAddr::V4(_) => {
                    let host = 32_u32.saturating_sub(address.prefix.into());
                    IpAddr::from(u32::MAX.checked_shl(host).unwrap_or(0).to_be_bytes()).to_string()
                }
                IpAddr::V6(_) => address.prefix.to_string(),
            };
            words.push(format!(
                "ip={}::{}:{mask}:{}:eth{at}:off",
                written(&address.ip),
                gateway.unwrap_or_default(),
                new.seed.hostname
            ));
        }
    }
    words.join(" ")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::{Nic, Size};

    fn machine(nics: &[(&str, Option<&str>)]) -> Definition {
        let nic = |(address, gateway): &(&str, Option<&str>)| Nic {
            bridge: "br0".to_owned(),
            mac: "02:00:00:00:00:01".to_owned(),
            addresses: vec![address.parse().unwrap()],
            gateways: gateway.iter().map(|g| g.parse().unwrap()).collect(),
            shaping: None,
        };
        Definition {
            name: "rm-1".to_owned(),
            size: Size {
                vcpus: 1,
                memory_mib: 64,
            },
            image: Image {
                name: "kernel".to_owned(),
                source: "file:/none".to_owned(),
                sha256: "a".repeat(64),
                format: KERNEL.to_owned(),
            },
            disk_mib: None,
            nics: nics.iter().map(nic).collect(),
            seed: Seed {
                hostname: "n1".to_owned(),
                ..Seed::default()
            },
            metadata: String::new(),
            unfinished: String::new(),
            by: None,
        }
    }

    fn kernel(cmdline: &str) -> Kernel {
        Kernel {
            kernel: "/k".to_owned(),
            initrd: None,
            cmdline: cmdline.to_owned(),
        }
    }

    #[test]
    fn a_command_line_tells_the_addresses_of_all_interfaces() {
        let two = machine(&[
            ("10.0.0.2/24", Some("10.0.0.1")),
            ("10.1.0.2/20", None),
            ("fd00::2/64", Some("fd00::1")),
        ]);
        let told = kernel("quiet {ip}").cmdline(&two, true).unwrap();
        let want = "quiet ip=10.0.0.2::10.0.0.1:255.255.255.0:n1:eth0:off \
                    ip=10.1.0.2:::255.255.240.0:n1:eth1:off \
                    ip=[fd00::2]::[fd00::1]:64:n1:eth2:off";
        assert_eq!(told, want);
        assert_eq!(kernel("{ip}").cmdline(&machine(&[]), true).unwrap(), "");
    }

    #[test]
    fn addresses_that_would_reach_nobody_are_refused() {
        let first = kernel("ip={address}::{gateway}::{hostname}:eth0");
        let one = machine(&[("10.0.0.2/24", Some("10.0.0.1"))]);
        let told = first.cmdline(&one, true).unwrap();
        assert_eq!(told, "ip=10.0.0.2/24::10.0.0.1::n1:eth0");
        let two = machine(&[("10.0.0.2/24", None), ("10.1.0.2/24", None)]);
        let refused = first.cmdline(&two, true).unwrap_err();
        assert!(refused.to_string().contains("no {ip}"), "{refused}");
        // Where there is a disc, that tells them.
        assert!(first.cmdline(&two, false).is_ok());
    }
}

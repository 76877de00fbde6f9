//! Real systems on loopback, for people and for tests: clouds in
//! `lab/openstack`, hosts of machines and containers in `lab/vm`.

mod command;
mod guard;
mod traces;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

pub(crate) use command::{Command, command};
pub(crate) use guard::Guard;
pub(crate) use traces::Traces;

use crate::error::{At, Error, Result};
use crate::install;
use crate::paths;
use crate::run::Run;

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// OpenStack: Keystone and Heat
    Min,
    /// OpenStack: Nova, Neutron, Glance and Placement, too
    Full,
    /// A bridge and an image for containers of the lxc-* tools
    Lxc,
    /// A libvirtd with the drivers test, LXC and QEMU
    Libvirt,
    /// Xen and libvirt in an emulated machine
    Xen,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Min, Self::Full, Self::Lxc, Self::Libvirt, Self::Xen];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Full => "full",
            Self::Lxc => "lxc",
            Self::Libvirt => "libvirt",
            Self::Xen => "xen",
        }
    }

    pub(crate) fn is_cloud(self) -> bool {
        matches!(self, Self::Min | Self::Full)
    }

    /// What is kept in a folder: a cloud's settings know which cloud.
    fn of(dir: &Path) -> Self {
        let kind = fs::read_to_string(dir.join("kind")).unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|known| known.name() == kind.trim())
            .unwrap_or(Self::Min)
    }
}

/// The script with all the verbs of a cloud.
pub(crate) fn script() -> PathBuf {
    paths::root().join("lab/openstack/bin/oslab.py")
}

fn oslab(verb: &str) -> Result<Run> {
    Ok(Run::new(install::python()?).arg(script()).arg(verb))
}

/// See to the packages of the system that a cloud needs, before anything that
/// takes long.
///
/// # Errors
///
/// Those that are missing, by name, for who may not install them.
pub(crate) fn system_packages() -> Result<()> {
    oslab("packages")?.run_as("lab")
}

/// Fill the shared venv, so that labs that start beside each other need not
/// wait for each other.
pub(crate) fn fill_venv(kind: Kind) -> Result<()> {
    oslab(&format!("install-{}", kind.name()))?.run_as("lab")
}

/// The venv's Python, which has openstacksdk.
pub(crate) fn venv_python() -> Result<PathBuf> {
    let venv = match std::env::var_os("OSLAB_VENV") {
        Some(own) => PathBuf::from(own),
        None => paths::cache()?.join("openstack-venv"),
    };
    Ok(venv.join("bin/python"))
}

#[derive(Debug, Clone)]
pub(crate) struct Lab {
    pub(crate) kind: Kind,
    pub(crate) dir: PathBuf,
}

impl Lab {
    pub(crate) fn new(kind: Kind, dir: impl Into<PathBuf>) -> Self {
        Self {
            kind,
            dir: dir.into(),
        }
    }

    /// Whether there is one, up or not.
    pub(crate) fn exists(&self) -> bool {
        let known_by = match self.kind.is_cloud() {
            true => "settings.json",
            false => "kind",
        };
        self.dir.join(known_by).is_file()
    }

    pub(crate) fn clouds(&self) -> PathBuf {
        self.dir.join("clouds.yaml")
    }

    fn script(&self, verb: &str) -> Result<Run> {
        match self.kind.is_cloud() {
            true => oslab(verb),
            false => Ok(Run::new(paths::root().join("lab/vm").join(verb))),
        }
    }

    /// Install what a host of machines needs; a cloud does so as it comes up.
    pub(crate) fn install(&self) -> Result<()> {
        if self.kind.is_cloud() {
            return Ok(());
        }
        let name = self.kind.name();
        let run = self.script("install")?.arg(name);
        run.run_as(&format!("lab {name}"))
    }

    /// Bring it up; PORT_BASE counts only for a new cloud, MORE for a cloud.
    pub(crate) fn up(&self, port_base: Option<u16>, more: &[String]) -> Result<()> {
        let name = self.kind.name();
        let mut run = match self.kind.is_cloud() {
            true => self.script(&format!("up-{name}"))?.arg(&self.dir),
            false => self.script("up")?.arg(name).arg(&self.dir),
        };
        if let Some(base) = port_base {
            run = run.arg("--port-base").arg(base.to_string());
        }
        run.args(more).run_as(&format!("lab {name}"))
    }

    pub(crate) fn down(&self) -> Result<()> {
        self.script("down")?.arg(&self.dir).run()
    }

    pub(crate) fn status(&self) -> Result<()> {
        self.script("status")?.arg(&self.dir).run()
    }

    /// Stop and remove what an earlier run left, and nothing that is no lab.
    pub(crate) fn clear(&self) -> Result<()> {
        if self.exists() {
            self.down()?;
        }
        // A host of machines takes its folder with it.
        if self.exists() {
            fs::remove_dir_all(&self.dir).at(self.dir.display())?;
        }
        Ok(())
    }
}

/// The first of some bases whose ports are all free.
pub(crate) fn free_port_base(first: u16) -> Result<u16> {
    (0..50)
        .map(|n| first + n * 20)
        .find(|base| (0..10).all(|offset| is_free(base + offset)))
        .ok_or_else(|| Error::new(format!("no free ports from {first} on")))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The folder of a lab that is not the tests'.
pub(crate) fn default_dir(kind: Kind) -> PathBuf {
    folder(&format!("dev-{}", kind.name()))
}

pub(crate) fn folder(name: &str) -> PathBuf {
    paths::target().join("lab").join(name)
}

pub(crate) fn absolute(dir: &Path) -> Result<PathBuf> {
    std::path::absolute(dir).at(dir.display())
}

//! The real clouds on loopback: `lab/openstack`, for people and for tests.

mod command;
mod guard;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

pub(crate) use command::{Command, command};
pub(crate) use guard::Guard;

use crate::error::{At, Error, Result};
use crate::install;
use crate::paths;
use crate::run::Run;

/// How much of a cloud.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Keystone and Heat
    Min,
    /// and Nova, Neutron, Glance, Placement
    Full,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Full => "full",
        }
    }
}

/// The script with all the verbs of a lab.
pub(crate) fn script() -> PathBuf {
    paths::root().join("lab/openstack/bin/oslab.py")
}

fn oslab(verb: &str) -> Result<Run> {
    Ok(Run::new(install::python()?).arg(script()).arg(verb))
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

    pub(crate) fn exists(&self) -> bool {
        self.dir.join("settings.json").is_file()
    }

    pub(crate) fn clouds(&self) -> PathBuf {
        self.dir.join("clouds.yaml")
    }

    /// Bring it up; PORT_BASE counts only for a new one.
    pub(crate) fn up(&self, port_base: Option<u16>, more: &[String]) -> Result<()> {
        let mut run = oslab(&format!("up-{}", self.kind.name()))?.arg(&self.dir);
        if let Some(base) = port_base {
            run = run.arg("--port-base").arg(base.to_string());
        }
        run.args(more).run_as(&format!("lab {}", self.kind.name()))
    }

    pub(crate) fn down(&self) -> Result<()> {
        oslab("down")?.arg(&self.dir).run()
    }

    pub(crate) fn status(&self) -> Result<()> {
        oslab("status")?.arg(&self.dir).run()
    }

    /// Stop and remove what an earlier run left, and nothing that is no lab.
    pub(crate) fn clear(&self) -> Result<()> {
        if self.exists() {
            self.down()?;
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

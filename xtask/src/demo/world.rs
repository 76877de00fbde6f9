//! The worlds in which the same story happens.

use std::path::PathBuf;

use crate::lab::{self, Kind, Lab};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum World {
    /// A real Keystone and Heat; hosts are records.
    Min,
    /// A whole OpenStack; hosts are servers.
    Full,
    /// A simulated site inside the daemon.
    Sim,
    /// Containers of this machine.
    Vm,
    /// The same, through GENI's door.
    Geni,
}

impl World {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Full => "full",
            Self::Sim => "sim",
            Self::Vm => "vm",
            Self::Geni => "geni",
        }
    }

    pub(super) fn described(self) -> &'static str {
        match self {
            Self::Min => {
                "an appliance becomes a running cluster on a real Keystone and Heat, and goes again"
            }
            Self::Full => {
                "an appliance becomes a running cluster on a real OpenStack with Nova, Neutron, Glance and Placement, and goes again"
            }
            Self::Sim => {
                "an appliance becomes a running cluster on a simulated site, and goes again"
            }
            Self::Vm => {
                "an appliance becomes a running cluster on containers of this machine, and goes again"
            }
            Self::Geni => "public clients of GENI are served containers of this machine",
        }
    }

    pub(super) fn lab(self) -> Option<Lab> {
        let kind = match self {
            Self::Min => Kind::Min,
            Self::Full => Kind::Full,
            Self::Sim => return None,
            Self::Vm | Self::Geni => Kind::Lxc,
        };
        let folder = lab::folder(&format!("demo-{}", self.name()));
        Some(Lab::new(kind, folder))
    }

    /// The implementation of the appliance, from the workspace.
    pub(super) fn implementation(self) -> PathBuf {
        PathBuf::from(match self {
            Self::Min => "lab/openstack/templates/minimal.yaml",
            Self::Full => "lab/openstack/templates/cluster.yaml",
            Self::Sim => "examples/appliances/simulated.json",
            Self::Vm | Self::Geni => "examples/appliances/containers.nodes.json",
        })
    }
}

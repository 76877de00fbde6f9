//! What this crate contributes to a host program.

use std::sync::Arc;

use rm_core::Result;
use rm_core::backend::Serves;
use rm_core::model::Node;
use rm_core::registry::{PluginFn, PluginInfo, Registries};

use crate::backend::{LXC, Nodes};
use crate::config::{Config, schema};
use crate::{libvirt, lxc};

/// The API type of sites that are this machine's own containers.
pub const LXC_API: &str = "lxc";

/// The API type of sites that are containers of a libvirt on this machine.
pub const LIBVIRT_LXC_API: &str = "libvirt-lxc";

/// Nodes on hosts.
pub static PLUGIN: PluginFn<Config> = PluginFn {
    info: PluginInfo {
        name: "vm",
        crate_name: env!("CARGO_PKG_NAME"),
        crate_version: env!("CARGO_PKG_VERSION"),
    },
    schema,
    install,
};

fn install(config: Config, registries: &mut Registries) -> Result<()> {
    let serves = Serves {
        kind: LXC,
        api: LXC_API.to_owned(),
        media: Vec::new(),
    };
    registries.backend::<Node>(
        "vm.lxc",
        serves,
        Arc::new(Nodes::new(config.clone(), lxc::open)),
    )?;
    let serves = Serves {
        kind: LXC,
        api: LIBVIRT_LXC_API.to_owned(),
        media: Vec::new(),
    };
    registries.backend::<Node>(
        "vm.libvirt-lxc",
        serves,
        Arc::new(Nodes::new(config, libvirt::open)),
    )
}

rm_core::submit_plugin!(&PLUGIN);

//! What this crate contributes to a host program.

use std::sync::Arc;

use rm_core::Result;
use rm_core::backend::Serves;
use rm_core::model::Node;
use rm_core::registry::{PluginFn, PluginInfo, Registries};

use crate::backend::{KVM, LXC, Nodes, XEN};
use crate::config::{Config, schema};
use crate::{libvirt, lxc};

/// The API type of sites that are this machine's own containers.
pub const LXC_API: &str = "lxc";

/// The API type of sites that are containers of a libvirt on this machine.
pub const LIBVIRT_LXC_API: &str = "libvirt-lxc";
/// The API type of sites that are machines of Xen behind a libvirt.
pub const LIBVIRT_XEN_API: &str = "libvirt-xen";
/// The API type of sites that are machines of QEMU and KVM behind a libvirt.
pub const LIBVIRT_QEMU_API: &str = "libvirt-qemu";

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
        Arc::new(Nodes::new(config.clone(), lxc::open).changing_users()),
    )?;
    for (name, kind, api) in [
        ("vm.libvirt-lxc", LXC, LIBVIRT_LXC_API),
        ("vm.libvirt-xen", XEN, LIBVIRT_XEN_API),
        ("vm.libvirt-qemu", KVM, LIBVIRT_QEMU_API),
    ] {
        let serves = Serves {
            kind,
            api: api.to_owned(),
            media: Vec::new(),
        };
        let nodes = Nodes::new(config.clone(), libvirt::open);
        registries.backend::<Node>(name, serves, Arc::new(nodes))?;
    }
    Ok(())
}

rm_core::submit_plugin!(&PLUGIN);

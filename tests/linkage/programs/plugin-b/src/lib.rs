//! A crate with two plugins, one of them in a module of its own.

use rm_core::registry::{PluginFn, PluginInfo};

pub mod far;

/// The first plugin.
pub static PLUGIN: PluginFn<()> = PluginFn {
    info: PluginInfo {
        name: "b",
        crate_name: env!("CARGO_PKG_NAME"),
        crate_version: env!("CARGO_PKG_VERSION"),
    },
    schema: || Default::default(),
    install: |(), _| Ok(()),
};

rm_core::submit_plugin!(&PLUGIN);

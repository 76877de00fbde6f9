//! A crate with one plugin.

use rm_core::registry::{PluginFn, PluginInfo};

/// The plugin.
pub static PLUGIN: PluginFn<()> = PluginFn {
    info: PluginInfo {
        name: "a",
        crate_name: env!("CARGO_PKG_NAME"),
        crate_version: env!("CARGO_PKG_VERSION"),
    },
    schema: || Default::default(),
    install: |(), _| Ok(()),
};

rm_core::submit_plugin!(&PLUGIN);

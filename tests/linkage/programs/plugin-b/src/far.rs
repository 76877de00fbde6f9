//! Nothing else in the crate names this module.

use rm_core::registry::{PluginFn, PluginInfo};

/// The second plugin.
pub static PLUGIN: PluginFn<()> = PluginFn {
    info: PluginInfo {
        name: "b-far",
        crate_name: env!("CARGO_PKG_NAME"),
        crate_version: env!("CARGO_PKG_VERSION"),
    },
    schema: || Default::default(),
    install: |(), _| Ok(()),
};

rm_core::submit_plugin!(&PLUGIN);

//! The plugins linked into this program.

use rm_core::registry::{Plugin, Registries};

use crate::config::Config;
use crate::failure::{Failure, Result};

/// All of them, by name. Naming them here is what links them.
pub(crate) fn linked() -> Vec<&'static dyn Plugin> {
    vec![
        &rm_openstack::PLUGIN,
        #[cfg(feature = "vm")]
        &rm_vm::PLUGIN,
        #[cfg(feature = "sim")]
        &rm_testkit::PLUGIN,
    ]
}

/// Installs every plugin with its section of the configuration.
pub(crate) fn install(config: &Config, registries: &mut Registries) -> Result<()> {
    for plugin in linked() {
        let section = config.plugins.get(plugin.info().name);
        registries.install(plugin, section).map_err(|e| {
            let failure = Failure::usage(format!("{}: {}", config.file.display(), e.what()));
            match e.next() {
                Some(advice) => failure.advice(advice),
                None => failure,
            }
        })?;
    }
    Ok(())
}

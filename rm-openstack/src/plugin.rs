//! What this crate contributes to a host.

use std::sync::Arc;

use rm_core::backend::Serves;
use rm_core::model::{Cluster, SiteImage};
use rm_core::registry::{PluginFn, PluginInfo, Registries};
use rm_core::{Kind, Result};

use crate::backend::Stacks;
use crate::config::{Config, schema};
use crate::images::Images;
use crate::media::{HEAT_TEMPLATE, HeatTemplate};
use crate::sessions::Sessions;

/// The API type of sites that this crate serves.
pub const API: &str = "openstack";

/// Clusters on OpenStack.
pub static PLUGIN: PluginFn<Config> = PluginFn {
    info: PluginInfo {
        name: "openstack",
        crate_name: env!("CARGO_PKG_NAME"),
        crate_version: env!("CARGO_PKG_VERSION"),
    },
    schema,
    install,
};

fn install(config: Config, registries: &mut Registries) -> Result<()> {
    registries.media(Arc::new(HeatTemplate))?;
    let sessions = Arc::new(Sessions::new(&config)?);
    let serves = Serves {
        kind: Kind::CLUSTER,
        api: API.to_owned(),
        media: vec![HEAT_TEMPLATE.to_owned()],
    };
    let images = Serves {
        kind: Kind::IMAGE,
        api: API.to_owned(),
        media: Vec::new(),
    };
    registries.backend::<SiteImage>(
        "openstack.images",
        images,
        Arc::new(Images::new(config.clone(), Arc::clone(&sessions))),
    )?;
    registries.backend::<Cluster>("openstack", serves, Arc::new(Stacks::new(config, sessions)))
}

rm_core::submit_plugin!(&PLUGIN);

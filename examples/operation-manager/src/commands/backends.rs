//! The backends linked into this program.

use std::sync::Arc;

use rm_adapters::TokioEnv;
use rm_core::Host;
use rm_core::registry::Plugin;
use serde_json::{Value, json};

use crate::failure::Result;
use crate::output::{Column, Output, cell};
use crate::plugins;

const COLUMNS: &[Column] = &[
    ("BACKEND", |b| cell(&b["backend"])),
    ("PLUGIN", |b| cell(&b["plugin"])),
    ("KIND", |b| cell(&b["kind"])),
    ("API", |b| cell(&b["api"])),
    ("MEDIA TYPES", |b| cell(&b["media_types"])),
    ("CRATE", |b| cell(&b["crate"])),
    ("VERSION", |b| cell(&b["version"])),
];

/// Lists them. No daemon is asked: what is linked is the same in both.
pub(super) fn list(out: Output) -> Result<()> {
    let mut all = Vec::new();
    for plugin in plugins::linked() {
        all.extend(of(plugin)?);
    }
    out.list(&all, COLUMNS, "No backend is linked.")
}

// A host with this plugin alone tells what comes from it.
fn of(plugin: &'static dyn Plugin) -> Result<Vec<Value>> {
    let mut builder = Host::builder(Arc::new(TokioEnv::new()));
    builder.registries().install(plugin, None)?;
    let host = builder.build()?;
    let info = plugin.info();
    let backends = host.managers().all().map(|(name, serves)| {
        json!({
            "backend": name,
            "plugin": info.name,
            "kind": serves.kind.as_str(),
            "api": serves.api,
            "media_types": serves.media,
            "crate": info.crate_name,
            "version": info.crate_version,
        })
    });
    Ok(backends.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_of_a_plugin_is_listed_by_its_own_name() {
        let backends = of(&rm_openstack::PLUGIN).unwrap();
        let named = |name: &str| backends.iter().find(|b| b["backend"] == name).unwrap();
        assert_eq!(named("openstack")["kind"], "cluster");
        assert_eq!(named("openstack.images")["kind"], "image");
        assert_eq!(named("openstack.images")["plugin"], "openstack");
    }
}

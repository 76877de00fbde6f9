//! The backends linked into this program.

use std::sync::Arc;

use rm_adapters::TokioEnv;
use rm_core::backend::Serves;
use rm_core::model::{Cluster, SiteImage};
use rm_core::registry::Plugin;
use rm_core::{Host, Kind};
use serde_json::json;

use crate::failure::Result;
use crate::output::{Column, Output, cell};
use crate::plugins;

const COLUMNS: &[Column] = &[
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
        for serves in served(plugin)? {
            let info = plugin.info();
            all.push(json!({
                "plugin": info.name,
                "kind": serves.kind.as_str(),
                "api": serves.api,
                "media_types": serves.media,
                "crate": info.crate_name,
                "version": info.crate_version,
            }));
        }
    }
    out.list(&all, COLUMNS, "No backend is linked.")
}

// A host with this plugin alone tells what comes from it.
fn served(plugin: &'static dyn Plugin) -> Result<Vec<Serves>> {
    let mut builder = Host::builder(Arc::new(TokioEnv::new()));
    builder.registries().install(plugin, None)?;
    let host = builder.build()?;
    let clusters = host.managers().serving::<Cluster>(&Kind::CLUSTER);
    let images = host.managers().serving::<SiteImage>(&Kind::IMAGE);
    let clusters = clusters.into_iter().flatten().map(|m| m.serves().clone());
    let images = images.into_iter().flatten().map(|m| m.serves().clone());
    Ok(clusters.chain(images).collect())
}

//! The section `[sim]` of the configuration, and the plugin.

use std::collections::BTreeMap;
use std::time::Duration;

use rm_core::Result;
use rm_core::registry::{PluginFn, PluginInfo, Registries};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{API, SimCloud};

/// How the simulated sites behave.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimConfig {
    /// How long it takes to make a cluster.
    pub build_ms: u64,
    /// How long it takes to change one.
    pub change_ms: u64,
    /// How long it takes to destroy one.
    pub delete_ms: u64,
    /// How long it takes to bring an image's bytes.
    pub upload_ms: u64,
    /// How long each call takes.
    pub latency_ms: u64,
    /// How late lists are.
    pub visibility_ms: u64,
    /// Calls that change something, at once for one account.
    pub concurrency: u32,
    /// How many nodes a site has room for; no limit where absent.
    pub nodes: Option<u64>,
    /// What is different at the site of this name.
    pub sites: BTreeMap<String, SimSite>,
}

/// What is different at one site.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimSite {
    /// How many nodes it has room for.
    pub nodes: Option<u64>,
    /// What a cluster costs there.
    pub cost: f64,
    /// Nobody answers there.
    pub down: bool,
    /// What comes to its nodes cannot be held back.
    pub unshaped: bool,
    /// Nobody can be let in to its nodes.
    pub unvisited: bool,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            build_ms: 400,
            change_ms: 300,
            delete_ms: 300,
            upload_ms: 2000,
            latency_ms: 0,
            visibility_ms: 0,
            concurrency: 8,
            nodes: None,
            sites: BTreeMap::new(),
        }
    }
}

impl SimConfig {
    pub(super) fn site(&self, name: &str) -> SimSite {
        let mut site = self.sites.get(name).cloned().unwrap_or_default();
        site.nodes = site.nodes.or(self.nodes);
        site
    }

    pub(super) fn build(&self) -> Duration {
        Duration::from_millis(self.build_ms)
    }

    pub(super) fn change(&self) -> Duration {
        Duration::from_millis(self.change_ms)
    }

    pub(super) fn upload(&self) -> Duration {
        Duration::from_millis(self.upload_ms)
    }

    pub(super) fn delete(&self) -> Duration {
        Duration::from_millis(self.delete_ms)
    }
}

fn schema() -> Value {
    let millis = |what: &str, default: u64| json!({"type": "integer", "minimum": 0, "default": default, "description": what});
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "build_ms": millis("how long it takes to make a cluster", 400),
            "change_ms": millis("how long it takes to change one", 300),
            "delete_ms": millis("how long it takes to destroy one", 300),
            "upload_ms": millis("how long it takes to bring an image's bytes", 2000),
            "latency_ms": millis("how long each call takes", 0),
            "visibility_ms": millis("how late lists are", 0),
            "concurrency": {"type": "integer", "minimum": 1, "default": 8, "description": "calls that change something, at once for one account"},
            "nodes": {"type": "integer", "minimum": 0, "description": "how many nodes a site has room for; no limit where absent"},
            "sites": {
                "type": "object",
                "description": "what is different at the site of this name",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "nodes": {"type": "integer", "minimum": 0, "description": "how many nodes it has room for"},
                        "cost": {"type": "number", "default": 0.0, "description": "what a cluster costs there"},
                        "down": {"type": "boolean", "default": false, "description": "nobody answers there"},
                        "unshaped": {"type": "boolean", "default": false, "description": "what comes to its nodes cannot be held back"},
                        "unvisited": {"type": "boolean", "default": false, "description": "nobody can be let in to its nodes"},
                    },
                },
            },
        },
    })
}

/// Simulated sites in a real host. What is made there lives in the memory of
/// the process: after a restart the host finds nothing at its sites any more.
pub static PLUGIN: PluginFn<SimConfig> = PluginFn {
    info: PluginInfo {
        name: API,
        crate_name: env!("CARGO_PKG_NAME"),
        crate_version: env!("CARGO_PKG_VERSION"),
    },
    schema,
    install: |config, registries: &mut Registries| -> Result<()> {
        SimCloud::new(config).install(registries)
    },
};

rm_core::submit_plugin!(&PLUGIN);

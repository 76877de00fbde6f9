//! The plugin is found, and its section of the configuration is typed.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;

use new_backend::{Files, PLUGIN};
use rm_core::registry::{Plugin, Registries};
use serde_json::{Value, json};

fn refusal(section: &Value) -> String {
    let refused = Registries::new().install(&PLUGIN, Some(section));
    refused.unwrap_err().to_string()
}

#[test]
fn a_program_that_names_the_crate_has_the_plugin() {
    let mut registries = Registries::new();
    registries.install_linked(&BTreeMap::new()).unwrap();
    let names: Vec<_> = registries.plugins().iter().map(|p| p.name).collect();
    assert!(names.contains(&"files"), "{names:?}");
}

#[test]
fn a_key_that_is_misspelt_is_told() {
    let refused = refusal(&json!({"folder": {"here": "/etc/cron.d"}}));
    assert!(refused.contains("did you mean \"folders\"?"), "{refused}");
    let refused = refusal(&json!({"folders": "/etc/cron.d"}));
    assert!(refused.contains("\"folders\""), "{refused}");
}

#[test]
fn the_schema_describes_the_section() {
    let schema = PLUGIN.schema();
    let read: Files = serde_json::from_value(json!({"folders": {"here": "/a"}})).unwrap();
    assert_eq!(read.folders.len(), 1);
    let folders = &schema["properties"]["folders"];
    assert_eq!(folders["type"], "object");
    assert_eq!(folders["additionalProperties"]["type"], "string");
    let unknown = serde_json::from_value::<Files>(json!({"folders": {}, "other": 1}));
    assert!(unknown.is_err());
}

//! What is linked is found, in one order, and mistakes are named.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use rm_core::model::{Cluster, SiteImage};
use rm_core::registry::{
    Adapter, AdapterRegistry, Contract, Plugin, PluginFn, PluginInfo, Registries,
};
use rm_core::{ErrorKind, Host, Kind};
use rm_testkit::{PLUGIN, SimCloud, SimConfig, World};

trait Greets: Adapter {
    fn greet(&self) -> String;
}

impl Contract for dyn Greets {
    const NAME: &'static str = "greets";
}

trait Waves: Adapter {}

impl Contract for dyn Waves {
    const NAME: &'static str = "waves";
}

#[derive(Debug)]
struct Named(&'static str, Vec<Kind>);

impl Adapter for Named {
    fn name(&self) -> &'static str {
        self.0
    }

    fn kinds(&self) -> &[Kind] {
        &self.1
    }
}

impl Greets for Named {
    fn greet(&self) -> String {
        format!("hello from {}", self.0)
    }
}

impl Waves for Named {}

static OTHER: PluginFn<SimConfig> = PluginFn {
    info: PluginInfo {
        name: "sim",
        crate_name: "somebody-elses-sim",
        crate_version: "9.9.9",
    },
    schema: || serde_json::json!({}),
    install: |_, _| Ok(()),
};

#[test]
fn two_plugins_of_one_name_are_an_error_that_names_both_crates() {
    let mut registries = Registries::new();
    registries.install(&PLUGIN, None).unwrap();
    // The same one twice, as two lines of a program may have it, is fine.
    registries.install(&PLUGIN, None).unwrap();
    assert_eq!(registries.plugins().len(), 1);
    let e = registries.install(&OTHER, None).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Exists);
    for part in ["rm-testkit", "somebody-elses-sim", "9.9.9", "\"sim\""] {
        assert!(e.what().contains(part), "{e}");
    }
}

#[test]
fn two_backends_of_one_name_are_an_error() {
    let mut registries = Registries::new();
    SimCloud::new(SimConfig::default())
        .install(&mut registries)
        .unwrap();
    let e = SimCloud::new(SimConfig::default())
        .install(&mut registries)
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Exists);
    assert!(e.what().contains("\"sim\""), "{e}");
}

#[test]
fn a_plugin_that_is_linked_is_installed_by_itself() {
    let mut registries = Registries::new();
    registries.install_linked(&BTreeMap::new()).unwrap();
    assert!(registries.plugins().iter().any(|p| p.name == "sim"));
    let wrong = BTreeMap::from([("sim".to_owned(), serde_json::json!({"build_sm": 3}))]);
    let e = Registries::new().install_linked(&wrong).unwrap_err();
    assert!(e.to_string().contains("did you mean \"build_ms\"?"), "{e}");
    assert!(e.to_string().contains("[sim]"), "{e}");
}

#[test]
fn the_schema_of_the_plugin_knows_every_key_and_no_other() {
    let schema = PLUGIN.schema();
    let known = schema["properties"].as_object().unwrap();
    for key in known.keys() {
        let value = match key.as_str() {
            "sites" => serde_json::json!({"north": {"nodes": 3, "cost": 1.0, "down": false}}),
            _ => serde_json::json!(1),
        };
        let section = serde_json::json!({ key: value });
        Registries::new().install(&PLUGIN, Some(&section)).unwrap();
    }
    let typo = serde_json::json!({"sites": {"north": {"nods": 3}}});
    let e = Registries::new().install(&PLUGIN, Some(&typo)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
}

#[test]
fn an_unknown_kind_lists_the_known_ones() {
    let world = World::new(1);
    let mut builder = Host::builder(world.env());
    builder.registries().install(&PLUGIN, None).unwrap();
    let host = builder.build().unwrap();
    let managers = host.managers();
    assert_eq!(
        managers.serving::<Cluster>(&Kind::CLUSTER).unwrap().len(),
        1
    );
    let e = managers
        .serving::<Cluster>(&Kind::new("vm.xen"))
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert!(e.to_string().contains("\"vm.xen\""), "{e}");
    assert!(e.to_string().contains("the kinds are: cluster"), "{e}");
    // The kind alone is not enough: its model must be the one asked for.
    assert!(managers.serving::<SiteImage>(&Kind::CLUSTER).is_err());
}

#[test]
fn adapters_are_found_by_contract_and_kind_in_one_order() {
    let xen = Kind::new("vm.xen");
    let add = |names: &[&'static str]| -> AdapterRegistry {
        let world = World::new(1);
        let mut builder = Host::builder(world.env());
        for name in names {
            let kinds = if *name == "lxc" {
                vec![Kind::new("vm.lxc")]
            } else {
                vec![xen.clone(), Kind::CLUSTER]
            };
            builder
                .registries()
                .adapter::<dyn Greets>(Arc::new(Named(name, kinds)))
                .unwrap();
        }
        builder
            .registries()
            .adapter::<dyn Waves>(Arc::new(Named("b", vec![xen.clone()])))
            .unwrap();
        let host = builder.build().unwrap();
        assert_eq!(host.adapters().all::<dyn Waves>().len(), 1);
        let found: Vec<_> = host
            .adapters()
            .supporting::<dyn Greets>(&xen)
            .iter()
            .map(|a| a.greet())
            .collect();
        assert_eq!(found, ["hello from a", "hello from b", "hello from c"]);
        AdapterRegistry::default()
    };
    add(&["c", "a", "lxc", "b"]);
    add(&["b", "lxc", "c", "a"]);
}

#[test]
fn two_adapters_of_one_name_for_one_contract_are_an_error() {
    let mut registries = Registries::new();
    let one = || Arc::new(Named("a", vec![Kind::CLUSTER]));
    registries.adapter::<dyn Greets>(one()).unwrap();
    registries.adapter::<dyn Waves>(one()).unwrap();
    let e = registries.adapter::<dyn Greets>(one()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Exists);
    assert!(
        e.what().contains("greets") && e.what().contains("\"a\""),
        "{e}"
    );
}

#[test]
fn an_installation_must_have_a_name_that_fits_into_a_mark() {
    let world = World::new(1);
    for bad in ["", "two words", "a/b", &"x".repeat(41)] {
        let e = Host::builder(world.env())
            .installation(bad)
            .build()
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid, "{bad:?}");
    }
}

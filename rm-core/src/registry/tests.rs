use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Adapter, AdapterRegistry, Contract, Media, PluginFn, PluginInfo, Registries};
use crate::backend::{MockBackend, Serves};
use crate::error::Result;
use crate::host::{Host, HostBuilder};
use crate::id::Kind;
use crate::model::{Cluster, SiteImage};
use crate::testing::Still;
use crate::{Error, ErrorKind};

const fn plugin(name: &'static str, crate_name: &'static str) -> PluginFn<()> {
    PluginFn {
        info: PluginInfo {
            name,
            crate_name,
            crate_version: "1.2.3",
        },
        schema: || json!({}),
        install: |(), registries| registries.backend("cloud", toy(Kind::CLUSTER), cloud()),
    }
}

fn toy(kind: Kind) -> Serves {
    Serves {
        kind,
        api: "toy".to_owned(),
        media: Vec::new(),
    }
}

fn cloud() -> Arc<MockBackend<Cluster>> {
    Arc::new(MockBackend::new())
}

#[derive(Debug)]
struct Text;

impl Media for Text {
    fn media_type(&self) -> &'static str {
        "text/toy"
    }

    fn check(&self, _body: &str) -> Result<()> {
        Ok(())
    }

    fn accepts(&self, _body: &str, _parameters: &BTreeMap<String, Value>) -> Result<()> {
        Ok(())
    }
}

fn refused<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(e) => e,
    }
}

fn builder() -> HostBuilder {
    Host::builder(Still::new())
}

// -- plugins -------------------------------------------------------------------

#[test]
fn two_plugins_of_one_name_are_refused_and_both_crates_named() {
    let mut registries = Registries::new();
    registries
        .install(&plugin("cloud", "rm-first"), None)
        .unwrap();
    let e = refused(registries.install(&plugin("cloud", "rm-second"), None));
    assert_eq!(e.kind(), ErrorKind::Exists);
    for part in ["\"cloud\"", "rm-first 1.2.3", "rm-second 1.2.3"] {
        assert!(e.to_string().contains(part), "{e}");
    }
}

#[test]
fn two_versions_of_one_crate_are_two_crates() {
    let newer = PluginFn {
        info: PluginInfo {
            crate_version: "2.0.0",
            ..plugin("cloud", "rm-first").info
        },
        ..plugin("cloud", "rm-first")
    };
    let mut registries = Registries::new();
    registries
        .install(&plugin("cloud", "rm-first"), None)
        .unwrap();
    let e = refused(registries.install(&newer, None)).to_string();
    assert!(e.contains("1.2.3") && e.contains("2.0.0"), "{e}");
}

#[test]
fn the_same_plugin_twice_counts_once() {
    // Once by name and once because it is linked. It brings a backend, which
    // would be refused if it came twice.
    let mut registries = Registries::new();
    for _ in 0..2 {
        registries
            .install(&plugin("cloud", "rm-first"), None)
            .unwrap();
    }
    assert_eq!(registries.plugins().len(), 1);
}

#[test]
fn a_plugin_that_was_refused_is_refused_again() {
    static BROKEN: PluginFn<()> = PluginFn {
        info: PluginInfo {
            name: "broken",
            crate_name: "rm-broken",
            crate_version: "1.0.0",
        },
        schema: || json!({}),
        install: |(), _| Err(Error::invalid("never")),
    };
    let mut registries = Registries::new();
    for _ in 0..2 {
        assert_eq!(refused(registries.install(&BROKEN, None)).what(), "never");
    }
    assert!(registries.plugins().is_empty());
}

#[test]
fn two_plugins_for_one_media_type_are_refused_and_both_crates_named() {
    let reads = |crate_name: &'static str| PluginFn::<()> {
        install: |(), registries| registries.media(Arc::new(Text)),
        ..plugin(crate_name, crate_name)
    };
    let mut registries = Registries::new();
    registries.install(&reads("rm-first"), None).unwrap();
    let e = refused(registries.install(&reads("rm-second"), None));
    assert_eq!(e.kind(), ErrorKind::Exists);
    for part in ["\"text/toy\"", "rm-first 1.2.3", "rm-second 1.2.3"] {
        assert!(e.to_string().contains(part), "{e}");
    }
    let e = refused(registries.media(Arc::new(Text)));
    assert!(e.to_string().contains("the host itself"), "{e}");
}

#[test]
fn two_backends_of_one_name_are_refused_and_both_crates_named() {
    let mut registries = Registries::new();
    registries
        .install(&plugin("one", "rm-first"), None)
        .unwrap();
    let e = refused(registries.install(&plugin("two", "rm-second"), None)).to_string();
    assert!(e.contains("rm-first") && e.contains("rm-second"), "{e}");
}

#[test]
fn what_the_host_adds_itself_is_not_put_down_to_a_plugin() {
    let mut registries = Registries::new();
    registries
        .install(&plugin("one", "rm-first"), None)
        .unwrap();
    registries
        .backend("own", toy(Kind::CLUSTER), cloud())
        .unwrap();
    let e = refused(registries.backend("own", toy(Kind::CLUSTER), cloud())).to_string();
    assert!(e.contains("the host itself"), "{e}");
    assert!(!e.contains("rm-first"), "{e}");
}

#[cfg(feature = "inventory")]
#[test]
fn what_is_linked_is_installed_with_its_section() {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Section {
        backend: Option<String>,
    }
    static LINKED: PluginFn<Section> = PluginFn {
        info: PluginInfo {
            name: "linked",
            crate_name: "rm-linked",
            crate_version: "1.0.0",
        },
        schema: || json!({"properties": {"backend": {"type": "string"}}}),
        install: |section, registries| match section.backend {
            Some(name) => registries.backend(&name, toy(Kind::CLUSTER), cloud()),
            None => Ok(()),
        },
    };
    crate::submit_plugin!(&LINKED);

    let sections = BTreeMap::from([("linked".to_owned(), json!({"backend": "here"}))]);
    let mut host = builder();
    host.registries().install_linked(&sections).unwrap();
    assert_eq!(host.registries().plugins(), [LINKED.info]);
    assert_eq!(host.build().unwrap().managers().names(), ["here"]);
}

// -- configuration -------------------------------------------------------------

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    timeout: u64,
    #[allow(dead_code)]
    keyfile: String,
}

static CONFIGURED: PluginFn<Config> = PluginFn {
    info: PluginInfo {
        name: "configured",
        crate_name: "rm-configured",
        crate_version: "1.0.0",
    },
    schema: || json!({"properties": {"timeout": {}, "keyfile": {}}}),
    install: |config, _| match config.timeout {
        0 | 7 => Ok(()),
        other => Err(Error::invalid(format!("{other}"))),
    },
};

fn configure(section: &serde_json::Value) -> Result<()> {
    Registries::new().install(&CONFIGURED, Some(section))
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    let e = refused(configure(&json!({"timeuot": 7})));
    assert_eq!(e.kind(), ErrorKind::Invalid);
    assert!(e.what().contains("\"timeuot\"") && e.what().contains("[configured]"));
    assert_eq!(e.next(), Some("did you mean \"timeout\"?"));
}

#[test]
fn a_key_that_is_far_from_all_lists_them() {
    let e = refused(configure(&json!({"colour": "red"})));
    assert_eq!(e.next(), Some("the keys are: keyfile, timeout"));
}

#[test]
fn a_section_is_typed_and_may_be_absent() {
    configure(&json!({"timeout": 7})).unwrap();
    Registries::new().install(&CONFIGURED, None).unwrap();
    for wrong in [json!({"timeout": "soon"}), json!([]), json!("x")] {
        let e = refused(configure(&wrong));
        assert_eq!(e.kind(), ErrorKind::Invalid);
        assert!(e.what().contains("[configured]"), "{e}");
    }
}

#[test]
fn a_value_of_the_configuration_is_never_repeated() {
    let secret = "correct horse battery staple";
    let e = refused(configure(&json!({"timeout": secret, "keyfile": "x"})));
    assert!(e.what().contains("\"timeout\""), "{e}");
    let mut told = format!("{e} {e:?}");
    let mut source = std::error::Error::source(&e);
    while let Some(below) = source {
        told += &format!(" {below} {below:?}");
        source = below.source();
    }
    assert!(!told.contains(secret), "{told}");
}

#[test]
fn only_what_is_near_is_suggested() {
    let known = ["network", "key", "flavor"];
    for (word, expected) in [
        ("netwrok", Some("network")),
        ("keys", Some("key")),
        ("flavour", Some("flavor")),
        ("Key", Some("key")),
        ("x", None),
        ("subnetwork", Some("network")),
        ("image", None),
        ("", None),
    ] {
        assert_eq!(super::nearest(word, &known), expected, "{word:?}");
    }
    assert_eq!(super::nearest("x", &[]), None);
}

// -- managers ------------------------------------------------------------------

#[test]
fn an_unknown_kind_lists_the_known_ones() {
    let mut host = builder();
    let registries = host.registries();
    for (name, kind) in [("b", "vm.xen"), ("a", "cluster"), ("c", "vm.xen")] {
        registries
            .backend(name, toy(Kind::new(kind)), cloud())
            .unwrap();
    }
    let host = host.build().unwrap();
    let e = refused(host.managers().serving::<Cluster>(&Kind::new("vm.xn")));
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert!(e.what().contains("\"vm.xn\""), "{e}");
    assert_eq!(e.next(), Some("the kinds are: cluster, vm.xen"));
    // The kind is there, and of another model.
    assert!(
        host.managers()
            .serving::<SiteImage>(&Kind::CLUSTER)
            .is_err()
    );
}

#[test]
fn with_no_backend_at_all_that_is_said() {
    let host = builder().build().unwrap();
    let e = refused(host.managers().serving::<Cluster>(&Kind::CLUSTER));
    assert_eq!(e.next(), Some("no backend is linked at all"));
}

#[test]
fn managers_come_in_the_order_of_their_names() {
    let mut host = builder();
    for name in ["b", "c", "a"] {
        host.registries()
            .backend(name, toy(Kind::CLUSTER), cloud())
            .unwrap();
    }
    let host = host.build().unwrap();
    assert_eq!(host.managers().names(), ["a", "b", "c"]);
    let serving = host.managers().serving::<Cluster>(&Kind::CLUSTER).unwrap();
    assert_eq!(serving.len(), 3);
}

// -- adapters ------------------------------------------------------------------

trait Sliver: Adapter {}
impl Contract for dyn Sliver {
    const NAME: &'static str = "sliver";
}

trait Report: Adapter {}
impl Contract for dyn Report {
    const NAME: &'static str = "report";
}

#[derive(Debug)]
struct Translator(&'static str, Vec<Kind>);

impl Adapter for Translator {
    fn name(&self) -> &'static str {
        self.0
    }

    fn kinds(&self) -> &[Kind] {
        &self.1
    }
}

impl Sliver for Translator {}
impl Report for Translator {}

fn translator(name: &'static str, kinds: &[&'static str]) -> Arc<Translator> {
    let kinds = kinds.iter().map(|k| Kind::from_static(k)).collect();
    Arc::new(Translator(name, kinds))
}

fn names<C: ?Sized + Contract>(adapters: &[Arc<C>]) -> Vec<&'static str> {
    adapters.iter().map(|a| a.name()).collect()
}

#[test]
fn adapters_are_found_by_contract_and_kind_alone() {
    let mut adapters = AdapterRegistry::default();
    adapters
        .add::<dyn Sliver>(translator("xen", &["vm.xen"]))
        .unwrap();
    adapters
        .add::<dyn Sliver>(translator("all", &["vm.xen", "vm.lxc"]))
        .unwrap();
    // The same type for another contract is another adapter.
    adapters
        .add::<dyn Report>(translator("all", &["vm.xen"]))
        .unwrap();
    assert_eq!(names(&adapters.all::<dyn Sliver>()), ["all", "xen"]);
    let lxc = adapters.supporting::<dyn Sliver>(&Kind::new("vm.lxc"));
    assert_eq!(names(&lxc), ["all"]);
    assert!(
        adapters
            .supporting::<dyn Report>(&Kind::new("vm.lxc"))
            .is_empty()
    );
    assert_ne!(TypeId::of::<dyn Sliver>(), TypeId::of::<dyn Report>());
    assert_eq!(
        adapters.names(),
        [("report", "all"), ("sliver", "all"), ("sliver", "xen")]
    );
}

#[test]
fn two_adapters_of_one_contract_and_name_are_refused() {
    let mut registries = Registries::new();
    registries
        .adapter::<dyn Sliver>(translator("xen", &[]))
        .unwrap();
    let e = refused(registries.adapter::<dyn Sliver>(translator("xen", &[])));
    assert_eq!(e.kind(), ErrorKind::Exists);
    assert!(e.what().contains("sliver") && e.what().contains("\"xen\""));
}

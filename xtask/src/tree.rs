//! Who may depend on whom.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::checks::RELEASED;
use crate::error::{At, Error, Result};
use crate::run::{Run, say};

/// Core knows no HTTP, no SQL, no XML, no TLS and no runtime.
const NOT_IN_CORE: &[&str] = &[
    "aws-lc-rs",
    "axum",
    "hyper",
    "quick-xml",
    "reqwest",
    "roxmltree",
    "rusqlite",
    "rustls",
    "sqlx",
    "tokio",
];
const BACKENDS: &[&str] = &["rm-openstack", "rm-vm", "rm-gcube"];

/// What the daemon that people run is made of.
const IN_A_RELEASE: &[&str] = &[
    "rm-adapters",
    "rm-core",
    "rm-openstack",
    "rm-store",
    "rm-vm",
];

pub(crate) fn check() -> Result<()> {
    let tree = Run::cargo()
        .args([
            "tree",
            "--package",
            "rm-core",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}"])
        .output()?;
    let metadata = Run::cargo()
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()?;
    let metadata: Value = serde_json::from_str(&metadata).at("cargo metadata")?;
    let mut wrong = in_core(&tree);
    wrong.extend(versions(&metadata, "rm-core"));
    wrong.extend(arrows(&metadata));
    if wrong.is_empty() {
        say("tree: rm-core is alone and light, and no arrow runs the wrong way");
        return Ok(());
    }
    Err(Error::new(wrong.join("\n")))
}

/// What is released must not know the simulated world.
pub(crate) fn released() -> Result<()> {
    let tree = Run::cargo()
        .arg("tree")
        .args(RELEASED)
        .args([
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .output()?;
    not_as_released(&names(&tree)).map_or_else(
        || {
            say("tree: a release has every door and backend, and is built without rm-testkit");
            Ok(())
        },
        |wrong| Err(Error::new(wrong)),
    )
}

/// What is wrong with the crates of a release: to prove anything, the tree must
/// be that of what people run.
fn not_as_released(crates: &BTreeSet<&str>) -> Option<String> {
    let missing = IN_A_RELEASE.iter().find(|name| !crates.contains(*name));
    if let Some(missing) = missing {
        return Some(format!(
            "a release is built without {missing}: look at RELEASED in xtask/src/checks.rs"
        ));
    }
    let tree = RELEASED.join(" ");
    crates.contains("rm-testkit").then(|| {
        format!("a release pulls in rm-testkit: `cargo tree {tree} -e normal -i rm-testkit`")
    })
}

/// The names of the crates that `cargo tree` shows.
fn names(tree: &str) -> BTreeSet<&str> {
    tree.lines()
        .filter_map(|line| line.split(' ').next())
        .collect()
}

/// What `cargo tree` shows that must not be there.
fn in_core(tree: &str) -> Vec<String> {
    let names = names(tree);
    NOT_IN_CORE
        .iter()
        .filter(|name| names.contains(*name))
        .map(|name| format!("rm-core pulls in {name}: `cargo tree -p rm-core -e normal -i {name}`"))
        .collect()
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

/// Two versions of core would have two sets of registries.
fn versions(metadata: &Value, name: &str) -> Option<String> {
    let count = packages(metadata).filter(|p| p["name"] == name).count();
    (count != 1).then(|| format!("{count} versions of {name} are linked, not one"))
}

/// Dependencies between our crates that the architecture forbids. What only
/// tests use does not count.
fn arrows(metadata: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages(metadata).filter(|p| p["source"].is_null()) {
        let from = package["name"].as_str().unwrap_or_default();
        let needs = package["dependencies"].as_array().into_iter().flatten();
        for need in needs.filter(|need| need["kind"].is_null()) {
            let to = need["name"].as_str().unwrap_or_default();
            if is_forbidden(from, to) {
                wrong.push(format!("{from} must not depend on {to}"));
            }
        }
    }
    wrong
}

fn is_forbidden(from: &str, to: &str) -> bool {
    let ours = to.starts_with("rm-");
    match from {
        "rm-core" | "rm-libvirt" => ours,
        "rm-testkit" | "rm-store" => ours && to != "rm-core",
        // The simulated world is for their tests alone.
        "rm-adapters" | "rm-gcube" => {
            matches!(to, "rm-store" | "rm-testkit") || BACKENDS.contains(&to)
        }
        from if BACKENDS.contains(&from) => {
            matches!(to, "rm-store" | "rm-adapters" | "rm-testkit") || BACKENDS.contains(&to)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_crate_is_named() {
        let tree = "rm-core v0.1.0 (path)\nserde v1.0.0\ntokio v1.54.1\ntokio-util v0.7.0\n";
        assert_eq!(in_core(tree).len(), 1);
        assert!(in_core("rm-core v0.1.0 (path)\ntokio-util v0.7.0\n").is_empty());
    }

    #[test]
    fn arrows_run_one_way() {
        assert!(is_forbidden("rm-core", "rm-store"));
        assert!(is_forbidden("rm-openstack", "rm-vm"));
        assert!(is_forbidden("rm-libvirt", "rm-core"));
        assert!(is_forbidden("rm-adapters", "rm-openstack"));
        for production in ["rm-adapters", "rm-openstack", "rm-store", "rm-vm"] {
            assert!(is_forbidden(production, "rm-testkit"), "{production}");
        }
        assert!(!is_forbidden("rm-gcube", "rm-adapters"));
        assert!(!is_forbidden("rm-openstack", "rm-core"));
        assert!(!is_forbidden("operation-manager", "rm-openstack"));
    }

    #[test]
    fn a_release_is_whole_and_knows_no_simulated_world() {
        let mut crates: BTreeSet<&str> = IN_A_RELEASE.iter().copied().collect();
        assert_eq!(not_as_released(&crates), None);
        crates.insert("rm-testkit");
        let wrong = not_as_released(&crates).unwrap();
        assert!(wrong.contains("rm-testkit"), "{wrong}");
        crates.remove("rm-testkit");
        crates.remove("rm-vm");
        let wrong = not_as_released(&crates).unwrap();
        assert!(wrong.contains("without rm-vm"), "{wrong}");
    }

    #[test]
    fn one_version_of_core() {
        let one: Value = serde_json::json!({"packages": [{"name": "rm-core"}]});
        assert_eq!(versions(&one, "rm-core"), None);
        let two: Value =
            serde_json::json!({"packages": [{"name": "rm-core"}, {"name": "rm-core"}]});
        assert!(versions(&two, "rm-core").is_some());
    }
}

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
    if !names(&tree).contains("rm-core") {
        return Err(Error::new("the tree of the release was not understood"));
    }
    if names(&tree).contains("rm-testkit") {
        return Err(Error::new(
            "a release pulls in rm-testkit: `cargo tree -p operation-manager --no-default-features -e normal -i rm-testkit`",
        ));
    }
    say("tree: a release is built without rm-testkit");
    Ok(())
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
        "rm-adapters" => to == "rm-store" || BACKENDS.contains(&to),
        "rm-gcube" => to == "rm-store" || BACKENDS.contains(&to),
        from if BACKENDS.contains(&from) => {
            matches!(to, "rm-store" | "rm-adapters") || BACKENDS.contains(&to)
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
        assert!(!is_forbidden("rm-gcube", "rm-adapters"));
        assert!(!is_forbidden("rm-openstack", "rm-core"));
        assert!(!is_forbidden("operation-manager", "rm-openstack"));
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

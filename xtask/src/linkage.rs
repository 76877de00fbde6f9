//! Plugins that are linked but not found: a test target `linkage` runs again
//! as release builds are made, for linkers drop what nobody names.

use serde_json::Value;

use crate::error::{At, Result};
use crate::run::{Run, say};

/// A release that takes less time to build, and is smaller than `release`: what
/// is proven by building is proven with it.
pub(crate) const PROFILE: &[&str] = &[
    "--profile",
    "linkage",
    "--config",
    "profile.linkage.inherits=\"release\"",
    "--config",
    "profile.linkage.lto=\"fat\"",
    "--config",
    "profile.linkage.codegen-units=16",
    "--config",
    "profile.linkage.strip=\"symbols\"",
    "--config",
    "profile.linkage.opt-level=1",
];

/// The packages that have such a target.
pub(crate) fn packages() -> Result<Vec<String>> {
    let metadata = Run::cargo()
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()?;
    let metadata: Value = serde_json::from_str(&metadata).at("cargo metadata")?;
    Ok(with_target(&metadata))
}

fn with_target(metadata: &Value) -> Vec<String> {
    let is_linkage = |target: &Value| {
        target["name"] == "linkage" && target["kind"] == serde_json::json!(["test"])
    };
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|p| {
            p["targets"]
                .as_array()
                .into_iter()
                .flatten()
                .any(is_linkage)
        })
        .filter_map(|p| p["name"].as_str().map(str::to_owned))
        .collect()
}

pub(crate) fn test() -> Result<()> {
    let packages = packages()?;
    if packages.is_empty() {
        say("no package has a test target `linkage`");
    }
    for package in packages {
        Run::cargo()
            .args([
                "test",
                "--locked",
                "--package",
                &package,
                "--test",
                "linkage",
            ])
            .args(PROFILE)
            .run()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_the_test_target_counts() {
        let metadata = serde_json::json!({"packages": [
            {"name": "a", "targets": [{"name": "linkage", "kind": ["test"]}]},
            {"name": "b", "targets": [{"name": "linkage", "kind": ["bin"]}]},
        ]});
        assert_eq!(super::with_target(&metadata), ["a"]);
    }
}

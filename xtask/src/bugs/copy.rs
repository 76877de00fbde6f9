//! A copy of the workspace that has all bugs at once, each behind a switch.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use serde_json::Value;

use super::hunt::Stage;
use super::list::{Bug, put_in};
use crate::error::{At, Error, Result};
use crate::paths;
use crate::run::Run;

/// Names the bug that is switched on.
pub(super) const VARIABLE: &str = "RM_SEEDED_BUG";

/// What `rm-core` of the copy has at its end.
const SWITCH: &str = r#"
extern crate self as rm_core;

/// Whether this bug is the one that is switched on.
pub fn seeded(name: &str) -> bool {
    static ON: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let on = ON.get_or_init(|| std::env::var("RM_SEEDED_BUG").ok());
    on.as_deref() == Some(name)
}
"#;

/// Packages whose tests are run.
const PACKAGES: [&str; 3] = ["rm-testkit", "incidents", "new-backend"];

/// Tests of `new-backend` that are about the backend; others compare its
/// source, which is another one in the copy.
const OF_THE_BACKEND: [&str; 2] = ["conformance", "life"];

/// How many random schedules are played.
const SCHEDULES: u64 = 2_000;

/// Makes the copy anew. What is as it was keeps its time, so that it is not
/// built again.
pub(super) fn make(bugs: &[Bug]) -> Result<PathBuf> {
    let root = paths::root();
    let (copy, old) = (folder().join("workspace"), folder().join("before"));
    remove(&old)?;
    fs::create_dir_all(&copy).at(copy.display())?;
    fs::rename(&copy, &old).at(copy.display())?;
    let listed = Run::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()?;
    for file in listed.lines().filter(|file| root.join(file).is_file()) {
        let mut bytes = fs::read(root.join(file)).at(file)?;
        if bugs.iter().any(|bug| bug.file == file) {
            let text = String::from_utf8(bytes).at(file)?;
            bytes = put_in(bugs, file, &text)?.into_bytes();
        }
        match file {
            "rm-core/src/lib.rs" => bytes.extend_from_slice(SWITCH.as_bytes()),
            "examples/new-backend/Cargo.toml" => bytes = without_doors(bytes).at(file)?,
            _ => {}
        }
        let to = copy.join(file);
        let parent = to.parent().unwrap_or(&copy);
        fs::create_dir_all(parent).at(parent.display())?;
        match fs::read(old.join(file)) {
            Ok(before) if before == bytes => fs::rename(old.join(file), &to),
            _ => fs::write(&to, bytes),
        }
        .at(to.display())?;
    }
    remove(&old)?;
    Ok(copy)
}

/// Only an example program, which is not built, has a door; and that would
/// take longer to build than everything else.
fn without_doors(manifest: Vec<u8>) -> std::result::Result<Vec<u8>, FromUtf8Error> {
    let text = String::from_utf8(manifest)?;
    let lines = text.lines().filter(|line| !line.starts_with("rm-adapters"));
    Ok(lines.collect::<Vec<_>>().join("\n").into_bytes())
}

fn folder() -> PathBuf {
    paths::target().join("bugs")
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e).at(folder.display()),
        _ => Ok(()),
    }
}

/// Builds it once, and answers what there is to be run.
pub(super) fn build(copy: &Path) -> Result<Vec<Stage>> {
    let mut cargo = Run::cargo().args(["test", "--no-run", "--quiet"]);
    cargo = cargo.args(["--tests", "--message-format=json-render-diagnostics"]);
    for package in PACKAGES {
        cargo = cargo.args(["--package", package]);
    }
    let messages = cargo
        .arg("--manifest-path")
        .arg(copy.join("Cargo.toml"))
        // Slower to build, but every bug runs through it.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_TARGET_DIR", folder().join("target"))
        .output()?;
    let mut stages = Vec::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).at("cargo")?;
        stages.extend(stages_of(&message));
    }
    if stages.is_empty() {
        return Err(Error::new("cargo has built no tests"));
    }
    Ok(stages)
}

fn stages_of(message: &Value) -> Vec<Stage> {
    let Some(program) = message["executable"].as_str() else {
        return Vec::new();
    };
    let manifest = Path::new(message["manifest_path"].as_str().unwrap_or_default());
    let folder = manifest.parent().unwrap_or(manifest);
    let package = folder.file_name().unwrap_or_default().to_string_lossy();
    let target = &message["target"];
    let name = target["name"].as_str().unwrap_or_default();
    let is = |kind: &str| target["kind"][0] == kind;
    let stage = |name: String, args: &[&str]| Stage::new(name, program, args, folder);
    if is("bin") && name == "simulate" && message["profile"]["test"] == false {
        let schedules = SCHEDULES.to_string();
        return vec![
            stage("single faults".to_owned(), &["--json", "--single"]),
            stage(
                "random schedules".to_owned(),
                &["--json", "--schedules", &schedules],
            ),
        ];
    }
    let fits = package != "new-backend" || OF_THE_BACKEND.contains(&name);
    match is("test") && fits {
        true => vec![stage(format!("{package}/{name}"), &["--test-threads=1"])],
        false => Vec::new(),
    }
}

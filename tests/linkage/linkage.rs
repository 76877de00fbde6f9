//! Which plugins a program finds, by how it links them.
//!
//! Linkers drop what nobody names, and a plugin that submits itself is named
//! by nobody but its own crate: that is silent, and differs by how a program
//! is built. The programs in `programs/` are built in every way that is
//! shipped, and each must find exactly the plugins that the documentation
//! promises.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What each program must find. The ways that find nothing are tested too:
/// where one of them begins to find plugins, the documentation is wrong.
const FOUND: [(&str, &[&str]); 7] = [
    ("names_nothing", &[]),
    ("uses_as", &["a", "b", "b-far"]),
    ("uses_one", &["b", "b-far"]),
    // Two by hand, in that order, and then what else is linked.
    ("installs", &["b-far", "a", "b"]),
    ("facade_unnamed", &[]),
    ("facade_as", &["a", "b", "b-far"]),
    ("facade_called", &["a", "b", "b-far"]),
];

#[test]
fn debug() {
    found_as_documented("dev", "debug");
}

#[test]
fn release() {
    found_as_documented("release", "release");
}

#[test]
fn fat_lto_and_strip() {
    found_as_documented("smallest", "smallest");
}

#[test]
fn a_test_program_must_name_its_own_crate() {
    let shown = |test: &str| {
        names(&cargo(&[
            "test",
            "--package=plugin-b",
            &format!("--test={test}"),
            "--",
            "--nocapture",
        ]))
    };
    assert_eq!(shown("names_nothing"), [""; 0]);
    assert_eq!(shown("names_the_crate"), ["b", "b-far"]);
}

#[test]
fn without_inventory_every_plugin_is_installed_by_name() {
    // Alone, so that no other package asks for the feature.
    cargo(&["build", "--package=explicit-only"]);
    let program = target().join("debug/explicit-only");
    assert_eq!(names(&run(&mut Command::new(program))), ["a", "b", "b-far"]);
}

fn found_as_documented(profile: &str, folder: &str) {
    cargo(&[
        "build",
        "--workspace",
        "--exclude=explicit-only",
        &format!("--profile={profile}"),
    ]);
    for (program, expected) in FOUND {
        let program = target().join(folder).join(program);
        let found = names(&run(&mut Command::new(&program)));
        assert_eq!(found, expected, "{}", program.display());
    }
}

/// The names that a program has shown.
fn names(shown: &str) -> Vec<String> {
    let line = shown
        .lines()
        .find_map(|line| line.split_once("plugins:"))
        .unwrap_or_else(|| panic!("no plugins are shown in {shown:?}"));
    line.1.split_whitespace().map(str::to_owned).collect()
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn target() -> PathBuf {
    // Inside the target folder of whoever runs this, wherever that is.
    let of_tests = Path::new(env!("CARGO_TARGET_TMPDIR"));
    of_tests.with_file_name("linkage-programs")
}

/// Runs cargo on the workspace of the programs, and answers what it printed.
fn cargo(arguments: &[&str]) -> String {
    same_versions();
    let (verb, rest) = arguments
        .split_first()
        .expect("cargo is asked for something");
    run(bare_cargo().args([verb, "--locked"]).args(rest))
}

fn bare_cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(here().join("programs"));
    command.env("CARGO_TARGET_DIR", target());
    // What is set for this test says nothing about those programs.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let of_this_test = ["CARGO_PKG", "CARGO_PROFILE", "CARGO_ENCODED"]
            .iter()
            .any(|begin| text.starts_with(begin));
        if of_this_test || text == "CARGO_MANIFEST_DIR" || text == "RUSTFLAGS" {
            command.env_remove(name);
        }
    }
    command
}

/// The programs are built from the versions that the project has locked.
fn same_versions() {
    // One after the other: cargo strikes out what these programs do not need,
    // and nobody else may read that half written.
    fs::create_dir_all(target()).expect("the target folder can be made");
    let turn = File::create(target().join("versions.lock")).expect("a file can be made");
    turn.lock().expect("a file can be locked");
    let ours = here().join("../../Cargo.lock");
    let theirs = here().join("programs/Cargo.lock");
    let written = |file: &Path| fs::metadata(file).and_then(|m| m.modified()).ok();
    if written(&ours) > written(&theirs) {
        fs::copy(&ours, &theirs).expect("the versions can be copied");
    }
    run(bare_cargo().args(["metadata", "--format-version=1"]));
}

fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (out, err) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(status.success(), "{command:?}: {status}\n{out}\n{err}");
    out.into_owned()
}

//! The shortest program that embeds the library does what it says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

const PROGRAM: &str = include_str!("../../embed.rs");

#[test]
fn the_shortest_program_holds_a_cluster_and_lets_it_go() {
    // All tests of the package are built with its examples; one alone is not.
    let built = Path::new(env!("CARGO_BIN_EXE_operation-manager"))
        .with_file_name("examples")
        .join("embed");
    let mut run = match built.exists() {
        true => Command::new(built),
        false => {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["run", "--quiet", "-p", "operation-manager"]);
            cargo.args(["--example", "embed"]);
            cargo
        }
    };
    let done = run.output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let said = String::from_utf8(done.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("the master answers at Some("),
        "{said}"
    );
    assert_eq!(lines[1..], ["gone: true"]);
}

#[test]
fn it_is_twenty_lines_of_ones_own() {
    let (_, main) = PROGRAM.split_once("async fn main()").unwrap();
    let (_, body) = main.split_once("{\n").unwrap();
    let (body, _) = body.rsplit_once("    Ok(())").unwrap();
    let lines = body.lines().filter(|line| !line.trim().is_empty());
    assert!(lines.count() <= 20, "{body}");
    let longest = PROGRAM.lines().map(str::len).max().unwrap();
    assert!(longest <= 100, "no line is two");
}

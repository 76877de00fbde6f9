//! The code of the guide is the code of the example.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::fs;
use std::path::Path;

const GUIDE: &str = "docs/write-a-backend.md";
const PLUGIN: &str = "examples/new-backend/src/lib.rs";

fn read(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// The blocks of the guide that are Rust: the file that each is of, and itself.
fn blocks(guide: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else {
            continue;
        };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if let Some(of) = fence.strip_prefix("rust") {
            let file = of.trim().strip_prefix("file=");
            let file = file.unwrap_or_else(|| panic!("a block says not of which file: {body:?}"));
            blocks.push((file.to_owned(), body.join("\n") + "\n"));
        }
    }
    blocks
}

#[test]
fn every_block_is_in_the_file_that_it_names() {
    let guide = read(GUIDE);
    let blocks = blocks(&guide);
    assert!(blocks.len() > 10, "only {} blocks were found", blocks.len());
    for (file, block) in blocks {
        assert!(
            read(&file).contains(&block),
            "{file} has no such lines:\n{block}"
        );
    }
}

#[test]
fn every_line_of_the_plugin_is_explained() {
    let shown: String = blocks(&read(GUIDE))
        .into_iter()
        .filter(|(file, _)| file == PLUGIN)
        .map(|(_, block)| block)
        .collect();
    let frame = |line: &str| {
        let begins = ["//!", "use ", "#[async_trait", "impl Backend", "impl Files"];
        line == "}" || begins.iter().any(|begin| line.starts_with(begin))
    };
    for line in read(PLUGIN).lines().filter(|line| !line.is_empty()) {
        assert!(
            frame(line) || shown.contains(line),
            "not in the guide: {line}"
        );
    }
}

#[test]
fn the_plugin_has_under_150_lines() {
    let lines = read(PLUGIN).lines().count();
    assert!(lines < 150, "{PLUGIN} has {lines} lines");
}

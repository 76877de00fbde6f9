//! What docs/guarantees.md says of each backend is what a test asks for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A row: the level, the least numbers of checks, and the test.
#[derive(Debug)]
struct Row {
    level: String,
    numbers: Vec<String>,
    file: String,
    test: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The rows that name a test.
fn rows(page: &str) -> Vec<Row> {
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [_, level, checks, test] = cells.as_slice() else {
            return None;
        };
        let mut named = test.split('`').skip(1).step_by(2);
        let (file, test) = (named.next()?, named.next()?);
        let numbers = checks.split(|c: char| !c.is_ascii_digit());
        Some(Row {
            level: (*level).to_owned(),
            numbers: numbers
                .filter(|n| !n.is_empty())
                .map(str::to_owned)
                .collect(),
            file: file.to_owned(),
            test: test.to_owned(),
        })
    });
    rows.collect()
}

/// The text of a function, up to the next line that begins like it.
fn body<'a>(source: &'a str, name: &str) -> Option<&'a str> {
    let at = source.find(&format!("fn {name}("))?;
    let end = source[at..].find("\n}\n")?;
    Some(&source[at..at + end])
}

/// The levels that a test asks for.
fn asked(body: &str) -> BTreeSet<&str> {
    let levels = body.split(".assert(Level::").skip(1);
    levels.map(|l| l.split(')').next().unwrap()).collect()
}

/// Every function of a test file that asks a whole scorecard for a level.
fn asking(source: &str) -> BTreeSet<String> {
    let functions = source.split("\nasync fn ").skip(1);
    let named = functions.map(|f| f.split('(').next().unwrap());
    named
        .filter(|name| body(source, name).is_some_and(|b| !asked(b).is_empty()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_level_and_number_that_the_page_tells_is_asked_for_by_the_test_it_names() {
    let page = fs::read_to_string(root().join("docs/guarantees.md")).unwrap();
    let rows = rows(&page);
    assert!(rows.len() >= 10, "{rows:#?}");
    for row in &rows {
        let source = fs::read_to_string(root().join(&row.file)).unwrap();
        let body = body(&source, &row.test);
        let body = body.unwrap_or_else(|| panic!("{} has no {}", row.file, row.test));
        assert_eq!(
            asked(body),
            BTreeSet::from([row.level.as_str()]),
            "{} of {}",
            row.test,
            row.file
        );
        for number in &row.numbers {
            let least = format!(">= {number}");
            let most = format!(".most({number})");
            assert!(
                body.contains(&least) || body.contains(&most),
                "{} of {} asks for no {number} checks",
                row.test,
                row.file
            );
        }
    }
}

/// A new backend that is shown to reach a level belongs on the page.
#[test]
fn every_backend_that_a_test_asks_for_a_level_is_on_the_page() {
    let page = fs::read_to_string(root().join("docs/guarantees.md")).unwrap();
    let told: BTreeSet<(String, String)> = rows(&page)
        .into_iter()
        .map(|row| (row.file, row.test))
        .collect();
    let mut found = 0;
    let mut folders = ["rm-openstack/tests", "rm-vm/tests", "rm-adapters/tests"]
        .map(|folder| root().join(folder))
        .to_vec();
    for example in fs::read_dir(root().join("examples")).unwrap() {
        folders.push(example.unwrap().path().join("tests"));
    }
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let source = fs::read_to_string(&path).unwrap();
                let file = path.strip_prefix(root()).unwrap().display().to_string();
                for test in asking(&source) {
                    found += 1;
                    let row = (file.clone(), test);
                    assert!(
                        told.contains(&row),
                        "docs/guarantees.md says nothing of {row:?}"
                    );
                }
            }
        }
    }
    assert!(found >= 6, "only {found} tests ask for a level");
}

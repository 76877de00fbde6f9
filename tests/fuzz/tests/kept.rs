//! Inputs that were kept, and the samples of others: on every test run, without
//! an engine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::path::{Path, PathBuf};

use fuzz::TARGETS;
use needs::reference;

/// All files in a folder and those in it, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn no_input_that_was_kept_does_harm() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, target) in TARGETS {
        let kept = files(&corpus.join(name));
        assert!(kept.len() > 5, "{name}: {kept:?}");
        for path in kept {
            // Shown where it does harm.
            println!("{}", path.display());
            target(&std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn no_sample_of_others_does_harm_whole_or_cut_off() {
    let Some(reference) = reference("no_sample_of_others_does_harm") else {
        return;
    };
    for (name, target) in TARGETS {
        let folders: &[&str] = match name {
            "rspec" => &["data/rspec/samples", "data/geni/samples"],
            "xmlrpc" => &["data/geni/wire"],
            _ => &["data/geni/credentials"],
        };
        let all = folders.iter().flat_map(|f| files(&reference.join(f)));
        let mut seen = 0;
        for path in all {
            println!("{name}: {}", path.display());
            let bytes = std::fs::read(&path).unwrap();
            // What begins otherwise is an index, or a text about the others.
            if !matches!(bytes.first(), Some(b'<' | b'-')) {
                continue;
            }
            seen += 1;
            target(&bytes);
            for eighths in 1..8 {
                if bytes.len() < 64 * 1024 {
                    target(&bytes[..bytes.len() * eighths / 8]);
                }
            }
        }
        assert!(seen > 2, "{name}");
    }
}

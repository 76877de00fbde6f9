//! What tests did not do, and why.
//!
//! A test that skips a comparison with something that cannot be had here
//! appends one line `name: why` to the file that `RM_SKIP_LOG` names, for a
//! runner hides the output of tests that pass.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{At, Result};
use crate::paths;

#[derive(Debug)]
pub(crate) struct Skips(PathBuf);

impl Skips {
    pub(crate) fn begin() -> Result<Self> {
        let file = paths::target().join("skipped.log");
        fs::create_dir_all(paths::target()).at(paths::target().display())?;
        fs::write(&file, "").at(file.display())?;
        Ok(Self(file))
    }

    pub(crate) fn file(&self) -> &Path {
        &self.0
    }

    pub(crate) fn summary(&self) -> Result<Vec<String>> {
        Ok(lines(&fs::read_to_string(&self.0).at(self.0.display())?))
    }
}

/// Each line once: a test that is tried again skips again.
fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn a_line_counts_once() {
        let text = "b: no python\n\na: why\nb: no python\n";
        assert_eq!(lines(text), ["a: why", "b: no python"]);
    }
}

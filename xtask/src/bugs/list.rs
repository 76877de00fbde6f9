//! The seeded bugs: what each is modelled on, and how it is put in.
//!
//! `tests/bugs/` has a file for each invariant, named as in `tests/incidents/`.
//! A bug is a piece of source that occurs once in its file, and what stands
//! there instead, in which `BUG` is whether the bug is switched on.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::{At, Error, Result};

/// How the copy of the workspace asks whether a bug is switched on.
const SWITCH: &str = "rm_core::seeded";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OneInvariant {
    bug: Vec<Bug>,
}

/// One bug.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bug {
    pub(crate) name: String,
    /// The incident that it is modelled on: the name of its test.
    pub(crate) incident: String,
    /// What is wrong, in words.
    pub(crate) what: String,
    /// Where it is put in, from the root of the workspace.
    pub(crate) file: String,
    find: String,
    replace: String,
    /// The invariant that it breaks: the name of its file.
    #[serde(skip)]
    pub(crate) invariant: String,
}

impl Bug {
    /// `I7`, of `i07_everything_ends`.
    pub(crate) fn short_invariant(&self) -> String {
        let number = self.invariant.split('_').next().unwrap_or_default();
        let number = number.trim_start_matches('i').trim_start_matches('0');
        format!("I{number}")
    }
}

/// All of them, by invariant.
pub(crate) fn read(root: &Path) -> Result<Vec<Bug>> {
    let folder = root.join("tests/bugs");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).at(folder.display())? {
        files.push(entry.at(folder.display())?.path());
    }
    files.sort();
    let mut all: Vec<Bug> = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).at(file.display())?;
        let OneInvariant { bug } = toml::from_str(&text).at(file.display())?;
        let invariant = file.file_stem().unwrap_or_default().to_string_lossy();
        for mut bug in bug {
            bug.invariant = invariant.clone().into_owned();
            if all.iter().any(|other| other.name == bug.name) {
                return Err(Error::new(format!("two bugs are called {}", bug.name)));
            }
            all.push(bug);
        }
    }
    Ok(all)
}

/// Puts all bugs of a file into its text, each behind its switch.
pub(crate) fn put_in(bugs: &[Bug], file: &str, text: &str) -> Result<String> {
    let mut patches = Vec::new();
    for bug in bugs.iter().filter(|bug| bug.file == file) {
        let wrong = |why: String| {
            let Bug { name, .. } = bug;
            Error::new(format!("the patch no longer fits: {name}: {file} {why}"))
        };
        let mut found = text.match_indices(&bug.find).map(|(at, _)| at);
        match (found.next(), found.next()) {
            (Some(at), None) => patches.push((at, bug)),
            (None, _) => return Err(wrong("has nothing of the kind".to_owned())),
            (Some(_), Some(_)) => return Err(wrong("has it more than once".to_owned())),
        }
        if !bug.replace.contains("BUG") {
            return Err(wrong("would have it always".to_owned()));
        }
    }
    patches.sort_by_key(|(at, _)| *at);
    let mut patched = String::with_capacity(text.len() * 2);
    let mut done = 0;
    for (at, bug) in patches {
        let Some(before) = text.get(done..at) else {
            return Err(Error::new(format!(
                "{}: in {file} another bug stands in the same place",
                bug.name
            )));
        };
        patched.push_str(before);
        let switch = format!("{SWITCH}({:?})", bug.name);
        patched.push_str(&bug.replace.replace("BUG", &switch));
        done = at + bug.find.len();
    }
    patched.push_str(text.get(done..).unwrap_or_default());
    Ok(patched)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::paths;

    fn bug(name: &str, find: &str, replace: &str) -> Bug {
        Bug {
            name: name.to_owned(),
            incident: String::new(),
            what: String::new(),
            file: "a.rs".to_owned(),
            find: find.to_owned(),
            replace: replace.to_owned(),
            invariant: "i07_everything_ends".to_owned(),
        }
    }

    #[test]
    fn every_bug_can_still_be_put_in() {
        let root = paths::root();
        let bugs = read(&root).unwrap();
        let files: BTreeSet<&str> = bugs.iter().map(|bug| bug.file.as_str()).collect();
        for file in files {
            let text = fs::read_to_string(root.join(file)).unwrap();
            put_in(&bugs, file, &text).unwrap();
        }
    }

    #[test]
    fn every_invariant_has_its_bugs_and_every_bug_its_incident() {
        let root = paths::root();
        let bugs = read(&root).unwrap();
        assert!(bugs.len() >= 45, "{}", bugs.len());
        let mut incidents = BTreeMap::new();
        for entry in fs::read_dir(root.join("tests/incidents")).unwrap() {
            let file = entry.unwrap().path();
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            if name.starts_with("i0") || name.starts_with("i1") {
                incidents.insert(name, fs::read_to_string(file).unwrap());
            }
        }
        assert_eq!(incidents.len(), 15);
        for (invariant, text) in &incidents {
            let own: Vec<&Bug> = bugs.iter().filter(|b| b.invariant == *invariant).collect();
            assert!(own.len() >= 2, "{invariant}: {own:?}");
            for Bug { name, incident, .. } in own {
                let test = format!("fn {incident}()");
                assert!(text.contains(&test), "{name}: no {test} in {invariant}");
            }
        }
        let known = |bug: &Bug| incidents.contains_key(&bug.invariant);
        assert!(bugs.iter().all(known));
    }

    #[test]
    fn bugs_of_one_file_are_put_in_together() {
        let bugs = [bug("b", "two", "if BUG { 2 }"), bug("a", "one", "BUG")];
        let put = put_in(&bugs, "a.rs", "one two three").unwrap();
        let (a, b) = (r#"rm_core::seeded("a")"#, r#"rm_core::seeded("b")"#);
        assert_eq!(put, format!("{a} if {b} {{ 2 }} three"));
        assert_eq!(put_in(&bugs, "b.rs", "one").unwrap(), "one");
    }

    #[test]
    fn a_patch_that_does_not_fit_names_the_bug_and_the_file() {
        for (bug, why) in [
            (bug("lost", "four", "BUG"), "nothing of the kind"),
            (bug("lost", "o", "BUG"), "more than once"),
            (bug("lost", "one", "1"), "always"),
        ] {
            let e = put_in(&[bug], "a.rs", "one two").unwrap_err().to_string();
            assert!(e.contains("lost: a.rs") && e.contains(why), "{e}");
        }
        let both = [bug("a", "one two", "BUG"), bug("b", "two", "BUG")];
        let e = put_in(&both, "a.rs", "one two").unwrap_err().to_string();
        assert!(e.contains("same place"), "{e}");
    }

    #[test]
    fn an_invariant_has_a_short_name() {
        assert_eq!(bug("a", "", "").short_invariant(), "I7");
    }
}

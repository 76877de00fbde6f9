//! What an implementation brings beside its roles: scripts for moments of the
//! life cycle, and the environment that the software declares.
//!
//! A node is told both when it first boots, and nothing later: there is no way
//! into it. So a script for any other moment is refused when it is uploaded.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::text::{MASTER_IP, Values, references};
use crate::catalog::Script;
use crate::error::{Error, Result};

/// The moments that come when a node is made, in their order.
pub(super) const AT_FIRST_BOOT: [&str; 3] = ["user_data", "prepare_node", "configure_node"];

/// Where a node keeps its scripts, each as `ACTION-NAME`.
const FOLDER: &str = "/etc/resource-manager/scripts";

/// What file systems take for the name of a file, less some.
const FILE_NAME: usize = 250;

/// So many bytes scripts and environment may have together, as the commands
/// that bring them: hosts take 64 KiB of commands, and a role has its own.
const MOST: usize = 48 << 10;

/// Variables that a shell keeps for itself: setting one ends it.
const KEPT: [&str; 6] = [
    "BASHOPTS",
    "BASH_VERSINFO",
    "EUID",
    "PPID",
    "SHELLOPTS",
    "UID",
];

/// Scripts and environment of an implementation.
#[derive(Debug, Clone, Default)]
pub(super) struct Software {
    scripts: Vec<Script>,
    environment: BTreeMap<String, Value>,
}

impl Software {
    pub(super) fn new(scripts: &[Script], environment: &BTreeMap<String, Value>) -> Self {
        Self {
            scripts: scripts.to_vec(),
            environment: environment.clone(),
        }
    }

    /// Refuses what reaches no node; `run` are the moments for which some role
    /// runs scripts.
    pub(super) fn check(&self, run: &BTreeSet<&str>) -> Result<()> {
        for Script { name, action, code } in &self.scripts {
            if !run.contains(action.as_str()) {
                return Err(Error::invalid(format!(
                    "the script {name:?} is for {action:?}, which no role runs: a node runs scripts when it first boots, and none can be brought into it later"
                ))
                .code("script-never-runs")
                .advice(format!(
                    "let a role run it at the first boot of its nodes, by \"scripts\": [{action:?}], or leave it out"
                )));
            }
            if action.len() + name.len() > FILE_NAME {
                return Err(Error::invalid(format!(
                    "the names of the script {name:?} and of its action are too long for one file"
                ))
                .advice("give it a shorter name"));
            }
            no_nul(&format!("the script {name:?}"), code)?;
        }
        for (name, value) in &self.environment {
            let is_variable = !name.starts_with(|c: char| c.is_ascii_digit())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !name.is_empty();
            if !is_variable || KEPT.contains(&name.as_str()) {
                return Err(Error::invalid(format!(
                    "no shell can be given a variable {name:?}, which the environment declares"
                ))
                .advice("a variable has letters, digits and underscores, no digit first, and is none that shells set themselves, like UID"));
            }
            no_nul(&format!("the environment's {name:?}"), &text(value))?;
        }
        self.check_length()
    }

    /// Refuses what would be too long for any node, before one is asked for.
    fn check_length(&self) -> Result<()> {
        let scripts = self.scripts.iter().map(|script| command(script).len());
        let variables = self.environment.iter();
        let variables = variables.map(|(name, value)| export(name, &text(value)).len());
        let bytes: usize = scripts.chain(variables).sum();
        if bytes <= MOST {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the scripts and the environment are {bytes} bytes of commands, and a node takes {MOST}"
        ))
        .code("scripts-too-long")
        .advice("let a short script fetch what is long, or make it a part of the image"))
    }

    /// The texts of the environment, in which references are filled in.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.environment.values().filter_map(Value::as_str)
    }

    pub(super) fn refers_to_master(&self) -> bool {
        self.texts()
            .any(|text| references(text).is_ok_and(|names| names.contains(&MASTER_IP)))
    }

    /// Whether there is a script for this moment.
    pub(super) fn has(&self, moment: &str) -> bool {
        self.scripts.iter().any(|script| script.action == moment)
    }

    /// Commands that give the environment to all that come after them.
    pub(super) fn exports(&self, values: &Values) -> Result<Vec<String>> {
        let filled = |(name, value): (&String, &Value)| {
            let value = match value {
                Value::String(text) => values.fill(text)?,
                value => text(value),
            };
            Ok(export(name, &value))
        };
        self.environment.iter().map(filled).collect()
    }

    /// Commands that write and run the scripts for these moments.
    pub(super) fn scripts(&self, moments: &[&str]) -> Vec<String> {
        let of = |moment: &&str| {
            let moment = (*moment).to_owned();
            self.scripts.iter().filter(move |s| s.action == moment)
        };
        moments.iter().flat_map(of).map(command).collect()
    }
}

/// Texts as they are, and all else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Gives a variable to all commands that come after this one.
fn export(name: &str, value: &str) -> String {
    format!("export {name}={}", quoted(value))
}

/// Writes a script where only root reads it, and runs it: by what its first
/// line names, else by the shell. What a script does to its own shell stays
/// there.
fn command(script: &Script) -> String {
    let file = quoted(&format!("{FOLDER}/{}-{}", script.action, script.name));
    let code = quoted(&script.code);
    let shell = match script.code.starts_with("#!") {
        true => "",
        false => "sh ",
    };
    format!(
        "(umask 077; mkdir -p {FOLDER} && printf %s {code} > {file} && chmod 700 {file}) && {shell}{file}"
    )
}

/// As one word of a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn no_nul(what: &str, text: &str) -> Result<()> {
    match text.contains('\0') {
        true => Err(
            Error::invalid(format!("{what} has a NUL, which no shell can be given"))
                .advice("give it as text, or encode it"),
        ),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn script(name: &str, action: &str, code: &str) -> Script {
        Script {
            name: name.to_owned(),
            action: action.to_owned(),
            code: code.to_owned(),
        }
    }

    fn environment(name: &str, value: Value) -> BTreeMap<String, Value> {
        BTreeMap::from([(name.to_owned(), value)])
    }

    #[test]
    fn a_script_for_a_moment_that_never_comes_is_refused_with_both_ways_out() {
        let late = [script("join.sh", "update_master_node", "join")];
        let run = BTreeSet::from(AT_FIRST_BOOT);
        let e = Software::new(&late, &BTreeMap::new())
            .check(&run)
            .unwrap_err();
        assert_eq!(e.stable_code(), "script-never-runs");
        for words in ["\"join.sh\"", "\"update_master_node\""] {
            assert!(e.what().contains(words), "{e}");
        }
        let next = e.next().unwrap();
        assert!(
            next.contains("\"scripts\": [\"update_master_node\"]"),
            "{e}"
        );
        assert!(next.contains("leave it out"), "{e}");
    }

    #[test]
    fn what_no_shell_or_file_could_take_is_refused() {
        let run = BTreeSet::from(AT_FIRST_BOOT);
        let long = "\u{1F600}".repeat(100);
        for (scripts, environment, fault) in [
            (
                vec![script("a", "user_data", "a\0b")],
                BTreeMap::new(),
                "NUL",
            ),
            (
                vec![script(&long, "user_data", "true")],
                BTreeMap::new(),
                "too long",
            ),
            (vec![], environment("A", json!("a\0b")), "NUL"),
            (vec![], environment("", json!("x")), "variable \"\""),
            (vec![], environment("a b", json!("x")), "variable \"a b\""),
            (vec![], environment("1", json!("x")), "variable \"1\""),
            (vec![], environment("A;id", json!("x")), "variable \"A;id\""),
            (vec![], environment("UID", json!(0)), "variable \"UID\""),
        ] {
            let e = Software::new(&scripts, &environment)
                .check(&run)
                .unwrap_err();
            assert!(e.what().contains(fault), "{e}");
            assert!(e.next().is_some(), "{e}");
        }
    }

    #[test]
    fn what_is_too_long_for_every_node_is_refused_before_one_is_asked_for() {
        let run = BTreeSet::from(AT_FIRST_BOOT);
        let check = |script_bytes: usize, variable_bytes: usize| {
            let scripts = [script("a", "user_data", &"x".repeat(script_bytes))];
            let all = environment("A", json!("x".repeat(variable_bytes)));
            Software::new(&scripts, &all).check(&run)
        };
        assert!(check(40 << 10, 4 << 10).is_ok());
        for (script_bytes, variable_bytes) in [(48 << 10, 0), (30 << 10, 30 << 10), (0, 1 << 20)] {
            let e = check(script_bytes, variable_bytes).unwrap_err();
            assert_eq!(e.stable_code(), "scripts-too-long");
            assert!(e.next().is_some(), "{e}");
        }
        // What quoting adds is counted, too.
        let quotes = [script("a", "user_data", &"'".repeat(20 << 10))];
        assert!(
            Software::new(&quotes, &BTreeMap::new())
                .check(&run)
                .is_err()
        );
    }

    #[test]
    fn whatever_is_in_a_script_or_a_value_is_one_word_to_the_shell() {
        let mut values = Values::default();
        values.set(MASTER_IP, "10.0.0.1");
        let said = |value: Value| {
            let software = Software::new(&[], &environment("A", value));
            software.exports(&values).unwrap().remove(0)
        };
        assert_eq!(said(json!("it's; $(id)")), r"export A='it'\''s; $(id)'");
        assert_eq!(said(json!("to {{master_ip}}")), "export A='to 10.0.0.1'");
        assert_eq!(said(json!(3)), "export A='3'");
        assert_eq!(said(json!({"b": [true]})), "export A='{\"b\":[true]}'");

        let code = "#!/bin/sh\necho 'x' {{not a reference}}\n";
        let software = Software::new(&[script("b c", "prepare_node", code)], &BTreeMap::new());
        let command = software.scripts(&AT_FIRST_BOOT).remove(0);
        let file = "'/etc/resource-manager/scripts/prepare_node-b c'";
        assert!(
            command.contains(
                r"'#!/bin/sh
echo '\''x'\'' {{not a reference}}
'"
            ),
            "{command}"
        );
        assert!(command.ends_with(&format!(") && {file}")), "{command}");
    }

    #[test]
    fn scripts_run_in_the_order_of_the_moments_and_then_in_their_own() {
        let all = [
            script("c", "configure_node", "true"),
            script("b", "prepare_node", "true"),
            script("a", "prepare_node", "true"),
        ];
        let software = Software::new(&all, &BTreeMap::new());
        let files = |moments: &[&str]| -> Vec<String> {
            let of = |command: &String| command.rsplit('/').next().unwrap().to_owned();
            software.scripts(moments).iter().map(of).collect()
        };
        assert_eq!(
            files(&AT_FIRST_BOOT),
            ["prepare_node-b'", "prepare_node-a'", "configure_node-c'"]
        );
        assert_eq!(files(&["configure_node"]), ["configure_node-c'"]);
        assert!(files(&[]).is_empty());
    }
}

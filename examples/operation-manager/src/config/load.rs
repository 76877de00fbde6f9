//! Reads the file, lays the environment over it, checks, and makes it typed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rm_core::registry::nearest;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::check::check;
use super::{Config, Sections, schema};
use crate::failure::{Failure, Result};
use crate::plugins;

/// The prefix of variables that override the file: `RM_STORE__PATH` is
/// `store.path`. Those without `__` are other things' (`RM_SERVER`).
const PREFIX: &str = "RM_";
const NEST: &str = "__";

/// Where a configuration is looked for.
const PLACES: [&str; 2] = [
    "operation-manager.toml",
    "/etc/operation-manager/operation-manager.toml",
];

/// The file that was named, or the first that is there.
pub(crate) fn find(named: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(named) = named {
        return Ok(named);
    }
    PLACES
        .iter()
        .map(PathBuf::from)
        .find(|place| place.exists())
        .ok_or_else(|| {
            Failure::usage("there is no configuration")
                .detail(format!("looked for {}", PLACES.join(" and ")))
                .advice("name one with --config, or make one with \"operation-manager init\"")
        })
}

/// Reads a file and the environment.
pub(crate) fn load(
    file: PathBuf,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(&file).map_err(|e| {
        Failure::usage(format!("cannot read the configuration {shown}"))
            .detail(e.kind().to_string())
            .advice("name another with --config, or make one with \"operation-manager init\"")
    })?;
    let schema = schema();
    let mut value = parse(&shown, &text)?;
    check(&shown, &value, &schema)?;
    let mut variables: Vec<_> = environment.collect();
    variables.sort();
    for (name, text) in variables {
        if let Some(path) = name.strip_prefix(PREFIX)
            && path.contains(NEST)
        {
            overlay(&mut value, &name, path, &text, &schema)?;
        }
    }
    check(&format!("{shown} and the environment"), &value, &schema)?;
    typed(file, value)
}

fn parse(shown: &str, text: &str) -> Result<Value> {
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        // The error's own text repeats the line, and a line may hold a secret
        // in the wrong place.
        let line = e.span().map_or(0, |span| {
            text[..span.start.min(text.len())].matches('\n').count() + 1
        });
        Failure::usage(format!("{shown} is not TOML")).detail(format!("line {line}"))
    })?;
    serde_json::to_value(table).map_err(|_| {
        Failure::usage(format!(
            "{shown} has a value that is not for configurations"
        ))
    })
}

fn overlay(
    value: &mut Value,
    variable: &str,
    path: &str,
    text: &str,
    schema: &Value,
) -> Result<()> {
    let mut schema = schema;
    let mut at = value;
    let mut walked: Vec<String> = Vec::new();
    for part in path.split(NEST) {
        let part = part.to_lowercase();
        let known = schema["properties"].as_object();
        let next = known.and_then(|k| k.get(&part)).or_else(|| {
            let more = &schema["additionalProperties"];
            more.is_object().then_some(more)
        });
        let Some(next) = next else {
            let names: Vec<&str> = known
                .map(|k| k.keys().map(String::as_str).collect())
                .unwrap_or_default();
            let failure = Failure::usage(format!("the variable {variable} names no key"));
            return Err(match nearest(&part, &names) {
                Some(near) => {
                    walked.push(near.to_owned());
                    failure.advice(format!(
                        "did you mean {PREFIX}{}...?",
                        walked.join(NEST).to_uppercase()
                    ))
                }
                None => failure.advice("\"operation-manager config schema\" prints the keys"),
            });
        };
        schema = next;
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = at
            .as_object_mut()
            .map(|map| map.entry(part.clone()).or_insert(Value::Null))
            .ok_or_else(|| Failure::usage(format!("the variable {variable} names no key")))?;
        walked.push(part);
    }
    *at = read_variable(text, schema);
    Ok(())
}

/// A variable is text; what the schema does not want as text is read as TOML.
fn read_variable(text: &str, schema: &Value) -> Value {
    let literal = || {
        let table: toml::Table = format!("v = {text}").parse().ok()?;
        serde_json::to_value(table.get("v")?).ok()
    };
    let wants_text = schema["type"] == "string";
    let found = if wants_text { None } else { literal() };
    found.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn typed(file: PathBuf, value: Value) -> Result<Config> {
    let shown = file.display().to_string();
    let mut plugins = BTreeMap::new();
    let mut own = Map::new();
    for (name, section) in value.as_object().cloned().unwrap_or_default() {
        if plugins::linked().iter().any(|p| p.info().name == name) {
            plugins.insert(name, section);
        } else {
            own.insert(name, section);
        }
    }
    if let Some(Value::Object(key)) = own.get("key")
        && key.len() != 1
    {
        return Err(Failure::usage(format!(
            "{shown}: [key] needs one of file, env and command"
        )));
    }
    // Section by section, so that a message can name it; what serde says
    // besides is about the shape and repeats no text of the file.
    for (name, section) in &own {
        let alone = Value::Object(Map::from_iter([(name.clone(), section.clone())]));
        if let Err(e) = Sections::deserialize(&alone) {
            return Err(Failure::usage(format!("{shown}: [{name}] cannot be read"))
                .detail(shape_only(&e.to_string())));
        }
    }
    let sections = Sections::deserialize(Value::Object(own))
        .map_err(|_| Failure::usage(format!("{shown} cannot be read")))?;
    Ok(Config {
        sections,
        plugins,
        file: absolute(&file),
    })
}

/// serde quotes a wrong string: everything between quotes that it was given is
/// left out.
fn shape_only(said: &str) -> String {
    match said.split_once("string \"") {
        Some((before, rest)) => {
            let after = rest.rsplit_once("\", ").map_or("", |(_, after)| after);
            format!("{before}this text, {after}")
        }
        None => said.to_owned(),
    }
}

fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, environment: &[(&str, &str)]) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("om.toml");
        std::fs::write(&file, text).unwrap();
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load(file, environment)
    }

    #[test]
    fn the_environment_counts_more_than_the_file() {
        let config = with(
            "[listen]\nport = 1\n[store]\npath = \"a.db\"\n",
            &[
                ("RM_LISTEN__PORT", "0"),
                ("RM_STORE__PATH", "17"),
                ("RM_POLICY__TENANTS__ALICE__NODES", "3"),
                ("RM_KEY__COMMAND", "[\"cat\", \"key\"]"),
                ("RM_SERVER", "http://127.0.0.1:1"),
                ("HOME", "/x"),
            ],
        )
        .unwrap();
        assert_eq!(config.sections.listen.port, 0);
        assert_eq!(config.sections.store.path, PathBuf::from("17"));
        assert!(config.sections.policy.tenants.contains_key("alice"));
        assert!(matches!(
            config.sections.key,
            Some(rm_store::KeySource::Command(words)) if words.len() == 2
        ));
    }

    #[test]
    fn a_variable_of_no_key_is_refused_by_name() {
        let said = with("", &[("RM_STORE__PTH", "x")]).unwrap_err().to_string();
        assert!(said.contains("RM_STORE__PTH"), "{said}");
        assert!(said.contains("RM_STORE__PATH"), "{said}");
    }

    #[test]
    fn no_message_repeats_a_value() {
        for text in [
            "[listen]\naddress = \"C4NARY\"\n",
            "[policy]\nsweep = \"C4NARY\"\n",
            "[policy]\nclusters = \"C4NARY\"\n",
            "token = C4NARY\n",
            "[[tokens]]\nuser = \"a\"\ntoken = \"C4NARY\"\n",
            "[key]\nfile = \"C4NARY\"\nenv = \"C4NARY\"\n",
        ] {
            let said = with(text, &[]).unwrap_err().to_string();
            assert!(!said.contains("C4NARY"), "{text}: {said}");
        }
    }
}

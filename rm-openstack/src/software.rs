//! What an implementation brings beside its template: scripts for moments of
//! the life cycle, and the environment that the software declares. The
//! template takes them as parameters:
//!
//! | parameter | type | is given |
//! |---|---|---|
//! | `script_ACTION` | string | the script for that action |
//! | `scripts` | json | every script: `{ACTION: {NAME: CODE}}` |
//! | `environment` | json | the environment |

use std::collections::BTreeMap;

use rm_core::catalog::{Implementation, Script};
use rm_core::{Error, Result};
use serde_json::{Map, Value};

use crate::template::TemplateInfo;

const SCRIPT: &str = "script_";
const SCRIPTS: &str = "scripts";
const ENVIRONMENT: &str = "environment";

/// Refuses what no parameter takes: it would never reach the cluster.
pub(crate) fn takes(
    info: &TemplateInfo,
    scripts: &[Script],
    environment: &BTreeMap<String, Value>,
) -> Result<()> {
    if !environment.is_empty() && !declares(info, ENVIRONMENT, "json")? {
        return Err(refused("the template takes no environment")
            .advice("declare the parameter \"environment\" of the type json"));
    }
    let all = !scripts.is_empty() && declares(info, SCRIPTS, "json")?;
    for script in scripts {
        let own = format!("{SCRIPT}{}", script.action);
        let alone = declares(info, &own, "string")?;
        if alone
            && scripts
                .iter()
                .any(|s| s.action == script.action && s.name != script.name)
        {
            return Err(refused(&format!(
                "the template's parameter {own:?} takes one script, and there are several"
            ))
            .advice("declare \"scripts\" of the type json instead, or make them one script"));
        }
        if !alone && !all {
            return Err(refused(&format!(
                "the template does not take the script {:?}",
                script.name
            ))
            .advice(format!(
                "declare the parameter {own:?} of the type string, or \"scripts\" of the type json"
            )));
        }
    }
    Ok(())
}

fn declares(info: &TemplateInfo, name: &str, kind: &str) -> Result<bool> {
    match info.parameters.get(name) {
        None => Ok(false),
        // CloudFormation writes types with a capital letter.
        Some(parameter) if parameter.kind.eq_ignore_ascii_case(kind) => Ok(true),
        Some(parameter) => Err(refused(&format!(
            "the template's parameter {name:?} is of the type {}",
            parameter.kind
        ))
        .advice(format!("what is given to it is of the type {kind}"))),
    }
}

fn refused(why: &str) -> Error {
    Error::invalid(why).code("template")
}

/// What the implementation itself gives to a parameter, if anything.
pub(crate) fn value(implementation: &Implementation, parameter: &str) -> Option<Value> {
    let Implementation {
        scripts,
        environment,
        ..
    } = implementation;
    match parameter {
        ENVIRONMENT if !environment.is_empty() => {
            let all = environment.clone().into_iter();
            Some(Value::Object(all.collect()))
        }
        SCRIPTS if !scripts.is_empty() => {
            let mut all: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
            for Script { name, action, code } in scripts {
                let those = all.entry(action).or_default();
                those.insert(name.clone(), Value::from(code.as_str()));
            }
            let all = all.into_iter().map(|(a, s)| (a.to_owned(), s.into()));
            Some(Value::Object(all.collect()))
        }
        _ => {
            let action = parameter.strip_prefix(SCRIPT)?;
            let script = scripts.iter().find(|s| s.action == action)?;
            Some(Value::from(script.code.as_str()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(parameters: &str) -> TemplateInfo {
        let text = format!(
            "heat_template_version: 2018-08-31\nparameters: {parameters}\noutputs: {{master_ip: {{value: x}}}}\n"
        );
        TemplateInfo::read(&text).unwrap()
    }

    fn script(name: &str, action: &str) -> Script {
        Script {
            name: name.to_owned(),
            action: action.to_owned(),
            code: format!("echo {name}"),
        }
    }

    #[test]
    fn what_no_parameter_takes_is_refused_with_the_one_to_declare() {
        let boot = [script("boot.sh", "user_data")];
        let two = [script("a", "user_data"), script("b", "user_data")];
        let python = BTreeMap::from([("python".to_owned(), Value::from("3.12"))]);
        let none = BTreeMap::new();
        for (parameters, scripts, environment, fault, advice) in [
            (
                "{}",
                &boot[..],
                &none,
                "\"boot.sh\"",
                "\"script_user_data\" of the type string",
            ),
            (
                "{}",
                &[],
                &python,
                "no environment",
                "\"environment\" of the type json",
            ),
            (
                "{script_prepare: {type: string}}",
                &boot,
                &none,
                "\"boot.sh\"",
                "\"scripts\"",
            ),
            (
                "{script_user_data: {type: string}}",
                &two,
                &none,
                "takes one script",
                "\"scripts\"",
            ),
            (
                "{script_user_data: {type: json}}",
                &boot,
                &none,
                "of the type json",
                "string",
            ),
            (
                "{scripts: {type: string}}",
                &boot,
                &none,
                "of the type string",
                "json",
            ),
            (
                "{environment: {type: string}}",
                &[],
                &python,
                "of the type string",
                "json",
            ),
        ] {
            let e = takes(&template(parameters), scripts, environment).unwrap_err();
            assert!(e.what().contains(fault), "{e}");
            assert!(e.next().is_some_and(|a| a.contains(advice)), "{e}");
        }
        for (parameters, scripts, environment) in [
            ("{}", &[][..], &none),
            // A parameter of that name is the caller's where there is nothing to give.
            (
                "{environment: {type: string}, scripts: {type: number}}",
                &[],
                &none,
            ),
            ("{script_user_data: {type: string}}", &boot, &none),
            ("{scripts: {type: Json}}", &two, &none),
            ("{environment: {type: json}}", &[], &python),
        ] {
            takes(&template(parameters), scripts, environment).unwrap();
        }
    }
}

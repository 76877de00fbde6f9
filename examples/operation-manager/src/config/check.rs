//! Checks a configuration against its schema, with messages that name the key,
//! the file, and the key that was perhaps meant. Values are never repeated: a
//! value may be a secret in the wrong place.

use rm_core::registry::nearest;
use serde_json::Value;

use crate::failure::{Failure, Result};

/// Refuses what the schema does not allow. `from` names the file.
pub(crate) fn check(from: &str, value: &Value, schema: &Value) -> Result<()> {
    walk(from, &mut Vec::new(), value, schema)
}

fn walk(from: &str, path: &mut Vec<String>, value: &Value, schema: &Value) -> Result<()> {
    check_type(from, path, value, schema)?;
    match value {
        Value::Object(given) => {
            for (key, value) in given {
                let known = schema["properties"].as_object();
                let next = known.and_then(|k| k.get(key)).or_else(|| {
                    let more = &schema["additionalProperties"];
                    more.is_object().then_some(more)
                });
                path.push(key.clone());
                match next {
                    Some(next) => walk(from, path, value, next)?,
                    None if known.is_some() && schema["additionalProperties"] == false => {
                        let names = known.into_iter().flatten();
                        let names: Vec<&str> = names.map(|(key, _)| key.as_str()).collect();
                        return Err(unknown(from, path, &names));
                    }
                    None => {}
                }
                path.pop();
            }
            for key in strings(&schema["required"]) {
                if !given.contains_key(key) {
                    return Err(Failure::usage(format!(
                        "{from}: {} lacks {key:?}",
                        at(path)
                    )));
                }
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                path.push((i + 1).to_string());
                walk(from, path, item, &schema["items"])?;
                path.pop();
            }
        }
        _ => {}
    }
    Ok(())
}

fn check_type(from: &str, path: &[String], value: &Value, schema: &Value) -> Result<()> {
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        several => strings(several),
    };
    let fits = |t: &&str| match *t {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    };
    if !types.is_empty() && !types.iter().any(fits) {
        return Err(Failure::usage(format!(
            "{from}: {} must be {}",
            at(path),
            types.join(" or ")
        )));
    }
    let allowed = strings(&schema["enum"]);
    if let (false, Some(given)) = (allowed.is_empty(), value.as_str())
        && !allowed.contains(&given)
    {
        return Err(Failure::usage(format!(
            "{from}: {} must be one of: {}",
            at(path),
            allowed.join(", ")
        )));
    }
    if let Some(n) = value.as_i64() {
        let low = schema["minimum"].as_i64().is_some_and(|m| n < m);
        let high = schema["maximum"].as_i64().is_some_and(|m| n > m);
        if low || high {
            let bound = |key: &str| match &schema[key] {
                Value::Null => "...".to_owned(),
                bound => bound.to_string(),
            };
            return Err(Failure::usage(format!(
                "{from}: {} must be {} to {}",
                at(path),
                bound("minimum"),
                bound("maximum")
            )));
        }
    }
    if let (Some(items), Some(least)) = (value.as_array(), schema["minItems"].as_u64())
        && (items.len() as u64) < least
    {
        return Err(Failure::usage(format!("{from}: {} is empty", at(path))));
    }
    Ok(())
}

fn unknown(from: &str, path: &[String], known: &[&str]) -> Failure {
    let (key, above) = path
        .split_last()
        .map_or(("", path), |(k, a)| (k.as_str(), a));
    let dotted = |key: &str| {
        let mut all: Vec<&str> = above.iter().map(String::as_str).collect();
        all.push(key);
        all.join(".")
    };
    let failure = Failure::usage(format!("{from}: there is no key {:?}", dotted(key)));
    match nearest(key, known) {
        Some(near) => failure.advice(format!("did you mean {:?}?", dotted(near))),
        None => failure.advice(format!("the keys there are: {}", known.join(", "))),
    }
}

fn at(path: &[String]) -> String {
    if path.is_empty() {
        "the configuration".to_owned()
    } else {
        format!("{:?}", path.join("."))
    }
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .map(|all| all.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::schema;

    fn refusal(value: &Value) -> String {
        check("om.toml", value, &schema()).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        assert_eq!(
            refusal(&json!({"store": {"pth": "x"}})),
            "om.toml: there is no key \"store.pth\"\n  did you mean \"store.path\"?"
        );
        assert_eq!(
            refusal(&json!({"lisen": {}})),
            "om.toml: there is no key \"lisen\"\n  did you mean \"listen\"?"
        );
        assert!(
            refusal(&json!({"tokens": [{"user": "a", "token": "S3CRET"}]}))
                .starts_with("om.toml: there is no key \"tokens.1.token\"")
        );
        assert!(
            refusal(&json!({"policy": {"tenants": {"a": {"nods": 1}}}}))
                .contains("\"policy.tenants.a.nodes\"")
        );
    }

    #[test]
    fn a_value_of_another_type_is_refused_and_not_repeated() {
        let said = refusal(&json!({"store": {"path": 17_171}}));
        assert_eq!(said, "om.toml: \"store.path\" must be string");
        assert!(refusal(&json!({"listen": {"port": 70_000}})).contains("0 to 65535"));
        assert!(refusal(&json!({"log": {"format": "xml"}})).contains("text, json"));
        assert!(refusal(&json!({"tokens": [{}]})).contains("lacks \"user\""));
        assert!(refusal(&json!({"key": {"command": []}})).contains("empty"));
    }

    #[test]
    fn what_is_right_passes() {
        let good = json!({
            "listen": {"port": 0},
            "policy": {"clusters": "unlimited", "tenants": {"a": {"nodes": 3}}},
            "tokens": [{"user": "a", "roles": ["user", "operator"]}],
        });
        assert!(check("om.toml", &good, &schema()).is_ok());
    }
}

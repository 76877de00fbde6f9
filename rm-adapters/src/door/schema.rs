//! Checks JSON against the schemas of the route tables: the same ones that the
//! OpenAPI document shows.
//!
//! Only what the tables use is understood: `type`, `properties`, `required`,
//! `additionalProperties`, `items`, `enum`, `minimum`, `maximum`, `minLength`,
//! `maxLength`, `minProperties`, `maxItems`, `format: uuid`, and `$ref` to a
//! named schema. A message never repeats a value: it may be a secret.

use rm_core::registry::nearest;
use serde_json::{Map, Value};

/// One fault of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: a JSON pointer.
    pub pointer: String,
    /// A stable code.
    pub code: &'static str,
    /// What is wrong.
    pub detail: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// Named schemas.
pub type Schemas = Map<String, Value>;

/// What `$ref`s begin with.
pub const REF: &str = "#/components/schemas/";

/// A reference to a named schema.
pub fn reference(name: &str) -> Value {
    serde_json::json!({"$ref": format!("{REF}{name}")})
}

/// Checks a value, and removes members that are `null` and need not be there.
pub fn check(schemas: &Schemas, name: &str, value: &mut Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    match schemas.get(name) {
        Some(schema) => walk(schemas, schema, value, "", &mut faults),
        None => faults.push(Fault {
            pointer: String::new(),
            code: "internal",
            detail: "the schema of this body is missing".to_owned(),
            advice: None,
        }),
    }
    faults
}

fn walk(schemas: &Schemas, schema: &Value, value: &mut Value, at: &str, faults: &mut Vec<Fault>) {
    if let Some(target) = schema["$ref"].as_str() {
        let name = target.strip_prefix(REF).unwrap_or(target);
        if let Some(schema) = schemas.get(name) {
            walk(schemas, schema, value, at, faults);
        }
        return;
    }
    if let Some(wanted) = wrong_type(schema, value) {
        faults.push(fault(
            at,
            "wrong-type",
            &format!("should be {wanted}, not {}", type_of(value)),
        ));
        return;
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        let mut wrong = fault(at, "unknown-word", "is none of the words it may be");
        wrong.advice = Some(match value.as_str().and_then(|v| nearest(v, &words)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("the words are: {}", words.join(", ")),
        });
        faults.push(wrong);
    }
    match value {
        Value::Number(number) => number_fits(schema, number, at, faults),
        Value::String(text) => text_fits(schema, text, at, faults),
        Value::Array(items) => {
            if schema["maxItems"]
                .as_u64()
                .is_some_and(|max| items.len() as u64 > max)
            {
                let max = &schema["maxItems"];
                faults.push(fault(at, "too-many", &format!("has more than {max} items")));
                return;
            }
            if schema["items"].is_object() {
                for (i, item) in items.iter_mut().enumerate() {
                    walk(
                        schemas,
                        &schema["items"],
                        item,
                        &format!("{at}/{i}"),
                        faults,
                    );
                }
            }
        }
        Value::Object(members) => members_fit(schemas, schema, members, at, faults),
        Value::Null | Value::Bool(_) => {}
    }
}

fn number_fits(schema: &Value, number: &serde_json::Number, at: &str, faults: &mut Vec<Fault>) {
    let (min, max) = (&schema["minimum"], &schema["maximum"]);
    let given = number.as_f64().unwrap_or(f64::NAN);
    let too_small = min.as_f64().is_some_and(|m| given < m);
    let too_large = max.as_f64().is_some_and(|m| given > m);
    if too_small || too_large {
        let range = match (min.is_number(), max.is_number()) {
            (true, true) => format!("should be {min} to {max}"),
            (true, false) => format!("should be {min} or more"),
            _ => format!("should be {max} or less"),
        };
        faults.push(fault(at, "out-of-range", &range));
    }
}

fn text_fits(schema: &Value, text: &str, at: &str, faults: &mut Vec<Fault>) {
    let length = text.chars().count() as u64;
    if schema["minLength"].as_u64().is_some_and(|min| length < min) {
        faults.push(fault(at, "too-short", "should not be empty"));
    }
    if let Some(max) = schema["maxLength"].as_u64()
        && length > max
    {
        faults.push(fault(
            at,
            "too-long",
            &format!("has {length} characters, and {max} is the most"),
        ));
    }
    if schema["format"] == "uuid" && uuid::Uuid::parse_str(text).is_err() {
        let mut wrong = fault(at, "not-an-id", "should be an id");
        wrong.advice = Some("ids look like 0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21".to_owned());
        faults.push(wrong);
    }
}

fn members_fit(
    schemas: &Schemas,
    schema: &Value,
    members: &mut Map<String, Value>,
    at: &str,
    faults: &mut Vec<Fault>,
) {
    let none = Map::new();
    let known = schema["properties"].as_object().unwrap_or(&none);
    let required: Vec<&str> = schema["required"]
        .as_array()
        .map(|r| r.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    members.retain(|key, value| {
        !(value.is_null() && known.contains_key(key) && !required.contains(&key.as_str()))
    });
    for key in &required {
        if !members.contains_key(*key) {
            faults.push(fault(&join(at, key), "missing-key", "is missing"));
        }
    }
    if schema["minProperties"]
        .as_u64()
        .is_some_and(|min| (members.len() as u64) < min)
    {
        let keys: Vec<&str> = known.keys().map(String::as_str).collect();
        let mut empty = fault(at, "missing-key", "says nothing");
        empty.advice = Some(format!("the keys are: {}", keys.join(", ")));
        faults.push(empty);
    }
    for (key, value) in members {
        match (known.get(key), &schema["additionalProperties"]) {
            (Some(schema), _) => walk(schemas, schema, value, &join(at, key), faults),
            (None, Value::Bool(false)) => faults.push(unknown(at, key, known)),
            (None, rest @ Value::Object(_)) => {
                walk(schemas, rest, value, &join(at, key), faults);
            }
            (None, _) => {}
        }
    }
}

fn unknown(at: &str, key: &str, known: &Map<String, Value>) -> Fault {
    let keys: Vec<&str> = known.keys().map(String::as_str).collect();
    Fault {
        pointer: join(at, key),
        code: "unknown-key",
        detail: format!("there is no key {:?} here", short(key)),
        advice: Some(match nearest(key, &keys) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("the keys are: {}", keys.join(", ")),
        }),
    }
}

fn fault(at: &str, code: &'static str, what: &str) -> Fault {
    let subject = match at {
        "" => "the body".to_owned(),
        at => at.trim_start_matches('/').replace('/', "."),
    };
    Fault {
        pointer: at.to_owned(),
        code,
        detail: format!("{subject} {what}"),
        advice: None,
    }
}

fn join(at: &str, key: &str) -> String {
    format!("{at}/{}", short(key).replace('~', "~0").replace('/', "~1"))
}

/// A key as it may be repeated: a text put in the wrong place is not told in
/// full.
pub(crate) fn short(key: &str) -> String {
    key.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// What the value should have been, if it is something else.
fn wrong_type(schema: &Value, value: &Value) -> Option<String> {
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let fits = |wanted: &str| match wanted {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_null(),
    };
    if types.iter().any(|t| fits(t)) {
        return None;
    }
    let words: Vec<&str> = types
        .iter()
        .map(|t| match *t {
            "integer" => "a whole number",
            "number" => "a number",
            "string" => "a text",
            "boolean" => "true or false",
            "array" => "a list",
            "object" => "an object",
            other => other,
        })
        .collect();
    Some(words.join(" or "))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(n) if n.is_f64() => "a number with a fraction or too many digits",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schemas() -> Schemas {
        let all = json!({
            "Thing": {
                "type": "object", "additionalProperties": false, "required": ["name"],
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 5},
                    "slaves": {"type": "integer", "minimum": 0, "maximum": 10},
                    "reuse": {"enum": ["match", "never"], "type": "string"},
                    "in": {"$ref": "#/components/schemas/Inner"},
                    "secret": {"type": "object"},
                    "tags": {"type": "array", "maxItems": 2, "items": {"type": "string"}},
                },
            },
            "Inner": {"type": "object", "additionalProperties": false,
                      "properties": {"deep": {"type": "boolean"}}},
        });
        all.as_object().unwrap().clone()
    }

    fn of(mut body: Value) -> Vec<(String, &'static str)> {
        check(&schemas(), "Thing", &mut body)
            .into_iter()
            .map(|f| (f.pointer, f.code))
            .collect()
    }

    #[test]
    fn each_fault_is_told_where_it_is() {
        assert!(of(json!({"name": "a", "slaves": 10, "secret": {"any": null}})).is_empty());
        for (body, pointer, code) in [
            (json!({}), "/name", "missing-key"),
            (json!({"name": null}), "/name", "wrong-type"),
            (json!({"name": ""}), "/name", "too-short"),
            (json!({"name": "abcdef"}), "/name", "too-long"),
            (
                json!({"name": "a", "slaves": -1}),
                "/slaves",
                "out-of-range",
            ),
            (json!({"name": "a", "slaves": 1e3}), "/slaves", "wrong-type"),
            (json!({"name": "a", "slaves": 1.5}), "/slaves", "wrong-type"),
            (json!({"name": "a", "slaves": "3"}), "/slaves", "wrong-type"),
            (json!({"name": "a", "slavs": 1}), "/slavs", "unknown-key"),
            (
                json!({"name": "a", "reuse": "nevr"}),
                "/reuse",
                "unknown-word",
            ),
            (
                json!({"name": "a", "in": {"dep": 1}}),
                "/in/dep",
                "unknown-key",
            ),
            (
                json!({"name": "a", "in": {"deep": 1}}),
                "/in/deep",
                "wrong-type",
            ),
            (
                json!({"name": "a", "tags": ["x", 1]}),
                "/tags/1",
                "wrong-type",
            ),
            (
                json!({"name": "a", "tags": ["x", "y", "z"]}),
                "/tags",
                "too-many",
            ),
            (json!([]), "", "wrong-type"),
        ] {
            assert_eq!(of(body.clone()), [(pointer.to_owned(), code)], "{body}");
        }
    }

    #[test]
    fn the_nearest_key_is_named_and_no_value_is_repeated() {
        let mut body = json!({"name": 7, "slavs": "hunter2", "secret": "hunter2"});
        let faults = check(&schemas(), "Thing", &mut body);
        assert_eq!(faults.len(), 3);
        assert!(!format!("{faults:?}").contains("hunter2"));
        assert!(
            faults
                .iter()
                .any(|f| f.advice.as_deref() == Some("did you mean \"slaves\"?"))
        );
    }

    #[test]
    fn null_counts_as_absent() {
        let mut body = json!({"name": "a", "slaves": null});
        assert!(check(&schemas(), "Thing", &mut body).is_empty());
        assert_eq!(body, json!({"name": "a"}));
    }
}

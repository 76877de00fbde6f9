//! Stacks as Heat answers them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::status::StackStatus;
use crate::client::lenient::{or_default, tags};

/// Both names of a stack. With both, Heat answers at once; with one, it redirects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StackRef {
    /// Its name, unique among the living stacks of a project.
    pub name: String,
    /// Its id, unique for ever.
    pub id: String,
}

impl StackRef {
    /// A stack by name and id.
    pub fn new(name: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            id: id.into(),
        }
    }

    pub(crate) fn path(&self) -> [&str; 3] {
        ["stacks", &self.name, &self.id]
    }

    /// Reads the last two parts of a link to a stack.
    pub(crate) fn from_link(href: &str) -> Option<Self> {
        let (_, tail) = href.split_once("/stacks/")?;
        let mut parts = tail.split('/');
        let name = parts.next().filter(|part| !part.is_empty())?;
        let id = parts.next().filter(|part| !part.is_empty())?;
        Some(Self::new(name, id))
    }
}

/// A stack, from a list, a show or a preview: what a call leaves out is empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct Stack {
    /// Its id.
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    /// Its name.
    #[serde(rename = "stack_name", default, deserialize_with = "or_default")]
    pub name: String,
    /// What it is doing.
    #[serde(rename = "stack_status", default)]
    pub status: StackStatus,
    /// Why; for a failure with the path of the failing resource.
    #[serde(
        rename = "stack_status_reason",
        default,
        deserialize_with = "or_default"
    )]
    pub status_reason: String,
    /// Its tags.
    #[serde(default, deserialize_with = "tags")]
    pub tags: Vec<String>,
    /// Its parameters, all as text; hidden ones as asterisks.
    #[serde(default, deserialize_with = "or_default")]
    pub parameters: BTreeMap<String, Value>,
    /// Its outputs, if they were asked for.
    #[serde(default, deserialize_with = "or_default")]
    pub outputs: Vec<Output>,
    /// When it was asked for.
    #[serde(default)]
    pub creation_time: Option<String>,
    /// When it was last changed.
    #[serde(default)]
    pub updated_time: Option<String>,
    /// When it was deleted.
    #[serde(default)]
    pub deletion_time: Option<String>,
    /// The template's description.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    /// Id of the stack that it is part of.
    #[serde(default)]
    pub parent: Option<String>,
    /// Whether a failure leaves what was made.
    #[serde(default)]
    pub disable_rollback: Option<bool>,
    /// Minutes after which Heat gives up.
    #[serde(default)]
    pub timeout_mins: Option<i64>,
}

impl Stack {
    /// Its name and id.
    pub fn reference(&self) -> StackRef {
        StackRef::new(&*self.name, &*self.id)
    }

    /// The value of an output; `None` if it is missing or not known yet.
    pub fn output(&self, key: &str) -> Option<&Value> {
        self.outputs
            .iter()
            .find(|output| output.key == key)
            .map(|output| &output.value)
            .filter(|value| !value.is_null())
    }
}

/// One output of a stack.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct Output {
    /// Its name.
    #[serde(rename = "output_key", default, deserialize_with = "or_default")]
    pub key: String,
    /// Its value; null until it is known.
    #[serde(rename = "output_value", default)]
    pub value: Value,
    /// What the template says about it.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    /// Why it has no value.
    #[serde(rename = "output_error", default)]
    pub error: Option<String>,
}

/// Heat's reading of a template.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct Validated {
    /// The template's description.
    #[serde(rename = "Description", default, deserialize_with = "or_default")]
    pub description: String,
    /// Its parameters.
    #[serde(rename = "Parameters", default, deserialize_with = "or_default")]
    pub parameters: BTreeMap<String, ValidatedParameter>,
}

/// A parameter as Heat reads it.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct ValidatedParameter {
    /// `String`, `Number`, `CommaDelimitedList`, `Json`, `Boolean`.
    #[serde(rename = "Type", default, deserialize_with = "or_default")]
    pub kind: String,
    /// Value if none is given.
    #[serde(rename = "Default", default)]
    pub default: Option<Value>,
    /// What the template says about it.
    #[serde(rename = "Description", default, deserialize_with = "or_default")]
    pub description: String,
    /// Whether its value is kept from view.
    #[serde(rename = "NoEcho", default, deserialize_with = "truth")]
    pub hidden: bool,
}

fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(value) => value,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    })
}

/// What a create would make.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct Preview {
    /// The template's description.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    /// The parameters it would have, with defaults filled in.
    #[serde(default, deserialize_with = "or_default")]
    pub parameters: BTreeMap<String, Value>,
    /// The resources, nested ones among them.
    #[serde(default, deserialize_with = "flat")]
    pub resources: Vec<PreviewResource>,
}

/// A resource that a create would make.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct PreviewResource {
    /// Its name within its template.
    #[serde(rename = "resource_name", default, deserialize_with = "or_default")]
    pub name: String,
    /// Its type.
    #[serde(rename = "resource_type", default, deserialize_with = "or_default")]
    pub kind: String,
}

/// A nested stack shows as a list within the list.
fn flat<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PreviewResource>, D::Error> {
    let mut found = Vec::new();
    let mut left = vec![Value::deserialize(deserializer)?];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(items) => left.extend(items.into_iter().rev()),
            object @ Value::Object(_) => {
                if let Ok(resource) = serde_json::from_value(object) {
                    found.push(resource);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stack_of_nothing_but_nulls() {
        let stack: Stack = serde_json::from_value(json!({
            "id": "1", "stack_name": null, "tags": null, "parameters": null, "outputs": null,
            "stack_status": null, "stack_status_reason": null, "description": null, "more": [1],
        }))
        .unwrap();
        assert!(stack.tags.is_empty() && stack.outputs.is_empty());
        assert_eq!(stack.status, StackStatus::default());
    }

    #[test]
    fn links() {
        let link = "http://h:8004/v1/p/stacks/a/b/resources/0";
        assert_eq!(StackRef::from_link(link), Some(StackRef::new("a", "b")));
        assert_eq!(StackRef::from_link("http://h/v1/p/stacks/a"), None);
    }

    #[test]
    fn nested_previews_are_flattened() {
        let preview: Preview = serde_json::from_value(json!({"resources": [
            {"resource_name": "a", "resource_type": "T"}, [{"resource_name": "b"}, [7]],
        ]}))
        .unwrap();
        let names: Vec<_> = preview.resources.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }
}

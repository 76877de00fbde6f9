//! What is asked of Heat.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::client::error::Error;

/// Parameter values by name.
pub type Parameters = BTreeMap<String, Value>;

/// A template, as text in YAML or as the value that such a text stands for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Template {
    /// YAML or JSON text, sent as it is.
    Text(String),
    /// The value.
    Value(Value),
}

/// A stack to be made.
#[derive(Clone)]
pub struct CreateStack {
    /// Name, unique among the living stacks of the project.
    pub name: String,
    /// What it is made from.
    pub template: Template,
    /// Parameter values. Heat refuses those that the template does not declare.
    pub parameters: Parameters,
    /// Tags to find it again.
    pub tags: Vec<String>,
    /// Minutes after which Heat gives up; `None` is Heat's own limit.
    pub timeout_mins: Option<u32>,
    /// Whether a failure leaves what was made, so that it can be looked at.
    pub disable_rollback: bool,
    /// Other templates and scripts that this one names, by that name.
    pub files: BTreeMap<String, String>,
}

impl CreateStack {
    /// A stack without parameters and tags, that a failure does not roll back.
    pub fn new(name: impl Into<String>, template: Template) -> Self {
        Self {
            name: name.into(),
            template,
            parameters: Parameters::new(),
            tags: Vec::new(),
            timeout_mins: None,
            disable_rollback: true,
            files: BTreeMap::new(),
        }
    }

    pub(crate) fn body(&self) -> Result<impl Serialize + '_, Error> {
        Ok(Body {
            stack_name: Some(&self.name),
            template: Some(&self.template),
            parameters: &self.parameters,
            tags: joined(&self.tags)?,
            timeout_mins: self.timeout_mins,
            disable_rollback: Some(self.disable_rollback),
            files: &self.files,
            clear_parameters: &[],
        })
    }
}

impl fmt::Debug for CreateStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateStack")
            .field("name", &self.name)
            // The names only: some values are passwords.
            .field("parameters", &self.parameters.keys())
            .field("tags", &self.tags)
            .field("timeout_mins", &self.timeout_mins)
            .field("disable_rollback", &self.disable_rollback)
            .finish_non_exhaustive()
    }
}

/// A change of a stack.
#[derive(Clone, Default)]
pub struct UpdateStack {
    /// A new template; then all parameters must be given again. `None` keeps the one there is,
    /// and the values of the parameters that are not named here.
    pub template: Option<Template>,
    /// Parameter values.
    pub parameters: Parameters,
    /// All the tags the stack shall have. Without any, a new template takes them away; if there
    /// is none, Heat leaves them.
    pub tags: Vec<String>,
    /// Minutes after which Heat gives up.
    pub timeout_mins: Option<u32>,
    /// Parameters that go back to the template's default; only without a new template.
    pub clear_parameters: Vec<String>,
    /// Other templates and scripts that the template names.
    pub files: BTreeMap<String, String>,
}

impl UpdateStack {
    /// Other values for some parameters.
    pub fn parameters(parameters: Parameters, tags: Vec<String>) -> Self {
        Self {
            parameters,
            tags,
            ..Self::default()
        }
    }

    /// Another template with all its parameters.
    pub fn template(template: Template, parameters: Parameters, tags: Vec<String>) -> Self {
        Self {
            template: Some(template),
            parameters,
            tags,
            ..Self::default()
        }
    }

    pub(crate) fn body(&self) -> Result<impl Serialize + '_, Error> {
        Ok(Body {
            stack_name: None,
            template: self.template.as_ref(),
            parameters: &self.parameters,
            tags: joined(&self.tags)?,
            timeout_mins: self.timeout_mins,
            disable_rollback: None,
            files: &self.files,
            clear_parameters: &self.clear_parameters,
        })
    }
}

impl fmt::Debug for UpdateStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpdateStack")
            .field("template", &self.template.is_some())
            .field("parameters", &self.parameters.keys())
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a Template>,
    parameters: &'a Parameters,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_mins: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_rollback: Option<bool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    files: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    clear_parameters: &'a [String],
}

/// Tags travel as one string; a comma in a tag would make it two, and a mark unrecognisable.
fn joined(tags: &[String]) -> Result<Option<String>, Error> {
    for tag in tags {
        if tag.is_empty() || tag.chars().count() > 80 || tag.contains(',') {
            return Err(Error::invalid(format!(
                "the tag {tag:?} is empty, longer than 80 characters or has a comma"
            )));
        }
    }
    Ok((!tags.is_empty()).then(|| tags.join(",")))
}

impl From<Map<String, Value>> for Template {
    fn from(map: Map<String, Value>) -> Self {
        Self::Value(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn create_body() {
        let mut stack = CreateStack::new("a", Template::Text("t: 1".into()));
        stack.parameters.insert("pass".into(), json!("swordfish"));
        stack.tags = vec!["x".into(), "y".into()];
        stack.timeout_mins = Some(5);
        assert_eq!(
            serde_json::to_value(stack.body().unwrap()).unwrap(),
            json!({"stack_name": "a", "template": "t: 1", "parameters": {"pass": "swordfish"},
                "tags": "x,y", "timeout_mins": 5, "disable_rollback": true})
        );
        assert!(!format!("{stack:?}").contains("swordfish"));
    }

    #[test]
    fn tags_that_would_become_two() {
        let mut update = UpdateStack::parameters(Parameters::new(), vec!["a,b".into()]);
        assert!(update.body().is_err());
        update.tags = vec!["x".repeat(81)];
        assert!(update.body().is_err());
        update.tags.clear();
        let body = serde_json::to_value(update.body().unwrap()).unwrap();
        assert_eq!(body, json!({"parameters": {}}));
    }
}

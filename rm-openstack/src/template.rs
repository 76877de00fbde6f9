//! What a Heat template declares, read before any cloud sees it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::yaml;

/// Heat's own limit.
pub const MAX_TEMPLATE: usize = 512 * 1024;

/// The output without which a cluster has no address.
pub const MASTER_IP: &str = "master_ip";

/// The output in which a template may list its hosts itself.
pub const HOSTS: &str = "hosts";

/// Why a text is not a template that clusters can be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// Larger than Heat takes.
    #[error("the template has {bytes} bytes; Heat takes at most {MAX_TEMPLATE}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not YAML, or beyond sensible depth or size.
    #[error("the template cannot be read as YAML at line {line}, column {column}")]
    NotYaml {
        /// Line.
        line: u64,
        /// Column.
        column: u64,
    },
    /// It does not say that it is a template.
    #[error("the template has no heat_template_version")]
    NoVersion,
    /// A part of it has the wrong form.
    #[error("the template's {part} should be {should}")]
    Form {
        /// Which part.
        part: String,
        /// What it should be.
        should: &'static str,
    },
    /// Clusters made from it would have no address.
    #[error("the template has no output {MASTER_IP}{}", others(.outputs))]
    NoMasterIp {
        /// The outputs that it has.
        outputs: Vec<String>,
    },
}

fn others(outputs: &[String]) -> String {
    if outputs.is_empty() {
        ", and no other".to_owned()
    } else {
        format!("; it has {}", outputs.join(", "))
    }
}

/// In which of Heat's languages a template is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Heat's own.
    Hot,
    /// The one taken over from CloudFormation.
    Cfn,
}

/// A parameter that a template declares.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Parameter {
    /// `string`, `number`, `json`, `comma_delimited_list`, `boolean`, or what the template says.
    pub kind: String,
    /// Value if none is given; `None` if one must be given.
    pub default: Option<Value>,
    /// Whether its value is kept from view.
    pub hidden: bool,
    /// What the template says about it.
    pub description: String,
    /// Name for people.
    pub label: Option<String>,
    /// What values are allowed, as the template puts it.
    pub constraints: Vec<Value>,
}

impl Parameter {
    /// Whether a value must be given.
    pub fn is_required(&self) -> bool {
        self.default.is_none()
    }
}

/// An output that a template declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputInfo {
    /// What the template says about it.
    pub description: String,
}

/// A template, understood as far as clusters need it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TemplateInfo {
    /// Its language.
    pub language: Language,
    /// The version of the language that it names.
    pub version: String,
    /// What it says about itself.
    pub description: String,
    /// Its parameters.
    pub parameters: BTreeMap<String, Parameter>,
    /// Its outputs.
    pub outputs: BTreeMap<String, OutputInfo>,
    /// The types of its resources, also of those that groups repeat.
    pub resource_types: BTreeSet<String>,
    /// The whole as a value.
    pub body: Value,
}

impl TemplateInfo {
    /// Reads a template that clusters shall be made of.
    ///
    /// # Errors
    /// [`TemplateError`]; [`TemplateError::NoMasterIp`] if everything else is right.
    pub fn read(text: &str) -> Result<Self, TemplateError> {
        let info = Self::read_any(text)?;
        if info.outputs.contains_key(MASTER_IP) {
            Ok(info)
        } else {
            Err(TemplateError::NoMasterIp {
                outputs: info.outputs.into_keys().collect(),
            })
        }
    }

    /// Reads a template whatever its outputs.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn read_any(text: &str) -> Result<Self, TemplateError> {
        if text.len() > MAX_TEMPLATE {
            return Err(TemplateError::TooLarge { bytes: text.len() });
        }
        let body: Value = yaml::read(text).map_err(|error| TemplateError::NotYaml {
            line: error.line,
            column: error.column,
        })?;
        let root = body.as_object().ok_or_else(|| form("text", "a mapping"))?;
        let (language, version) = version(root)?;
        let keys = Keys::of(language);
        let description = text_of(root.get(keys.description));
        let parameters = section(root, keys.parameters)?
            .map(|(name, value)| Ok((name.clone(), parameter(&keys, name, value)?)))
            .collect::<Result<_, TemplateError>>()?;
        let outputs = section(root, keys.outputs)?
            .map(|(name, value)| Ok((name.clone(), output(&keys, name, value)?)))
            .collect::<Result<_, TemplateError>>()?;
        let mut resource_types = BTreeSet::new();
        for (name, resource) in section(root, keys.resources)? {
            if resource.get(keys.kind).and_then(Value::as_str).is_none() {
                return Err(form(
                    format!("{}.{name}", keys.resources),
                    "a mapping with a type",
                ));
            }
            collect_types(resource, keys.kind, &mut resource_types);
        }
        Ok(Self {
            language,
            version,
            description,
            parameters,
            outputs,
            resource_types,
            body,
        })
    }

    /// Whether it makes servers itself, so that they can be found among its resources.
    pub fn has_servers(&self) -> bool {
        self.resource_types
            .iter()
            .any(|kind| matches!(kind.as_str(), "OS::Nova::Server" | "AWS::EC2::Instance"))
    }

    /// Whether it uses types that are templates of their own, in which there may be servers.
    pub fn may_hide_servers(&self) -> bool {
        self.resource_types.iter().any(|kind| !is_builtin(kind))
    }

    /// Whether it lists its hosts in an output.
    pub fn lists_hosts(&self) -> bool {
        self.outputs.contains_key(HOSTS)
    }
}

fn is_builtin(kind: &str) -> bool {
    let ours = ["OS::", "AWS::"];
    ours.iter().any(|prefix| kind.starts_with(prefix)) && !is_file(kind)
}

fn is_file(kind: &str) -> bool {
    kind.contains("://")
        || [".yaml", ".yml", ".template", ".json"]
            .iter()
            .any(|end| kind.ends_with(end))
}

struct Keys {
    description: &'static str,
    parameters: &'static str,
    outputs: &'static str,
    resources: &'static str,
    kind: &'static str,
    default: &'static str,
    hidden: &'static str,
}

impl Keys {
    const fn of(language: Language) -> Self {
        match language {
            Language::Hot => Self {
                description: "description",
                parameters: "parameters",
                outputs: "outputs",
                resources: "resources",
                kind: "type",
                default: "default",
                hidden: "hidden",
            },
            Language::Cfn => Self {
                description: "Description",
                parameters: "Parameters",
                outputs: "Outputs",
                resources: "Resources",
                kind: "Type",
                default: "Default",
                hidden: "NoEcho",
            },
        }
    }
}

fn form(part: impl Into<String>, should: &'static str) -> TemplateError {
    TemplateError::Form {
        part: part.into(),
        should,
    }
}

fn version(root: &Map<String, Value>) -> Result<(Language, String), TemplateError> {
    for (key, language) in [
        ("heat_template_version", Language::Hot),
        ("AWSTemplateFormatVersion", Language::Cfn),
        ("HeatTemplateFormatVersion", Language::Cfn),
    ] {
        match root.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::String(version)) => return Ok((language, version.clone())),
            Some(_) => return Err(form(key, "a date or a name")),
        }
    }
    Err(TemplateError::NoVersion)
}

/// The entries of a section, which may be missing or empty.
fn section<'a>(
    root: &'a Map<String, Value>,
    key: &str,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, TemplateError> {
    match root.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(entries)) => Ok(Some(entries)),
        Some(_) => Err(form(key, "a mapping")),
    }
    .map(|entries| entries.into_iter().flatten())
}

fn text_of(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn parameter(keys: &Keys, name: &str, value: &Value) -> Result<Parameter, TemplateError> {
    let part = || format!("{}.{name}", keys.parameters);
    let fields = value
        .as_object()
        .ok_or_else(|| form(part(), "a mapping with a type"))?;
    let kind = fields
        .get(keys.kind)
        .and_then(Value::as_str)
        .ok_or_else(|| form(part(), "a mapping with a type"))?;
    let hidden = match fields.get(keys.hidden) {
        Some(Value::Bool(hidden)) => *hidden,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    };
    let constraints = match fields.get("constraints") {
        Some(Value::Array(constraints)) => constraints.clone(),
        _ => Vec::new(),
    };
    Ok(Parameter {
        kind: kind.to_owned(),
        default: fields.get(keys.default).cloned(),
        hidden,
        description: text_of(fields.get(keys.description)),
        label: fields
            .get("label")
            .and_then(Value::as_str)
            .map(str::to_owned),
        constraints,
    })
}

fn output(keys: &Keys, name: &str, value: &Value) -> Result<OutputInfo, TemplateError> {
    let fields = value
        .as_object()
        .ok_or_else(|| form(format!("{}.{name}", keys.outputs), "a mapping"))?;
    Ok(OutputInfo {
        description: text_of(fields.get(keys.description)),
    })
}

/// Groups carry the definition of what they repeat among their properties, so that types are
/// looked for at any depth. Other things have a `type` too; a resource's has a namespace or names
/// a file.
fn collect_types(resource: &Value, key: &str, types: &mut BTreeSet<String>) {
    let mut left = vec![resource];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(items) => left.extend(items),
            Value::Object(fields) => {
                for name in [key, "type"] {
                    if let Some(kind) = fields.get(name).and_then(Value::as_str)
                        && (kind.contains("::") || is_file(kind))
                    {
                        types.insert(kind.to_owned());
                    }
                }
                left.extend(fields.values());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;

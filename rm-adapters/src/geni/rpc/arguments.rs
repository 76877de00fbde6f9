//! What methods are called with.

use rm_core::{Error, Result};

use super::{Value, Version};

/// A credential as it comes: which type, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Brought {
    /// An SFA credential.
    Sfa(String),
    /// A statement that somebody speaks for somebody.
    Abac(String),
}

/// How many credentials a call may bring; each is checked until one fits.
const MOST: usize = 16;

/// The credentials that a call brings; those of unknown types are left out, as
/// the API asks. Version 2 knows them as texts, version 3 as structs; both are
/// taken from either.
pub(super) fn credentials(value: Option<&Value>) -> Result<Vec<Brought>> {
    let list = value
        .and_then(Value::as_array)
        .ok_or_else(|| bad("the credentials are no array"))?;
    if list.len() > MOST {
        return Err(bad(format!("more than {MOST} credentials"))
            .advice("bring your own and the one of the slice"));
    }
    let mut brought = Vec::new();
    for one in list {
        match one {
            Value::Text(text) => brought.push(Brought::Sfa(text.clone())),
            Value::Struct(_) => {
                let kind = one.get("geni_type").and_then(Value::as_text);
                // Of a type that nobody here knows, nothing else is looked at.
                let text = || {
                    one.get("geni_value")
                        .and_then(Value::as_text)
                        .map(str::to_owned)
                        .ok_or_else(|| bad("a credential has no geni_value"))
                };
                match kind.map(str::to_ascii_lowercase).as_deref() {
                    Some("geni_sfa") => brought.push(Brought::Sfa(text()?)),
                    Some("geni_abac") => brought.push(Brought::Abac(text()?)),
                    Some(_) => {}
                    None => return Err(bad("a credential has no geni_type")),
                }
            }
            _ => return Err(bad("a credential is neither a text nor a struct")),
        }
    }
    Ok(brought)
}

/// The options of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options<'a>(&'a Value);

impl<'a> Options<'a> {
    pub(super) fn of(value: Option<&'a Value>) -> Result<Self> {
        match value {
            Some(options @ Value::Struct(_)) => Ok(Self(options)),
            _ => Err(bad("the options are no struct")),
        }
    }

    /// A flag, false where it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        self.0.get(name).map_or(Ok(false), |value| {
            value
                .as_flag()
                .ok_or_else(|| bad(format!("{name} is neither true nor false")))
        })
    }

    /// A text, absent where it is empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(&**text).filter(|t| !t.is_empty())),
            Some(_) => Err(bad(format!("{name} is no text"))),
        }
    }

    /// Refuses to answer in another version of RSpec than there is.
    pub(super) fn rspec_version(&self) -> Result<()> {
        let missing = |what: &str| {
            bad(format!("{what} is missing"))
                .advice("send geni_rspec_version: {type: \"GENI\", version: \"3\"}")
        };
        let asked = self
            .0
            .get("geni_rspec_version")
            .ok_or_else(|| missing("geni_rspec_version"))?;
        let kind = asked.get("type").ok_or_else(|| missing("its type"))?;
        let version = asked.get("version").ok_or_else(|| missing("its version"))?;
        let known = kind
            .as_text()
            .is_some_and(|k| k.trim().eq_ignore_ascii_case("geni"))
            && version.as_text().is_some_and(|v| v.trim() == "3");
        if known {
            Ok(())
        } else {
            Err(bad("that type or version of RSpec is not spoken here")
                .code("bad-version")
                .advice("ask for type \"GENI\", version \"3\", both as texts"))
        }
    }
}

/// A wrong argument.
pub(super) fn bad(what: impl Into<String>) -> Error {
    Error::invalid(what).code("bad-arguments")
}

/// Refuses an option that a version does not have.
pub(super) fn only_in(version: Version, wanted: Version, what: &str) -> Result<()> {
    if version == wanted {
        Ok(())
    } else {
        Err(bad(format!(
            "{what} is no option of version {}",
            version.number()
        )))
    }
}

//! The unit of linking.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Registries;
use crate::error::{Error, Result};

/// Who brings what, compared by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PluginInfo {
    /// The plugin's name, and that of its section of the configuration.
    pub name: &'static str,
    /// The crate it comes from.
    pub crate_name: &'static str,
    /// That crate's version.
    pub crate_version: &'static str,
}

/// Contributes backends, adapters and rpcs.
pub trait Plugin: fmt::Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> PluginInfo;
    /// The JSON schema of its section of the configuration.
    fn schema(&self) -> Value;
    /// Contributes to the registries.
    fn install(&self, section: Option<&Value>, registries: &mut Registries) -> Result<()>;
}

/// A plugin made of a function and a typed section of the configuration.
///
/// ```
/// use rm_core::registry::{PluginFn, PluginInfo, Registries};
///
/// #[derive(Default, serde::Deserialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct Config { greeting: String }
///
/// static TOY: PluginFn<Config> = PluginFn {
///     info: PluginInfo { name: "toy", crate_name: "toy", crate_version: "0.1.0" },
///     schema: || serde_json::json!({"properties": {"greeting": {"type": "string"}}}),
///     install: |_config, _registries| Ok(()),
/// };
///
/// let section = serde_json::json!({"greting": "hi"});
/// let refusal = Registries::new().install(&TOY, Some(&section)).unwrap_err();
/// assert!(refusal.to_string().contains("did you mean \"greeting\"?"));
/// ```
pub struct PluginFn<C: 'static> {
    /// Who it is.
    pub info: PluginInfo,
    /// The JSON schema of the section: an object with `properties`.
    pub schema: fn() -> Value,
    /// Contributes to the registries.
    pub install: fn(C, &mut Registries) -> Result<()>,
}

impl<C> fmt::Debug for PluginFn<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.fmt(f)
    }
}

impl<C: Default + DeserializeOwned + 'static> Plugin for PluginFn<C> {
    fn info(&self) -> PluginInfo {
        self.info
    }

    fn schema(&self) -> Value {
        (self.schema)()
    }

    fn install(&self, section: Option<&Value>, registries: &mut Registries) -> Result<()> {
        let config = match section {
            None => C::default(),
            Some(section) => {
                check_keys(self.info.name, section, &(self.schema)())?;
                // The message of serde may repeat a value, and a value may be
                // a secret: only the key is told.
                C::deserialize(section).map_err(|_| {
                    let what = match unreadable::<C>(section) {
                        Some(key) => format!("the key {key:?} in the section"),
                        None => "the section".to_owned(),
                    };
                    let section = self.info.name;
                    Error::invalid(format!(
                        "{what} [{section}] of the configuration cannot be read"
                    ))
                    .advice("compare it with the printed schema")
                })?
            }
        };
        (self.install)(config, registries)
    }
}

fn check_keys(section: &str, given: &Value, schema: &Value) -> Result<()> {
    let Some(given) = given.as_object() else {
        return Err(Error::invalid(format!(
            "the section [{section}] of the configuration is no table"
        ))
        .advice("write its keys below it"));
    };
    let Some(known) = schema["properties"].as_object() else {
        return Ok(());
    };
    let known: Vec<&str> = known.keys().map(String::as_str).collect();
    for key in given.keys() {
        if !known.contains(&key.as_str()) {
            let unknown = Error::invalid(format!(
                "there is no key {key:?} in the section [{section}] of the configuration"
            ));
            return Err(match nearest(key, &known) {
                Some(near) => unknown.advice(format!("did you mean {near:?}?")),
                None => unknown.advice(format!("the keys are: {}", known.join(", "))),
            });
        }
    }
    Ok(())
}

/// The key without which the section could be read.
fn unreadable<C: DeserializeOwned>(section: &Value) -> Option<&str> {
    let given = section.as_object()?;
    given.keys().map(String::as_str).find(|key| {
        let mut rest = given.clone();
        rest.remove(*key);
        C::deserialize(Value::Object(rest)).is_ok()
    })
}

/// The known word that is nearest to what somebody wrote, unless all are far.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let length = word.chars().count();
    let far = |k: &str| k.chars().count().max(3) / 3 + 1;
    known
        .iter()
        // What is much longer is not compared letter by letter.
        .filter(|k| length.abs_diff(k.chars().count()) <= far(k))
        .map(|k| (distance(word, k), *k))
        .filter(|(d, k)| *d <= far(k))
        .min()
        .map(|(_, k)| k)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = corner + usize::from(ca != *cb);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// A linked plugin that submitted itself:
/// `inventory::submit! { PluginEntry(&PLUGIN) }`.
#[derive(Debug)]
pub struct PluginEntry(pub &'static dyn Plugin);

#[cfg(feature = "inventory")]
inventory::collect!(PluginEntry);

/// Submits a plugin, so that [`Registries::install_linked`] finds it in every
/// program that links its crate. Without the feature `inventory` it does
/// nothing.
#[cfg(feature = "inventory")]
#[macro_export]
macro_rules! submit_plugin {
    ($plugin:expr) => {
        $crate::registry::inventory::submit! { $crate::registry::PluginEntry($plugin) }
    };
}

/// Without the feature `inventory`, plugins are installed by name only.
#[cfg(not(feature = "inventory"))]
#[macro_export]
macro_rules! submit_plugin {
    ($plugin:expr) => {};
}

//! The configuration: a TOML file, and variables of the environment over it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rm_store::KeySource;
use serde_json::Value;

mod check;
#[cfg(feature = "geni")]
mod geni;
mod load;
mod schema;
mod sections;

#[cfg(feature = "geni")]
pub(crate) use geni::{AllocateName, GeniSection, SliverName};
pub(crate) use load::{find, load};
pub(crate) use schema::schema;
pub(crate) use sections::{LogFormat, Sections, TokenSection};

/// What the file and the environment say, checked against the schema.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The host's own sections.
    pub(crate) sections: Sections,
    /// The plugins' sections, by the plugin's name.
    pub(crate) plugins: BTreeMap<String, Value>,
    /// The file it came from.
    pub(crate) file: PathBuf,
}

impl Config {
    /// A path as the configuration means it: relative to its file.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        let base = self.file.parent().unwrap_or_else(|| Path::new("."));
        base.join(path)
    }

    /// Where the sealing key comes from.
    pub(crate) fn key(&self) -> Option<KeySource> {
        self.sections.key.clone().map(|source| match source {
            KeySource::File(path) => KeySource::File(self.path(&path)),
            other => other,
        })
    }
}

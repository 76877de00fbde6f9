//! The section `[openstack]` of the configuration.

use std::path::PathBuf;

use rm_core::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{HttpConfig, pem};

/// What can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Calls that change something, at once for one account. A Heat of one
    /// process makes 100 stacks a tenth faster with 4 calls in flight than
    /// with 10 (measured in the lab: 16.4 s to 18.1 s); one of many workers
    /// gains by more.
    pub concurrency: u32,
    /// How long one call may take, in seconds.
    pub call_timeout_seconds: u64,
    /// How long a create, a change or a delete may take as a whole.
    pub patience_seconds: u64,
    /// How long before its end a token is replaced.
    pub renew_margin_seconds: u64,
    /// How long the upload of an image may take, in seconds.
    pub upload_timeout_seconds: u64,
    /// How many accounts stay logged in at once.
    pub sessions: usize,
    /// A file with certificates in PEM that are trusted beside those of the
    /// machine.
    pub cacert: Option<PathBuf>,
    /// Whether the servers of sites must prove who they are.
    pub verify: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrency: 4,
            call_timeout_seconds: 30,
            patience_seconds: 3600,
            renew_margin_seconds: 120,
            upload_timeout_seconds: 3600,
            sessions: 1000,
            cacert: None,
            verify: true,
        }
    }
}

impl Config {
    /// How connections to all sites are made; reads the file `cacert`.
    pub(crate) fn http(&self) -> Result<HttpConfig> {
        let wrong = |what: &str| {
            Error::invalid(format!(
                "cacert in the section [openstack] of the configuration {what}"
            ))
            .advice("name a file with certificates in PEM by its absolute path")
        };
        let mut http = HttpConfig {
            verify: self.verify,
            ..HttpConfig::default()
        };
        if let Some(path) = &self.cacert {
            // A relative path would mean another file wherever the program is
            // started.
            if !path.is_absolute() {
                return Err(wrong("is no absolute path"));
            }
            http.ca_pem = Some(pem::read(path).map_err(|e| wrong(&e.to_string()))?);
        }
        Ok(http)
    }
}

/// The section's JSON schema.
pub(crate) fn schema() -> Value {
    let number = |description: &str, default: u64| json!({"type": "integer", "minimum": 1, "description": description, "default": default});
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "concurrency": number("calls that change something, at once for one account", 4),
            "call_timeout_seconds": number("how long one call may take", 30),
            "patience_seconds":
                number("how long a create, a change or a delete may take as a whole", 3600),
            "renew_margin_seconds": number("how long before its end a token is replaced", 120),
            "upload_timeout_seconds": number("how long the upload of an image may take", 3600),
            "sessions": number("how many accounts stay logged in at once", 1000),
            "cacert": {"type": "string", "description": "a file with certificates in PEM, by its absolute path, that are trusted beside those of the machine"},
            "verify": {"type": "boolean", "default": true, "description": "whether the servers of sites must prove who they are; without it everybody on the way can read and change everything, passwords too"},
        }
    })
}

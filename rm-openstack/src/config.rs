//! The section `[openstack]` of the configuration.

use serde::Deserialize;
use serde_json::{Value, json};

/// What can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Calls that change something, at once for one account.
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
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrency: 8,
            call_timeout_seconds: 30,
            patience_seconds: 3600,
            renew_margin_seconds: 120,
            upload_timeout_seconds: 3600,
            sessions: 1000,
        }
    }
}

/// The section's JSON schema.
pub(crate) fn schema() -> Value {
    let number = |description: &str, default: u64| json!({"type": "integer", "minimum": 1, "description": description, "default": default});
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "concurrency": number("calls that change something, at once for one account", 8),
            "call_timeout_seconds": number("how long one call may take", 30),
            "patience_seconds":
                number("how long a create, a change or a delete may take as a whole", 3600),
            "renew_margin_seconds": number("how long before its end a token is replaced", 120),
            "upload_timeout_seconds": number("how long the upload of an image may take", 3600),
            "sessions": number("how many accounts stay logged in at once", 1000),
        }
    })
}

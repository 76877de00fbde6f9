//! What a site that has nodes is told to make: the media type of such
//! implementations.

use std::collections::BTreeMap;

use serde_json::Value;

use super::body::{Body, text_of};
use super::software::Software;
use crate::catalog::Script;
use crate::clusters::MOST_PARAMETERS;
use crate::error::{Error, Result};
use crate::registry::{Media, nearest};

/// The media type of implementations for sites that have nodes.
pub const MEDIA_TYPE: &str = "application/vnd.resource-manager.nodes+json";

/// Understands [`MEDIA_TYPE`]: a JSON object with `roles`, the role that is the
/// `master`, and what else there is to say:
///
/// ```json
/// {
///   "roles": [
///     {"name": "master", "count": 1,
///      "node": {"image": "debian-12", "vcpus": 1, "memory_mib": 256}},
///     {"name": "slave", "count": "slaves",
///      "node": {"image": "debian-12", "vcpus": 1, "memory_mib": 128,
///               "boot_commands": ["echo {{master_ip}} \"$GREETING\" > /etc/master"]}}
///   ],
///   "master": "master",
///   "ready_port": 80,
///   "default_slaves": 2,
///   "parameters": {"greeting": "hello"},
///   "outputs": {"console": "http://{{master_ip}}/"}
/// }
/// ```
///
/// `count` is a number, `"slaves"`, or both: `"1 + slaves"`; `slaves` are all
/// nodes beside the first of the master's role that a request asks for. The
/// image's name and the texts of a node may refer to `{{master_ip}}`,
/// `{{index}}` (which of its role it is, from 1), `{{role}}`, `{{slaves}}` and
/// to the parameters; a node whose texts name the master's address is made as
/// soon as the master works.
///
/// An implementation's environment is exported to the commands of every node;
/// its texts may refer to the same, and `{{master_ip}}` is nothing on the
/// master itself. What a request gives as a parameter belongs there, as in
/// `{"GREETING": "{{greeting}}"}` for the commands above: it is one word to the
/// shell, whatever is in it, while a command's own references are filled in as
/// they are. Its scripts run when a node first boots, after the node's own
/// commands: those for `user_data`, `prepare_node` and `configure_node`, in this
/// order, or those that a role names in its `scripts`. A script that no role
/// runs is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct NodesBody;

impl Media for NodesBody {
    fn media_type(&self) -> &str {
        MEDIA_TYPE
    }

    fn check(&self, body: &str) -> Result<()> {
        Body::read(body).map(drop)
    }

    fn takes(
        &self,
        body: &str,
        scripts: &[Script],
        environment: &BTreeMap<String, Value>,
    ) -> Result<()> {
        Body::read(body)?.check_software(&Software::new(scripts, environment))
    }

    fn accepts(&self, body: &str, parameters: &BTreeMap<String, Value>) -> Result<()> {
        let body = Body::read(body)?;
        let known: Vec<&str> = body.parameters.keys().map(String::as_str).collect();
        let mut bytes = 0_usize;
        for (name, value) in parameters {
            if !known.contains(&name.as_str()) {
                let refusal =
                    Error::invalid(format!("the implementation declares no parameter {name:?}"));
                return Err(match nearest(name, &known) {
                    Some(near) => refusal.advice(format!("did you mean {near:?}?")),
                    None if known.is_empty() => refusal.advice("it declares none"),
                    None => refusal.advice(format!("it declares: {}", known.join(", "))),
                });
            }
            let text = text_of(name, value)?;
            bytes = bytes.saturating_add(name.len()).saturating_add(text.len());
        }
        if bytes > MOST_PARAMETERS {
            return Err(Error::invalid(format!(
                "the parameters have {bytes} bytes together, and {MOST_PARAMETERS} are the most"
            ))
            .code("parameters-too-long")
            .advice("give what is long as an address from which the nodes fetch it"));
        }
        Ok(())
    }

    fn default_slaves(&self, body: &str) -> Option<u32> {
        Body::read(body).ok()?.default_slaves
    }

    fn fits(&self, body: &str, slaves: u32) -> Result<()> {
        Body::read(body)?.slots(slaves).map(drop)
    }

    fn others(&self, body: &str) -> u32 {
        Body::read(body).map_or(0, |body| body.others())
    }

    /// Those that the caller names can log in to each node.
    fn takes_users(&self) -> bool {
        true
    }

    /// What runs nodes fetches images itself, from where the catalog says.
    fn needs_copies(&self) -> bool {
        false
    }

    fn as_json(&self, body: &str) -> Option<Value> {
        serde_json::from_str(body).ok()
    }
}

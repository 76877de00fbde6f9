//! What understands the bodies of implementations.

use std::collections::BTreeMap;
use std::fmt;

use crate::catalog::Script;
use crate::error::{Error, Result};

/// What requests call that which surrounds a cluster: it is said by the site, or
/// by whose credential is used there.
pub const SURROUNDINGS: [&str; 5] = ["network", "key", "image", "flavor", "allowed_ip"];

/// Understands one media type of implementations.
pub trait Media: fmt::Debug + Send + Sync + 'static {
    /// The media type.
    fn media_type(&self) -> &str;
    /// Refuses a body that could never become a resource.
    fn check(&self, body: &str) -> Result<()>;
    /// Refuses scripts and an environment that the body has no place for. By
    /// default no body has one.
    fn takes(
        &self,
        _body: &str,
        scripts: &[Script],
        environment: &BTreeMap<String, serde_json::Value>,
    ) -> Result<()> {
        if scripts.is_empty() && environment.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "implementations of the type {:?} take neither scripts nor an environment",
            self.media_type()
        ))
        .advice("leave them out, or make them part of the body"))
    }
    /// Refuses parameters of a caller that the body does not declare.
    fn accepts(&self, body: &str, parameters: &BTreeMap<String, serde_json::Value>) -> Result<()>;
    /// Whether a parameter says what surrounds a cluster, which who uses the means
    /// of somebody else must not choose. A type that knows other names for
    /// [`SURROUNDINGS`] knows them here, too.
    fn is_surroundings(&self, name: &str) -> bool {
        SURROUNDINGS.contains(&name)
    }
    /// How many slaves the body makes where a request does not say.
    fn default_slaves(&self, _body: &str) -> Option<u32> {
        None
    }
    /// Refuses a number of slaves that the body says itself it cannot make. By
    /// default only its site can tell.
    fn fits(&self, _body: &str, _slaves: u32) -> Result<()> {
        Ok(())
    }
    /// How many hosts the body makes beside the master and the slaves.
    fn others(&self, _body: &str) -> u32 {
        0
    }
    /// Whether the site must hold the appliance's images before anything is
    /// made of the body.
    fn needs_copies(&self) -> bool {
        true
    }
    /// Whether who asks for a cluster can say who logs in to its hosts. By
    /// default only the body says that.
    fn takes_users(&self) -> bool {
        false
    }
    /// A body made around an image of the site, for who brings no body; absent
    /// where this type has no such thing.
    fn around_image(&self, _image: &str) -> Option<String> {
        None
    }
    /// The image that a body was made around; absent for any other body.
    fn image_of(&self, _body: &str) -> Option<String> {
        None
    }
    /// The body as JSON, for who shows it; absent where it has no such form.
    fn as_json(&self, _body: &str) -> Option<serde_json::Value> {
        None
    }
}

//! Implementations of the simulated cloud.

use std::collections::BTreeMap;

use rm_core::catalog::Script;
use rm_core::registry::{Media, nearest};
use rm_core::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

/// The media type of implementations that simulated sites understand.
pub const MEDIA_TYPE: &str = "application/vnd.rm.sim+json";

/// Understands [`MEDIA_TYPE`]: a JSON object with `parameters` (the names that
/// a request may give), `outputs` (what is given out), `fails` (everything
/// made by it breaks) and `image` (around which it was made), all of them
/// optional.
#[derive(Debug, Clone, Copy, Default)]
pub struct SimBody;

/// A body as it is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body {
    pub(super) parameters: Vec<String>,
    pub(super) outputs: BTreeMap<String, Value>,
    pub(super) fails: bool,
}

impl Body {
    pub(super) fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| {
            Error::invalid("the implementation is not a JSON object of the simulated cloud")
                .advice(format!(
                    "\"parameters\" is a list of names, \"outputs\" an object, \"fails\" true or false; line {}, column {}",
                    e.line(),
                    e.column()
                ))
        })
    }
}

impl Media for SimBody {
    fn media_type(&self) -> &str {
        MEDIA_TYPE
    }

    fn check(&self, body: &str) -> Result<()> {
        // A list of three would be read as the three fields in their order.
        if !body.trim_start().starts_with('{') {
            return Err(Error::invalid("the implementation is not a JSON object"));
        }
        Body::read(body).map(|_| ())
    }

    fn takes(
        &self,
        body: &str,
        scripts: &[Script],
        environment: &BTreeMap<String, Value>,
    ) -> Result<()> {
        let body = Body::read(body)?;
        let declares = |name: &str| body.parameters.iter().any(|p| p == name);
        let homeless = |name: &str| {
            Error::invalid("the implementation does not take what is given with it")
                .advice(format!("name {name:?} among its \"parameters\""))
        };
        if !environment.is_empty() && !declares("environment") {
            return Err(homeless("environment"));
        }
        for script in scripts {
            let own = format!("script_{}", script.action);
            if !declares(&own) && !declares("scripts") {
                return Err(homeless(&own));
            }
        }
        Ok(())
    }

    fn accepts(&self, body: &str, parameters: &BTreeMap<String, Value>) -> Result<()> {
        let body = Body::read(body)?;
        let known: Vec<&str> = body.parameters.iter().map(String::as_str).collect();
        for name in parameters.keys() {
            if !known.contains(&name.as_str()) {
                let refusal =
                    Error::invalid(format!("the implementation declares no parameter {name:?}"));
                return Err(match nearest(name, &known) {
                    Some(near) => refusal.advice(format!("did you mean {near:?}?")),
                    None if known.is_empty() => refusal.advice("it declares none"),
                    None => refusal.advice(format!("it declares: {}", known.join(", "))),
                });
            }
        }
        Ok(())
    }

    fn around_image(&self, image: &str) -> Option<String> {
        Some(json!({"image": image}).to_string())
    }

    fn image_of(&self, body: &str) -> Option<String> {
        let shown = self.as_json(body)?;
        let image = shown["image"].as_str()?;
        (self.around_image(image)? == body).then(|| image.to_owned())
    }

    fn as_json(&self, body: &str) -> Option<Value> {
        serde_json::from_str(body).ok()
    }
}

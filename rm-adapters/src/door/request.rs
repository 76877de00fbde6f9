//! A call as an adapter gets it.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use rm_core::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;

use super::tokens::sha256_hex;

/// A call, after the door has checked it against the route's table.
#[derive(Debug)]
pub struct Request {
    /// Which operation.
    pub operation: &'static str,
    /// The request's id, for logs and answers.
    pub id: String,
    /// What the path begins with, for links.
    pub prefix: String,
    /// Says when the service stops.
    pub closing: Closing,
    pub(super) path: Vec<(&'static str, String)>,
    pub(super) query: BTreeMap<&'static str, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Value>,
}

impl Request {
    /// A parameter of the path.
    pub fn path(&self, name: &str) -> &str {
        self.path
            .iter()
            .find(|(n, _)| *n == name)
            .map_or("", |(_, value)| value)
    }

    /// A parameter of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// A number of the query.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.query(name)?.parse().ok()
    }

    /// Whether the query says `name=true`.
    pub fn flag(&self, name: &str) -> bool {
        self.query(name) == Some("true")
    }

    /// A header that is plain text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the client wants an answer at once (RFC 7240).
    pub fn wants_no_wait(&self) -> bool {
        self.headers
            .get_all("prefer")
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split([',', ';']))
            .any(|p| p.trim().eq_ignore_ascii_case("respond-async"))
    }

    /// The body as JSON; `null` where there is none.
    pub fn body(&self) -> &Value {
        self.body.as_ref().unwrap_or(&Value::Null)
    }

    /// The body in its type. It fits the schema already, so that this fails
    /// only where schema and type differ; the message of serde is not told,
    /// because it may repeat a value.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(self.body()).map_err(|e| {
            Error::invalid("the body does not have the form that this path takes")
                .advice("see /openapi.json")
                .because(e)
        })
    }

    /// A digest of what was asked, the same for equal bodies however they are
    /// written; members that say only how to answer are left out.
    pub fn digest(&self, without: &[&str]) -> String {
        let mut body = self.body().clone();
        if let Some(members) = body.as_object_mut() {
            members.retain(|key, _| !without.contains(&key.as_str()));
        }
        let mut text = self.operation.to_owned();
        canonical(&body, &mut text);
        sha256_hex(text.as_bytes())
    }
}

/// Writes JSON with sorted keys and without blanks.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            out.push('{');
            for (key, value) in sorted {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// Says when the service stops: what waits or streams should end then.
#[derive(Debug, Clone)]
pub struct Closing(pub(super) watch::Receiver<bool>);

impl Closing {
    /// Ends when the service stops.
    pub async fn wait(&self) {
        // Nobody left to say it means the same.
        let _ = self.0.clone().wait_for(|stop| *stop).await;
    }

    /// Whether it stops.
    pub fn is_now(&self) -> bool {
        *self.0.borrow()
    }

    /// What `work` comes to, unless the service stops first.
    pub async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.wait() => None,
        }
    }
}

/// No adapter has such an operation: its table and its code differ.
pub(crate) fn no_such_operation(operation: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("{operation} is in the table of routes and nobody serves it"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_does_not_change_the_digest() {
        let text = |value: &Value| {
            let mut out = String::new();
            canonical(value, &mut out);
            out
        };
        let one: Value =
            serde_json::from_str(r#"{"b": [1, {"y": 1, "x": "\""}], "a": null}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"a":null,"b":[1,{"x":"\"","y":1}]}"#).unwrap();
        assert_eq!(text(&one), text(&other));
        assert_ne!(text(&json!([1, 2])), text(&json!([12])));
    }
}

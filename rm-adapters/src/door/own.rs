//! What the door itself serves: its document, its health, its numbers.

use std::sync::OnceLock;

use async_trait::async_trait;
use rm_core::id::Kind;
use rm_core::registry::Adapter;
use rm_core::{Call, Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

use super::contract::{Access, Dialect, JsonContract, Method, Reply, Route};
use super::problem;
use super::request::{Request, no_such_operation};
use super::serve::{Metrics, Numbers};

static ROUTES: &[Route] = &[
    Route::new(
        Method::Get,
        "/openapi.json",
        "openapi",
        "What is served here, as OpenAPI 3.1",
        &[(200, None)],
    ),
    Route::new(
        Method::Get,
        "/health/live",
        "live",
        "Whether the process answers",
        &[(200, Some("Health"))],
    )
    .access(Access::Public),
    Route::new(
        Method::Get,
        "/health/ready",
        "ready",
        "Whether the store answers",
        &[(200, Some("Health"))],
    )
    .access(Access::Public),
    Route::new(
        Method::Get,
        "/metrics",
        "metrics",
        "Numbers, in the text format of Prometheus",
        &[(200, None)],
    )
    .access(Access::Public),
];

#[derive(Debug)]
pub(super) struct Own {
    dialect: Dialect,
    pub(super) metrics: Metrics,
    pub(super) numbers: std::sync::Arc<Numbers>,
    pub(super) document: OnceLock<Value>,
}

impl Own {
    pub(super) fn new(metrics: Metrics, numbers: std::sync::Arc<Numbers>) -> Self {
        Self {
            dialect: Dialect::plain(),
            metrics,
            numbers,
            document: OnceLock::new(),
        }
    }
}

impl Adapter for Own {
    fn name(&self) -> &'static str {
        "door"
    }

    fn kinds(&self) -> &[Kind] {
        &[]
    }
}

#[async_trait]
impl JsonContract for Own {
    fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn schemas(&self) -> Map<String, Value> {
        let mut schemas = Map::new();
        schemas.insert(
            "Health".to_owned(),
            json!({"type": "object", "required": ["status"],
                   "properties": {"status": {"const": "ok"}}}),
        );
        schemas.insert("Problem".to_owned(), problem::schema());
        schemas
    }

    async fn serve(&self, call: &Call<'_>, request: Request) -> Result<Reply> {
        match request.operation {
            "openapi" => Ok(Reply::ok(
                self.document.get().cloned().unwrap_or(Value::Null),
            )),
            "live" => Ok(Reply::ok(json!({"status": "ok"}))),
            "ready" => {
                let limit = std::time::Duration::from_secs(5);
                match tokio::time::timeout(limit, call.host.events().newest()).await {
                    Ok(Ok(_)) if !request.closing.is_now() => {
                        Ok(Reply::ok(json!({"status": "ok"})))
                    }
                    Ok(Ok(_)) => Err(Error::new(ErrorKind::Unavailable, "the service stops")),
                    _ => Err(Error::new(
                        ErrorKind::Unavailable,
                        "the store does not answer",
                    )),
                }
            }
            "metrics" => Ok(Reply::Text {
                content_type: "text/plain; version=0.0.4",
                body: self.metrics.text() + &self.numbers.text(),
            }),
            other => Err(no_such_operation(other)),
        }
    }
}

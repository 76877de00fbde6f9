//! Refusals on the wire: one table from kinds of errors to HTTP, and problem
//! details (RFC 9457).
//!
//! | kind | status | |
//! |---|---|---|
//! | invalid | 400 | |
//! | unauthenticated | 401 | with `WWW-Authenticate` |
//! | forbidden | 403 | |
//! | quota | 403 | the tenant's limit: waiting alone does not help, so it is not 429; its code is `quota-exceeded` or `lease-too-long` |
//! | not-found | 404 | also what is somebody else's |
//! | exists, conflict, busy | 409 | |
//! | gone | 410 | what an idempotency key once got; events behind the cursor that are no longer kept: `events-lost` |
//! | unsupported | 501 | |
//! | failed, credential | 502 | the site or the real thing refuses |
//! | no-capacity, unavailable, rate-limited, fenced | 503 | with `Retry-After` where the other side said how long |
//! | timeout | 504 | |
//! | corrupt, internal | 500 | |
//!
//! The door itself adds 404 `no-such-path`, 405 `no-such-method`, 408
//! `too-slow`, 413 `too-large` and 415 `media-type`.

use axum::http::StatusCode;
use rm_core::{Effect, Error, ErrorKind};
use serde_json::{Value, json};

use super::schema::Fault;

/// What is told about a refusal.
#[derive(Debug)]
pub struct Problem<'a> {
    /// The status.
    pub status: StatusCode,
    /// The error.
    pub error: &'a Error,
    /// The faults of the body, where it was refused for them.
    pub faults: &'a [Fault],
    /// The request's id.
    pub request: &'a str,
}

/// A refusal as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The status.
    pub status: StatusCode,
    /// The content type.
    pub content_type: &'static str,
    /// The body.
    pub body: Value,
}

/// The one table.
pub fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden | ErrorKind::Quota => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Exists | ErrorKind::Conflict | ErrorKind::Busy => StatusCode::CONFLICT,
        ErrorKind::Gone => StatusCode::GONE,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Failed | ErrorKind::Credential => StatusCode::BAD_GATEWAY,
        ErrorKind::NoCapacity
        | ErrorKind::Unavailable
        | ErrorKind::RateLimited
        | ErrorKind::Fenced => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Problem details.
pub fn details(problem: &Problem<'_>) -> Rendered {
    let Problem {
        status,
        error,
        faults,
        request,
    } = problem;
    let code = error.stable_code();
    let mut body = json!({
        "type": format!("urn:resource-manager:problem:{code}"),
        "title": title(error.kind()),
        "status": status.as_u16(),
        "detail": error.what(),
        "code": code,
        "temporary": error.is_temporary(),
        "request_id": request,
    });
    if let Some(advice) = error.next() {
        body["advice"] = json!(advice);
    }
    if let Some(resource) = error.about() {
        body["resource"] = json!(resource);
    }
    if let Some(site) = error.at_site() {
        body["site"] = json!(site);
    }
    if let Some(operation) = error.during() {
        body["operation"] = json!(operation);
    }
    if error.effect() == Effect::Unknown {
        body["effect"] = json!("unknown");
    }
    if let Some(wait) = error.wait() {
        body["retry_after_seconds"] = json!(wait.as_secs());
    }
    if !faults.is_empty() {
        body["errors"] = faults.iter().map(told).collect();
    }
    Rendered {
        status: *status,
        content_type: "application/problem+json",
        body,
    }
}

fn told(fault: &Fault) -> Value {
    let mut told = json!({
        "pointer": fault.pointer,
        "code": fault.code,
        "detail": fault.detail,
    });
    if let Some(advice) = &fault.advice {
        told["advice"] = json!(advice);
    }
    told
}

fn title(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "The request is wrong",
        ErrorKind::Unauthenticated => "Nobody knows who is calling",
        ErrorKind::Forbidden => "Not allowed",
        ErrorKind::NotFound => "There is no such thing",
        ErrorKind::Gone => "It is gone",
        ErrorKind::Exists => "It exists already",
        ErrorKind::Conflict => "It contradicts what is there",
        ErrorKind::Busy => "Not possible in this state",
        ErrorKind::Quota => "The quota is used up",
        ErrorKind::NoCapacity => "No site has room",
        ErrorKind::Unsupported => "Not supported here",
        ErrorKind::Credential => "The site does not accept the credential",
        ErrorKind::Unavailable => "Out of reach",
        ErrorKind::RateLimited => "Too many calls",
        ErrorKind::Timeout => "It took too long",
        ErrorKind::Failed => "It failed",
        ErrorKind::Fenced => "Another engine has it now",
        ErrorKind::Corrupt => "The store cannot be read",
        _ => "A defect of this program",
    }
}

/// The schema of problem details, for the OpenAPI document.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "Problem details, RFC 9457",
        "required": ["type", "title", "status", "detail", "code", "temporary", "request_id"],
        "properties": {
            "type": {"type": "string", "description": "urn:resource-manager:problem: and the code"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What happened"},
            "code": {"type": "string", "description": "Stable, for programs"},
            "advice": {"type": "string", "description": "What to do next"},
            "temporary": {"type": "boolean", "description": "Whether trying again may help"},
            "effect": {"enum": ["unknown"], "description": "It may have been done all the same"},
            "request_id": {"type": "string"},
            "resource": {"type": "string", "format": "uuid"},
            "site": {"type": "string"},
            "operation": {"type": "string"},
            "retry_after_seconds": {"type": "integer"},
            "errors": {"type": "array", "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string"}, "code": {"type": "string"},
                    "detail": {"type": "string"}, "advice": {"type": "string"},
                },
            }},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_known_is_told_and_what_is_not_is_absent() {
        let error = Error::new(ErrorKind::RateLimited, "slow down")
            .retry_after(Duration::from_secs(7))
            .site("chameleon");
        let told = details(&Problem {
            status: status_of(error.kind()),
            error: &error,
            faults: &[],
            request: "r1",
        });
        assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(told.body["code"], "rate-limited");
        assert_eq!(
            told.body["type"],
            "urn:resource-manager:problem:rate-limited"
        );
        assert_eq!(told.body["retry_after_seconds"], 7);
        assert_eq!(told.body["site"], "chameleon");
        assert!(told.body.get("advice").is_none());
        assert!(told.body.get("errors").is_none());
    }
}

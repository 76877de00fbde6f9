//! Reads a body, within limits.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use rm_core::Error;
use serde_json::Value;

use super::handle::Refusal;

/// How much more than the limit is read and thrown away, so that the client
/// hears the refusal instead of a broken line.
const DRAIN: usize = 8;

/// Reads the body as JSON; `None` where it is empty.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    time: Duration,
) -> Result<Option<Value>, Refusal> {
    let bytes = match tokio::time::timeout(time, collect(headers, body, limit)).await {
        Ok(read) => read?,
        Err(_) => {
            return Err(Refusal::of(
                StatusCode::REQUEST_TIMEOUT,
                Error::invalid("the body took too long to arrive")
                    .code("too-slow")
                    .temporary()
                    .advice(format!("it must be here within {} s", time.as_secs())),
            )
            .closing());
        }
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    if !is_json(headers) {
        return Err(Refusal::of(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Error::invalid("the body is not JSON by its Content-Type")
                .code("media-type")
                .advice("send Content-Type: application/json"),
        ));
    }
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Some(value)),
        Err(e) => Err(Refusal::from(
            Error::invalid(format!(
                "the body is not JSON: {} at line {}, column {}",
                match e.classify() {
                    serde_json::error::Category::Eof => "it ends too soon",
                    _ => "it cannot be read",
                },
                e.line(),
                e.column()
            ))
            .code("not-json"),
        )),
    }
}

async fn collect(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<usize>().ok());
    let mut all = BytesMut::with_capacity(announced.unwrap_or(0).min(limit).min(64 * 1024));
    let mut length = 0usize;
    if announced.is_some_and(|n| n > limit.saturating_mul(DRAIN)) {
        return Err(too_large(limit).closing());
    }
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(
                Refusal::from(Error::invalid("the body broke off").code("not-json")).closing(),
            );
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length = length.saturating_add(data.len());
        if length <= limit {
            all.extend_from_slice(&data);
        } else if length > limit.saturating_mul(DRAIN) {
            return Err(too_large(limit).closing());
        }
    }
    if length > limit {
        return Err(too_large(limit));
    }
    Ok(all.freeze())
}

fn too_large(limit: usize) -> Refusal {
    Refusal::of(
        StatusCode::PAYLOAD_TOO_LARGE,
        Error::invalid("the body is too large")
            .code("too-large")
            .advice(format!("{limit} bytes are the most")),
    )
}

/// Whether the type is JSON, or nothing was said.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(given) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let essence = given
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

//! One request, from its headers to its answer.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::FutureExt;
use rm_core::registry::nearest;
use rm_core::{Caller, Error, ErrorKind};
use tracing::Instrument;

use super::contract::{Access, Dialect, Method, ParamKind, Reply, Route, TokenHeader};
use super::mount::{Mounted, Place};
use super::problem::{Problem, status_of};
use super::request::{Closing, Request};
use super::schema::{self, Fault, short};
use super::serve::Inner;
use super::{body, events};

const REQUEST_ID: &str = "x-request-id";

/// Why a request is not served.
#[derive(Debug)]
pub(super) struct Refusal {
    error: Error,
    status: Option<StatusCode>,
    faults: Vec<Fault>,
    allow: Option<String>,
    close: bool,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            error,
            status: None,
            faults: Vec::new(),
            allow: None,
            close: false,
        }
    }
}

impl Refusal {
    pub(super) fn of(status: StatusCode, error: Error) -> Self {
        Self {
            status: Some(status),
            ..Self::from(error)
        }
    }

    /// What is left of the request is not read.
    pub(super) fn closing(mut self) -> Self {
        self.close = true;
        self
    }
}

/// Answers one request at one place, whatever happens.
pub(super) async fn handle(
    door: Arc<Inner>,
    place: Option<Arc<Place>>,
    request: axum::extract::Request,
) -> Response {
    let begun = tokio::time::Instant::now();
    let id = request_id(&door, request.headers());
    let (parts, body) = request.into_parts();
    let method = parts.method.clone();
    let mounted = place.as_ref().and_then(|p| find(p, &method)).cloned();
    let dialect = match (&mounted, &place) {
        (Some(m), _) => m.adapter.dialect().clone(),
        (None, Some(p)) => p
            .served
            .first()
            .map_or_else(Dialect::plain, |m| m.adapter.dialect().clone()),
        (None, None) => door.dialect_of(parts.uri.path()),
    };
    let operation = mounted.as_ref().map_or("none", |m| m.route.operation);
    let span = tracing::info_span!("request", id = %id, operation);
    let mut who = None;
    let serving = serve(&door, place, mounted.as_ref(), parts, body, &id, &mut who);
    let served = AssertUnwindSafe(serving)
        .catch_unwind()
        .instrument(span)
        .await
        .unwrap_or_else(|_| {
            Err(Refusal::from(
                Error::new(ErrorKind::Internal, "this program has a defect")
                    .advice("tell an operator the request_id; the log has more"),
            ))
        });
    let mut response = match served {
        Ok(reply) => answer(&door, reply, who.as_ref()),
        Err(refusal) => refuse(&dialect, refusal, &id),
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let status = response.status().as_u16();
    door.count(operation, status);
    // The path itself is not logged: what is no route may be anything.
    tracing::info!(
        request = %id,
        method = %method,
        path = mounted.as_ref().map_or("-", |m| m.template.as_str()),
        operation,
        user = who.as_ref().map_or("-", |w| w.user.as_str()),
        status,
        ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        "served"
    );
    response
}

fn find<'a>(place: &'a Place, method: &axum::http::Method) -> Option<&'a Mounted> {
    let wanted = match method.as_str() {
        "HEAD" => Method::Get.as_str(),
        other => other,
    };
    place
        .served
        .iter()
        .find(|m| m.route.method.as_str() == wanted)
}

async fn serve(
    door: &Inner,
    place: Option<Arc<Place>>,
    mounted: Option<&Mounted>,
    mut parts: Parts,
    body: Body,
    id: &str,
    known: &mut Option<Arc<Caller>>,
) -> Result<Reply, Refusal> {
    let Some(place) = place else {
        return Err(Refusal::of(
            StatusCode::NOT_FOUND,
            Error::not_found("there is nothing at this path")
                .code("no-such-path")
                .advice("see /openapi.json for what there is"),
        ));
    };
    let Some(mounted) = mounted else {
        let allow = place.allow();
        let mut refusal = Refusal::of(
            StatusCode::METHOD_NOT_ALLOWED,
            Error::invalid("this path does not have that method")
                .code("no-such-method")
                .advice(format!("it has: {allow}")),
        );
        refusal.allow = Some(allow);
        return Err(refusal);
    };
    let route = &mounted.route;
    let who = admit(door, mounted, &parts.headers)?;
    known.clone_from(&who);
    if let (Some(who), Access::Role(role)) = (&who, route.access) {
        who.need(role)?;
    }
    let values = RawPathParams::from_request_parts(&mut parts, &())
        .await
        .map_err(|_| Error::invalid("the path is not UTF-8"))?;
    let path = mounted
        .names
        .iter()
        .copied()
        .zip(values.iter().map(|(_, value)| value.to_owned()))
        .collect();
    let query = query(route, parts.uri.query().unwrap_or_default())?;
    for param in route.headers {
        header_fits(param.name, param.kind, &parts.headers)?;
    }
    let options = &door.options;
    let mut given = body::read(&parts.headers, body, options.body_limit, options.body_time).await?;
    match (route.input, &mut given) {
        (Some(name), Some(value)) => {
            let faults = schema::check(&door.table.schemas, name, value);
            if let Some(first) = faults.first() {
                let mut error = Error::invalid(first.detail.clone()).code(first.code);
                if let Some(advice) = &first.advice {
                    error = error.advice(advice.clone());
                }
                let mut refusal = Refusal::from(error);
                refusal.faults = faults;
                return Err(refusal);
            }
        }
        (Some(_), None) => {
            return Err(Refusal::from(
                Error::invalid("this call needs a body")
                    .code("missing-body")
                    .advice("send JSON; see /openapi.json for its form"),
            ));
        }
        (None, Some(value)) if value.as_object().is_none_or(|o| !o.is_empty()) => {
            return Err(Refusal::from(
                Error::invalid("this call takes no body").code("unexpected-body"),
            ));
        }
        (None, _) => given = None,
    }
    let request = Request {
        operation: route.operation,
        id: id.to_owned(),
        prefix: mounted.adapter.dialect().prefix.clone(),
        closing: Closing(door.closing.subscribe()),
        path,
        query,
        headers: parts.headers,
        body: given,
    };
    let nobody = Caller {
        user: String::new(),
        tenant: rm_core::Tenant(String::new()),
        roles: Default::default(),
    };
    let caller = who.as_deref().unwrap_or(&nobody);
    Ok(mounted
        .adapter
        .serve(&door.host.call(caller), request)
        .await?)
}

/// Who is calling; nobody where the operation is public.
fn admit(
    door: &Inner,
    mounted: &Mounted,
    headers: &HeaderMap,
) -> Result<Option<Arc<Caller>>, Refusal> {
    if mounted.route.access == Access::Public {
        return Ok(None);
    }
    let dialect = mounted.adapter.dialect();
    if let Some(signed) = &dialect.signed
        && let Some(value) = headers.get(signed.header())
    {
        let value = value.to_str().unwrap_or_default();
        let user = signed.user(value, door.host.env().now())?;
        return Ok(Some(door.tokens.user(&user)?));
    }
    let scheme = &dialect.token;
    let stranger = |what: &str| {
        Refusal::from(
            Error::new(ErrorKind::Unauthenticated, what).advice(match scheme {
                TokenHeader::Bearer => "send Authorization: Bearer and a token".to_owned(),
                TokenHeader::Own(name) => format!("send {name}: and a token"),
            }),
        )
    };
    let token = match scheme {
        TokenHeader::Bearer => headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.split_once(' '))
            .filter(|(word, _)| word.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim()),
        TokenHeader::Own(name) => headers.get(name).and_then(|v| v.to_str().ok()),
    };
    let Some(token) = token.filter(|t| !t.is_empty()) else {
        return Err(stranger("there is no token in this request"));
    };
    match door.tokens.caller(token) {
        Some(who) => Ok(Some(who)),
        None => Err(stranger("this token is not known")),
    }
}

fn query(route: &Route, text: &str) -> Result<BTreeMap<&'static str, String>, Error> {
    let mut given = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let Some(param) = route.query.iter().find(|p| p.name == name) else {
            let known: Vec<&str> = route.query.iter().map(|p| p.name).collect();
            let unknown = Error::invalid(format!("there is no parameter {:?} here", short(&name)))
                .code("unknown-parameter");
            return Err(match nearest(&name, &known) {
                Some(near) => unknown.advice(format!("did you mean {near:?}?")),
                None if known.is_empty() => unknown.advice("this call has none"),
                None => unknown.advice(format!("the parameters are: {}", known.join(", "))),
            });
        };
        fits(param.name, param.kind, &value)?;
        if given.insert(param.name, value.into_owned()).is_some() {
            return Err(
                Error::invalid(format!("the parameter {:?} is given twice", param.name))
                    .code("unknown-parameter"),
            );
        }
    }
    Ok(given)
}

fn header_fits(name: &str, kind: ParamKind, headers: &HeaderMap) -> Result<(), Error> {
    match headers.get(name) {
        None => Ok(()),
        Some(value) => match value.to_str() {
            Ok(text) => fits(name, kind, text),
            Err(_) => Err(Error::invalid(format!(
                "the header {name} is not plain text"
            ))),
        },
    }
}

fn fits(name: &str, kind: ParamKind, value: &str) -> Result<(), Error> {
    let should = match kind {
        ParamKind::Text(most) if value.len() > most => format!("has {most} bytes at the most"),
        ParamKind::Text(_) if value.is_empty() => "should not be empty".to_owned(),
        ParamKind::Text(_) => return Ok(()),
        ParamKind::Flag if matches!(value, "true" | "false") => return Ok(()),
        ParamKind::Flag => "should be true or false".to_owned(),
        ParamKind::Number(min, max) => {
            if value.parse().is_ok_and(|n: u64| (min..=max).contains(&n)) {
                return Ok(());
            }
            format!("should be a whole number, {min} to {max}")
        }
        ParamKind::Word(words) if words.contains(&value) => return Ok(()),
        ParamKind::Word(words) => format!("should be one of: {}", words.join(", ")),
    };
    Err(Error::invalid(format!("{name} {should}")).code("wrong-parameter"))
}

fn answer(door: &Inner, reply: Reply, who: Option<&Arc<Caller>>) -> Response {
    match reply {
        Reply::Empty => build(StatusCode::NO_CONTENT, None, Body::empty()),
        Reply::Text { content_type, body } => {
            build(StatusCode::OK, Some(content_type), Body::from(body))
        }
        Reply::Json {
            status,
            headers,
            body,
        } => {
            let mut response = build(
                status,
                Some("application/json"),
                Body::from(body.to_string()),
            );
            response.headers_mut().extend(headers);
            response
        }
        Reply::Events(source) => {
            let Some(who) = who else {
                return build(StatusCode::NO_CONTENT, None, Body::empty());
            };
            build(
                StatusCode::OK,
                Some("text/event-stream"),
                events::body(
                    Arc::clone(&door.host),
                    Arc::clone(who),
                    source,
                    Closing(door.closing.subscribe()),
                ),
            )
        }
    }
}

fn refuse(dialect: &Dialect, refusal: Refusal, id: &str) -> Response {
    let Refusal {
        error,
        status,
        faults,
        allow,
        close,
    } = refusal;
    let status = status.unwrap_or_else(|| status_of(error.kind()));
    let rendered = (dialect.refuse)(&Problem {
        status,
        error: &error,
        faults: &faults,
        request: id,
    });
    if status.is_server_error() {
        tracing::warn!(request = id, status = status.as_u16(), error = ?error, "refused");
    } else {
        tracing::debug!(
            request = id,
            status = status.as_u16(),
            code = error.stable_code(),
            "refused"
        );
    }
    let mut response = build(
        rendered.status,
        Some(rendered.content_type),
        Body::from(rendered.body.to_string()),
    );
    let headers = response.headers_mut();
    let mut set = |name: header::HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    if rendered.status == StatusCode::UNAUTHORIZED {
        set(header::WWW_AUTHENTICATE, "Bearer".to_owned());
    }
    if let Some(wait) = error.wait() {
        set(header::RETRY_AFTER, wait.as_secs().max(1).to_string());
    }
    if let Some(allow) = allow {
        set(header::ALLOW, allow);
    }
    if close {
        set(header::CONNECTION, "close".to_owned());
    }
    response
}

fn build(status: StatusCode, content_type: Option<&'static str>, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if let Some(content_type) = content_type {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}

/// The client's own id of the request where it is a plain word, else a new
/// one.
fn request_id(door: &Inner, headers: &HeaderMap) -> String {
    let plain = |id: &&str| {
        (1..=128).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    match headers
        .get(REQUEST_ID)
        .and_then(|v| v.to_str().ok())
        .filter(plain)
    {
        Some(id) => id.to_owned(),
        None => format!("{:016x}", door.host.env().random()),
    }
}

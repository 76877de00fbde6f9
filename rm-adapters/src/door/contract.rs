//! What the door asks of an adapter.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use rm_core::env::Timestamp;
use rm_core::registry::{Adapter, Contract};
use rm_core::{Call, Result, Role};
use serde_json::{Map, Value};

use super::events::ServerEvent;
use super::problem::{self, Problem, Rendered};
use super::request::Request;

/// A translator between JSON over HTTP and the neutral model.
///
/// The door takes everything from [`JsonContract::routes`]: it calls
/// [`JsonContract::serve`] only for an operation of that table, after the
/// caller was found to be allowed to, and with a query and a body that fit the
/// table's schemas.
#[async_trait]
pub trait JsonContract: Adapter {
    /// How this adapter's clients speak.
    fn dialect(&self) -> &Dialect;

    /// The operations it serves.
    fn routes(&self) -> &'static [Route];

    /// The JSON schemas that the routes name, by name.
    fn schemas(&self) -> Map<String, Value>;

    /// Serves one call.
    async fn serve(&self, call: &Call<'_>, request: Request) -> Result<Reply>;
}

impl Contract for dyn JsonContract {
    const NAME: &'static str = "json";
}

/// How the clients of an adapter speak.
#[derive(Debug, Clone)]
pub struct Dialect {
    /// What every path begins with; empty, or `/` and a name.
    pub prefix: String,
    /// Where the token is.
    pub token: TokenHeader,
    /// Another way to say who is calling, if there is one; where a client uses
    /// it, it counts.
    pub signed: Option<Arc<dyn SignedHeader>>,
    /// Whether paths end with a slash; without one they are served, too.
    pub slash: bool,
    /// How a refusal is told.
    pub refuse: fn(&Problem<'_>) -> Rendered,
}

impl Dialect {
    /// Bearer tokens and problem details, at the root.
    pub fn plain() -> Self {
        Self {
            prefix: String::new(),
            token: TokenHeader::Bearer,
            signed: None,
            slash: false,
            refuse: problem::details,
        }
    }
}

/// Where a client puts its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenHeader {
    /// `Authorization: Bearer TOKEN`.
    Bearer,
    /// The token alone, in a header of its own.
    Own(HeaderName),
}

/// A header by which a service that is trusted speaks for a user of the table
/// of tokens.
pub trait SignedHeader: fmt::Debug + Send + Sync {
    /// Its name.
    fn header(&self) -> &HeaderName;

    /// For which user it speaks.
    ///
    /// # Errors
    ///
    /// [`Unauthenticated`](rm_core::ErrorKind::Unauthenticated) for what is not
    /// to be believed. The message repeats nothing of the value.
    fn user(&self, value: &str, now: Timestamp) -> Result<String>;
}

/// One operation.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path below the prefix; `{name}` is a parameter.
    pub path: &'static str,
    /// Unique among all adapters.
    pub operation: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Who may call it at all; the finer rules are core's.
    pub access: Access,
    /// Query parameters; any other is refused.
    pub query: &'static [Param],
    /// Headers it understands beside the usual ones.
    pub headers: &'static [Param],
    /// The schema of the body; none is taken where absent.
    pub input: Option<&'static str>,
    /// What it answers when all goes well: status and schema.
    pub output: &'static [(u16, Option<&'static str>)],
    /// Whether it may answer a stream of events.
    pub events: bool,
}

impl Route {
    /// A route that takes no body, open to everybody with a token.
    pub const fn new(
        method: Method,
        path: &'static str,
        operation: &'static str,
        summary: &'static str,
        output: &'static [(u16, Option<&'static str>)],
    ) -> Self {
        Self {
            method,
            path,
            operation,
            summary,
            access: Access::Token,
            query: &[],
            headers: &[],
            input: None,
            output,
            events: false,
        }
    }

    /// Who may call it.
    #[must_use]
    pub const fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// The schema of its body.
    #[must_use]
    pub const fn takes(mut self, schema: &'static str) -> Self {
        self.input = Some(schema);
        self
    }

    /// Its query parameters.
    #[must_use]
    pub const fn query(mut self, query: &'static [Param]) -> Self {
        self.query = query;
        self
    }

    /// Its headers.
    #[must_use]
    pub const fn headers(mut self, headers: &'static [Param]) -> Self {
        self.headers = headers;
        self
    }

    /// It may answer a stream of events.
    #[must_use]
    pub const fn streams(mut self) -> Self {
        self.events = true;
        self
    }
}

/// The methods that routes have. `HEAD` is served wherever `GET` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or does.
    Post,
    /// Sets as a whole.
    Put,
    /// Changes in part.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// As the wire has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who may call an operation at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a token.
    Public,
    /// Everybody with a token.
    Token,
    /// Who has the role.
    Role(Role),
}

/// A parameter of a query, or a header.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub kind: ParamKind,
    /// One line for people.
    pub summary: &'static str,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// Any text of at most so many bytes.
    Text(usize),
    /// `true` or `false`.
    Flag,
    /// A whole number between these.
    Number(u64, u64),
    /// One of these words.
    Word(&'static [&'static str]),
}

/// What an adapter answers.
pub enum Reply {
    /// JSON.
    Json {
        /// The status.
        status: StatusCode,
        /// Headers beside the usual ones.
        headers: Vec<(HeaderName, HeaderValue)>,
        /// The body.
        body: Value,
    },
    /// Text of a type of its own.
    Text {
        /// The content type.
        content_type: &'static str,
        /// The body.
        body: String,
    },
    /// Nothing: 204.
    Empty,
    /// Events, as long as the client listens.
    Events(Box<dyn EventSource>),
}

impl Reply {
    /// 200 with this body.
    pub fn ok(body: Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// 201 with this body.
    pub fn created(body: Value) -> Self {
        Self::json(StatusCode::CREATED, body)
    }

    /// This status with this body.
    pub fn json(status: StatusCode, body: Value) -> Self {
        Self::Json {
            status,
            headers: Vec::new(),
            body,
        }
    }

    /// One header more, where the value can be one.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let (Self::Json { headers, .. }, Ok(value)) = (&mut self, HeaderValue::from_str(value)) {
            headers.push((name, value));
        }
        self
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json { status, .. } => f.debug_tuple("Json").field(status).finish(),
            Self::Text { content_type, .. } => f.debug_tuple("Text").field(content_type).finish(),
            Self::Empty => f.write_str("Empty"),
            Self::Events(_) => f.write_str("Events"),
        }
    }
}

/// Reads events for one client. The door asks it again after news, keeps the
/// line open and ends it when the service stops.
#[async_trait]
pub trait EventSource: Send {
    /// What has come since the last time; empty where nothing has.
    async fn next(&mut self, call: &Call<'_>) -> Result<Vec<ServerEvent>>;
}

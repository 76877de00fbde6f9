//! The aggregate manager API, versions 2 and 3: which methods there are, who
//! may call them, how they are answered.
//!
//! Whatever a method does, its answer is the return struct. A fault tells only
//! that there is no such method, or that the number of arguments is wrong.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use rm_core::{Caller, Error, ErrorKind, Host, Result};

use super::Urn;
use super::bench::Bench;
use super::codes::Code;
use super::credentials::{Certificate, CredentialVerifier, Roots};
use super::xmlrpc::{Call, Fault, Value, answer};

mod allow;
mod arguments;
mod list;
mod version;

/// What a host says of itself to GENI.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// Its URN, of the type `authority`.
    pub urn: Urn,
    /// Where its clients reach it, `https://host:port` without a path.
    pub base: String,
    /// Whether version 2 lists what there is to who brings no credential.
    pub open_v2: bool,
    /// The same for version 3.
    pub open_v3: bool,
}

impl Aggregate {
    /// One of this name at this place; version 2 lists to everybody who has a
    /// certificate, as is custom, version 3 does not.
    pub fn new(urn: Urn, base: impl Into<String>) -> Self {
        Self {
            urn,
            base: base.into(),
            open_v2: true,
            open_v3: false,
        }
    }
}

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Version 2.
    V2,
    /// Version 3.
    V3,
}

impl Version {
    /// Which version is at a path; the newest where it does not say.
    pub fn of_path(path: &str) -> Option<Self> {
        match path.trim_end_matches('/') {
            "/xmlrpc/am/2.0" | "/xmlrpc/am/2" | "/2" => Some(Self::V2),
            "" | "/RPC2" | "/xmlrpc/am" | "/xmlrpc/am/3.0" | "/xmlrpc/am/3" | "/3" => {
                Some(Self::V3)
            }
            _ => None,
        }
    }

    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Self::V2 => "/xmlrpc/am/2.0",
            Self::V3 => "/xmlrpc/am/3.0",
        }
    }

    /// Its number.
    pub fn number(self) -> i64 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// Methods by name: what they do, and how many arguments they take.
const METHODS: &[(&str, Method, std::ops::RangeInclusive<usize>)] = &[
    ("GetVersion", Method::GetVersion, 0..=1),
    ("ListResources", Method::ListResources, 2..=2),
];

#[derive(Debug, Clone, Copy)]
enum Method {
    GetVersion,
    ListResources,
}

/// What serves both versions.
#[derive(Debug, Clone)]
pub(super) struct Rpc {
    pub(super) host: Arc<Host>,
    pub(super) aggregate: Aggregate,
    pub(super) roots: Arc<Roots>,
    pub(super) verifier: Arc<dyn CredentialVerifier>,
    pub(super) bench: Bench,
}

impl Rpc {
    /// The answer to a call, as XML-RPC.
    pub(super) async fn answer(&self, version: Version, peer: &Certificate, call: &Call) -> String {
        let name = call.method.as_str();
        let Some((_, method, takes)) = METHODS.iter().find(|(n, ..)| *n == name) else {
            let known: Vec<&str> = METHODS.iter().map(|(name, ..)| *name).collect();
            return Fault::no_such_method(name, &known).print();
        };
        if !takes.contains(&call.arguments.len()) {
            let wanted = match (takes.start(), takes.end()) {
                (a, b) if a == b => format!("{a} arguments"),
                (a, b) => format!("{a} to {b} arguments"),
            };
            return Fault::wrong_arguments(name, call.arguments.len(), &wanted).print();
        }
        let doing = async {
            match method {
                Method::GetVersion => Ok(version::get_version(&self.aggregate, version)),
                Method::ListResources => self.list_resources(version, peer, &call.arguments).await,
            }
        };
        // A defect of an adapter is one answer and not the end of the line.
        let done = AssertUnwindSafe(doing).catch_unwind().await;
        let done = done.unwrap_or_else(|_| {
            Err(
                Error::new(ErrorKind::Internal, "the call met a defect of this service")
                    .advice("tell the operator the number of the request"),
            )
        });
        let id = format!("{:016x}", self.host.env().random());
        let user = peer.urn().map(Urn::as_str).unwrap_or_default();
        answer(&match done {
            Ok(value) => {
                tracing::debug!(request = id, user, method = name, "answered");
                succeeded(*method, version, value)
            }
            Err(e) => {
                tracing::info!(request = id, user, method = name, error = ?e, "refused");
                failed(&self.aggregate, &e, &id)
            }
        })
    }

    /// Who a certificate is to the rest of the house: a user of the tenant
    /// that is the authority, whatever the case in which somebody wrote it.
    fn caller(user: &Certificate) -> Result<Caller> {
        let urn = user.urn().ok_or_else(|| {
            Error::new(
                ErrorKind::Unauthenticated,
                "the client's certificate has no URN",
            )
        })?;
        Ok(Caller::user(
            urn.spelling(),
            urn.authority().to_ascii_lowercase(),
        ))
    }
}

fn succeeded(method: Method, version: Version, value: Value) -> Value {
    let mut members = vec![
        ("code", code(Code::Success, [])),
        ("value", value),
        ("output", Value::text("")),
    ];
    if matches!(method, Method::GetVersion) {
        // A leftover of version 1 that clients look for.
        members.push(("geni_api", Value::Int(version.number())));
    }
    Value::of(members)
}

/// A refusal, with the words and the id by which an operator finds it in the
/// log.
fn failed(aggregate: &Aggregate, error: &Error, id: &str) -> Value {
    let log = Urn::new(aggregate.urn.authority(), "log", id);
    let more = [
        ("protogeni_error_log", Value::text(log.as_str())),
        ("protogeni_error_url", Value::text("")),
        ("reason", Value::text(error.stable_code())),
    ];
    Value::of([
        ("code", code(Code::of(error), more)),
        ("value", Value::text("")),
        ("output", Value::text(format!("{error} (request {id})"))),
    ])
}

fn code(code: Code, more: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let own = [
        ("geni_code", Value::Int(code.number())),
        ("am_type", Value::text("resource-manager")),
        ("am_code", Value::Int(code.number())),
    ];
    Value::of(own.into_iter().chain(more))
}

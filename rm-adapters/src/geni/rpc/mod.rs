//! The aggregate manager API, versions 2 and 3: which methods there are, who
//! may call them, how they are answered.
//!
//! Whatever a method does, its answer is the return struct. A fault tells only
//! that there is no such method, or that the number of arguments is wrong.

use std::ops::RangeInclusive;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use rm_core::registry::Contract;
use rm_core::{Caller, Error, ErrorKind, Host, Result};

use super::Urn;
use super::aggregate::Aggregate;
use super::bench::Bench;
use super::credentials::{Certificate, CredentialVerifier, Operation, Roots};
use super::slice::{SliceCall, SliceV2, SliceV3};
use super::sliver::Refusal;
use super::xmlrpc::{Call, Fault, Value, answer};

mod allow;
mod answer;
mod arguments;
mod list;
mod v2;
mod v3;
mod version;

use allow::Permitted;
use answer::{Answer, failed, succeeded};
use arguments::{Options, credentials, slice_urn};

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

/// Methods by name, how many arguments they take, and what they do.
type Methods = &'static [(&'static str, RangeInclusive<usize>, Method)];

const V2: Methods = &[
    ("GetVersion", 0..=1, Method::GetVersion),
    ("ListResources", 2..=2, Method::ListResources),
    ("CreateSliver", 5..=5, Method::Create),
    ("DeleteSliver", 3..=3, Method::Delete),
    ("SliverStatus", 3..=3, Method::Status),
    ("RenewSliver", 4..=4, Method::Renew),
    ("Shutdown", 3..=3, Method::Shutdown),
];

const V3: Methods = &[
    ("GetVersion", 0..=1, Method::GetVersion),
    ("ListResources", 2..=2, Method::ListResources),
    ("Describe", 3..=3, Method::Describe),
    ("Allocate", 4..=4, Method::Create),
    ("Provision", 3..=3, Method::Provision),
    ("Status", 3..=3, Method::Status),
    ("PerformOperationalAction", 4..=4, Method::Act),
    ("Renew", 4..=4, Method::Renew),
    ("Delete", 3..=3, Method::Delete),
    ("Shutdown", 3..=3, Method::Shutdown),
];

/// What there is to do, whatever a version calls it.
#[derive(Debug, Clone, Copy)]
enum Method {
    GetVersion,
    ListResources,
    Create,
    Describe,
    Provision,
    Status,
    Act,
    Renew,
    Delete,
    Shutdown,
}

/// What serves both versions.
#[derive(Debug, Clone)]
pub(super) struct Rpc {
    pub(super) host: Arc<Host>,
    pub(super) aggregate: Aggregate,
    pub(super) roots: Arc<Roots>,
    pub(super) verifier: Arc<dyn CredentialVerifier>,
    /// Whether the chains of clients' certificates are remembered, as verdicts are.
    pub(super) remembers: bool,
    pub(super) bench: Bench,
}

impl Rpc {
    /// The answer to a call, as XML-RPC.
    pub(super) async fn answer(&self, version: Version, peer: &Certificate, call: &Call) -> String {
        let name = call.method.as_str();
        let methods = match version {
            Version::V2 => V2,
            Version::V3 => V3,
        };
        let Some((_, takes, method)) = methods.iter().find(|(n, ..)| *n == name) else {
            let known: Vec<&str> = methods.iter().map(|(name, ..)| *name).collect();
            return self.fault(peer, Fault::no_such_method(name, &known));
        };
        if !takes.contains(&call.arguments.len()) {
            let wanted = match (takes.start(), takes.end()) {
                (a, b) if a == b => format!("{a} arguments"),
                (a, b) => format!("{a} to {b} arguments"),
            };
            let fault = Fault::wrong_arguments(name, call.arguments.len(), &wanted);
            return self.fault(peer, fault);
        }
        let doing = self.perform(version, *method, peer, &call.arguments);
        // A defect of an adapter is one answer and not the end of the line.
        let done = AssertUnwindSafe(doing).catch_unwind().await;
        let done = done.unwrap_or_else(|_| {
            Err(
                Error::new(ErrorKind::Internal, "the call met a defect of this service")
                    .advice("tell the operator the number of the request")
                    .into(),
            )
        });
        let id = self.number();
        let user = peer.urn().map(Urn::as_str).unwrap_or_default();
        answer(&match done {
            Ok(answer) => {
                match &answer.changed {
                    Some(changed) => changed.tell(&id, user, name),
                    None => tracing::debug!(request = id, user, method = name, "answered"),
                }
                // A leftover of version 1 that clients look for.
                let api = matches!(method, Method::GetVersion).then(|| version.number());
                succeeded(answer, api)
            }
            Err(refusal) => {
                tracing::info!(request = id, user, method = name, error = ?refusal.error, "refused");
                failed(&self.aggregate, &refusal, &id)
            }
        })
    }

    /// A fault as XML-RPC, with a number by which an operator finds it in the log.
    pub(super) fn fault(&self, peer: &Certificate, fault: Fault) -> String {
        let id = self.number();
        let user = peer.urn().map(Urn::as_str).unwrap_or_default();
        tracing::info!(request = id, user, code = fault.code, fault = ?fault.text, "refused");
        let text = format!("{} (request {id})", fault.text);
        Fault { text, ..fault }.print()
    }

    /// What no other call is known by.
    pub(super) fn number(&self) -> String {
        format!("{:016x}", self.host.env().random())
    }

    async fn perform(
        &self,
        version: Version,
        method: Method,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        match (version, method) {
            (_, Method::GetVersion) => Ok(version::get_version(self, version).into()),
            (_, Method::ListResources) => self.list_resources(version, peer, arguments).await,
            (_, Method::Shutdown) => self.shutdown(version, peer, arguments).await,
            (Version::V2, Method::Create) => self.create_sliver(peer, arguments).await,
            (Version::V2, Method::Status) => self.sliver_status(peer, arguments).await,
            (Version::V2, Method::Renew) => self.renew_sliver(peer, arguments).await,
            (Version::V2, Method::Delete) => self.delete_sliver(peer, arguments).await,
            (Version::V3, Method::Create) => self.allocate(peer, arguments).await,
            (Version::V3, Method::Status) => self.status(peer, arguments).await,
            (Version::V3, Method::Renew) => self.renew(peer, arguments).await,
            (Version::V3, Method::Delete) => self.delete(peer, arguments).await,
            (_, Method::Describe) => self.describe(peer, arguments).await,
            (_, Method::Provision) => self.provision(peer, arguments).await,
            (_, Method::Act) => self.act(peer, arguments).await,
        }
    }

    /// Ends all that happens in a slice.
    async fn shutdown(
        &self,
        version: Version,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let options = Options::of(arguments.get(2))?;
        let (slice, by) = self
            .on_slice(peer, arguments, options, Operation::Shutdown)
            .await?;
        let member = by.member.as_ref().map_or("nobody", Urn::as_str);
        let call = self.on(&slice, &by);
        let ended = match version {
            Version::V2 => {
                self.adapter::<dyn SliceV2>()?
                    .shutdown(&call, member)
                    .await?
            }
            Version::V3 => {
                self.adapter::<dyn SliceV3>()?
                    .shutdown(&call, member)
                    .await?
            }
        };
        Ok(Answer::from(Value::Bool(true)).changing(&slice, &by, ended))
    }

    /// What a call on a slice begins with: on which, and by what it is granted.
    async fn on_slice(
        &self,
        peer: &Certificate,
        arguments: &[Value],
        options: Options<'_>,
        operation: Operation,
    ) -> Result<(Urn, Permitted)> {
        let slice = slice_urn(arguments.first())?;
        let brought = credentials(arguments.get(1))?;
        let by = self
            .permit(peer, brought, options, &slice, operation)
            .await?;
        Ok((slice, by))
    }

    /// The adapter of a contract.
    fn adapter<C: ?Sized + Contract>(&self) -> Result<Arc<C>> {
        let adapters = self.host.adapters().all::<C>();
        adapters.into_iter().next().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("nothing in this program fulfils {:?}", C::NAME),
            )
            .advice("the operator's program has to register what does")
        })
    }

    /// A call on a slice that is permitted.
    fn on<'a>(&'a self, slice: &'a Urn, by: &Permitted) -> SliceCall<'a> {
        SliceCall {
            host: &self.host,
            aggregate: &self.aggregate,
            slice,
            until: by.until,
            bench: &self.bench,
        }
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

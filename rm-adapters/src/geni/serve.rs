//! The door for GENI's clients: TLS, HTTP, XML-RPC.
//!
//! ```text
//! listener -> limits -> client certificate -> POST -> XML-RPC -> Rpc -> return struct
//! ```

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::service::service_fn;
use rm_core::{Host, Result};
use tokio_rustls::TlsAcceptor;

use super::Urn;
use super::aggregate::Aggregate;
use super::bench::Bench;
use super::body::{Large, Unread};
use super::credentials::{CredentialVerifier, Remembering, Roots, XmlVerifier};
use super::rpc::{Rpc, Version};
use super::slice;
use super::tls::{self, Client};
use super::xmlrpc::{Call, Fault};
use crate::door::lines::{self, LineLimits};

/// How long a client may take to prove who it is.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often slices of which nothing is left are forgotten.
const TIDY: Duration = Duration::from_secs(600);
/// How long a body may take to arrive.
const BODY: Duration = Duration::from_secs(60);

/// A door through which a host serves GENI's aggregate manager API.
#[derive(Clone)]
pub struct GeniDoor {
    rpc: Arc<Rpc>,
    acceptor: TlsAcceptor,
    limits: LineLimits,
    large: Large,
}

impl std::fmt::Debug for GeniDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("GeniDoor").field(&self.rpc).finish()
    }
}

impl GeniDoor {
    /// A door with this certificate and key, in PEM, to who is trusted.
    ///
    /// # Errors
    ///
    /// Where certificate and key cannot be used.
    pub fn new(
        host: Arc<Host>,
        aggregate: Aggregate,
        roots: Arc<Roots>,
        certificates: &str,
        key: &str,
    ) -> Result<Self> {
        let env = Arc::clone(host.env());
        let config = tls::server(certificates, key, Arc::clone(&roots), env)?;
        Ok(Self {
            rpc: Arc::new(Rpc {
                host,
                aggregate,
                roots,
                verifier: Arc::new(Remembering::new(Arc::new(XmlVerifier))),
                remembers: true,
                bench: Bench::default(),
            }),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            limits: LineLimits {
                connections: 1024,
                header_time: Duration::from_secs(30),
                grace: Duration::from_secs(10),
            },
            large: Large::default(),
        })
    }

    /// With another verifier of credentials, instead of [`XmlVerifier`] whose
    /// verdicts are [remembered](Remembering). The door itself remembers nothing
    /// then: each call follows the client's certificates to a root again.
    #[must_use]
    pub fn verifying(mut self, verifier: Arc<dyn CredentialVerifier>) -> Self {
        self.rpc = Arc::new(Rpc {
            verifier,
            remembers: false,
            ..Rpc::clone(&self.rpc)
        });
        self
    }

    /// With this many lines at once, instead of 1024. Those on which nothing was
    /// asked yet give way, and one address has a quarter of all for them.
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.limits.connections = most;
        self
    }

    /// Serves until `stop` ends; what is under way then has ten seconds.
    pub async fn serve(
        &self,
        listener: impl Listener<Addr = SocketAddr>,
        stop: impl Future<Output = ()>,
    ) {
        let open = |io| {
            let (rpc, acceptor) = (Arc::clone(&self.rpc), self.acceptor.clone());
            let large = self.large.clone();
            async move {
                let line = tokio::time::timeout(HANDSHAKE, acceptor.accept(io)).await;
                let line = line.ok()?.ok()?;
                let (leaf, above) = line.get_ref().1.peer_certificates()?.split_first()?;
                let client = Arc::new(Client::of(leaf, above).ok()?);
                let service = service_fn(move |request| {
                    let (rpc, client) = (Arc::clone(&rpc), Arc::clone(&client));
                    let large = large.clone();
                    async move { Ok::<_, Infallible>(respond(&rpc, &client, &large, request).await) }
                });
                Some((line, service))
            }
        };
        tokio::select! {
            () = lines::serve(listener, self.limits, open, stop, || {}) => {}
            () = self.keep_tidy() => {}
        }
    }

    /// Forgets slices of which nothing is left; serving does so every ten
    /// minutes. Answers how many there were.
    ///
    /// # Errors
    ///
    /// Where the store cannot be asked.
    pub async fn tidy(&self) -> Result<usize> {
        slice::tidy(&self.rpc.host).await
    }

    async fn keep_tidy(&self) {
        loop {
            tokio::time::sleep(TIDY).await;
            if let Err(e) = self.tidy().await {
                tracing::warn!(error = %e, "slices of which nothing is left could not be forgotten");
            }
        }
    }
}

async fn respond(
    rpc: &Rpc,
    client: &Client,
    large: &Large,
    request: Request<Incoming>,
) -> Response<Body> {
    let refuse = |status, text| refused(rpc, client, status, text);
    if let Err(e) = client.trusted(&rpc.roots, rpc.host.env().now(), rpc.remembers) {
        tracing::info!(error = %e, "a client is not let in any more");
        let mut refusal = refuse(
            StatusCode::FORBIDDEN,
            "your certificate is not trusted any more; connect with another",
        );
        refusal
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        return refusal;
    }
    if request.method() != Method::POST {
        let mut refusal = refuse(StatusCode::METHOD_NOT_ALLOWED, "send a POST with XML-RPC");
        refusal
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("POST"));
        return refusal;
    }
    let Some(version) = Version::of_path(request.uri().path()) else {
        return refuse(
            StatusCode::NOT_FOUND,
            "nothing is at this path; there are /xmlrpc/am/2.0 and /xmlrpc/am/3.0",
        );
    };
    let name = client.certificate.urn().map(Urn::as_str);
    let reading = large.read(name.unwrap_or_default(), request.into_body());
    let (_place, body) = match tokio::time::timeout(BODY, reading).await {
        Ok(Ok(read)) => read,
        Ok(Err(Unread::TooLarge)) => {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "the call is too large");
        }
        Ok(Err(Unread::Broken)) => {
            return refuse(StatusCode::BAD_REQUEST, "the call broke off");
        }
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, "the call took too long"),
    };
    let text = match rpc.bench.take(move || Call::parse(&body)).await {
        Ok(Ok(call)) => rpc.answer(version, &client.certificate, &call).await,
        Ok(Err(e)) => rpc.fault(&client.certificate, Fault::unreadable(e.to_string())),
        Err(e) => rpc.fault(&client.certificate, Fault::busy(e.to_string())),
    };
    let mut response = Response::new(Body::from(text));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}

/// A refusal that is no XML-RPC, with a number by which an operator finds it in the
/// log.
fn refused(rpc: &Rpc, client: &Client, status: StatusCode, text: &str) -> Response<Body> {
    let request = rpc.number();
    let user = client.certificate.urn().map(Urn::as_str);
    let user = user.unwrap_or_default();
    tracing::info!(request, user, status = status.as_u16(), text, "refused");
    let mut response = Response::new(Body::from(format!("{text} (request {request})\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

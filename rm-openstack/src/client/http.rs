//! HTTP as this client uses it: bounded, without redirects, counted.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};

use super::catalog::Service;
use super::error::{Call, Effect, Error, Transport};
use super::failure::{refusal, tidy};
use super::pem;

/// How rustls begins what it says of a certificate that it does not accept. Its type is hidden
/// behind those of hyper and std.
const UNTRUSTED: &str = "invalid peer certificate";

const DEFAULT_MAX_BODY: usize = 16 * 1024 * 1024;

/// How connections are made and what an answer may cost.
#[derive(Clone)]
pub struct HttpConfig {
    /// Time to get a connection.
    pub connect_timeout: Duration,
    /// Time for a whole call: waiting for a login, asking, reading the answer.
    pub call_timeout: Duration,
    /// Most bytes that are read of an answer.
    pub max_body: usize,
    /// How this program presents itself.
    pub user_agent: String,
    /// Certificates in PEM that are trusted beside those of the system.
    pub ca_pem: Option<Vec<u8>>,
    /// Whether servers must prove who they are. Only for test installations is this ever false.
    pub verify: bool,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(60),
            max_body: DEFAULT_MAX_BODY,
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
            ca_pem: None,
            verify: true,
        }
    }
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig")
            .field("connect_timeout", &self.connect_timeout)
            .field("call_timeout", &self.call_timeout)
            .field("max_body", &self.max_body)
            .field("user_agent", &self.user_agent)
            .field("ca_pem", &self.ca_pem.is_some())
            .field("verify", &self.verify)
            .finish()
    }
}

impl HttpConfig {
    /// A client with these settings, following `redirects`.
    pub(crate) fn client(
        &self,
        redirects: reqwest::redirect::Policy,
    ) -> Result<reqwest::Client, Error> {
        let mut builder = reqwest::Client::builder()
            .http1_only()
            .redirect(redirects)
            .connect_timeout(self.connect_timeout)
            // Less than the shortest keep-alive of the servers in use (Apache's 5 s): a request
            // sent into a connection that is being closed is lost without anybody knowing whether
            // it was read.
            .pool_idle_timeout(Duration::from_secs(4))
            .user_agent(self.user_agent.as_str());
        if let Some(text) = &self.ca_pem {
            let certificates = pem::certificates(text).map_err(|error| {
                Error::invalid(format!("the text of certificates to trust {error}"))
            })?;
            builder = builder.tls_certs_merge(certificates);
        }
        if !self.verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        builder.build().map_err(|error| {
            Error::invalid(format!("no HTTP client can be made: {}", words(error)))
        })
    }
}

/// How many requests were made of each service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts([u64; Service::ALL.len()]);

impl CallCounts {
    /// Requests to one service.
    pub fn of(&self, service: Service) -> u64 {
        self.0.get(service.index()).copied().unwrap_or(0)
    }

    /// Requests to all services.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters([AtomicU64; Service::ALL.len()]);

impl Counters {
    pub(crate) fn add(&self, service: Service) {
        if let Some(counter) = self.0.get(service.index()) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> CallCounts {
        let mut counts = CallCounts::default();
        for (count, counter) in counts.0.iter_mut().zip(&self.0) {
            *count = counter.load(Ordering::Relaxed);
        }
        counts
    }
}

/// One request, with everything in it.
pub(crate) struct Outgoing<'a> {
    pub(crate) call: Call,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) token: Option<&'a str>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<reqwest::Body>,
    pub(crate) timeout: Duration,
}

/// An answer with its whole body.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn refused(&self, call: Call, secrets: &[&str], delegated: bool) -> Error {
        let status = self.status.as_u16();
        let mut refusal = refusal(call, status, &self.headers, &self.body, secrets, delegated);
        if self.status.is_redirection() {
            // Its text is the address, which does not help whoever reads the message.
            "the service points to another address, which is not followed"
                .clone_into(&mut refusal.message);
        }
        Error::Refused(Box::new(refusal))
    }
}

#[derive(Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    max_body: usize,
    pub(crate) counters: Counters,
}

impl Http {
    pub(crate) fn new(config: &HttpConfig) -> Result<Self, Error> {
        Ok(Self {
            client: config.client(reqwest::redirect::Policy::none())?,
            max_body: config.max_body,
            counters: Counters::default(),
        })
    }

    /// Sends one request and reads its answer, whatever its status.
    pub(crate) async fn send(&self, outgoing: Outgoing<'_>) -> Result<Reply, Error> {
        let call = outgoing.call;
        let mut request = self
            .client
            .request(outgoing.method, outgoing.url)
            .headers(outgoing.headers)
            .header(reqwest::header::ACCEPT, "application/json")
            .timeout(outgoing.timeout);
        if let Some(token) = outgoing.token {
            let mut value = HeaderValue::from_str(token)
                .map_err(|_| Error::invalid("the token has characters that HTTP does not allow"))?;
            value.set_sensitive(true);
            request = request.header("X-Auth-Token", value);
        }
        if let Some(body) = outgoing.body {
            request = request.body(body);
        }
        self.counters.add(call.service);
        let response = request.send().await.map_err(|error| broken(call, error))?;
        self.read(call, response).await
    }

    async fn read(&self, call: Call, mut response: reqwest::Response) -> Result<Reply, Error> {
        let too_large = || {
            Error::unreadable(
                call,
                format!("the answer is larger than {} bytes", self.max_body),
            )
        };
        let status = response.status();
        tracing::debug!(service = %call.service, operation = call.operation, status = status.as_u16());
        let headers = std::mem::take(response.headers_mut());
        if response
            .content_length()
            .is_some_and(|length| length > self.max_body as u64)
        {
            return Err(too_large());
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > self.max_body => {
                    return Err(too_large());
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                // The status alone tells enough of a refusal.
                Err(_) if status.is_client_error() || status.is_server_error() => break,
                Err(error) => return Err(broken(call, error)),
            }
        }
        Ok(Reply {
            status,
            headers,
            body,
        })
    }
}

pub(crate) fn broken(call: Call, error: reqwest::Error) -> Error {
    let (connect, timeout) = (error.is_connect() || error.is_builder(), error.is_timeout());
    let why = words(error);
    let (how, effect, what) = if connect && why.starts_with(UNTRUSTED) {
        (Transport::Untrusted, Effect::None, why)
    } else if connect {
        let what = format!("no connection: {why}");
        (Transport::Connect, Effect::None, what)
    } else if timeout {
        let what = "no answer in time".to_owned();
        (Transport::Timeout, call.doubt(), what)
    } else {
        let what = format!("the connection broke: {why}");
        (Transport::Broken, call.doubt(), what)
    };
    Error::Transport {
        call,
        how,
        effect,
        what,
    }
}

/// The causes of an error without the address it was about.
pub(crate) fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    let mut last = error.to_string();
    while let Some(inner) = cause {
        last = inner.to_string();
        cause = inner.source();
    }
    tidy(&last)
}

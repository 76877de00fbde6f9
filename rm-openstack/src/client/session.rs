//! A login that many calls share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::auth::Auth;
use super::catalog::{Interface, Service, base_url};
use super::error::{Call, Effect, Error, Transport};
use super::http::{CallCounts, Http, HttpConfig, Outgoing, Reply};
use super::token::Token;
use super::wire::{Ask, parsed, redirected};

/// Tells the time in Unix milliseconds. Passed in, so that a simulated world has its own.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

const LOG_IN: Call = Call::read(Service::Identity, "log in");

/// All that a session needs to know.
#[derive(Clone)]
pub struct SessionConfig {
    /// Keystone's address, with or without `/v3`.
    pub auth_url: String,
    /// Who logs in.
    pub auth: Auth,
    /// Region of the services; needed only where the catalog has several.
    pub region: Option<String>,
    /// From which side the services are reached.
    pub interface: Interface,
    /// Connections and limits.
    pub http: HttpConfig,
    /// How long before its end a token is replaced.
    pub renew_margin: Duration,
    /// The time.
    pub now: Clock,
}

impl SessionConfig {
    /// A configuration with the usual limits.
    pub fn new(auth_url: impl Into<String>, auth: Auth, now: Clock) -> Self {
        Self {
            auth_url: auth_url.into(),
            auth,
            region: None,
            interface: Interface::Public,
            http: HttpConfig::default(),
            renew_margin: Duration::from_secs(120),
            now,
        }
    }
}

impl fmt::Debug for SessionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionConfig")
            .field("auth", &self.auth)
            .field("region", &self.region)
            .field("interface", &self.interface)
            .field("http", &self.http)
            .field("renew_margin", &self.renew_margin)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Login {
    token: Option<Arc<Token>>,
    failure: Option<Error>,
}

struct Shared {
    http: Http,
    auth_url: Url,
    auth: Auth,
    region: Option<String>,
    interface: Interface,
    margin: i64,
    now: Clock,
    login_timeout: Duration,
    login: Mutex<Login>,
    /// How many logins have come to an end: who waited for one shares its failure.
    logins: AtomicU64,
}

/// A login at one cloud, shared by its clones: one token, one pool of connections, one count of
/// requests.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
    timeout: Duration,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("auth", &self.shared.auth)
            .field("region", &self.shared.region)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Prepares a session. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an address or certificate that cannot be used.
    pub fn new(config: SessionConfig) -> Result<Self, Error> {
        let timeout = config.http.call_timeout;
        Ok(Self {
            shared: Arc::new(Shared {
                http: Http::new(&config.http)?,
                auth_url: auth_url(&config.auth_url)?,
                auth: config.auth,
                region: config.region,
                interface: config.interface,
                margin: i64::try_from(config.renew_margin.as_millis()).unwrap_or(i64::MAX),
                now: config.now,
                login_timeout: timeout,
                login: Mutex::default(),
                logins: AtomicU64::new(0),
            }),
            timeout,
        })
    }

    /// The same session for calls that may take this long, from beginning to end.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            timeout,
        }
    }

    /// How many requests were made so far, by this session and its clones.
    pub fn calls(&self) -> CallCounts {
        self.shared.http.counters.read()
    }

    /// A token that is good for a while, from the last login or a new one.
    ///
    /// # Errors
    /// Keystone's refusal, or that it could not be reached.
    pub async fn token(&self) -> Result<Arc<Token>, Error> {
        self.token_until(Instant::now() + self.timeout, None).await
    }

    /// Where a service is.
    ///
    /// # Errors
    /// As [`Session::token`], or [`Error::NoEndpoint`].
    pub async fn endpoint(&self, service: Service) -> Result<Url, Error> {
        self.endpoint_of(&*self.token().await?, service)
    }

    fn endpoint_of(&self, token: &Token, service: Service) -> Result<Url, Error> {
        let region = self.shared.region.as_deref();
        token
            .catalog
            .endpoint(service, self.shared.interface, region)
    }

    /// Asks a service and reads its answer as `T`.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, call: Call, ask: &Ask) -> Result<T, Error> {
        parsed(call, &self.send(call, ask).await?)
    }

    /// Asks a service; an error status is an error. A token that the service does not take is
    /// replaced once, and the request made again: a 401 is given before any work is done.
    pub(crate) async fn send(&self, call: Call, ask: &Ask) -> Result<Reply, Error> {
        let deadline = Instant::now() + self.timeout;
        let mut token = self.token_until(deadline, None).await?;
        let mut reply = self.attempt(call, ask, &token, deadline).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            token = self.token_until(deadline, Some(&token)).await?;
            reply = self.attempt(call, ask, &token, deadline).await?;
        }
        if reply.status.is_success() {
            return Ok(reply);
        }
        Err(reply.refused(call, &self.secrets(&token), token.application_credential))
    }

    async fn attempt(
        &self,
        call: Call,
        ask: &Ask,
        token: &Token,
        deadline: Instant,
    ) -> Result<Reply, Error> {
        let endpoint = self.endpoint_of(token, call.service)?;
        let url = ask.url(&endpoint)?;
        let reply = self.once(call, ask, token, url.clone(), deadline).await?;
        // Heat sends everybody who asks by name, or by id alone, to the address with both.
        if call.service == Service::Orchestration
            && matches!(reply.status.as_u16(), 302 | 307 | 308)
            && let Some(next) = redirected(&url, &reply.headers)
        {
            return self.once(call, ask, token, next, deadline).await;
        }
        Ok(reply)
    }

    async fn once(
        &self,
        call: Call,
        ask: &Ask,
        token: &Token,
        url: Url,
        deadline: Instant,
    ) -> Result<Reply, Error> {
        self.shared
            .http
            .send(Outgoing {
                call,
                method: ask.method.clone(),
                url,
                token: Some(token.value.expose()),
                headers: ask.headers.clone(),
                body: ask.body.clone().map(reqwest::Body::from),
                timeout: left(call, deadline)?,
            })
            .await
    }

    /// Sends a body that cannot be repeated, with a token that was just checked by the caller's
    /// previous calls.
    pub(crate) async fn send_stream(
        &self,
        call: Call,
        ask: &Ask,
        body: reqwest::Body,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + self.timeout;
        let token = self.token_until(deadline, None).await?;
        let url = ask.url(&self.endpoint_of(&token, call.service)?)?;
        let reply = self
            .shared
            .http
            .send(Outgoing {
                call,
                method: ask.method.clone(),
                url,
                token: Some(token.value.expose()),
                headers: ask.headers.clone(),
                body: Some(body),
                timeout: left(call, deadline)?,
            })
            .await?;
        if reply.status.is_success() {
            return Ok(());
        }
        Err(reply.refused(call, &self.secrets(&token), token.application_credential))
    }

    fn secrets<'a>(&'a self, token: &'a Token) -> [&'a str; 2] {
        [token.value.expose(), self.shared.auth.secret()]
    }

    async fn token_until(
        &self,
        deadline: Instant,
        refused: Option<&Arc<Token>>,
    ) -> Result<Arc<Token>, Error> {
        match timeout_at(deadline, self.current(refused)).await {
            Ok(token) => token,
            Err(_) => Err(Error::Transport {
                call: LOG_IN,
                how: Transport::Timeout,
                effect: Effect::None,
                what: "no login in the time that the call had".to_owned(),
            }),
        }
    }

    /// The one place where logins are made: under the lock, so that of many callers one logs in
    /// and the others find its token, or share its failure (a wrong password tried once for each
    /// waiting call would get the account locked).
    async fn current(&self, refused: Option<&Arc<Token>>) -> Result<Arc<Token>, Error> {
        let seen = self.shared.logins.load(Ordering::Acquire);
        let mut login = self.shared.login.lock().await;
        if let Some(token) = &login.token {
            let is_refused = refused.is_some_and(|refused| Arc::ptr_eq(refused, token));
            if !is_refused && (self.shared.now)() < token.renew_at {
                return Ok(Arc::clone(token));
            }
        }
        if self.shared.logins.load(Ordering::Acquire) > seen
            && let Some(failure) = &login.failure
        {
            return Err(failure.clone());
        }
        let outcome = self.log_in().await;
        self.shared.logins.fetch_add(1, Ordering::AcqRel);
        match outcome {
            Ok(token) => {
                let token = Arc::new(token);
                login.token = Some(Arc::clone(&token));
                login.failure = None;
                Ok(token)
            }
            Err(error) => {
                login.failure = Some(error.clone());
                // While Keystone is away, a token that is only near its end still serves.
                let last = login.token.take().filter(|token| {
                    error.is_temporary()
                        && !refused.is_some_and(|refused| Arc::ptr_eq(refused, token))
                        && (self.shared.now)() < token.dead_at
                });
                login.token.clone_from(&last);
                last.ok_or(error)
            }
        }
    }

    async fn log_in(&self) -> Result<Token, Error> {
        let shared = &self.shared;
        let body = shared
            .auth
            .request()
            .map_err(|_| Error::invalid("the login cannot be written as JSON"))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let reply = shared
            .http
            .send(Outgoing {
                call: LOG_IN,
                method: Method::POST,
                url: shared.auth_url.clone(),
                token: None,
                headers,
                body: Some(Bytes::from_owner(body).into()),
                timeout: shared.login_timeout,
            })
            .await?;
        if !reply.status.is_success() {
            return Err(reply.refused(LOG_IN, &[shared.auth.secret()], false));
        }
        Token::read(LOG_IN, &reply, (shared.now)(), shared.margin, &shared.auth)
    }
}

/// The time that is left of a call; nothing is sent without any.
fn left(call: Call, deadline: Instant) -> Result<Duration, Error> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Error::Transport {
            call,
            how: Transport::Timeout,
            effect: Effect::None,
            what: "no time was left to ask".to_owned(),
        });
    }
    Ok(left)
}

fn auth_url(text: &str) -> Result<Url, Error> {
    let base = base_url(text.trim())
        .map_err(|what| Error::invalid(format!("Keystone's address {what}")))?;
    let last = base
        .path_segments()
        .and_then(|mut parts| parts.rfind(|part| !part.is_empty()));
    if last == Some("v2.0") {
        return Err(Error::invalid(
            "Keystone's address names version 2.0 of its interface, which no longer exists",
        ));
    }
    Ask::get(&["auth", "tokens"]).version("v3").url(&base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auth_urls() {
        for text in [
            "http://k:5000",
            "http://k:5000/",
            "http://k:5000/v3",
            "http://k:5000/v3/",
        ] {
            assert_eq!(
                auth_url(text).unwrap().as_str(),
                "http://k:5000/v3/auth/tokens"
            );
        }
        let under = auth_url("https://k/identity").unwrap();
        assert_eq!(under.as_str(), "https://k/identity/v3/auth/tokens");
        for bad in ["", "k:5000/v3", "http://k/v2.0", "http://a:swordfish@k/v3"] {
            let error = auth_url(bad).unwrap_err();
            assert!(!error.to_string().contains("swordfish"));
            assert_eq!(error.effect(), Effect::None);
        }
    }
}

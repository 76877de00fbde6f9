//! Talks to the daemon over its JSON interface.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::cli::Reach;
use crate::failure::{Failure, Result};
use crate::files;

mod problem;
pub(crate) mod sse;

/// How long a call without a wait of its own may take.
const CALL: Duration = Duration::from_secs(60);

/// The largest answer that is read.
const MOST: usize = 64 * 1024 * 1024;

/// What a call gave.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// One daemon, one caller.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    // The address as it may be shown: without a path and without a user.
    shown: String,
    token: Zeroizing<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.shown).finish()
    }
}

impl Client {
    /// Reads the token and makes ready; connects with the first call.
    pub(crate) fn new(reach: &Reach) -> Result<Self> {
        let url = reqwest::Url::parse(&reach.server)
            .ok()
            .filter(|u| matches!(u.scheme(), "http" | "https") && u.host_str().is_some())
            .ok_or_else(|| {
                Failure::usage("that is not the address of a server")
                    .advice("write --server http://127.0.0.1:8300 or set RM_SERVER")
            })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Failure::usage("the server's address has a user in it")
                .advice("give the token by --token-file"));
        }
        let file = reach.token_file.as_deref().ok_or_else(|| {
            Failure::usage("who is calling?")
                .detail("there is no token")
                .advice("name the file that holds yours: --token-file FILE, or RM_TOKEN_FILE")
        })?;
        let token = files::read_private("the token", file)?;
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Failure::usage(format!(
                "{} does not hold a token",
                file.display()
            )));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .user_agent(concat!("operation-manager/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| Failure::refused("this machine's certificates cannot be read"))?;
        let port = url
            .port_or_known_default()
            .map_or(String::new(), |p| format!(":{p}"));
        Ok(Self {
            http,
            base: reach.server.trim_end_matches('/').to_owned(),
            shown: format!("{}{port}", url.host_str().unwrap_or_default()),
            token,
        })
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        Ok(self.call(Method::GET, path, None, &[]).await?.body)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        Ok(self.call(Method::POST, path, Some(body), &[]).await?.body)
    }

    pub(crate) async fn put(&self, path: &str, body: Option<&Value>) -> Result<Value> {
        Ok(self.call(Method::PUT, path, body, &[]).await?.body)
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        Ok(self.call(Method::PATCH, path, Some(body), &[]).await?.body)
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Answer> {
        self.call(Method::DELETE, path, None, &[]).await
    }

    /// Every item of a list, over all its pages.
    pub(crate) async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let page = match &after {
                None => format!("{path}{mark}limit=500"),
                Some(after) => format!("{path}{mark}limit=500&after={}", quote(after)),
            };
            let mut answer = self.get(&page).await?;
            if let Some(Value::Array(more)) = answer.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            match &answer["next"] {
                Value::String(next) => after = Some(next.clone()),
                Value::Number(next) => after = Some(next.to_string()),
                _ => return Ok(items),
            }
        }
    }

    /// The names of a list's items, by their ids.
    pub(crate) async fn names(&self, path: &str) -> Result<BTreeMap<String, String>> {
        let items = self.list(path).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pairs = items.iter().map(|i| (text(&i["id"]), text(&i["name"])));
        Ok(pairs.collect())
    }

    /// Any call.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .headers(self.headers(headers)?)
            .timeout(CALL);
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.map_err(|e| self.unreachable(&e))?;
        self.read(answer).await
    }

    /// A stream of events; it ends when the server ends it.
    pub(crate) async fn events(&self, path: &str, last: Option<&str>) -> Result<sse::Events> {
        let mut extra = vec![(ACCEPT.as_str(), "text/event-stream")];
        if let Some(last) = last {
            extra.push(("last-event-id", last));
        }
        let answer = self
            .http
            .get(format!("{}{path}", self.base))
            .headers(self.headers(&extra)?)
            .send()
            .await
            .map_err(|e| self.unreachable(&e))?;
        if !answer.status().is_success() {
            self.read(answer).await?;
            return Err(self.strange());
        }
        Ok(sse::Events::new(answer))
    }

    fn headers(&self, extra: &[(&str, &str)]) -> Result<HeaderMap> {
        let bad = || Failure::usage("a header of this request cannot be sent");
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let bearer = Zeroizing::new(format!("Bearer {}", self.token.as_str()));
        let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| bad())?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        for (name, value) in extra {
            let name = reqwest::header::HeaderName::from_bytes(name.as_bytes());
            headers.insert(
                name.map_err(|_| bad())?,
                HeaderValue::from_str(value).map_err(|_| bad())?,
            );
        }
        Ok(headers)
    }

    async fn read(&self, mut answer: reqwest::Response) -> Result<Answer> {
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| self.unreachable(&e))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MOST {
                return Err(self.strange());
            }
        }
        let body = if bytes.is_empty() {
            Some(Value::Null)
        } else {
            serde_json::from_slice(&bytes).ok()
        };
        if status.is_success() {
            let body = body.ok_or_else(|| self.strange())?;
            return Ok(Answer { status, body });
        }
        match body.as_ref().and_then(problem::read) {
            Some(failure) => Err(failure),
            None => Err(self.strange().detail(format!("it answered {status}"))),
        }
    }

    // reqwest's own words hold the whole address; the kind is told instead.
    fn unreachable(&self, e: &reqwest::Error) -> Failure {
        let why = if e.is_connect() {
            "nothing answers there"
        } else if e.is_timeout() {
            "it takes too long"
        } else {
            "the connection broke"
        };
        Failure::unreachable(format!("cannot reach the server at {}", self.shown))
            .detail(why)
            .advice("is \"operation-manager serve\" running there? Name another with --server")
    }

    fn strange(&self) -> Failure {
        Failure::unreachable(format!(
            "what answers at {} is no operation-manager",
            self.shown
        ))
        .advice("check --server")
    }
}

/// A part of a path or a query, with everything escaped that has a meaning
/// there.
pub(crate) fn quote(part: &str) -> String {
    use std::fmt::Write;
    let mut quoted = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(quoted, "%{byte:02X}");
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_path_stay_parts() {
        assert_eq!(quote("a b/c?d"), "a%20b%2Fc%3Fd");
        assert_eq!(quote("hadoop-2.7_x~"), "hadoop-2.7_x~");
    }
}

//! A request on a service of the session's cloud, before it has an address.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use bytes::Bytes;

use super::error::{Call, Error};
use super::http::Reply;

/// A request relative to its service's endpoint, in a form that can be sent twice.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// The API version that the path starts with, where catalogs list some endpoints with it
    /// and some without.
    pub(crate) version: Option<&'static str>,
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

impl Ask {
    pub(crate) fn new<S: AsRef<str>>(method: Method, path: &[S]) -> Self {
        Self {
            method,
            version: None,
            path: path.iter().map(|part| part.as_ref().to_owned()).collect(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
        }
    }

    pub(crate) fn get<S: AsRef<str>>(path: &[S]) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn version(mut self, version: &'static str) -> Self {
        self.version = Some(version);
        self
    }

    pub(crate) fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    pub(crate) fn json<T: Serialize>(mut self, body: &T) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(body)
            .map_err(|_| Error::invalid("the request cannot be written as JSON"))?;
        self.body = Some(Bytes::from(bytes));
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(self)
    }

    /// The address under `base`.
    pub(crate) fn url(&self, base: &Url) -> Result<Url, Error> {
        let mut url = base.clone();
        let has_version = self.version.is_some_and(|version| {
            base.path_segments()
                .and_then(|mut parts| parts.rfind(|part| !part.is_empty()))
                == Some(version)
        });
        {
            let mut segments = url
                .path_segments_mut()
                .map_err(|()| Error::invalid("the endpoint cannot have a path"))?;
            segments.pop_if_empty();
            if let Some(version) = self.version
                && !has_version
            {
                segments.push(version);
            }
            for part in &self.path {
                // An empty part or a dot would make it the address of the thing above.
                if matches!(part.as_str(), "" | "." | "..") {
                    return Err(Error::invalid(format!("{part:?} is not a name or id")));
                }
                segments.push(part);
            }
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

/// Where a redirect leads, on the same origin as `asked`. Only the path is taken over: behind a
/// proxy that ends TLS, Heat names itself by scheme and port of the inner side, and following
/// that would carry the token over plain HTTP.
pub(crate) fn redirected(asked: &Url, headers: &HeaderMap) -> Option<Url> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let target = asked.join(location).ok()?;
    if target.host() != asked.host() || !matches!(target.scheme(), "http" | "https") {
        return None;
    }
    let mut url = asked.clone();
    url.set_path(target.path());
    // Heat forgets the query, and a show without it costs seconds.
    if let Some(query) = target.query() {
        url.set_query(Some(query));
    }
    (url != *asked).then_some(url)
}

/// The typed body of a good answer.
pub(crate) fn parsed<T: DeserializeOwned>(call: Call, reply: &Reply) -> Result<T, Error> {
    serde_json::from_slice(&reply.body).map_err(|error| {
        // serde's own words would quote what was in the answer.
        Error::unreadable(
            call,
            format!(
                "the answer is not what it should be (line {}, column {})",
                error.line(),
                error.column()
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn paths_cannot_escape() {
        let base = url("http://h:1/v1/p/");
        let at = |part: &str| Ask::get(&["stacks", part]).url(&base);
        assert_eq!(at("a").unwrap().as_str(), "http://h:1/v1/p/stacks/a");
        assert_eq!(
            at("a/../b?c#d").unwrap().as_str(),
            "http://h:1/v1/p/stacks/a%2F..%2Fb%3Fc%23d"
        );
        for bad in ["", ".", ".."] {
            assert!(at(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn versions_are_not_doubled() {
        let ask = Ask::get(&["images"]).version("v2");
        for base in ["http://h", "http://h/", "http://h/v2", "http://h/v2/"] {
            assert_eq!(ask.url(&url(base)).unwrap().as_str(), "http://h/v2/images");
        }
        let under = ask.url(&url("http://h/image")).unwrap();
        assert_eq!(under.as_str(), "http://h/image/v2/images");
    }

    #[test]
    fn redirects_stay_on_the_origin() {
        let asked = url("https://heat:443/v1/p/stacks/a?resolve_outputs=False");
        let to = |location: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, location.parse().unwrap());
            redirected(&asked, &headers).map(|url| url.to_string())
        };
        assert_eq!(
            to("http://heat:8004/v1/p/stacks/a/1").as_deref(),
            Some("https://heat/v1/p/stacks/a/1?resolve_outputs=False")
        );
        assert_eq!(
            to("/v1/p/stacks/a/1?x=1").as_deref(),
            Some("https://heat/v1/p/stacks/a/1?x=1")
        );
        assert_eq!(to("https://elsewhere/v1/p/stacks/a/1"), None);
        assert_eq!(to("file:///etc/passwd"), None);
        assert_eq!(to("https://heat/v1/p/stacks/a"), None);
    }
}

//! What Keystone answers to a login.

use std::fmt;

use serde::Deserialize;

use super::auth::Auth;
use super::catalog::Catalog;
use super::error::{Call, Error};
use super::http::Reply;
use super::lenient::{or_default, unix_millis};
use super::secret::Secret;
use super::wire::parsed;

/// One login: the token and what Keystone said with it.
pub struct Token {
    pub(crate) value: Secret,
    /// From when on it is replaced, by this machine's clock.
    pub(crate) renew_at: i64,
    /// When it ends, by this machine's clock.
    pub(crate) dead_at: i64,
    pub(crate) catalog: Catalog,
    project_id: Option<String>,
    user_id: String,
    pub(crate) application_credential: bool,
}

impl Token {
    /// Reads the answer to a login made with `auth`, at `now` by this machine's clock.
    pub(crate) fn read(
        call: Call,
        reply: &Reply,
        now: i64,
        margin: i64,
        auth: &Auth,
    ) -> Result<Self, Error> {
        let value = reply
            .headers
            .get("X-Subject-Token")
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| Error::unreadable(call, "the answer has no token"))?;
        let said = parsed::<Answer>(call, reply)?.token;
        let expires = unix_millis(&said.expires_at)
            .ok_or_else(|| Error::unreadable(call, "the token has no end that can be read"))?;
        // The server's own two times give the life that is left without trusting that its clock
        // agrees with ours.
        let life = match unix_millis(&said.issued_at) {
            Some(issued) => expires.saturating_sub(issued),
            None => expires.saturating_sub(now),
        };
        let keep = if auth.can_renew() {
            life.saturating_sub(margin).max(life / 2)
        } else {
            life
        };
        Ok(Self {
            value: Secret::new(value),
            renew_at: now.saturating_add(keep),
            dead_at: now.saturating_add(life),
            application_credential: auth.is_application_credential()
                || said
                    .methods
                    .iter()
                    .any(|method| method == "application_credential"),
            catalog: said.catalog,
            project_id: said.project.map(|project| project.id),
            user_id: said.user.id,
        })
    }

    /// Id of the project that the token is for.
    pub fn project_id(&self) -> Option<&str> {
        self.project_id.as_deref()
    }

    /// Id of the user who logged in.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Whether it came from an application credential, with which no trusts can be made.
    pub fn is_application_credential(&self) -> bool {
        self.application_credential
    }

    /// Where the services are.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("project_id", &self.project_id)
            .field("user_id", &self.user_id)
            .field("application_credential", &self.application_credential)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Answer {
    token: Said,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default, deserialize_with = "or_default")]
    methods: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    expires_at: String,
    #[serde(default, deserialize_with = "or_default")]
    issued_at: String,
    #[serde(default, deserialize_with = "or_default")]
    catalog: Catalog,
    #[serde(default)]
    project: Option<Id>,
    #[serde(default, deserialize_with = "or_default")]
    user: Id,
}

#[derive(Default, Deserialize)]
struct Id {
    #[serde(default, deserialize_with = "or_default")]
    id: String,
}

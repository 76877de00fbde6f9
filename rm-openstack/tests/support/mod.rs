//! What the tests of this crate share: a server that plays back what was recorded.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests, and what they share"
)]

pub(crate) mod host;
pub(crate) mod replay;

use std::path::Path;
use std::sync::Arc;

use replay::{Recording, Server};
use rm_openstack::client::heat::{CreateStack, Template};
use rm_openstack::client::{Auth, Clock, Domain, Heat, Project, Session, SessionConfig, User};
use serde_json::json;

pub(crate) fn demo() -> Auth {
    Auth::Password {
        user: User::Name {
            name: "demo".into(),
            domain: Domain::default(),
        },
        password: "oslab-user".into(),
        project: Project::Name {
            name: "demo".into(),
            domain: Domain::default(),
        },
    }
}

/// A clock that stands still.
pub(crate) fn noon() -> Clock {
    Arc::new(|| 1_795_262_400_000)
}

pub(crate) fn config(base: &str, auth: Auth) -> SessionConfig {
    let mut config = SessionConfig::new(base, auth, noon());
    config.region = Some("RegionOne".into());
    config.http.call_timeout = std::time::Duration::from_secs(10);
    config
}

/// Where logins go.
pub(crate) const TOKENS: &str = "/v3/auth/tokens";

/// A server that lets people in as in the first recordings, and its stacks' address.
pub(crate) async fn cloud(reference: &Path) -> (Server, Heat, String) {
    let server = Server::start().await;
    let login = Recording::load(reference, "min/005-ks-auth-password");
    server.on("POST", TOKENS, login.answer());
    let project = login.body["token"]["project"]["id"].as_str().unwrap();
    let stacks = format!("/v1/{project}/stacks");
    let session = Session::new(config(&server.base, demo())).unwrap();
    (server, Heat::new(session), stacks)
}

pub(crate) fn small(name: &str) -> CreateStack {
    CreateStack::new(
        name,
        Template::Value(json!({"heat_template_version": "2018-08-31"})),
    )
}

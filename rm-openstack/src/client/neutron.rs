//! Neutron: how much room a project has for ports.

use serde::Deserialize;
use serde_json::Value;

use super::catalog::Service;
use super::error::{Call, Error};
use super::lenient::{count, or_default};
use super::session::Session;
use super::usage::Usage;
use super::wire::Ask;

/// Neutron's calls.
#[derive(Clone, Debug)]
pub struct Neutron {
    session: Session,
}

#[derive(Deserialize)]
struct Details {
    quota: DetailedQuota,
}

#[derive(Deserialize)]
struct DetailedQuota {
    port: Detail,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default, deserialize_with = "count")]
    limit: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    used: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    reserved: Option<u64>,
}

#[derive(Deserialize)]
struct Plain {
    quota: PlainQuota,
}

#[derive(Deserialize)]
struct PlainQuota {
    #[serde(default, deserialize_with = "count")]
    port: Option<u64>,
}

#[derive(Deserialize)]
struct Ports {
    #[serde(default, deserialize_with = "or_default")]
    ports: Vec<Value>,
}

impl Neutron {
    /// Neutron of a session's cloud.
    pub fn new(session: Session) -> Self {
        Self { session }
    }

    /// The project's ports: limit and use. Where Neutron has no detailed quotas, the ports are
    /// counted.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ports(&self) -> Result<Usage, Error> {
        let token = self.session.token().await?;
        let project = token
            .project_id()
            .ok_or_else(|| Error::invalid("the login is for no project, so it has no quota"))?;
        match self.detailed(project).await {
            Err(error) if matches!(error.status(), Some(403 | 404 | 405 | 501)) => {
                self.counted(project).await
            }
            answer => answer,
        }
    }

    async fn detailed(&self, project: &str) -> Result<Usage, Error> {
        let call = Call::read(Service::Network, "read quota");
        let ask = Ask::get(&["quotas", project, "details.json"]).version("v2.0");
        let port = self.session.ask::<Details>(call, &ask).await?.quota.port;
        Ok(Usage {
            limit: port.limit,
            used: port
                .used
                .map(|used| used.saturating_add(port.reserved.unwrap_or(0))),
        })
    }

    async fn counted(&self, project: &str) -> Result<Usage, Error> {
        let call = Call::read(Service::Network, "read quota");
        let ask = Ask::get(&["quotas", project]).version("v2.0");
        let limit = self.session.ask::<Plain>(call, &ask).await?.quota.port;
        let call = Call::read(Service::Network, "list ports");
        let ask = Ask::get(&["ports"])
            .version("v2.0")
            .query("fields", "id")
            .query("project_id", project);
        let ports = self.session.ask::<Ports>(call, &ask).await?.ports;
        Ok(Usage {
            limit,
            used: u64::try_from(ports.len()).ok(),
        })
    }
}

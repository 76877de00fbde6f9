//! Neutron: how much room a project has for ports, and which networks it has.

use serde::Deserialize;
use serde_json::Value;

use super::catalog::Service;
use super::error::{Call, Error};
use super::lenient::{count, or_default, unix_millis};
use super::session::Session;
use super::usage::Usage;
use super::wire::Ask;

/// Neutron's calls.
#[derive(Clone, Debug)]
pub struct Neutron {
    session: Session,
}

#[derive(Deserialize)]
struct Networks {
    #[serde(default, deserialize_with = "or_default")]
    networks: Vec<Network>,
}

/// A network, as far as servers are put into it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Network {
    /// Its id.
    pub id: String,
    /// Its name, which need not be unique.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// Whether it leads outside: servers get floating addresses of it only.
    #[serde(rename = "router:external", default, deserialize_with = "or_default")]
    pub external: bool,
    #[serde(default, deserialize_with = "or_default")]
    created_at: String,
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

    /// The project's own networks, the oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn networks(&self) -> Result<Vec<Network>, Error> {
        let token = self.session.token().await?;
        let project = token
            .project_id()
            .ok_or_else(|| Error::invalid("the login is for no project, so it has no networks"))?;
        let call = Call::read(Service::Network, "list networks");
        let ask = Ask::get(&["networks"])
            .version("v2.0")
            .query("project_id", project);
        let mut networks = self.session.ask::<Networks>(call, &ask).await?.networks;
        let age = |n: &Network| unix_millis(&n.created_at).unwrap_or(i64::MAX);
        networks.sort_by(|a, b| (age(a), &a.id).cmp(&(age(b), &b.id)));
        Ok(networks)
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

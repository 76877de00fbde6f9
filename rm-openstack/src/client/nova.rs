//! Nova: how much room a project has for servers, and which sizes they come in.

use serde::Deserialize;

use super::catalog::Service;
use super::error::{Call, Error};
use super::lenient::{count, or_default};
use super::session::Session;
use super::usage::Usage;
use super::wire::Ask;

/// Nova's calls.
#[derive(Clone, Debug)]
pub struct Nova {
    session: Session,
}

/// Quotas that matter for clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ComputeLimits {
    /// Servers.
    pub instances: Usage,
    /// Virtual processors.
    pub cores: Usage,
    /// Memory in MiB.
    pub ram: Usage,
}

/// A size that servers come in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Flavor {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// Virtual processors.
    #[serde(default, deserialize_with = "or_default")]
    pub vcpus: u64,
    /// Memory in MiB.
    #[serde(default, deserialize_with = "or_default")]
    pub ram: u64,
    /// Root disk in GiB; 0 where it is as large as the image.
    #[serde(default, deserialize_with = "or_default")]
    pub disk: u64,
}

#[derive(Deserialize)]
struct Flavors {
    #[serde(default, deserialize_with = "or_default")]
    flavors: Vec<Flavor>,
}

#[derive(Deserialize)]
struct Answer {
    limits: Limits,
}

#[derive(Deserialize)]
struct Limits {
    absolute: Absolute,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Absolute {
    #[serde(default, deserialize_with = "count")]
    max_total_instances: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    total_instances_used: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    max_total_cores: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    total_cores_used: Option<u64>,
    #[serde(default, rename = "maxTotalRAMSize", deserialize_with = "count")]
    max_ram: Option<u64>,
    #[serde(default, rename = "totalRAMUsed", deserialize_with = "count")]
    ram_used: Option<u64>,
}

impl Nova {
    /// Nova of a session's cloud.
    pub fn new(session: Session) -> Self {
        Self { session }
    }

    /// The project's limits and what is used of them.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn limits(&self) -> Result<ComputeLimits, Error> {
        let call = Call::read(Service::Compute, "read limits");
        let answer: Answer = self.session.ask(call, &Ask::get(&["limits"])).await?;
        let absolute = answer.limits.absolute;
        Ok(ComputeLimits {
            instances: Usage {
                limit: absolute.max_total_instances,
                used: absolute.total_instances_used,
            },
            cores: Usage {
                limit: absolute.max_total_cores,
                used: absolute.total_cores_used,
            },
            ram: Usage {
                limit: absolute.max_ram,
                used: absolute.ram_used,
            },
        })
    }

    /// The flavors that the project may use: a thousand, where there are more.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn flavors(&self) -> Result<Vec<Flavor>, Error> {
        let call = Call::read(Service::Compute, "list flavors");
        let ask = Ask::get(&["flavors", "detail"]).query("limit", "1000");
        Ok(self.session.ask::<Flavors>(call, &ask).await?.flavors)
    }
}

//! Where each service of a cloud is: the list that comes with a token.

use std::collections::BTreeSet;
use std::fmt;

use reqwest::Url;
use serde::Deserialize;

use super::error::Error;
use super::lenient::or_default;

/// A service that this client talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Keystone.
    Identity,
    /// Heat.
    Orchestration,
    /// Glance.
    Image,
    /// Nova.
    Compute,
    /// Neutron.
    Network,
}

impl Service {
    /// All of them, in the order of the counters.
    pub const ALL: [Self; 5] = [
        Self::Identity,
        Self::Orchestration,
        Self::Image,
        Self::Compute,
        Self::Network,
    ];

    /// The type under which a catalog lists it.
    pub const fn catalog_type(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Orchestration => "orchestration",
            Self::Image => "image",
            Self::Compute => "compute",
            Self::Network => "network",
        }
    }

    /// The name people call it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "keystone",
            Self::Orchestration => "heat",
            Self::Image => "glance",
            Self::Compute => "nova",
            Self::Network => "neutron",
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Identity => 0,
            Self::Orchestration => 1,
            Self::Image => 2,
            Self::Compute => 3,
            Self::Network => 4,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// From which side a service is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Interface {
    /// For everybody.
    #[default]
    Public,
    /// From within the cloud's own network.
    Internal,
    /// For the cloud's operators.
    Admin,
}

impl Interface {
    /// Reads the words of a catalog (`public`) and of old configuration files (`publicURL`).
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix("URL").unwrap_or(text) {
            "public" => Some(Self::Public),
            "internal" => Some(Self::Internal),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }

    /// The word a catalog uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The catalog of one token.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Catalog(Vec<Entry>);

#[derive(Clone, Debug, Deserialize)]
struct Entry {
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, Deserialize)]
struct Endpoint {
    #[serde(default, deserialize_with = "or_default")]
    interface: String,
    #[serde(default, deserialize_with = "or_default")]
    region: String,
    #[serde(default, deserialize_with = "or_default")]
    region_id: String,
    #[serde(default, deserialize_with = "or_default")]
    url: String,
}

impl Endpoint {
    fn region(&self) -> &str {
        if self.region_id.is_empty() {
            &self.region
        } else {
            &self.region_id
        }
    }

    fn is_in(&self, region: &str) -> bool {
        self.region == region || self.region_id == region
    }
}

impl Catalog {
    /// The address of a service. Endpoints come in no stable order, so that without a region
    /// the choice must be the only one there is.
    ///
    /// # Errors
    /// [`Error::NoEndpoint`] with the regions and interfaces that do exist.
    pub fn endpoint(
        &self,
        service: Service,
        interface: Interface,
        region: Option<&str>,
    ) -> Result<Url, Error> {
        let offered: Vec<&Endpoint> = self
            .0
            .iter()
            .filter(|entry| entry.kind == service.catalog_type())
            .flat_map(|entry| &entry.endpoints)
            .collect();
        let missing = |known: String| Error::NoEndpoint {
            service,
            interface,
            region: region.map(str::to_owned),
            known,
        };
        let fitting: Vec<&&Endpoint> = offered
            .iter()
            .filter(|endpoint| endpoint.interface == interface.name())
            .filter(|endpoint| region.is_none_or(|region| endpoint.is_in(region)))
            .collect();
        let regions: BTreeSet<&str> = fitting.iter().map(|endpoint| endpoint.region()).collect();
        if regions.len() > 1 {
            let names: Vec<&str> = regions.into_iter().collect();
            return Err(missing(format!(
                "it is in several regions, name one of {}",
                names.join(", ")
            )));
        }
        let Some(endpoint) = fitting.first() else {
            return Err(missing(self.describe(&offered)));
        };
        base_url(&endpoint.url).map_err(|what| missing(format!("its address {what}")))
    }

    fn describe(&self, offered: &[&Endpoint]) -> String {
        if offered.is_empty() {
            let kinds: BTreeSet<&str> = self.0.iter().map(|entry| entry.kind.as_str()).collect();
            if kinds.is_empty() {
                return "it is empty".to_owned();
            }
            let kinds: Vec<&str> = kinds.into_iter().collect();
            return format!("it lists {}", kinds.join(", "));
        }
        let places: BTreeSet<String> = offered
            .iter()
            .map(|endpoint| format!("{} in {}", endpoint.interface, endpoint.region()))
            .collect();
        let places: Vec<String> = places.into_iter().collect();
        format!("it has {}", places.join(", "))
    }
}

/// An address that a path can be appended to. The errors do not repeat it, because people put
/// passwords there.
pub(crate) fn base_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("is neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not contain a query");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        serde_json::from_str(
            r#"[{"type":"orchestration","endpoints":[
                {"interface":"internal","region":"A","region_id":"A","url":"http://in:1/v1/p"},
                {"interface":"public","region":"B","region_id":"B","url":"http://b:1/v1/p"},
                {"interface":"public","region":"A","url":"http://a:1/v1/p","extra":1},
                {"interface":"admin","region":null,"url":null}]},
               {"type":"image","endpoints":null}]"#,
        )
        .unwrap()
    }

    #[test]
    fn picks_by_interface_and_region() {
        let url = catalog()
            .endpoint(Service::Orchestration, Interface::Public, Some("A"))
            .unwrap();
        assert_eq!(url.as_str(), "http://a:1/v1/p");
        let url = catalog()
            .endpoint(Service::Orchestration, Interface::Internal, None)
            .unwrap();
        assert_eq!(url.as_str(), "http://in:1/v1/p");
    }

    #[test]
    fn says_what_there_is_instead() {
        let text = |service, interface, region| {
            catalog()
                .endpoint(service, interface, region)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            text(Service::Orchestration, Interface::Internal, Some("C")),
            "keystone: the catalog has no heat (internal, region C); \
             it has admin in , internal in A, public in A, public in B"
        );
        assert!(text(Service::Orchestration, Interface::Public, None).contains("one of A, B"));
        assert!(text(Service::Compute, Interface::Public, None).contains("lists image, orche"));
    }

    #[test]
    fn addresses_with_secrets_are_refused() {
        assert!(base_url("http://u:swordfish@h/").is_err());
        assert!(base_url("ftp://h/").is_err());
        assert!(base_url("mailto:x").is_err());
        assert!(base_url("http://h:5000/v3?x=1").is_err());
    }
}

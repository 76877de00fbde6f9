//! What a template needs of where it runs, and nobody said: the network of its
//! servers, and from where they are reached, which the original services gave
//! to every stack; and the size of the servers, of which their clients know
//! nothing.

use std::net::IpAddr;

use rm_core::backend::Cx;
use rm_core::registry::Media;
use rm_core::{Error, ErrorKind, Result};
use serde_json::Value;

use crate::client::heat::Parameters;
use crate::client::{self, Neutron, Service, Session};
use crate::failure::{LOG_IN, failure};
use crate::flavors;
use crate::media::{HeatTemplate, meaning};
use crate::template::TemplateInfo;

/// Why a template is refused that lacks what surrounds a cluster: who uses it by
/// the means of somebody else cannot say that.
const SURROUNDINGS: &str = "missing-surroundings";

/// How the names of our stacks begin.
const OURS: &str = "rm-";

/// Adds the values that a template must have and that nobody gave.
///
/// # Errors
///
/// A parameter for which there is no value.
pub(crate) async fn complete(
    cx: &Cx<'_>,
    session: &Session,
    info: &TemplateInfo,
    values: &mut Parameters,
) -> Result<()> {
    for (name, parameter) in &info.parameters {
        if !parameter.is_required() || values.contains_key(name) {
            continue;
        }
        let found = match meaning(name) {
            "network" => network(cx, session).await?,
            "flavor" => flavors::smallest(cx, session, info, values).await?,
            "allowed_ip" => own_address(&cx.site.url).await.map(alone),
            _ => None,
        };
        let Some(found) = found else {
            let code = match HeatTemplate.is_surroundings(name) {
                true => SURROUNDINGS,
                false => "missing-parameter",
            };
            return Err(Error::invalid(format!(
                "the implementation needs a value for its parameter {name:?}"
            ))
            .code(code)
            .advice("give it with the request, or as a default of the site"));
        };
        values.insert(name.clone(), Value::from(found));
    }
    Ok(())
}

/// The project's first network that does not lead outside, by id: names need
/// not be unique. One that a stack of ours has made goes with its stack, which
/// the servers of another one would keep: Heat begins its name with the
/// stack's, unless the template names it.
async fn network(cx: &Cx<'_>, session: &Session) -> Result<Option<String>> {
    let site = &*cx.site.name;
    match session.endpoint(Service::Network).await {
        Err(client::Error::NoEndpoint { .. }) => return Ok(None),
        Err(e) => return Err(failure(site, LOG_IN, e)),
        Ok(_) => {}
    }
    let networks = Neutron::new(session.clone()).networks().await;
    let networks = networks.map_err(|e| failure(site, "list networks", e))?;
    let mut lasting = networks
        .into_iter()
        .filter(|n| !n.external && !n.name.starts_with(OURS));
    match lasting.next() {
        Some(network) => Ok(Some(network.id)),
        None => Err(Error::new(
            ErrorKind::Invalid,
            format!("{site}: the project has no network, and the implementation needs one"),
        )
        .code(SURROUNDINGS)
        .advice("make a network in the project, or name one with the request")
        .site(site)),
    }
}

/// The address by which this machine reaches the site. Nothing is sent.
async fn own_address(url: &str) -> Option<IpAddr> {
    let url = reqwest::Url::parse(url).ok()?;
    let there = (url.host_str()?, url.port_or_known_default()?);
    let there = tokio::net::lookup_host((there.0.trim_matches(['[', ']']), there.1));
    let there = there.await.ok()?.next()?;
    let any = match there.is_ipv4() {
        true => "0.0.0.0:0",
        false => "[::]:0",
    };
    let socket = tokio::net::UdpSocket::bind(any).await.ok()?;
    socket.connect(there).await.ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// A network of this one address.
fn alone(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}/32"),
        IpAddr::V6(address) => format!("{address}/128"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn our_address_is_the_one_by_which_we_reach_the_site() {
        for (url, own) in [
            ("http://127.0.0.1:5000/v3", "127.0.0.1/32"),
            ("https://127.0.0.1/identity/v3", "127.0.0.1/32"),
        ] {
            assert_eq!(own_address(url).await.map(alone).as_deref(), Some(own));
        }
        assert_eq!(alone("fd00::1".parse().unwrap()), "fd00::1/128");
        assert_eq!(own_address("not an address").await, None);
    }
}

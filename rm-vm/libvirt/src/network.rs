//! Networks of the host that libvirt makes, to plug domains into.

use crate::client::Client;
use crate::error::{Malformed, Result};
use crate::procedure::{
    NETWORK_CREATE_XML, NETWORK_DESTROY, NETWORK_LIST_ALL, NETWORK_LOOKUP, NETWORK_XML_DESC,
};
use crate::uuid::Uuid;
use crate::xdr::{Reader, Writer};

/// A network: a bridge, with or without a way out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Network {
    /// Unique on a host.
    pub name: String,
    /// Stays the same as long as the network is there; calls on one that was
    /// made again under its name find none.
    pub uuid: Uuid,
}

impl Network {
    /// The least bytes that a network takes on the wire.
    const LEAST: usize = 20;

    fn arguments(&self) -> Writer {
        let mut arguments = Writer::new();
        arguments.string(&self.name).fixed(&self.uuid.0);
        arguments
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            name: from.string()?,
            uuid: Uuid(from.fixed()?),
        })
    }
}

impl Client {
    /// All networks, in one call; [`Code::NO_SUPPORT`](crate::Code::NO_SUPPORT)
    /// from a host that makes none.
    pub async fn list_networks(&self) -> Result<Vec<Network>> {
        let mut arguments = Writer::new();
        arguments.u32(1).u32(0);
        self.call(NETWORK_LIST_ALL, arguments, |answer| {
            let count = answer.count(Network::LEAST)?;
            let networks: Result<_, _> = (0..count).map(|_| Network::decode(answer)).collect();
            let _the_count_again = answer.u32()?;
            networks
        })
        .await
    }

    /// The network of this name; [`Code::NO_NETWORK`](crate::Code::NO_NETWORK)
    /// if there is none.
    pub async fn network_by_name(&self, name: &str) -> Result<Network> {
        let mut arguments = Writer::new();
        arguments.string(name);
        self.call(NETWORK_LOOKUP, arguments, Network::decode).await
    }

    /// Make a network that is there until it is destroyed or the host ends.
    pub async fn create_network_xml(&self, xml: &str) -> Result<Network> {
        let mut arguments = Writer::new();
        arguments.string(xml);
        self.call(NETWORK_CREATE_XML, arguments, Network::decode)
            .await
    }

    /// The network's XML, as it is now.
    pub async fn network_xml(&self, network: &Network) -> Result<String> {
        let mut arguments = network.arguments();
        arguments.u32(0);
        self.text(NETWORK_XML_DESC, arguments).await
    }

    /// End a network, whoever is plugged into it. What is not defined is gone.
    pub async fn destroy_network(&self, network: &Network) -> Result<()> {
        self.order(NETWORK_DESTROY, network.arguments()).await
    }
}

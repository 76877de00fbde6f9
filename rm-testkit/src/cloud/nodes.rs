//! Nodes of the simulated cloud: things without slaves.

use async_trait::async_trait;
use rm_core::backend::{Backend, Capability, Cx, Hints, Look, Mark, Offer, Recalled, Seen, Serves};
use rm_core::catalog::Site as CatalogSite;
use rm_core::model::{
    Address, Cluster, ClusterView, Node, NodeInterface, NodeSpec, NodeView, Power, Shaping,
};
use rm_core::registry::Registries;
use rm_core::store::Page;
use rm_core::{Error, ErrorKind, Kind, RemoteId, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::SimCloud;
use super::call::account;
use super::fault::Verb;
use super::site::Effect;
use super::watched::Watched;

/// The API type of simulated sites that have nodes.
pub const NODES_API: &str = "sim-nodes";

/// The kind of simulated nodes.
pub const NODE: Kind = Kind::from_static("sim.node");

/// Under which name a thing keeps what it was made by.
pub(crate) const SPEC: &str = "spec";

/// A node that is made of the image of this name breaks.
pub const BROKEN_IMAGE: &str = "broken";

impl SimCloud {
    /// Contributes the backend `sim-nodes`, of nodes. What a node is told to do
    /// when it boots is kept with the thing, as `boot_commands`.
    pub fn install_nodes(self: &Arc<Self>, registries: &mut Registries) -> Result<()> {
        let serves = Serves {
            kind: NODE,
            api: NODES_API.to_owned(),
            media: Vec::new(),
        };
        let watched = Watched::<Node>::wrap(self, self.points.clone());
        registries.backend(NODES_API, serves, watched)
    }
}

#[async_trait]
impl Backend<Node> for SimCloud {
    fn capability(&self, _site: &CatalogSite) -> Capability {
        self.lock().capability
    }

    async fn offers(&self, cx: &Cx<'_>, want: &NodeSpec) -> Result<Vec<Offer>> {
        let shaped = want.interfaces.iter().any(|i| i.shaping.is_some());
        if shaped && self.config.site(&cx.site.name).unshaped {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "what comes to nodes of this simulated site cannot be held back",
            )
            .code(Shaping::UNSUPPORTED));
        }
        if !want.users.is_empty() && self.config.site(&cx.site.name).unvisited {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "nobody can be let in to nodes of this simulated site",
            ));
        }
        self.offered(cx, 1).await
    }

    async fn observe(&self, cx: &Cx<'_>, look: Look<'_, NodeSpec>) -> Result<Page<Seen<Node>>> {
        let page = self.look(cx, look).await?;
        Ok(Page {
            items: page.items.into_iter().map(node).collect(),
            next: page.next,
        })
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &NodeSpec) -> Result<RemoteId> {
        let account = account(cx)?;
        let takes = self.config.build();
        let told = json!(spec.boot_commands);
        let whole = json!(spec);
        self.effect(cx, Verb::Create, mark.name(), |state, fails| {
            state.named += 1;
            Effect::Create {
                account,
                mark: mark.clone(),
                owner: cx.owner.cloned(),
                slaves: 0,
                outputs: BTreeMap::from([
                    ("boot_commands".to_owned(), told),
                    (SPEC.to_owned(), whole),
                ]),
                images: Vec::new(),
                number: state.named,
                fails: fails || spec.image.name == BROKEN_IMAGE,
                takes,
                key: state.capability.create_key,
            }
        })
        .await
    }

    async fn change(
        &self,
        cx: &Cx<'_>,
        mark: &Mark,
        seen: &Seen<Node>,
        spec: &NodeSpec,
    ) -> Result<()> {
        let tells = BTreeMap::from([(SPEC.to_owned(), json!(spec))]);
        self.alter(cx, mark, &seen.id, 0, tells).await
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<Node>) -> Result<()> {
        self.unmake(cx, &seen.id).await
    }

    /// A simulated node says what it was made by.
    async fn recall(&self, cx: &Cx<'_>, seen: &Seen<Node>) -> Result<Option<Recalled<NodeSpec>>> {
        let what = seen.id.to_string();
        let thing = self.call(cx, Verb::Observe, what, |_, site| {
            Ok(site.things.get(&seen.id).filter(|t| t.exists()).cloned())
        });
        let Some(thing) = thing.await? else {
            return Ok(None);
        };
        let spec = serde_json::from_value(thing.output(SPEC).clone()).ok();
        Ok(spec.map(|spec| Recalled {
            spec,
            owner: thing.owner,
        }))
    }

    async fn note(&self, cx: &Cx<'_>, seen: &Seen<Node>) -> Result<()> {
        self.keep_owner(cx, &seen.id).await
    }

    async fn watch(&self, cx: &Cx<'_>) -> Result<Hints> {
        self.listen(cx).await
    }
}

fn node(seen: Seen<Cluster>) -> Seen<Node> {
    Seen {
        id: seen.id,
        name: seen.name,
        mark: seen.mark,
        phase: seen.phase,
        reason: seen.reason,
        stamp: seen.stamp,
        view: seen.view.map(|view| node_view(&view)),
    }
}

/// A node's only host is its master.
fn node_view(view: &ClusterView) -> NodeView {
    let ip = view.address.as_ref().and_then(|ip| ip.parse().ok());
    NodeView {
        power: Power::Running,
        interfaces: vec![NodeInterface {
            bridge: "sim0".to_owned(),
            vlan: None,
            mac: "02:00:00:00:00:01".to_owned(),
            addresses: ip.map(|ip| Address { ip, prefix: 8 }).into_iter().collect(),
            shaping: None,
        }],
        ..NodeView::default()
    }
}

//! The simulated cloud as a subject, of clusters and of nodes, with whatever it
//! is told to declare.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use rm_core::backend::{Backend, Capability, Serves};
use rm_core::calls::WatchCalls;
use rm_core::catalog::{Catalog, NewImplementation, NewSite};
use rm_core::env::Timestamp;
use rm_core::model::{Cluster, Node, NodeSpec, NodeUser};
use rm_core::{Caller, Error, Kind, RemoteId, Result};
use serde_json::{Value, json};

use super::subject::{Eyes, Ground, Real, Specs, Subject, clusters};
use crate::cloud::{API, MEDIA_TYPE, NODE, NODES_API, SPEC, SimBody, SimCloud, SimConfig};

type Edit = Box<dyn Fn(&mut Capability) + Send + Sync>;

/// The simulated cloud as a subject.
pub struct SimSubject {
    name: String,
    edit: Edit,
    blind: bool,
    calls: Option<Arc<dyn WatchCalls>>,
}

impl fmt::Debug for SimSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimSubject").field(&self.name).finish()
    }
}

impl SimSubject {
    /// With what it declares by default: unique names, complete lists, changes
    /// in place.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            edit: Box::new(|_| {}),
            blind: false,
            calls: None,
        }
    }

    /// Declaring something else, which is then true.
    #[must_use]
    pub fn declaring(mut self, edit: impl Fn(&mut Capability) + Send + Sync + 'static) -> Self {
        self.edit = Box::new(edit);
        self
    }

    /// Told of every call, through the wrapper that a daemon has.
    #[must_use]
    pub fn counted(mut self, calls: Arc<dyn WatchCalls>) -> Self {
        self.calls = Some(calls);
        self
    }

    /// Without other eyes: what the backend lists is believed.
    #[must_use]
    pub fn blind(mut self) -> Self {
        self.blind = true;
        self
    }
}

#[async_trait]
impl Subject for SimSubject {
    type Model = Cluster;

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn fresh(&self) -> Result<Ground<Cluster>> {
        let cloud = cloud(&self.edit);
        let serves = Serves {
            kind: Kind::CLUSTER,
            api: API.to_owned(),
            media: vec![MEDIA_TYPE.to_owned()],
        };
        let mut ground = Ground::new(Arc::clone(&cloud) as _)
            .serves(serves)
            .media(Arc::new(SimBody))
            .site(NewSite::new("ground", API, "sim:ground"), secret());
        if !self.blind {
            ground = ground.eyes(Arc::new(Truth(cloud)));
        }
        if let Some(calls) = &self.calls {
            ground = ground.calls(Arc::clone(calls));
        }
        Ok(ground)
    }

    async fn specs(&self, catalog: &Catalog, who: &Caller) -> Result<Specs<Cluster>> {
        let body = json!({"outputs": {"console": "http://10.0.0.10:8088"}}).to_string();
        let implementation = NewImplementation::new("sample", API, MEDIA_TYPE, &body);
        clusters(catalog, who, implementation, (1, 3)).await
    }
}

/// Nodes of the simulated cloud as a subject: who logs in to them can be
/// changed while they run.
pub struct SimNodes {
    edit: Edit,
    blind: bool,
}

impl fmt::Debug for SimNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimNodes").finish_non_exhaustive()
    }
}

impl Default for SimNodes {
    fn default() -> Self {
        Self::declaring(|_| {})
    }
}

impl SimNodes {
    /// Declaring something else than that, which is then true.
    #[must_use]
    pub fn declaring(edit: impl Fn(&mut Capability) + Send + Sync + 'static) -> Self {
        let edit = move |cap: &mut Capability| {
            cap.users = true;
            edit(cap);
        };
        Self {
            edit: Box::new(edit),
            blind: false,
        }
    }

    /// Without other eyes: what the backend says is believed.
    #[must_use]
    pub fn blind(mut self) -> Self {
        self.blind = true;
        self
    }
}

#[async_trait]
impl Subject for SimNodes {
    type Model = Node;

    fn name(&self) -> String {
        "simulated nodes".to_owned()
    }

    async fn fresh(&self) -> Result<Ground<Node>> {
        let cloud = cloud(&self.edit);
        let serves = Serves {
            kind: NODE,
            api: NODES_API.to_owned(),
            media: Vec::new(),
        };
        let mut ground = Ground::new(Arc::clone(&cloud) as Arc<dyn Backend<Node>>)
            .serves(serves)
            .site(NewSite::new("ground", NODES_API, "sim:ground"), secret());
        if !self.blind {
            ground = ground.eyes(Arc::new(Truth(cloud)));
        }
        Ok(ground)
    }

    async fn specs(&self, _catalog: &Catalog, _who: &Caller) -> Result<Specs<Node>> {
        let sample = json!({
            "image": {"name": "debian", "sha256": "ab".repeat(32)}, "vcpus": 1, "memory_mib": 128,
            "users": [{"name": "ada", "ssh_keys": ["ssh-ed25519 AAAA ada@suite"]}],
        });
        let sample = serde_json::from_value(sample);
        let sample = sample.map_err(|e| Error::invalid(format!("that is no node: {e}")))?;
        Ok(Specs {
            sample,
            bigger: None,
        })
    }
}

/// A cloud at which nothing is.
fn cloud(edit: &Edit) -> Arc<SimCloud> {
    let cloud = SimCloud::new(SimConfig {
        // A call that waits can be given up while it waits.
        latency_ms: 20,
        // What takes its time is seen while it lasts.
        build_ms: 2000,
        change_ms: 1500,
        delete_ms: 1500,
        nodes: Some(100),
        ..SimConfig::default()
    });
    cloud.declare(&**edit);
    let lag = cloud.declared().visibility;
    cloud.lag("ground", lag, true);
    cloud
}

fn secret() -> Value {
    json!({"account": "conformance", "password": "right-and-long"})
}

/// The cloud as it really is.
struct Truth(Arc<SimCloud>);

#[async_trait]
impl Eyes for Truth {
    async fn everything(&self, now: Timestamp) -> Result<Vec<Real>> {
        let things = self.0.things("ground", now).into_iter();
        Ok(things
            .filter_map(|thing| {
                let id = thing.id;
                thing.mark.map(|mark| Real { id, mark })
            })
            .collect())
    }

    async fn users(&self, id: &RemoteId, now: Timestamp) -> Result<Option<Vec<NodeUser>>> {
        let things = self.0.things("ground", now);
        let thing = things.iter().find(|thing| thing.id == *id);
        let spec = thing.map(|thing| thing.output(SPEC).clone());
        let spec = spec.and_then(|spec| serde_json::from_value::<NodeSpec>(spec).ok());
        Ok(spec.map(|spec| spec.users))
    }
}

//! The simulated cloud as a subject, with whatever it is told to declare.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use rm_core::backend::{Capability, Serves};
use rm_core::catalog::{Catalog, NewImplementation, NewSite};
use rm_core::env::Timestamp;
use rm_core::model::Cluster;
use rm_core::{Caller, Kind, Result};
use serde_json::json;

use super::subject::{Eyes, Ground, Real, Specs, Subject, clusters};
use crate::cloud::{API, MEDIA_TYPE, SimBody, SimCloud, SimConfig};

type Edit = Box<dyn Fn(&mut Capability) + Send + Sync>;

/// The simulated cloud as a subject.
pub struct SimSubject {
    name: String,
    edit: Edit,
    blind: bool,
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
        }
    }

    /// Declaring something else, which is then true.
    #[must_use]
    pub fn declaring(mut self, edit: impl Fn(&mut Capability) + Send + Sync + 'static) -> Self {
        self.edit = Box::new(edit);
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
        cloud.declare(&*self.edit);
        let lag = cloud.declared().visibility;
        cloud.lag("ground", lag, true);
        let serves = Serves {
            kind: Kind::CLUSTER,
            api: API.to_owned(),
            media: vec![MEDIA_TYPE.to_owned()],
        };
        let site = NewSite::new("ground", API, "sim:ground");
        let secret = json!({"account": "conformance", "password": "right-and-long"});
        let mut ground = Ground::new(Arc::clone(&cloud) as _)
            .serves(serves)
            .media(Arc::new(SimBody))
            .site(site, secret);
        if !self.blind {
            ground = ground.eyes(Arc::new(Truth(cloud)));
        }
        Ok(ground)
    }

    async fn specs(&self, catalog: &Catalog, who: &Caller) -> Result<Specs<Cluster>> {
        let body = json!({"outputs": {"console": "http://10.0.0.10:8088"}}).to_string();
        let implementation = NewImplementation::new("sample", API, MEDIA_TYPE, &body);
        clusters(catalog, who, implementation, (1, 3)).await
    }
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
}

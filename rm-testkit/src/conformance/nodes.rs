//! Core's clusters made of nodes as a subject, over simulated nodes.

use std::sync::Arc;

use async_trait::async_trait;
use rm_core::backend::{Backend, Serves};
use rm_core::catalog::{Catalog, NewImage, NewImplementation, NewSite};
use rm_core::model::{Cluster, Node};
use rm_core::nodes::{MEDIA_TYPE, NodeClusters, NodesBody};
use rm_core::{Caller, Kind, Result};
use serde_json::{Value, json};

use super::subject::{Ground, Specs, Subject, clusters};
use crate::cloud::{NODE, NODES_API, SimCloud, SimConfig};

/// Clusters made of simulated nodes as a subject.
#[derive(Debug, Clone, Copy, Default)]
pub struct NodesSubject;

#[async_trait]
impl Subject for NodesSubject {
    type Model = Cluster;

    fn name(&self) -> String {
        "clusters of simulated nodes".to_owned()
    }

    async fn fresh(&self) -> Result<Ground<Cluster>> {
        let cloud = SimCloud::new(SimConfig {
            latency_ms: 20,
            build_ms: 2000,
            change_ms: 1500,
            delete_ms: 1500,
            nodes: Some(100),
            ..SimConfig::default()
        });
        cloud.declare(|c| c.keeps_owner = true);
        let nodes = Arc::clone(&cloud) as Arc<dyn Backend<Node>>;
        let serves = Serves {
            kind: Kind::CLUSTER,
            api: NODES_API.to_owned(),
            media: vec![MEDIA_TYPE.to_owned()],
        };
        let site = NewSite::new("ground", NODES_API, "sim:ground");
        let secret = json!({"account": "conformance", "password": "right-and-long"});
        Ok(
            Ground::new(Arc::new(NodeClusters::over(NODES_API, NODE, nodes)))
                .serves(serves)
                .media(Arc::new(NodesBody))
                .site(site, secret)
                .beside(move |registries| cloud.install_nodes(registries)),
        )
    }

    async fn specs(&self, catalog: &Catalog, who: &Caller) -> Result<Specs<Cluster>> {
        let image = NewImage {
            name: "debian".to_owned(),
            source: "file:/images/debian".to_owned(),
            sha256: "ab".repeat(32),
            disk_format: "raw".to_owned(),
        };
        catalog.add_image(who, image).await?;
        let role = |name: &str, count: Value| {
            json!({"name": name, "count": count,
                "node": {"image": "debian", "vcpus": 1, "memory_mib": 128}})
        };
        let body = json!({
            "roles": [role("master", json!(1)), role("slave", json!("slaves"))],
            "master": "master",
        });
        let new = NewImplementation::new("sample", NODES_API, MEDIA_TYPE, &body.to_string());
        clusters(catalog, who, new, (1, 3)).await
    }
}

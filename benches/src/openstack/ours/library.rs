//! The library, embedded.

use std::sync::Arc;
use std::time::Duration;

use rm_adapters::TokioEnv;
use rm_core::catalog::{NewAppliance, NewCredential, NewImplementation, NewSite};
use rm_core::clusters::{ClusterRequest, Reuse};
use rm_core::env::Env;
use rm_core::{Caller, Host};
use rm_store::{AeadSealer, SqliteStore, generate_key};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::super::lab::Lab;
use super::APPLIANCE;
use crate::Result;

const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(in super::super) struct Library {
    host: Arc<Host>,
    user: Caller,
    engine: JoinHandle<rm_core::Result<()>>,
    // Goes away last.
    _dir: TempDir,
}

impl Drop for Library {
    fn drop(&mut self) {
        self.engine.abort();
    }
}

impl Library {
    pub(super) async fn start(lab: &Lab, template: &str) -> Result<Self> {
        let dir = TempDir::new()?;
        let env: Arc<dyn Env> = Arc::new(TokioEnv::new());
        let store = SqliteStore::open(dir.path().join("store.db"), Arc::clone(&env))?;
        let name = format!("bench-{:x}", env.random() >> 16);
        let sealer = AeadSealer::new(&[generate_key()?])?;
        let mut builder = Host::builder(env)
            .store(Arc::new(store))
            .sealer(Arc::new(sealer))
            .installation(name);
        builder.registries().install(&rm_openstack::PLUGIN, None)?;
        let host = Arc::new(builder.build()?);
        let operator = Caller::operator("operator", "operators");
        let user = Caller::user("user", "users");
        let account = &lab.account;
        let catalog = host.catalog();
        let site: NewSite = serde_json::from_value(json!({
            "name": "lab", "api": "openstack", "url": account.auth_url,
        }))?;
        catalog.add_site(&operator, site).await?;
        let credential = NewCredential {
            name: "mine".to_owned(),
            site: "lab".to_owned(),
            user: None,
            tenant: None,
            secret: json!({
                "username": account.username,
                "password": account.password,
                "project_name": account.project_name,
            }),
        };
        catalog.add_credential(&user, credential).await?;
        let appliance: NewAppliance = serde_json::from_value(json!({"name": APPLIANCE}))?;
        catalog.add_appliance(&operator, appliance).await?;
        let implementation: NewImplementation = serde_json::from_value(json!({
            "appliance": APPLIANCE,
            "site_type": "openstack",
            "media_type": "application/vnd.openstack.heat+yaml",
            "body": template,
        }))?;
        catalog
            .add_implementation(&operator, implementation)
            .await?;
        let engine = host.engine();
        let engine = tokio::spawn(async move { engine.run(std::future::pending()).await });
        Ok(Self {
            host,
            user,
            engine,
            _dir: dir,
        })
    }

    pub(super) async fn one(&self, name: &str) -> Result<String> {
        let request = ClusterRequest {
            appliance: APPLIANCE.to_owned(),
            name: Some(name.to_owned()),
            reuse: Reuse::Never,
            ..ClusterRequest::default()
        };
        let clusters = self.host.clusters();
        let id = clusters.create(&self.user, &request).await?.cluster.id();
        let cluster = clusters.settled(&self.user, id, PATIENCE).await?;
        match cluster.view()?.address {
            Some(_) if cluster.is_ready() => Ok(id.to_string()),
            _ => Err(format!("{}: {}", cluster.record().seen, cluster.record().reason).into()),
        }
    }

    pub(super) async fn ids(&self) -> Result<Vec<String>> {
        let clusters = self.host.clusters();
        let page = clusters.list(&self.user, false, None, 500).await?;
        Ok(page.items.iter().map(|c| c.id().to_string()).collect())
    }

    pub(super) async fn delete(&self, id: &str) -> Result<()> {
        let id = id.parse()?;
        let clusters = self.host.clusters();
        clusters
            .get(&self.user, id)
            .await?
            .release(&self.user, None)
            .await?;
        match clusters.gone(&self.user, id, PATIENCE).await? {
            true => Ok(()),
            false => Err("a cluster does not go".into()),
        }
    }
}

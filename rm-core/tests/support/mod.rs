//! What the tests of this crate share: a host over a backend that is told what
//! to answer, and a world in which nobody waits.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "tests, and what they share")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use rm_core::backend::{Absence, Capability, CreateKey, MockBackend, Serves};
use rm_core::catalog::Site;
use rm_core::env::{Env, Timestamp};
use rm_core::model::Cluster;
use rm_core::registry::Media;
use rm_core::{Caller, Host, Kind, Result};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A backend that guarantees what clusters on a cloud usually do.
pub(crate) fn cloud() -> MockBackend<Cluster> {
    let mut cloud = MockBackend::new();
    cloud.expect_capability().returning(|_: &Site| {
        let mut capability = Capability::new();
        capability.create_key = CreateKey::UniqueName;
        capability.absence = Absence::NotListed;
        capability
    });
    cloud
}

/// A host over it.
pub(crate) fn host(cloud: MockBackend<Cluster>) -> Host {
    let mut builder = Host::builder(Arc::new(Quick::default()));
    builder.registries().media(Arc::new(AnyBody)).unwrap();
    let serves = Serves {
        kind: Kind::CLUSTER,
        api: "toy".to_owned(),
        media: vec!["text/toy".to_owned()],
    };
    builder
        .registries()
        .backend("toy", serves, Arc::new(cloud))
        .unwrap();
    builder.build().unwrap()
}

/// Who loads the catalog and owns clusters.
pub(crate) fn anna() -> Caller {
    Caller::operator("anna", "acme")
}

/// A site with a credential for it.
pub(crate) async fn add_site(host: &Host, name: &str) -> Site {
    let (catalog, who) = (host.catalog(), anna());
    let site = json!({"name": name, "api": "toy", "url": format!("sim:{name}")});
    let made = catalog.add_site(&who, read(site)).await.unwrap();
    let credential = json!({"name": format!("for {name}"), "site": name, "secret": {}});
    catalog
        .add_credential(&who, read(credential))
        .await
        .unwrap();
    made
}

/// The appliance `hadoop` with one implementation for every site.
pub(crate) async fn add_hadoop(host: &Host) {
    let appliance = json!({"name": "hadoop"});
    host.catalog()
        .add_appliance(&anna(), read(appliance))
        .await
        .unwrap();
    add_revision(host, None).await;
}

/// One more revision of it: for a site, or for all.
pub(crate) async fn add_revision(host: &Host, site: Option<&str>) -> rm_core::CatalogId {
    let mut new = json!({"appliance": "hadoop", "media_type": "text/toy", "body": ""});
    match site {
        Some(site) => new["site"] = json!(site),
        None => new["site_type"] = json!("toy"),
    }
    let added = host.catalog().add_implementation(&anna(), read(new)).await;
    added.unwrap().id
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Understands every body.
#[derive(Debug)]
struct AnyBody;

impl Media for AnyBody {
    fn media_type(&self) -> &'static str {
        "text/toy"
    }

    fn check(&self, _body: &str) -> Result<()> {
        Ok(())
    }

    fn accepts(&self, _body: &str, _parameters: &BTreeMap<String, Value>) -> Result<()> {
        Ok(())
    }
}

/// A world in which who sleeps is woken at once, and time has passed.
#[derive(Debug, Default)]
struct Quick {
    now: Arc<AtomicI64>,
    drawn: AtomicU64,
}

#[async_trait]
impl Env for Quick {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
        let now = Arc::clone(&self.now);
        Box::pin(async move {
            tokio::task::yield_now().await;
            let millis = i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
            now.fetch_add(millis, Ordering::SeqCst);
        })
    }

    fn random(&self) -> u64 {
        self.drawn.fetch_add(1, Ordering::SeqCst)
    }

    async fn reaches(&self, _address: &str, _port: u16) -> bool {
        true
    }
}

//! A host on a cloud that is played back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rm_core::catalog::{NewCredential, NewSite};
use rm_core::env::{Env, Timestamp};
use rm_core::{Caller, Host};
use serde_json::json;

#[derive(Debug)]
struct RealEnv;

#[async_trait]
impl Env for RealEnv {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_795_262_400_000)
    }

    fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(d).boxed()
    }

    fn random(&self) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        std::hash::RandomState::new().build_hasher().finish()
    }

    async fn reaches(&self, _address: &str, _port: u16) -> bool {
        true
    }
}

pub(crate) fn ann() -> Caller {
    Caller::operator("ann", "physics")
}

/// Its engine works; its site `lab` is at this address, for which ann has a
/// credential.
pub(crate) async fn at(url: &str) -> Arc<Host> {
    let mut builder = Host::builder(Arc::new(RealEnv));
    builder
        .registries()
        .install(&rm_openstack::PLUGIN, None)
        .unwrap();
    let host = Arc::new(builder.build().unwrap());
    let mut site = NewSite::new("lab", "openstack", url);
    site.region = Some("RegionOne".to_owned());
    host.catalog().add_site(&ann(), site).await.unwrap();
    let secret = json!({"username": "demo", "password": "oslab-user", "project_name": "demo"});
    let credential = NewCredential::new("mine", "lab", secret);
    let added = host.catalog().add_credential(&ann(), credential).await;
    added.unwrap();
    let engine = host.engine();
    tokio::spawn(async move { engine.run(std::future::pending()).await });
    host
}

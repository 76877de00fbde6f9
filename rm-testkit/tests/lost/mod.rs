//! A store is lost, and another host begins over an empty one: what tests of
//! the rebuild share.

// Each test program uses a part of this.
#![allow(dead_code)]

use std::sync::Arc;
use std::time::Duration;

use rm_core::catalog::{NewCredential, NewImage, NewSite};
use rm_core::policy::Policy;
use rm_core::rebuild::Rebuilt;
use rm_core::record::ResourceRecord;
use rm_core::store::{By, MemoryStore, Store};
use rm_core::{Host, Tenant};
use rm_testkit::Scene;
use serde_json::json;

/// Longer than anything takes that was under way.
pub(crate) const LIMIT: Duration = Duration::from_secs(600);

/// Engines die, and what was under way comes to its end at the site.
pub(crate) async fn lose(s: &Scene) {
    for engine in s.engines() {
        s.world.kill(engine.id);
    }
    s.world.sleep(LIMIT).await;
}

/// Another host on the same cloud, over a store that is empty.
pub(crate) fn anew(s: &Scene) -> (Arc<Host>, Arc<dyn Store>) {
    anew_under(s, Policy::default())
}

/// The same, under this policy.
pub(crate) fn anew_under(s: &Scene, policy: Policy) -> (Arc<Host>, Arc<dyn Store>) {
    let env = s.world.env();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::clone(&env) as _));
    let mut builder = Host::builder(env)
        .store(Arc::clone(&store))
        .policy(policy)
        .installation("lab");
    s.cloud.install(builder.registries()).unwrap();
    s.cloud.install_nodes(builder.registries()).unwrap();
    (Arc::new(builder.build().unwrap()), store)
}

/// A site, and the credentials of Alice and Carol for it, as a person loads
/// them once more.
pub(crate) async fn load_site(s: &Scene, host: &Host, name: &str, api: &str) {
    let (catalog, who) = (host.catalog(), &s.operator);
    let site = NewSite::new(name, api, &format!("sim:{name}"));
    catalog.add_site(who, site).await.unwrap();
    for user in [&s.alice, &s.carol] {
        let secret = json!({"account": user.tenant, "password": "right"});
        let mut credential = NewCredential::new(&user.user, name, secret);
        credential.user = Some(user.user.clone());
        credential.tenant = Some(Tenant(user.tenant.0.clone()));
        catalog.add_credential(who, credential).await.unwrap();
    }
}

pub(crate) fn image(name: &str) -> NewImage {
    NewImage {
        name: name.to_owned(),
        source: format!("file:/images/{name}"),
        sha256: "ab".repeat(32),
        disk_format: "raw".to_owned(),
    }
}

pub(crate) async fn rebuild(s: &Scene, host: &Host, apply: bool) -> Rebuilt {
    host.rebuild().run(&s.operator, apply).await.unwrap()
}

/// An engine of that host.
pub(crate) fn work(s: &Scene, host: &Arc<Host>) {
    let engine = host.engine();
    s.world.spawn("anew", async move {
        engine.run(std::future::pending()).await.unwrap();
    });
}

pub(crate) async fn records(store: &Arc<dyn Store>) -> Vec<ResourceRecord> {
    let page = store.resources(&By::All, None, 500).await.unwrap();
    page.items.iter().map(|row| (*row.record).clone()).collect()
}

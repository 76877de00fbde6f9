//! What the unit tests of this crate share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::caller::Tenant;
use crate::env::{Env, Timestamp};
use crate::id::{CatalogId, HoldId, Kind, ResourceId};
use crate::model::Json;
use crate::record::{Hold, Place, ResourceRecord};

/// A world in which time passes when a test says so.
#[derive(Debug)]
pub(crate) struct Still {
    now: AtomicI64,
    drawn: AtomicU64,
}

impl Still {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            now: AtomicI64::new(1_000_000),
            drawn: AtomicU64::new(0),
        })
    }

    pub(crate) fn pass(&self, d: Duration) {
        let later = self.now().plus(d);
        self.now.store(later.millis(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Env for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
        self.pass(d);
        Box::pin(std::future::ready(()))
    }

    fn random(&self) -> u64 {
        self.drawn.fetch_add(1, Ordering::SeqCst)
    }

    async fn reaches(&self, _address: &str, _port: u16) -> bool {
        false
    }
}

/// A cluster of a tenant, held by users of it, that was asked for just now.
pub(crate) fn record(env: &Still, tenant: &str, holders: &[&str]) -> ResourceRecord {
    let now = env.now();
    let tenant = Tenant(tenant.to_owned());
    let place = Place {
        manager: "toy".to_owned(),
        site: CatalogId(uuid::Uuid::from_u128(1)),
        site_name: "berlin".to_owned(),
        credential: CatalogId(uuid::Uuid::from_u128(2)),
        spec: Json::of(&"spec").unwrap(),
        key: None,
    };
    let hold = |user: &&str| Hold {
        id: HoldId::new(env),
        user: (*user).to_owned(),
        tenant: tenant.clone(),
        until: None,
        since: now,
    };
    let (id, name) = (ResourceId::new(env), "hadoop".to_owned());
    ResourceRecord {
        holds: holders.iter().map(hold).collect(),
        nodes: 1,
        ..ResourceRecord::new(id, Kind::CLUSTER, tenant.clone(), name, place, now)
    }
}

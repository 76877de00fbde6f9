//! What the tests of the stores share: a clock that stands until it is moved,
//! and things to put into a store.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test uses some of it, and fails by a panic"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use rm_core::caller::Tenant;
use rm_core::env::{Env, Timestamp};
use rm_core::event::{NewEvent, Revision};
use rm_core::id::{CatalogId, HoldId, InstanceId, Kind, ResourceId};
use rm_core::model::Json;
use rm_core::record::{Document, Hold, Place, ResourceRecord};
use rm_core::store::{Batch, Due, MemoryStore, Outcome, Store};
use rm_store::SqliteStore;
use serde_json::json;
use uuid::Uuid;

/// The clock begins here in every process.
pub(crate) const BEGIN: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// The length of the leases of the tests.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// A clock that stands until it is moved.
#[derive(Debug)]
pub(crate) struct TestEnv {
    now: AtomicI64,
    rolled: AtomicU64,
}

impl TestEnv {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            now: AtomicI64::new(BEGIN.millis()),
            rolled: AtomicU64::new(0),
        })
    }

    pub(crate) fn forward(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap();
        self.now.fetch_add(by, Ordering::SeqCst);
    }
}

#[async_trait]
impl Env for TestEnv {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(d))
    }

    fn random(&self) -> u64 {
        self.rolled.fetch_add(1, Ordering::SeqCst)
    }

    async fn reaches(&self, _address: &str, _port: u16) -> bool {
        false
    }
}

/// A store and what it stands on.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) env: Arc<TestEnv>,
    pub(crate) folder: Option<tempfile::TempDir>,
}

pub(crate) fn memory() -> Rig {
    let env = TestEnv::new();
    Rig {
        store: Arc::new(MemoryStore::new(env.clone())),
        env,
        folder: None,
    }
}

pub(crate) fn sqlite() -> Rig {
    let env = TestEnv::new();
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("store.db"), env.clone()).unwrap();
    Rig {
        store: Arc::new(store),
        env,
        folder: Some(folder),
    }
}

impl Rig {
    /// Writes what must not be refused.
    pub(crate) async fn done(&self, batch: Batch) -> Revision {
        done(&*self.store, batch).await
    }
}

pub(crate) async fn done(store: &dyn Store, batch: Batch) -> Revision {
    match store.commit(batch).await.unwrap() {
        Outcome::Done(revision) => revision,
        Outcome::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

pub(crate) fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

pub(crate) fn resource_id(n: u128) -> ResourceId {
    ResourceId(uuid(n))
}

pub(crate) fn catalog_id(n: u128) -> CatalogId {
    CatalogId(uuid(n))
}

pub(crate) fn engine(n: u128) -> InstanceId {
    InstanceId(uuid(0xe000 + n))
}

/// The n-th resource, of a tenant, held by some users.
pub(crate) fn record(n: u128, tenant: &str, users: &[&str]) -> ResourceRecord {
    let tenant = Tenant(tenant.to_owned());
    let place = Place {
        manager: "sim".to_owned(),
        site: catalog_id(1),
        site_name: "here".to_owned(),
        credential: catalog_id(2),
        spec: Json::of(&json!({"slaves": n.to_string(), "text": "ü \"q\" \n"})).unwrap(),
        key: None,
    };
    let hold = |user: &&str| Hold {
        id: HoldId(uuid(n)),
        user: (*user).to_owned(),
        tenant: tenant.clone(),
        until: None,
        since: BEGIN,
    };
    let (id, name) = (resource_id(n), format!("c{n}"));
    ResourceRecord {
        holds: users.iter().map(hold).collect(),
        nodes: 1,
        ..ResourceRecord::new(id, Kind::CLUSTER, tenant.clone(), name, place, BEGIN)
    }
}

pub(crate) fn put(record: ResourceRecord, due: Due) -> Batch {
    Batch {
        resources: vec![(Arc::new(record), due)],
        ..Batch::default()
    }
}

pub(crate) fn document(
    space: &str,
    id: &str,
    indexes: &[(&str, &str)],
    body: &str,
) -> Arc<Document> {
    Arc::new(Document {
        space: space.to_owned(),
        id: id.to_owned(),
        indexes: indexes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: Json::of(&body).unwrap(),
    })
}

pub(crate) fn keep(documents: Vec<Arc<Document>>) -> Batch {
    Batch {
        documents,
        ..Batch::default()
    }
}

pub(crate) fn event(what: &str, resource: Option<ResourceId>) -> NewEvent {
    NewEvent {
        at: BEGIN,
        what: what.to_owned(),
        tenant: Some(Tenant("t".to_owned())),
        audience: vec!["ann".to_owned()],
        resource,
        data: json!({"n": 1, "list": [true, null, "x"]}).into(),
    }
}

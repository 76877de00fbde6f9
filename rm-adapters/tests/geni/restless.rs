//! Calls on a slice while the engine is at work on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rm_adapters::geni::xmlrpc::Value;
use rm_core::env::Timestamp;
use rm_core::event::Event;
use rm_core::id::InstanceId;
use rm_core::record::{Document, ResourceRecord};
use rm_core::store::{
    Account, Batch, By, Claim, Cursor, Due, Expect, Key, Outcome, Page, Store, Versioned,
};
use rm_core::{ResourceId, Result};

use super::lab::{code, lab};
use super::slice::{Slice, all, nodes, none, slivers, states, value};

/// A store in which the engine is a step ahead of whoever writes several
/// resources: before so many of such batches one of their rows is written again.
#[derive(Debug)]
struct Restless {
    of: Arc<dyn Store>,
    left: AtomicUsize,
}

impl Restless {
    fn over(of: &Arc<dyn Store>, times: usize) -> Arc<Self> {
        Arc::new(Self {
            of: Arc::clone(of),
            left: AtomicUsize::new(times),
        })
    }

    /// The row that is written again, another one each time.
    fn next(&self, batch: &Batch) -> Option<ResourceId> {
        let rows: Vec<ResourceId> = batch
            .expect
            .iter()
            .filter_map(|expect| match expect {
                Expect::Version(Key::Resource(id), _) => Some(*id),
                _ => None,
            })
            .collect();
        if rows.len() < 2 {
            return None;
        }
        let take = |left: usize| left.checked_sub(1);
        let left = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        rows.get(left.ok()? % rows.len()).copied()
    }
}

#[async_trait]
impl Store for Restless {
    fn is_durable(&self) -> bool {
        self.of.is_durable()
    }

    async fn resource(&self, id: ResourceId) -> Result<Option<Versioned<ResourceRecord>>> {
        self.of.resource(id).await
    }

    async fn resources(
        &self,
        by: &By,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<ResourceRecord>>> {
        self.of.resources(by, after, limit).await
    }

    async fn document(&self, space: &str, id: &str) -> Result<Option<Versioned<Document>>> {
        self.of.document(space, id).await
    }

    async fn documents(
        &self,
        space: &str,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<Document>>> {
        self.of.documents(space, index, after, limit).await
    }

    async fn counter(&self, counter: &str) -> Result<u64> {
        self.of.counter(counter).await
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome> {
        if let Some(id) = self.next(&batch) {
            let row = self.of.resource(id).await?.unwrap();
            let faster = Batch {
                expect: vec![Expect::Version(Key::Resource(id), row.version)],
                resources: vec![(row.record, Due::Keep)],
                ..Batch::default()
            };
            let faster = self.of.commit(faster).await?;
            assert!(matches!(faster, Outcome::Done(_)), "{faster:?}");
        }
        self.of.commit(batch).await
    }

    async fn claim(
        &self,
        owner: InstanceId,
        ttl: Duration,
        max: u32,
        except: &[Account],
    ) -> Result<Vec<Claim>> {
        self.of.claim(owner, ttl, max, except).await
    }

    async fn next_due(&self, except: &[Account]) -> Result<Option<Timestamp>> {
        self.of.next_due(except).await
    }

    async fn ended(&self, now: Timestamp, limit: u32) -> Result<Vec<Versioned<ResourceRecord>>> {
        self.of.ended(now, limit).await
    }

    async fn next_end(&self) -> Result<Option<Timestamp>> {
        self.of.next_end().await
    }

    async fn since(&self, seq: u64, of: Option<ResourceId>, limit: u32) -> Result<Vec<Event>> {
        self.of.since(seq, of, limit).await
    }

    async fn newest(&self) -> Result<u64> {
        self.of.newest().await
    }
}

/// The names of so many nodes.
fn many(n: usize) -> String {
    let names: Vec<String> = (0..n).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    nodes(&names)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_on_a_slice_go_through_however_often_the_engine_is_faster_on_its_slivers() {
    let mut lab = lab("restless").await;
    value(&Slice::of(&lab, "s").allocate(&many(30)).await);
    let store = Restless::over(lab.host.store(), 0);
    let kept: Arc<dyn Store> = Arc::<Restless>::clone(&store);
    lab.restart_with(kept, |all| rm_adapters::geni::register(all).unwrap())
        .await;
    let slice = Slice::of(&lab, "s");
    for method in ["Provision", "Delete"] {
        store.left.store(60, Ordering::SeqCst);
        assert_eq!(slivers(&value(&slice.all(method).await)).len(), 30);
        assert_eq!(store.left.load(Ordering::SeqCst), 0, "{method}");
    }
    assert_eq!(code(&slice.all("Status").await), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_binds_even_where_nothing_can_be_stopped_yet() {
    let mut lab = lab("restless-shut").await;
    value(&Slice::of(&lab, "s").create(&many(5)).await);
    let store = Restless::over(lab.host.store(), usize::MAX);
    let kept: Arc<dyn Store> = Arc::<Restless>::clone(&store);
    lab.restart_with(kept, |all| rm_adapters::geni::register(all).unwrap())
        .await;
    let slice = Slice::of(&lab, "s");
    let arguments = || vec![slice.urn(), slice.proof(), none()];
    assert_eq!(code(&slice.call(3, "Shutdown", arguments()).await), 14);
    assert_eq!(code(&slice.allocate(&nodes(&["more"])).await), 3);
    assert_eq!(code(&slice.all("Delete").await), 3);

    store.left.store(0, Ordering::SeqCst);
    let answer = slice.call(3, "Shutdown", arguments()).await;
    assert_eq!(value(&answer), Value::Bool(true));
    lab.start_engine();
    let stopped = slice.comes_to("geni_notready").await;
    assert_eq!(
        states(&value(&stopped)),
        all("geni_provisioned", "geni_notready", 5)
    );
}

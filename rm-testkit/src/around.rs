//! A store around another one, for whoever comes between two of its calls.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rm_core::env::Timestamp;
use rm_core::event::Event;
use rm_core::id::InstanceId;
use rm_core::record::{Document, ResourceRecord};
use rm_core::store::{Account, Batch, By, Claim, Cursor, Outcome, Page, Queue, Store, Versioned};
use rm_core::{ResourceId, Result};

/// What comes between a store and whoever uses it. Calls that are not named
/// here pass as they are, and so do those that are not written otherwise.
#[async_trait]
pub trait Between: fmt::Debug + Send + Sync + 'static {
    /// [`Store::resources`] of the store inside.
    async fn resources(
        &self,
        store: &dyn Store,
        by: &By,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<ResourceRecord>>> {
        store.resources(by, after, limit).await
    }

    /// [`Store::document`] of the store inside.
    async fn document(
        &self,
        store: &dyn Store,
        space: &str,
        id: &str,
    ) -> Result<Option<Versioned<Document>>> {
        store.document(space, id).await
    }

    /// [`Store::documents`] of the store inside.
    async fn documents(
        &self,
        store: &dyn Store,
        space: &str,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<Document>>> {
        store.documents(space, index, after, limit).await
    }

    /// [`Store::commit`] of the store inside.
    async fn commit(&self, store: &dyn Store, batch: Batch) -> Result<Outcome> {
        store.commit(batch).await
    }

    /// [`Store::claim`] of the store inside.
    async fn claim(
        &self,
        store: &dyn Store,
        owner: InstanceId,
        ttl: Duration,
        queue: Queue,
        max: u32,
        except: &[Account],
    ) -> Result<Vec<Claim>> {
        store.claim(owner, ttl, queue, max, except).await
    }
}

/// A store, and what comes between it and whoever uses it: its fields and
/// methods are those of what comes between.
#[derive(Debug)]
pub struct Around<B> {
    store: Arc<dyn Store>,
    between: B,
}

impl<B: Between> Around<B> {
    /// Around this store.
    pub fn new(store: Arc<dyn Store>, between: B) -> Arc<Self> {
        Arc::new(Self { store, between })
    }
}

impl<B> Deref for Around<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.between
    }
}

#[async_trait]
impl<B: Between> Store for Around<B> {
    fn is_durable(&self) -> bool {
        self.store.is_durable()
    }

    async fn resource(&self, id: ResourceId) -> Result<Option<Versioned<ResourceRecord>>> {
        self.store.resource(id).await
    }

    async fn resources(
        &self,
        by: &By,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<ResourceRecord>>> {
        let store = &*self.store;
        self.between.resources(store, by, after, limit).await
    }

    async fn document(&self, space: &str, id: &str) -> Result<Option<Versioned<Document>>> {
        self.between.document(&*self.store, space, id).await
    }

    async fn documents(
        &self,
        space: &str,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<Document>>> {
        let store = &*self.store;
        self.between
            .documents(store, space, index, after, limit)
            .await
    }

    async fn counter(&self, counter: &str) -> Result<u64> {
        self.store.counter(counter).await
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome> {
        self.between.commit(&*self.store, batch).await
    }

    async fn claim(
        &self,
        owner: InstanceId,
        ttl: Duration,
        queue: Queue,
        max: u32,
        except: &[Account],
    ) -> Result<Vec<Claim>> {
        let store = &*self.store;
        self.between
            .claim(store, owner, ttl, queue, max, except)
            .await
    }

    async fn is_claimed(&self, id: ResourceId) -> Result<bool> {
        self.store.is_claimed(id).await
    }

    async fn next_due(&self, queue: Queue, except: &[Account]) -> Result<Option<Timestamp>> {
        self.store.next_due(queue, except).await
    }

    async fn ended(&self, now: Timestamp, limit: u32) -> Result<Vec<Versioned<ResourceRecord>>> {
        self.store.ended(now, limit).await
    }

    async fn next_end(&self) -> Result<Option<Timestamp>> {
        self.store.next_end().await
    }

    async fn since(&self, seq: u64, of: Option<ResourceId>, limit: u32) -> Result<Vec<Event>> {
        self.store.since(seq, of, limit).await
    }

    async fn newest(&self) -> Result<u64> {
        self.store.newest().await
    }
}

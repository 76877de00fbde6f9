//! What the tests of this store share.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::MemoryStore;
use crate::caller::Tenant;
use crate::env::{Env, Timestamp};
use crate::event::NewEvent;
use crate::id::{CatalogId, InstanceId, ResourceId};
use crate::model::Json;
use crate::record::{Document, Grant, ResourceRecord};
use crate::store::{
    Batch, By, Claim, Count, Cursor, Due, Expect, Fence, Key, Outcome, Page, Queue, Refusal, Store,
    Version, Versioned,
};
use crate::testing::{Still, record};

mod claims;
mod commits;
mod reads;

const LEASE: Duration = Duration::from_secs(60);

fn store() -> (Arc<Still>, MemoryStore) {
    let env = Still::new();
    let store = MemoryStore::new(Arc::clone(&env) as Arc<dyn Env>);
    (env, store)
}

fn put(record: &ResourceRecord, due: Due) -> Batch {
    Batch {
        resources: vec![(Arc::new(record.clone()), due)],
        ..Batch::default()
    }
}

fn document(id: &str, indexes: &[(&str, &str)]) -> Arc<Document> {
    Arc::new(Document {
        space: "toy".to_owned(),
        id: id.to_owned(),
        indexes: indexes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: Json::of(&id).unwrap(),
    })
}

fn write(documents: Vec<Arc<Document>>) -> Batch {
    Batch {
        documents,
        ..Batch::default()
    }
}

async fn done(store: &MemoryStore, batch: Batch) {
    let outcome = store.commit(batch).await.unwrap();
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
}

async fn refused(store: &MemoryStore, batch: Batch) -> Refusal {
    match store.commit(batch).await.unwrap() {
        Outcome::Refused(why) => why,
        Outcome::Done(_) => panic!("it was written"),
    }
}

async fn claim(store: &MemoryStore, max: u32) -> Vec<Claim> {
    let me = InstanceId(uuid::Uuid::nil());
    store
        .claim(me, LEASE, Queue::Awaited, max, &[])
        .await
        .unwrap()
}

fn ids(page: &Page<Versioned<ResourceRecord>>) -> Vec<ResourceId> {
    page.items.iter().map(|row| row.record.id).collect()
}

/// Walks through all pages and answers the ids in the order they came.
async fn walk(store: &MemoryStore, by: &By, limit: u32) -> Vec<ResourceId> {
    let (mut all, mut after) = (Vec::new(), None::<Cursor>);
    loop {
        let page = store.resources(by, after.as_ref(), limit).await.unwrap();
        let at_most = usize::try_from(limit.max(1)).unwrap();
        assert!(page.items.len() <= at_most);
        // There is no page after the last one that has something.
        assert!(page.next.is_none() || page.items.len() == at_most);
        all.extend(ids(&page));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

async fn walk_documents(store: &MemoryStore, index: Option<(&str, &str)>, limit: u32) -> String {
    let (mut all, mut after) = (Vec::new(), None::<Cursor>);
    loop {
        let page = store
            .documents("toy", index, after.as_ref(), limit)
            .await
            .unwrap();
        all.extend(page.items.iter().map(|d| d.record.id.clone()));
        after = page.next;
        if after.is_none() {
            return all.join(" ");
        }
    }
}

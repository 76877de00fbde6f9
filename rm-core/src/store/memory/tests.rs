use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::MemoryStore;
use crate::caller::Tenant;
use crate::env::{Env, Timestamp};
use crate::event::NewEvent;
use crate::id::{CatalogId, InstanceId, ResourceId};
use crate::model::Json;
use crate::record::{Document, Grant, ResourceRecord};
use crate::store::{
    Batch, By, Claim, Count, Cursor, Due, Expect, Fence, Key, Outcome, Page, Refusal, Store,
    Version, Versioned,
};
use crate::testing::{Still, record};

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
    store.claim(me, LEASE, max).await.unwrap()
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

// -- pages -----------------------------------------------------------------------

#[tokio::test]
async fn every_page_size_shows_every_resource_once_and_in_order() {
    let (env, store) = store();
    let mut all = Vec::new();
    for n in 0..7 {
        let tenant = if n % 2 == 0 { "even" } else { "odd" };
        let row = record(&env, tenant, &["anna"]);
        done(&store, put(&row, Due::Rest)).await;
        all.push((row.id, tenant));
    }
    all.sort();
    let of = |tenant: &str| -> Vec<ResourceId> {
        all.iter()
            .filter(|(_, t)| *t == tenant)
            .map(|(id, _)| *id)
            .collect()
    };
    let place = record(&env, "x", &[]).place;
    let everything: Vec<ResourceId> = all.iter().map(|(id, _)| *id).collect();
    for limit in 0..9 {
        assert_eq!(walk(&store, &By::All, limit).await, everything);
        for tenant in ["even", "odd", "nobody"] {
            let by = By::Tenant(tenant.to_owned());
            assert_eq!(walk(&store, &by, limit).await, of(tenant));
        }
        let anna = By::Party("anna".to_owned());
        assert_eq!(walk(&store, &anna, limit).await, everything);
        let account = By::Account(place.site, place.credential);
        assert_eq!(walk(&store, &account, limit).await, everything);
    }
}

#[tokio::test]
async fn a_cursor_survives_what_is_deleted_and_added_meanwhile() {
    let (_, store) = store();
    let some = ["a", "b", "c", "d"].map(|id| document(id, &[("of", "x")]));
    done(&store, write(some.to_vec())).await;
    let index = Some(("of", "x"));
    let first = store.documents("toy", index, None, 2).await.unwrap();
    let mut batch = write(vec![
        document("aa", &[("of", "x")]),
        document("cc", &[("of", "x")]),
    ]);
    batch
        .delete
        .push(Key::Document("toy".to_owned(), "b".to_owned()));
    done(&store, batch).await;
    let rest = store
        .documents("toy", index, first.next.as_ref(), 9)
        .await
        .unwrap();
    let rest: Vec<&str> = rest.items.iter().map(|d| d.record.id.as_str()).collect();
    assert_eq!(rest, ["c", "cc", "d"]);
}

#[tokio::test]
async fn a_cursor_that_nobody_gave_out_is_refused() {
    let (_, store) = store();
    let made_up = Cursor("made up".to_owned());
    let e = store.resources(&By::All, Some(&made_up), 5).await;
    assert_eq!(e.unwrap_err().kind(), crate::ErrorKind::Invalid);
}

// -- indexes -----------------------------------------------------------------------

#[tokio::test]
async fn a_resource_is_found_by_what_it_is_now() {
    let (env, store) = store();
    let mut row = record(&env, "acme", &["anna", "anna"]);
    done(&store, put(&row, Due::Rest)).await;
    let account = |r: &ResourceRecord| By::Account(r.place.site, r.place.credential);
    let before = account(&row);
    row.tenant = Tenant("other".to_owned());
    row.place.site = CatalogId(uuid::Uuid::from_u128(9));
    row.holds.clear();
    row.grants.push(Grant {
        user: "bert".to_owned(),
        by: "anna".to_owned(),
        since: env.now(),
    });
    done(&store, put(&row, Due::Rest)).await;
    for (by, found) in [
        (By::Tenant("acme".to_owned()), false),
        (By::Tenant("other".to_owned()), true),
        (By::Party("anna".to_owned()), false),
        (By::Party("bert".to_owned()), true),
        (before, false),
        (account(&row), true),
    ] {
        assert_eq!(!walk(&store, &by, 5).await.is_empty(), found, "{by:?}");
    }
    let delete = Batch {
        delete: vec![Key::Resource(row.id)],
        ..Batch::default()
    };
    done(&store, delete).await;
    for by in [
        By::All,
        By::Tenant("other".to_owned()),
        By::Party("bert".to_owned()),
        account(&row),
    ] {
        assert!(walk(&store, &by, 5).await.is_empty(), "{by:?}");
    }
}

#[tokio::test]
async fn a_document_is_found_by_its_newest_indexes() {
    let (_, store) = store();
    let red = [("colour", "red"), ("size", "big")];
    let blue = [("colour", "blue"), ("colour", "green")];
    done(
        &store,
        write(vec![document("a", &red), document("b", &red)]),
    )
    .await;
    done(&store, write(vec![document("a", &blue)])).await;
    for (index, value, expected) in [
        ("colour", "red", "b"),
        ("colour", "blue", "a"),
        ("colour", "green", "a"),
        ("size", "big", "b"),
        ("size", "bi", ""),
        ("siz", "ebig", ""),
    ] {
        let found = walk_documents(&store, Some((index, value)), 1).await;
        assert_eq!(found, expected, "{index} {value}");
    }
    assert_eq!(walk_documents(&store, None, 1).await, "a b");
}

#[tokio::test]
async fn spaces_do_not_see_each_other() {
    let (_, store) = store();
    let mut other = (*document("z", &[("of", "x")])).clone();
    other.space = "toys".to_owned();
    done(
        &store,
        write(vec![document("a", &[("of", "x")]), Arc::new(other)]),
    )
    .await;
    assert_eq!(walk_documents(&store, None, 5).await, "a");
    assert_eq!(walk_documents(&store, Some(("of", "x")), 5).await, "a");
}

// -- commits -----------------------------------------------------------------------

#[tokio::test]
async fn a_batch_that_is_refused_leaves_no_trace() {
    let (env, store) = store();
    let row = record(&env, "acme", &["anna"]);
    let count = |by| Count {
        counter: "c".to_owned(),
        by,
        at_most: Some(2),
    };
    let whole = |expect: Vec<Expect>, by| Batch {
        expect,
        resources: vec![(Arc::new(row.clone()), Due::At(env.now()))],
        documents: vec![document("d", &[("of", "x")])],
        counts: vec![count(by)],
        events: vec![NewEvent {
            at: env.now(),
            what: "toy.made".to_owned(),
            tenant: None,
            resource: Some(row.id),
            data: json!({}),
        }],
        ..Batch::default()
    };
    let key = Key::Resource(row.id);
    let stale = whole(vec![Expect::Version(key.clone(), Version(1))], 1);
    assert_eq!(
        refused(&store, stale).await,
        Refusal::Stale(Key::Resource(row.id))
    );
    let limit = Refusal::Limit {
        counter: "c".to_owned(),
        value: 0,
        at_most: 2,
    };
    let absent = vec![Expect::Absent(key.clone())];
    assert_eq!(
        refused(&store, whole(absent.clone(), 3)).await,
        limit.clone()
    );
    // Two that are within the limit one by one, and not together.
    let mut twice = whole(absent.clone(), 2);
    twice.counts.push(count(1));
    assert_eq!(refused(&store, twice).await, limit);

    assert_eq!(store.newest().await.unwrap(), 0);
    assert_eq!(store.counter("c").await.unwrap(), 0);
    assert_eq!(store.resource(row.id).await.unwrap(), None);
    assert_eq!(store.document("toy", "d").await.unwrap(), None);
    assert_eq!(store.next_due().await.unwrap(), None);
    assert!(walk(&store, &By::All, 5).await.is_empty());

    done(&store, whole(absent, 2)).await;
    assert_eq!(store.newest().await.unwrap(), 1);
    assert_eq!(store.counter("c").await.unwrap(), 2);
}

#[tokio::test]
async fn versions_count_the_writes() {
    let (_, store) = store();
    for n in 1..4 {
        done(&store, write(vec![document("a", &[])])).await;
        let found = store.document("toy", "a").await.unwrap().unwrap();
        assert_eq!(found.version, Version(n));
    }
}

#[tokio::test]
async fn a_counter_does_not_go_below_zero_and_may_always_shrink() {
    let (_, store) = store();
    let count = |by, at_most| Batch {
        counts: vec![Count {
            counter: "c".to_owned(),
            by,
            at_most,
        }],
        ..Batch::default()
    };
    done(&store, count(5, None)).await;
    // The limit was lowered since; going down must still be possible.
    done(&store, count(-1, Some(1))).await;
    assert_eq!(store.counter("c").await.unwrap(), 4);
    done(&store, count(-9, None)).await;
    assert_eq!(store.counter("c").await.unwrap(), 0);
    done(&store, count(i64::MAX, Some(u64::MAX))).await;
}

#[tokio::test]
async fn events_come_in_the_order_of_their_commits() {
    let (env, store) = store();
    let (one, two) = (record(&env, "a", &[]).id, record(&env, "a", &[]).id);
    for (n, of) in [one, two, one].into_iter().enumerate() {
        let event = NewEvent {
            at: env.now(),
            what: format!("toy.{n}"),
            tenant: None,
            resource: Some(of),
            data: json!({}),
        };
        let batch = Batch {
            events: vec![event],
            ..Batch::default()
        };
        done(&store, batch).await;
    }
    let said = async |after, of, limit| -> Vec<u64> {
        let events = store.since(after, of, limit).await.unwrap();
        events.iter().map(|e| e.seq).collect()
    };
    assert_eq!(said(0, None, 9).await, [1, 2, 3]);
    assert_eq!(said(1, None, 1).await, [2]);
    assert_eq!(said(0, Some(one), 9).await, [1, 3]);
    assert_eq!(said(3, None, 9).await, [0; 0]);
}

// -- claims ------------------------------------------------------------------------

#[tokio::test]
async fn what_is_due_is_claimed_by_one_and_oldest_first() {
    let (env, store) = store();
    let now = env.now();
    let rows: Vec<_> = (0..3).map(|_| record(&env, "a", &[])).collect();
    for (row, ago) in rows.iter().zip([1, 3, 2]) {
        let at = Timestamp::from_millis(now.millis() - ago);
        done(&store, put(row, Due::At(at))).await;
    }
    let later = record(&env, "a", &[]);
    done(&store, put(&later, Due::At(now.plus(LEASE)))).await;
    let first = claim(&store, 2).await;
    let claimed: Vec<_> = first.iter().map(|c| c.row.record.id).collect();
    assert_eq!(claimed, [rows[1].id, rows[2].id]);
    assert_eq!(first[0].until, now.plus(LEASE));
    assert_eq!(claim(&store, 9).await.len(), 1);
    assert_eq!(claim(&store, 9).await, []);
    assert_eq!(store.next_due().await.unwrap(), Some(now.plus(LEASE)));
}

#[tokio::test]
async fn who_lost_the_claim_writes_nothing_more() {
    let (env, store) = store();
    let row = record(&env, "a", &[]);
    done(&store, put(&row, Due::At(env.now()))).await;
    let mine = claim(&store, 1).await.remove(0);
    env.pass(LEASE);
    let theirs = claim(&store, 1).await.remove(0);
    assert!(theirs.epoch > mine.epoch);
    let with = |c: &Claim| {
        let mut batch = put(&row, Due::Rest);
        batch.fence.push(Fence {
            resource: row.id,
            epoch: c.epoch,
        });
        batch
    };
    assert_eq!(refused(&store, with(&mine)).await, Refusal::Fenced(row.id));
    done(&store, with(&theirs)).await;
}

#[tokio::test]
async fn a_lapsed_claim_holds_until_somebody_takes_it() {
    let (env, store) = store();
    let row = record(&env, "a", &[]);
    done(&store, put(&row, Due::At(env.now()))).await;
    let mine = claim(&store, 1).await.remove(0);
    env.pass(LEASE * 2);
    let fence = Fence {
        resource: row.id,
        epoch: mine.epoch,
    };
    let batch = Batch {
        prolong: vec![(fence, LEASE)],
        ..Batch::default()
    };
    done(&store, batch).await;
    assert_eq!(claim(&store, 1).await, []);
    env.pass(LEASE);
    assert_eq!(claim(&store, 1).await.len(), 1);
}

#[tokio::test]
async fn what_becomes_of_a_claim_is_said_by_who_writes() {
    let soon = Duration::from_secs(5);
    for (due, at_once, after_soon, after_lease) in [
        // The claim stays, and so does the work.
        (Due::Keep, false, false, true),
        (Due::At(Timestamp::from_millis(0)), false, false, true),
        (
            Due::Release(Timestamp::from_millis(1_005_000)),
            false,
            true,
            true,
        ),
        (Due::Release(Timestamp::from_millis(0)), true, true, true),
        (Due::Rest, false, false, false),
    ] {
        let (env, store) = store();
        let row = record(&env, "a", &[]);
        done(&store, put(&row, Due::At(env.now()))).await;
        assert_eq!(claim(&store, 1).await.len(), 1);
        done(&store, put(&row, due)).await;
        let claimable = async || {
            let at = store.next_due().await.unwrap();
            at.is_some_and(|at| at <= env.now())
        };
        assert_eq!(claimable().await, at_once, "{due:?}");
        env.pass(soon);
        assert_eq!(claimable().await, after_soon, "{due:?}");
        env.pass(LEASE);
        assert_eq!(claimable().await, after_lease, "{due:?}");
        assert_eq!(claim(&store, 1).await.len(), usize::from(after_lease));
    }
}

// -- against a list ------------------------------------------------------------------

proptest! {
    /// Whatever is written and deleted, an index shows what a list would.
    #[test]
    fn indexes_agree_with_what_is_written(
        steps in proptest::collection::vec((0..6_u8, proptest::option::of(0..3_u8)), 0..40),
        limit in 1..5_u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (_, store) = store();
            let mut model = std::collections::BTreeMap::new();
            for (id, value) in steps {
                let (id, value) = (format!("id-{id}"), value.map(|v| format!("v-{v}")));
                let mut batch = Batch::default();
                match &value {
                    Some(value) => batch.documents.push(document(&id, &[("of", value)])),
                    None => batch.delete.push(Key::Document("toy".to_owned(), id.clone())),
                }
                done(&store, batch).await;
                match value {
                    Some(value) => model.insert(id, value),
                    None => model.remove(&id),
                };
            }
            for value in ["v-0", "v-1", "v-2"] {
                let expected: Vec<&str> = model
                    .iter()
                    .filter(|(_, v)| *v == value)
                    .map(|(id, _)| id.as_str())
                    .collect();
                let found = walk_documents(&store, Some(("of", value)), limit).await;
                assert_eq!(found, expected.join(" "));
            }
        });
    }
}

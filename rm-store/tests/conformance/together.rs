//! Many at the same time.

use std::collections::BTreeSet;
use std::sync::Arc;

use rm_core::store::{Batch, Due, Expect, Outcome, Queue, Refusal, Version};

use crate::note;
use crate::support::{self, BEGIN, LEASE, Rig, document, engine, keep, record};

pub(crate) async fn revisions_grow_in_commit_order(rig: Rig) {
    let mut last = rig.done(Batch::default()).await;
    for n in 0..20 {
        let next = rig
            .done(keep(vec![document("s", &n.to_string(), &[], "")]))
            .await;
        assert!(next > last);
        last = next;
    }
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let store = rig.store.clone();
            tokio::spawn(async move { support::done(&*store, Batch::default()).await })
        })
        .collect();
    let mut seen = BTreeSet::new();
    for task in tasks {
        let revision = task.await.unwrap();
        assert!(revision > last && seen.insert(revision));
    }
}

pub(crate) async fn many_writers_of_one_document_lose_nothing(rig: Rig) {
    const EACH: u64 = 5;
    rig.done(keep(vec![document("s", "n", &[], "")])).await;
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = rig.store.clone();
            tokio::spawn(async move {
                let mut written = 0;
                while written < EACH {
                    let row = store.document("s", "n").await.unwrap().unwrap();
                    let n: String = row.record.body.read().unwrap();
                    let mut batch = keep(vec![document("s", "n", &[], &format!("{n}."))]);
                    batch.expect = vec![Expect::Version(note("n"), row.version)];
                    match store.commit(batch).await.unwrap() {
                        Outcome::Done(_) => written += 1,
                        Outcome::Refused(Refusal::Stale(_)) => {}
                        Outcome::Refused(other) => panic!("{other:?}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let row = rig.store.document("s", "n").await.unwrap().unwrap();
    assert_eq!(row.version, Version(64 * EACH + 1));
    let text: String = row.record.body.read().unwrap();
    assert_eq!(text.len(), usize::try_from(64 * EACH).unwrap());
}

pub(crate) async fn four_engines_never_claim_one_resource_twice(rig: Rig) {
    const MANY: u128 = 200;
    let due: Vec<_> = (1..=MANY)
        .map(|n| (Arc::new(record(n, "t", &[])), Due::At(BEGIN)))
        .collect();
    rig.done(Batch {
        resources: due,
        ..Batch::default()
    })
    .await;
    let tasks: Vec<_> = (0..4)
        .map(|n| {
            let store = rig.store.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let claims = store
                        .claim(engine(n), LEASE, Queue::Awaited, 7, &[])
                        .await
                        .unwrap();
                    if claims.is_empty() {
                        return mine;
                    }
                    mine.extend(claims.into_iter().map(|c| c.row.record.id));
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    let different: BTreeSet<_> = all.iter().collect();
    assert_eq!((all.len(), different.len()), (200, 200));
}

//! Batches: all or nothing.

use super::*;

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
            audience: Vec::new(),
            resource: Some(row.id),
            data: json!({}).into(),
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
    assert_eq!(store.next_due(Queue::Awaited, &[]).await.unwrap(), None);
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
            audience: Vec::new(),
            resource: Some(of),
            data: json!({}).into(),
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

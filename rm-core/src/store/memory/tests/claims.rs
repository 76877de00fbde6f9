//! Claims, and what fences them.

use super::*;

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
    assert_eq!(
        store.next_due(Queue::Awaited, &[]).await.unwrap(),
        Some(now.plus(LEASE))
    );
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
            let at = store.next_due(Queue::Awaited, &[]).await.unwrap();
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

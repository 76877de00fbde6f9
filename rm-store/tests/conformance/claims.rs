//! Who may work on what, and until when.

use std::time::Duration;

use rm_core::env::Env;
use rm_core::life::Wanted;
use rm_core::record::ResourceRecord;
use rm_core::store::{Batch, Due, Fence, Queue, Refusal, Version, Versioned};

use crate::refused;
use crate::support::{BEGIN, LEASE, Rig, catalog_id, engine, put, record, resource_id};

pub(crate) async fn an_older_epoch_is_fenced(rig: Rig) {
    let s = &*rig.store;
    rig.done(put(record(1, "t", &[]), Due::At(BEGIN))).await;
    let first = s
        .claim(engine(1), LEASE, Queue::Awaited, 1, &[])
        .await
        .unwrap()
        .remove(0);
    rig.env.forward(LEASE);
    let second = s
        .claim(engine(2), LEASE, Queue::Awaited, 1, &[])
        .await
        .unwrap()
        .remove(0);
    assert!(second.epoch > first.epoch);
    let fence = |epoch| Fence {
        resource: resource_id(1),
        epoch,
    };
    for epoch in [first.epoch, 0, second.epoch + 1, u64::MAX] {
        let mut batch = put(record(1, "t", &[]), Due::Rest);
        batch.fence = vec![fence(epoch)];
        let why = refused(s.commit(batch).await.unwrap());
        assert_eq!(why, Refusal::Fenced(resource_id(1)));
        let batch = Batch {
            prolong: vec![(fence(epoch), LEASE)],
            ..Batch::default()
        };
        let why = refused(s.commit(batch).await.unwrap());
        assert_eq!(why, Refusal::Fenced(resource_id(1)));
    }
    let gone = Batch {
        fence: vec![Fence {
            resource: resource_id(9),
            epoch: 0,
        }],
        ..Batch::default()
    };
    let why = refused(s.commit(gone).await.unwrap());
    assert_eq!(why, Refusal::Fenced(resource_id(9)));
    let mut batch = put(record(1, "t", &[]), Due::Rest);
    batch.fence = vec![fence(second.epoch)];
    rig.done(batch).await;
}

pub(crate) async fn what_is_due_is_claimed_oldest_first(rig: Rig) {
    let s = &*rig.store;
    let second = Duration::from_secs(1);
    for (n, at) in [(1, 3), (2, 1), (3, 2), (4, 1), (5, 9)] {
        let at = BEGIN.plus(second * at);
        rig.done(put(record(n, "t", &[]), Due::At(at))).await;
    }
    rig.done(put(record(6, "t", &[]), Due::Keep)).await;
    rig.done(put(record(7, "t", &[]), Due::Rest)).await;
    assert_eq!(
        s.next_due(Queue::Awaited, &[]).await.unwrap(),
        Some(BEGIN.plus(second))
    );
    assert_eq!(
        s.claim(engine(1), LEASE, Queue::Awaited, 9, &[])
            .await
            .unwrap(),
        []
    );
    rig.env.forward(second * 3);
    assert_eq!(
        s.claim(engine(1), LEASE, Queue::Awaited, 0, &[])
            .await
            .unwrap(),
        []
    );
    let mut claimed = s
        .claim(engine(1), LEASE, Queue::Awaited, 3, &[])
        .await
        .unwrap();
    claimed.extend(
        s.claim(engine(2), LEASE, Queue::Awaited, 9, &[])
            .await
            .unwrap(),
    );
    let order: Vec<u128> = claimed
        .iter()
        .map(|c| c.row.record.id.0.as_u128())
        .collect();
    assert_eq!(order, [2, 4, 3, 1]);
    for claim in claimed {
        assert_eq!((claim.epoch, claim.row.version), (1, Version(1)));
        assert_eq!(claim.until, rig.env.now().plus(LEASE));
    }
    assert_eq!(
        s.next_due(Queue::Awaited, &[]).await.unwrap(),
        Some(BEGIN.plus(second * 9))
    );
}

pub(crate) async fn an_account_can_be_left_alone(rig: Rig) {
    let s = &*rig.store;
    for n in [1, 2, 3] {
        let mut one = record(n, "t", &[]);
        one.place.credential = catalog_id(n);
        let at = BEGIN.plus(Duration::from_secs(u64::try_from(n).unwrap()));
        rig.done(put(one, Due::At(at))).await;
    }
    let account = |n| (catalog_id(1), catalog_id(n));
    let due = |n| Some(BEGIN.plus(Duration::from_secs(n)));
    assert_eq!(
        s.next_due(Queue::Awaited, &[account(1)]).await.unwrap(),
        due(2)
    );
    assert_eq!(
        s.next_due(Queue::Awaited, &[account(2), account(1)])
            .await
            .unwrap(),
        due(3)
    );
    let all = [account(1), account(2), account(3)];
    assert_eq!(s.next_due(Queue::Awaited, &all).await.unwrap(), None);
    rig.env.forward(Duration::from_secs(9));
    assert_eq!(
        s.claim(engine(1), LEASE, Queue::Awaited, 9, &all)
            .await
            .unwrap(),
        []
    );
    let but = [account(1), account(3)];
    let claimed = s
        .claim(engine(1), LEASE, Queue::Awaited, 9, &but)
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].row.record.id, resource_id(2));
    assert_eq!(
        s.claim(engine(1), LEASE, Queue::Awaited, 9, &[])
            .await
            .unwrap()
            .len(),
        2
    );
}

pub(crate) async fn beside_an_account_that_is_left_alone_the_oldest_are_claimed(rig: Rig) {
    let s = &*rig.store;
    let of = |n: u128, credential: u128| {
        let mut one = record(n, "t", &[]);
        one.place.credential = catalog_id(credential);
        put(
            one,
            Due::At(BEGIN.plus(Duration::from_secs(u64::try_from(n).unwrap()))),
        )
    };
    // The accounts in turns, and one that moves to another account.
    for n in 1..=9 {
        rig.done(of(n, 1 + n % 3)).await;
    }
    rig.done(of(4, 3)).await;
    rig.env.forward(Duration::from_secs(8));
    let but = [(catalog_id(1), catalog_id(1))];
    let claimed = async |max| -> Vec<u128> {
        let claims = s
            .claim(engine(1), LEASE, Queue::Awaited, max, &but)
            .await
            .unwrap();
        claims.iter().map(|c| c.row.record.id.0.as_u128()).collect()
    };
    assert_eq!(claimed(3).await, [1, 2, 4]);
    assert_eq!(
        s.next_due(Queue::Awaited, &but).await.unwrap(),
        Some(BEGIN.plus(Duration::from_secs(5)))
    );
    assert_eq!(claimed(9).await, [5, 7, 8]);
    assert_eq!(claimed(9).await, []);
}

pub(crate) async fn holds_are_found_when_they_end(rig: Rig) {
    let s = &*rig.store;
    let at = |n| BEGIN.plus(Duration::from_secs(n));
    let until = |n: u128, ends: &[Option<u64>]| {
        let users = vec!["u"; ends.len()];
        let mut one = record(n, "t", &users);
        for (hold, end) in one.holds.iter_mut().zip(ends) {
            hold.until = end.map(at);
        }
        one
    };
    assert_eq!(s.next_end().await.unwrap(), None);
    rig.done(put(until(1, &[Some(30), Some(20)]), Due::Rest))
        .await;
    rig.done(put(until(2, &[None, Some(10)]), Due::At(BEGIN)))
        .await;
    rig.done(put(until(3, &[None]), Due::Rest)).await;
    let mut going = until(4, &[Some(5)]);
    going.wanted = Wanted::Absent;
    rig.done(put(going, Due::Rest)).await;
    assert_eq!(s.next_end().await.unwrap(), Some(at(10)));
    assert_eq!(s.ended(at(9), 9).await.unwrap(), []);
    // Whoever has claimed it, and the first to end first.
    assert_eq!(
        s.claim(engine(1), LEASE, Queue::Awaited, 9, &[])
            .await
            .unwrap()
            .len(),
        1
    );
    let ids = |found: Vec<Versioned<ResourceRecord>>| -> Vec<u128> {
        found.iter().map(|r| r.record.id.0.as_u128()).collect()
    };
    assert_eq!(ids(s.ended(at(20), 9).await.unwrap()), [2, 1]);
    assert_eq!(ids(s.ended(at(20), 1).await.unwrap()), [2]);
    // Renewed, and without an end.
    rig.done(put(until(2, &[None, None]), Due::Keep)).await;
    rig.done(put(until(1, &[Some(30)]), Due::Keep)).await;
    assert_eq!(s.next_end().await.unwrap(), Some(at(30)));
    assert_eq!(s.ended(at(29), 9).await.unwrap(), []);
}

pub(crate) async fn a_claim_ends_with_its_lease(rig: Rig) {
    let s = &*rig.store;
    rig.done(put(record(1, "t", &[]), Due::At(BEGIN))).await;
    let claim = s
        .claim(engine(1), LEASE, Queue::Awaited, 9, &[])
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        s.next_due(Queue::Awaited, &[]).await.unwrap(),
        Some(claim.until)
    );
    rig.env.forward(LEASE - Duration::from_millis(1));
    assert_eq!(
        s.claim(engine(2), LEASE, Queue::Awaited, 9, &[])
            .await
            .unwrap(),
        []
    );
    // Somebody else who writes does not end it either.
    rig.done(put(record(1, "t", &[]), Due::At(BEGIN))).await;
    assert_eq!(
        s.claim(engine(2), LEASE, Queue::Awaited, 9, &[])
            .await
            .unwrap(),
        []
    );
    rig.env.forward(Duration::from_millis(1));
    let again = s
        .claim(engine(2), LEASE, Queue::Awaited, 9, &[])
        .await
        .unwrap();
    assert_eq!((again.len(), again[0].epoch), (1, 2));
    assert_eq!(again[0].row.version, Version(2));
}

pub(crate) async fn who_writes_decides_when_it_is_due_again(rig: Rig) {
    let s = &*rig.store;
    let later = BEGIN.plus(Duration::from_secs(5));
    rig.done(put(record(1, "t", &[]), Due::At(BEGIN))).await;
    let claim = s
        .claim(engine(1), LEASE, Queue::Awaited, 9, &[])
        .await
        .unwrap()
        .remove(0);
    // Asked for earlier or later, the holder keeps it.
    rig.done(put(record(1, "t", &[]), Due::At(later))).await;
    assert_eq!(
        s.next_due(Queue::Awaited, &[]).await.unwrap(),
        Some(claim.until)
    );
    rig.done(put(record(1, "t", &[]), Due::Keep)).await;
    assert_eq!(
        s.next_due(Queue::Awaited, &[]).await.unwrap(),
        Some(claim.until)
    );
    rig.done(put(record(1, "t", &[]), Due::Release(later)))
        .await;
    assert_eq!(s.next_due(Queue::Awaited, &[]).await.unwrap(), Some(later));
    rig.done(put(record(1, "t", &[]), Due::Rest)).await;
    assert_eq!(s.next_due(Queue::Awaited, &[]).await.unwrap(), None);
    rig.done(put(record(1, "t", &[]), Due::Keep)).await;
    assert_eq!(s.next_due(Queue::Awaited, &[]).await.unwrap(), None);
    rig.done(put(record(1, "t", &[]), Due::At(BEGIN))).await;
    assert_eq!(
        s.claim(engine(2), LEASE, Queue::Awaited, 9, &[])
            .await
            .unwrap()
            .len(),
        1
    );
}

pub(crate) async fn a_claim_can_be_prolonged(rig: Rig) {
    let s = &*rig.store;
    rig.done(put(record(1, "t", &[]), Due::At(BEGIN))).await;
    let claim = s
        .claim(engine(1), LEASE, Queue::Awaited, 9, &[])
        .await
        .unwrap()
        .remove(0);
    rig.env.forward(LEASE / 2);
    let fence = Fence {
        resource: resource_id(1),
        epoch: claim.epoch,
    };
    rig.done(Batch {
        prolong: vec![(fence, LEASE)],
        ..Batch::default()
    })
    .await;
    let until = rig.env.now().plus(LEASE);
    assert_eq!(s.next_due(Queue::Awaited, &[]).await.unwrap(), Some(until));
    // Prolonging counts neither as a write nor as another claim.
    let row = s.resource(resource_id(1)).await.unwrap().unwrap();
    assert_eq!(row.version, Version(1));
    rig.env.forward(LEASE);
    let again = s
        .claim(engine(2), LEASE, Queue::Awaited, 9, &[])
        .await
        .unwrap();
    assert_eq!(again[0].epoch, claim.epoch + 1);
}

pub(crate) async fn what_nobody_works_on_may_be_told_apart(rig: Rig) {
    let s = &*rig.store;
    rig.done(put(record(1, "t", &[]), Due::At(BEGIN))).await;
    // Who cannot tell says that somebody may.
    let tells = !s.is_claimed(resource_id(1)).await.unwrap();
    let is_claimed = async || s.is_claimed(resource_id(1)).await.unwrap() || !tells;
    let claim = s
        .claim(engine(1), LEASE, Queue::Awaited, 1, &[])
        .await
        .unwrap()
        .remove(0);
    assert!(is_claimed().await);
    // Until another one has it, the first may still write.
    rig.env.forward(LEASE + LEASE);
    assert!(is_claimed().await);
    let mut batch = put(record(1, "t", &[]), Due::Release(BEGIN));
    batch.fence = vec![Fence {
        resource: resource_id(1),
        epoch: claim.epoch,
    }];
    rig.done(batch).await;
    assert_eq!(s.is_claimed(resource_id(1)).await.unwrap(), !tells);
    assert_eq!(s.is_claimed(resource_id(9)).await.unwrap(), !tells);
}

/// The numbers of what is claimed of a queue, which is what they were claimed from.
async fn claimed(rig: &Rig, of: u128, queue: Queue, max: u32) -> Vec<u128> {
    let claims = rig.store.claim(engine(of), LEASE, queue, max, &[]).await;
    let claims = claims.unwrap();
    assert!(claims.iter().all(|claim| claim.queue == queue));
    claims.iter().map(|c| c.row.record.id.0.as_u128()).collect()
}

pub(crate) async fn what_is_swept_waits_for_itself(rig: Rig) {
    let at = |n| BEGIN.plus(Duration::from_secs(n));
    for (n, due) in [
        (1, Due::Sweep(at(1))),
        (2, Due::At(at(3))),
        (3, Due::Sweep(at(2))),
        (4, Due::Release(at(2))),
        (5, Due::Sweep(at(9))),
        (6, Due::Sweep(at(1))),
    ] {
        rig.done(put(record(n, "t", &[]), due)).await;
    }
    let next = async |queue| rig.store.next_due(queue, &[]).await.unwrap();
    assert_eq!(next(Queue::Awaited).await, Some(at(2)));
    assert_eq!(next(Queue::Sweep).await, Some(at(1)));
    rig.env.forward(Duration::from_secs(1));
    // What is overdue in one queue is nothing in the other.
    assert_eq!(claimed(&rig, 1, Queue::Awaited, 9).await, []);
    rig.env.forward(Duration::from_secs(2));
    assert_eq!(claimed(&rig, 1, Queue::Awaited, 9).await, [4, 2]);
    assert_eq!(claimed(&rig, 1, Queue::Sweep, 2).await, [1, 6]);
    assert_eq!(claimed(&rig, 1, Queue::Sweep, 9).await, [3]);
    assert_eq!(next(Queue::Awaited).await, Some(rig.env.now().plus(LEASE)));
    assert_eq!(next(Queue::Sweep).await, Some(at(9)));
}

pub(crate) async fn who_writes_decides_in_which_queue_it_waits(rig: Rig) {
    let [awaited, sweep] = Queue::ALL;
    let next = async |queue| rig.store.next_due(queue, &[]).await.unwrap();
    let write = async |due| rig.done(put(record(1, "t", &[]), due)).await;
    let later = BEGIN.plus(Duration::from_secs(5));
    write(Due::Sweep(later)).await;
    for (due, queue) in [
        (Due::Keep, Some(sweep)),
        (Due::At(later), Some(awaited)),
        (Due::Keep, Some(awaited)),
        (Due::Sweep(later), Some(sweep)),
        (Due::Release(later), Some(awaited)),
        (Due::Sweep(later), Some(sweep)),
        (Due::Rest, None),
    ] {
        write(due).await;
        for of in Queue::ALL {
            let expected = (queue == Some(of)).then_some(later);
            assert_eq!(next(of).await, expected, "{due:?} {of:?}");
        }
    }
    // What is given back for the sweep can be claimed by others then.
    write(Due::At(BEGIN)).await;
    assert_eq!(claimed(&rig, 1, awaited, 9).await, [1]);
    write(Due::Sweep(BEGIN)).await;
    assert_eq!(claimed(&rig, 2, awaited, 9).await, []);
    assert_eq!(claimed(&rig, 2, sweep, 9).await, [1]);
}

pub(crate) async fn a_claim_that_lapses_is_due_in_its_queue(rig: Rig) {
    let [awaited, sweep] = Queue::ALL;
    rig.done(put(record(1, "t", &[]), Due::Sweep(BEGIN))).await;
    rig.done(put(record(2, "t", &[]), Due::Sweep(BEGIN))).await;
    rig.done(put(record(3, "t", &[]), Due::At(BEGIN))).await;
    assert_eq!(claimed(&rig, 1, sweep, 9).await, [1, 2]);
    assert_eq!(claimed(&rig, 1, awaited, 9).await, [3]);
    // Somebody wants something of it meanwhile, or it is begun.
    rig.done(put(record(2, "t", &[]), Due::At(BEGIN))).await;
    for queue in Queue::ALL {
        assert_eq!(claimed(&rig, 2, queue, 9).await, []);
    }
    rig.env.forward(LEASE);
    assert_eq!(claimed(&rig, 2, sweep, 9).await, [1]);
    assert_eq!(claimed(&rig, 2, awaited, 9).await, [2, 3]);
}

pub(crate) async fn an_account_can_be_left_alone_by_the_sweep(rig: Rig) {
    let s = &*rig.store;
    let of = |n: u128, due: Due| {
        let mut one = record(n, "t", &[]);
        one.place.credential = catalog_id(n % 10);
        put(one, due)
    };
    let at = |n| BEGIN.plus(Duration::from_secs(n));
    for (n, due) in [
        (1, Due::Sweep(at(1))),
        (11, Due::At(at(2))),
        (2, Due::Sweep(at(3))),
        (12, Due::Sweep(at(5))),
        (3, Due::Sweep(at(4))),
    ] {
        rig.done(of(n, due)).await;
    }
    let but = [(catalog_id(1), catalog_id(1))];
    let next = async |queue| s.next_due(queue, &but).await.unwrap();
    assert_eq!(next(Queue::Sweep).await, Some(at(3)));
    assert_eq!(next(Queue::Awaited).await, None);
    rig.env.forward(Duration::from_secs(9));
    let claimed = async |queue, max| -> Vec<u128> {
        let claims = s.claim(engine(1), LEASE, queue, max, &but).await.unwrap();
        claims.iter().map(|c| c.row.record.id.0.as_u128()).collect()
    };
    assert_eq!(claimed(Queue::Awaited, 9).await, []);
    assert_eq!(claimed(Queue::Sweep, 2).await, [2, 3]);
    assert_eq!(claimed(Queue::Sweep, 9).await, [12]);
}

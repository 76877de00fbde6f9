//! Who may work on what, and until when.

use std::time::Duration;

use rm_core::env::Env;
use rm_core::store::{Batch, Due, Fence, Refusal, Version};

use crate::refused;
use crate::support::{BEGIN, LEASE, Rig, engine, put, record, resource_id};

pub(crate) async fn an_older_epoch_is_fenced(rig: Rig) {
    let s = &*rig.store;
    rig.done(put(record(1, "t", &[]), Due::At(BEGIN))).await;
    let first = s.claim(engine(1), LEASE, 1).await.unwrap().remove(0);
    rig.env.forward(LEASE);
    let second = s.claim(engine(2), LEASE, 1).await.unwrap().remove(0);
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
    assert_eq!(s.next_due().await.unwrap(), Some(BEGIN.plus(second)));
    assert_eq!(s.claim(engine(1), LEASE, 9).await.unwrap(), []);
    rig.env.forward(second * 3);
    assert_eq!(s.claim(engine(1), LEASE, 0).await.unwrap(), []);
    let mut claimed = s.claim(engine(1), LEASE, 3).await.unwrap();
    claimed.extend(s.claim(engine(2), LEASE, 9).await.unwrap());
    let order: Vec<u128> = claimed
        .iter()
        .map(|c| c.row.record.id.0.as_u128())
        .collect();
    assert_eq!(order, [2, 4, 3, 1]);
    for claim in claimed {
        assert_eq!((claim.epoch, claim.row.version), (1, Version(1)));
        assert_eq!(claim.until, rig.env.now().plus(LEASE));
    }
    assert_eq!(s.next_due().await.unwrap(), Some(BEGIN.plus(second * 9)));
}

pub(crate) async fn a_claim_ends_with_its_lease(rig: Rig) {
    let s = &*rig.store;
    rig.done(put(record(1, "t", &[]), Due::At(BEGIN))).await;
    let claim = s.claim(engine(1), LEASE, 9).await.unwrap().remove(0);
    assert_eq!(s.next_due().await.unwrap(), Some(claim.until));
    rig.env.forward(LEASE - Duration::from_millis(1));
    assert_eq!(s.claim(engine(2), LEASE, 9).await.unwrap(), []);
    // Somebody else who writes does not end it either.
    rig.done(put(record(1, "t", &[]), Due::At(BEGIN))).await;
    assert_eq!(s.claim(engine(2), LEASE, 9).await.unwrap(), []);
    rig.env.forward(Duration::from_millis(1));
    let again = s.claim(engine(2), LEASE, 9).await.unwrap();
    assert_eq!((again.len(), again[0].epoch), (1, 2));
    assert_eq!(again[0].row.version, Version(2));
}

pub(crate) async fn who_writes_decides_when_it_is_due_again(rig: Rig) {
    let s = &*rig.store;
    let later = BEGIN.plus(Duration::from_secs(5));
    rig.done(put(record(1, "t", &[]), Due::At(BEGIN))).await;
    let claim = s.claim(engine(1), LEASE, 9).await.unwrap().remove(0);
    // Asked for earlier or later, the holder keeps it.
    rig.done(put(record(1, "t", &[]), Due::At(later))).await;
    assert_eq!(s.next_due().await.unwrap(), Some(claim.until));
    rig.done(put(record(1, "t", &[]), Due::Keep)).await;
    assert_eq!(s.next_due().await.unwrap(), Some(claim.until));
    rig.done(put(record(1, "t", &[]), Due::Release(later)))
        .await;
    assert_eq!(s.next_due().await.unwrap(), Some(later));
    rig.done(put(record(1, "t", &[]), Due::Rest)).await;
    assert_eq!(s.next_due().await.unwrap(), None);
    rig.done(put(record(1, "t", &[]), Due::Keep)).await;
    assert_eq!(s.next_due().await.unwrap(), None);
    rig.done(put(record(1, "t", &[]), Due::At(BEGIN))).await;
    assert_eq!(s.claim(engine(2), LEASE, 9).await.unwrap().len(), 1);
}

pub(crate) async fn a_claim_can_be_prolonged(rig: Rig) {
    let s = &*rig.store;
    rig.done(put(record(1, "t", &[]), Due::At(BEGIN))).await;
    let claim = s.claim(engine(1), LEASE, 9).await.unwrap().remove(0);
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
    assert_eq!(s.next_due().await.unwrap(), Some(until));
    // Prolonging counts neither as a write nor as another claim.
    let row = s.resource(resource_id(1)).await.unwrap().unwrap();
    assert_eq!(row.version, Version(1));
    rig.env.forward(LEASE);
    let again = s.claim(engine(2), LEASE, 9).await.unwrap();
    assert_eq!(again[0].epoch, claim.epoch + 1);
}

//! What is found, and in what order.

use rm_core::ErrorKind;
use rm_core::life::State;
use rm_core::record::Grant;
use rm_core::store::{Batch, By, Cursor, Due, Key};

use crate::support::{BEGIN, Rig, catalog_id, document, event, keep, put, record, resource_id};
use crate::{guest, ids, notes};

pub(crate) async fn resources_are_paged_by_everything_they_can_be_searched_by(rig: Rig) {
    let s = &*rig.store;
    for n in (1..=12).rev() {
        let users: &[&str] = match n % 4 {
            0 => &[],
            1 => &["ann"],
            2 => &["bob", "ann", "ann"],
            _ => &["bob"],
        };
        let mut r = record(n, if n % 2 == 0 { "even" } else { "odd" }, users);
        r.place.site = catalog_id(n % 3);
        r.place.credential = catalog_id(n % 2);
        if n == 12 {
            r.grants.push(Grant {
                user: "ann".to_owned(),
                by: "eve".to_owned(),
                since: BEGIN,
            });
        }
        rig.done(put(r, Due::Keep)).await;
    }
    let tenant = |t: &str| By::Tenant(t.to_owned());
    for limit in [0, 1, 2, 3, 5, 6, 12, 13, u32::MAX] {
        let all: Vec<u128> = (1..=12).collect();
        assert_eq!(ids(s, &By::All, limit).await, all);
        assert_eq!(ids(s, &tenant("odd"), limit).await, [1, 3, 5, 7, 9, 11]);
        assert_eq!(ids(s, &tenant("nobody"), limit).await, []);
        // Tenant by tenant, but for one.
        let ann = guest("ann", "nobody");
        assert_eq!(ids(s, &ann, limit).await, [2, 6, 10, 12, 1, 5, 9]);
        assert_eq!(ids(s, &guest("ann", "even"), limit).await, [1, 5, 9]);
        assert_eq!(ids(s, &guest("ann", "odd"), limit).await, [2, 6, 10, 12]);
        assert_eq!(ids(s, &guest("ann", "fair"), limit).await.len(), 7);
        assert_eq!(ids(s, &guest("bob", "even"), limit).await, [3, 7, 11]);
        let account = By::Account(catalog_id(1), catalog_id(1));
        assert_eq!(ids(s, &account, limit).await, [1, 7]);
    }
    // What changes is found by the new and no longer by the old.
    let mut moved = record(2, "odd", &["bob", "eve"]);
    moved.place.site = catalog_id(7);
    rig.done(put(moved, Due::Keep)).await;
    assert_eq!(ids(s, &tenant("even"), 9).await, [4, 6, 8, 10, 12]);
    assert_eq!(ids(s, &tenant("odd"), 9).await, [1, 2, 3, 5, 7, 9, 11]);
    assert_eq!(ids(s, &guest("ann", "odd"), 9).await, [6, 10, 12]);
    assert_eq!(ids(s, &guest("bob", "even"), 9).await, [2, 3, 7, 11]);
    assert_eq!(ids(s, &guest("eve", ""), 9).await, [2]);
    let account = |site| By::Account(catalog_id(site), catalog_id(2));
    assert_eq!(ids(s, &account(7), 9).await, [2]);
}

pub(crate) async fn what_is_in_quarantine_is_found_among_all_else(rig: Rig) {
    let s = &*rig.store;
    let seen = |n: u128, seen: State| {
        let tenant = ["even", "odd"][usize::from(n % 2 == 1)];
        let mut r = record(n, tenant, &["ann"]);
        r.seen = seen;
        put(r, Due::Keep)
    };
    for n in 1..=12 {
        let held = matches!(n, 1 | 3 | 6 | 9 | 12);
        let state = if held {
            State::Quarantined
        } else {
            State::Failed
        };
        rig.done(seen(n, state)).await;
    }
    let of = |tenant: &str| By::Held(Some(tenant.to_owned()));
    for limit in [0, 1, 2, 4, 5, 6, u32::MAX] {
        assert_eq!(ids(s, &By::Held(None), limit).await, [1, 3, 6, 9, 12]);
        assert_eq!(ids(s, &of("odd"), limit).await, [1, 3, 9]);
        assert_eq!(ids(s, &of("even"), limit).await, [6, 12]);
        assert_eq!(ids(s, &of("nobody"), limit).await, []);
    }
    // It comes and goes with what is written.
    rig.done(seen(2, State::Quarantined)).await;
    rig.done(seen(3, State::Releasing)).await;
    let mut moved = record(6, "odd", &["ann"]);
    moved.seen = State::Quarantined;
    rig.done(put(moved, Due::Keep)).await;
    let gone = Batch {
        delete: vec![Key::Resource(resource_id(9))],
        ..Batch::default()
    };
    rig.done(gone).await;
    assert_eq!(ids(s, &By::Held(None), 9).await, [1, 2, 6, 12]);
    assert_eq!(ids(s, &of("odd"), 9).await, [1, 6]);
    assert_eq!(ids(s, &of("even"), 9).await, [2, 12]);
}

pub(crate) async fn documents_are_paged_and_indexed(rig: Rig) {
    let s = &*rig.store;
    let mut batch = keep(vec![
        document("s", "b", &[("color", "red"), ("size", "1")], "b"),
        document("s", "a", &[("color", "red"), ("color", "blue")], "a"),
        document("s", "c", &[("color", "red"), ("color", "red")], "c"),
        document("s", "d", &[], "d"),
    ]);
    batch
        .documents
        .push(document("r", "a", &[("color", "red")], "other"));
    batch
        .documents
        .push(document("sz", "e", &[("color", "red")], "other"));
    rig.done(batch).await;
    for limit in [0, 1, 2, 3, 4, 5, u32::MAX] {
        assert_eq!(notes(s, None, limit).await, ["a", "b", "c", "d"]);
        assert_eq!(
            notes(s, Some(("color", "red")), limit).await,
            ["a", "b", "c"]
        );
        assert_eq!(notes(s, Some(("color", "blue")), limit).await, ["a"]);
        assert_eq!(
            notes(s, Some(("size", "red")), limit).await,
            Vec::<String>::new()
        );
    }
    let page = s
        .documents("s", None, Some(&Cursor("b".to_owned())), 9)
        .await;
    assert_eq!(page.unwrap().items.len(), 2);
    rig.done(keep(vec![document("s", "a", &[("color", "green")], "a")]))
        .await;
    assert_eq!(notes(s, Some(("color", "red")), 9).await, ["b", "c"]);
    assert_eq!(
        notes(s, Some(("color", "blue")), 9).await,
        Vec::<String>::new()
    );
    assert_eq!(notes(s, Some(("color", "green")), 9).await, ["a"]);
}

pub(crate) async fn events_come_in_commit_order(rig: Rig) {
    let s = &*rig.store;
    for n in 0..5 {
        let batch = Batch {
            events: vec![
                event(&format!("a{n}"), Some(resource_id(n % 2))),
                event(&format!("b{n}"), None),
            ],
            ..Batch::default()
        };
        rig.done(batch).await;
    }
    assert_eq!(s.newest().await.unwrap(), 10);
    let all = s.since(0, None, 100).await.unwrap();
    let seqs: Vec<u64> = all.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (1..=10).collect::<Vec<_>>());
    assert_eq!(all[2].event, event("a1", Some(resource_id(1))));
    assert_eq!(s.since(0, None, 3).await.unwrap(), all[..3]);
    assert_eq!(s.since(7, None, 100).await.unwrap(), all[7..]);
    assert_eq!(s.since(10, None, 100).await.unwrap(), []);
    assert_eq!(s.since(u64::MAX, None, 100).await.unwrap(), []);
    assert_eq!(s.since(0, None, 0).await.unwrap(), []);
    let of = s.since(1, Some(resource_id(0)), 100).await.unwrap();
    let names: Vec<&str> = of.iter().map(|e| e.event.what.as_str()).collect();
    assert_eq!(names, ["a2", "a4"]);
    assert_eq!(s.since(0, Some(resource_id(0)), 1).await.unwrap(), all[..1]);
}

pub(crate) async fn forgotten_events_leave_gaps_and_no_number_comes_twice(rig: Rig) {
    let s = &*rig.store;
    let announce = |n: u128| Batch {
        events: vec![event("e", Some(resource_id(n % 2)))],
        ..Batch::default()
    };
    for n in 0..5 {
        rig.done(announce(n)).await;
    }
    let forget = |forget: &[u64]| Batch {
        forget: forget.to_vec(),
        ..Batch::default()
    };
    rig.done(forget(&[1, 3, 3, 99])).await;
    let seqs = async |of: Option<u128>| -> Vec<u64> {
        let events = s.since(0, of.map(resource_id), 100).await.unwrap();
        events.iter().map(|e| e.seq).collect()
    };
    assert_eq!(seqs(None).await, [2, 4, 5]);
    assert_eq!(seqs(Some(0)).await, [5]);
    // The newest stays, whoever asks.
    rig.done(forget(&[2, 4, 5])).await;
    assert_eq!(seqs(None).await, [5]);
    assert_eq!(s.newest().await.unwrap(), 5);
    let mut both = announce(1);
    both.forget = vec![5];
    rig.done(both).await;
    assert_eq!(seqs(None).await, [5, 6]);
    assert_eq!(seqs(Some(1)).await, [6]);
}

pub(crate) async fn a_cursor_that_is_none_is_refused(rig: Rig) {
    let bad = Cursor("'; DROP TABLE resource".to_owned());
    let e = rig.store.resources(&By::All, Some(&bad), 1).await;
    assert_eq!(e.unwrap_err().kind(), ErrorKind::Invalid);
}

//! The suite over the simulated cloud with everything it can declare: which
//! guarantee gives which level.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use rm_core::backend::{Absence, Capability, CreateKey, Resize};
use rm_core::calls::{BackendCall, WatchCalls};
use rm_testkit::conformance::{
    Level, NodesSubject, Outcome, Scorecard, SimSubject, Subject, suite,
};

/// In simulated time nobody waits: the suite is over when it is first polled.
fn run(subject: impl Subject) -> Scorecard {
    let card = suite(subject).into_future().now_or_never();
    card.expect("simulated time needs no executor")
}

/// Declares this, asks for the level, and names the only checks that fail.
fn reaches(
    level: Option<Level>,
    failing: &[&str],
    declare: impl Fn(&mut Capability) + Send + Sync + 'static,
) {
    let card = run(SimSubject::new("sim").declaring(declare));
    let failed: Vec<&str> = card.with(Outcome::Failed).map(|c| c.about.name).collect();
    assert_eq!(failed, failing, "{card}");
    assert_eq!(card.level, level, "{card}");
}

const TWICE: [&str; 2] = [
    "faults/create/delivered-twice",
    "faults/create/delivered-twice-and-refused",
];

#[test]
fn a_unique_name_is_exact_and_the_suite_is_large_enough() {
    let card = run(SimSubject::new("sim"));
    println!("{card}");
    assert!(card.checks.len() >= 100, "{}", card.checks.len());
    assert!(card.faults() >= 40, "{}", card.faults());
    card.assert(Level::Exact);
}

#[test]
fn a_unique_name_is_exact_without_a_list_by_owner() {
    reaches(Some(Level::Exact), &[], |c| c.list_by_owner = false);
}

#[test]
fn a_site_that_tells_what_happens_is_exact() {
    reaches(Some(Level::Exact), &[], |c| c.events = true);
}

#[test]
fn a_site_whose_things_keep_their_owner_is_exact() {
    reaches(Some(Level::Exact), &[], |c| c.keeps_owner = true);
}

/// Which calls there were.
#[derive(Debug, Default)]
struct Told(Mutex<BTreeSet<&'static str>>);

impl WatchCalls for Told {
    fn called(&self, call: &BackendCall<'_>) {
        self.0.lock().unwrap().insert(call.verb);
    }
}

/// Every daemon counts the calls of its backends.
#[test]
fn a_backend_whose_calls_are_counted_guarantees_the_same() {
    let told = Arc::new(Told::default());
    let subject = SimSubject::new("counted").declaring(|c| {
        c.events = true;
        c.keeps_owner = true;
    });
    let card = run(subject.counted(Arc::clone(&told) as _));
    assert!(card.checks.len() >= 100, "{}", card.checks.len());
    card.assert(Level::Exact);
    let verbs = [
        "change", "create", "destroy", "note", "observe", "offers", "watch",
    ];
    assert_eq!(*told.0.lock().unwrap(), verbs.into());
}

#[test]
fn nothing_but_the_backend_itself_is_needed() {
    run(SimSubject::new("sim").blind()).assert(Level::Exact);
}

#[test]
fn a_token_is_exact_and_without_a_list_safe() {
    let token = |list| {
        move |c: &mut Capability| {
            c.create_key = CreateKey::ClientToken;
            c.list_by_owner = list;
        }
    };
    reaches(Some(Level::Exact), &[], token(true));
    reaches(Some(Level::Safe), &[], token(false));
}

#[test]
fn an_id_that_the_client_chooses_is_exact() {
    for list in [true, false] {
        reaches(Some(Level::Exact), &[], move |c| {
            c.create_key = CreateKey::ClientUuid;
            c.list_by_owner = list;
        });
    }
}

#[test]
fn a_tag_is_safe_and_must_be_listed() {
    reaches(Some(Level::Safe), &[], |c| {
        c.create_key = CreateKey::TagOnly;
    });
    let failing = [&["declaration/tags-are-listed"], TWICE.as_slice()].concat();
    reaches(None, &failing, |c| {
        c.create_key = CreateKey::TagOnly;
        c.list_by_owner = false;
    });
}

#[test]
fn no_key_is_safe_with_a_list_and_basic_without() {
    reaches(Some(Level::Safe), &[], |c| c.create_key = CreateKey::None);
    reaches(Some(Level::Basic), &TWICE, |c| {
        c.create_key = CreateKey::None;
        c.list_by_owner = false;
    });
}

#[test]
fn tombstones_are_exact_and_no_evidence_of_absence_is_safe() {
    reaches(Some(Level::Exact), &[], |c| c.absence = Absence::Tombstone);
    reaches(Some(Level::Safe), &[], |c| c.absence = Absence::None);
}

#[test]
fn what_cannot_be_resized_is_exact_and_so_is_what_is_replaced() {
    reaches(Some(Level::Exact), &[], |c| c.resize = Resize::None);
    reaches(Some(Level::Exact), &[], |c| c.resize = Resize::Replace);
}

#[test]
fn a_list_that_is_late_is_exact_where_that_is_declared() {
    for seconds in [5, 30] {
        reaches(Some(Level::Exact), &[], move |c| {
            c.visibility = Duration::from_secs(seconds);
        });
    }
}

#[test]
fn what_is_a_purchase_is_bought_when_somebody_asks() {
    use {CreateKey as K, Level as L, Resize as R};
    for (key, resize, level, checks) in [
        (K::UniqueName, R::InPlace, L::Exact, 2),
        (K::ClientToken, R::Replace, L::Exact, 3),
        (K::TagOnly, R::Replace, L::Safe, 4),
        (K::None, R::None, L::Safe, 3),
    ] {
        let purchase = move |c: &mut Capability| {
            c.billing_commit = true;
            c.create_key = key;
            c.resize = resize;
        };
        reaches(Some(level), &[], purchase);
        let of = |group| {
            let some = suite(SimSubject::new("shop").declaring(purchase)).only(group);
            some.into_future().now_or_never().unwrap().checks.len()
        };
        let made = of("faults/paid/") + of("faults/others/paid-once");
        assert_eq!(made, checks, "{key:?} {resize:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_card_and_another_one_other_ids() {
    let card = |seed| {
        let suite = suite(SimSubject::new("sim")).seed(seed).only("create/");
        let card = suite.into_future().now_or_never().unwrap();
        serde_json::to_string(&card).unwrap()
    };
    assert_eq!(card(3), card(3));
    assert_ne!(card(3), card(4));
}

#[test]
fn every_check_has_a_name_of_its_own_and_an_incident() {
    let card = run(SimSubject::new("sim"));
    let mut names: Vec<&str> = card.checks.iter().map(|c| c.about.name).collect();
    names.extend(&card.not_applicable);
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(card.checks.iter().all(|c| !c.about.incident.is_empty()));
}

#[test]
fn a_cluster_made_of_nodes_is_exact() {
    let card = run(NodesSubject);
    println!("{card}");
    assert!(card.checks.len() >= 100, "{}", card.checks.len());
    card.assert(Level::Exact);
}

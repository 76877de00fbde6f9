//! The suite over the simulated cloud with everything it can declare: which
//! guarantee gives which level.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use futures_util::FutureExt;
use rm_core::backend::{Absence, Capability, CreateKey, Resize};
use rm_testkit::conformance::{Level, Outcome, Scorecard, SimSubject, Subject, suite};

/// In simulated time nobody waits: the suite is over when it is first polled.
fn run(subject: impl Subject) -> Scorecard {
    let card = suite(subject).into_future().now_or_never();
    card.expect("simulated time needs no executor")
}

/// What fails whatever the backend does: the engine's own part is still open.
/// A level counts as soon as none of these is in the way.
const OPEN: [&str; 3] = [
    "faults/list/once-without-it",
    "faults/list/without-what-is-going",
    "faults/others/a-sibling-of-the-same-name",
];

/// The names of the checks that fail beside those.
fn failed(card: &Scorecard) -> Vec<&'static str> {
    let names = card.with(Outcome::Failed).map(|c| c.about.name);
    names.filter(|name| !OPEN.contains(name)).collect()
}

/// Declares this, asks for the level, and names the only checks that fail.
fn reaches(
    level: Option<Level>,
    failing: &[&str],
    declare: impl Fn(&mut Capability) + Send + Sync + 'static,
) {
    let card = run(SimSubject::new("sim").declaring(declare));
    assert_eq!(failed(&card), failing, "{card}");
    let mut open = card.checks.iter().filter(|c| OPEN.contains(&c.about.name));
    if open.all(|c| c.outcome == Outcome::Passed) {
        assert_eq!(card.level, level, "{card}");
    }
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
    assert_eq!(failed(&card), [""; 0]);
}

#[test]
fn a_unique_name_is_exact_without_a_list_by_owner() {
    reaches(Some(Level::Exact), &[], |c| c.list_by_owner = false);
}

#[test]
fn nothing_but_the_backend_itself_is_needed() {
    let card = run(SimSubject::new("sim").blind());
    assert_eq!(failed(&card), [""; 0], "{card}");
}

#[test]
fn a_token_is_exact() {
    reaches(Some(Level::Exact), &[], |c| {
        c.create_key = CreateKey::ClientToken;
    });
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
    let card = run(SimSubject::new("sim").declaring(|c| {
        c.create_key = CreateKey::TagOnly;
        c.list_by_owner = false;
    }));
    assert!(failed(&card).contains(&"declaration/tags-are-listed"));
    assert_eq!(card.level, None);
}

#[test]
fn no_key_is_safe_with_a_list_and_basic_without() {
    reaches(Some(Level::Safe), &[], |c| c.create_key = CreateKey::None);
    let card = run(SimSubject::new("sim").declaring(|c| {
        c.create_key = CreateKey::None;
        c.list_by_owner = false;
    }));
    assert!(TWICE.iter().all(|name| failed(&card).contains(name)));
    assert_eq!(card.level, Some(Level::Basic));
}

#[test]
fn tombstones_are_exact_and_no_evidence_of_absence_is_safe() {
    reaches(Some(Level::Exact), &[], |c| c.absence = Absence::Tombstone);
    reaches(Some(Level::Safe), &[], |c| c.absence = Absence::None);
}

#[test]
fn what_cannot_be_resized_is_exact() {
    reaches(Some(Level::Exact), &[], |c| c.resize = Resize::None);
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
fn what_is_a_purchase_is_made_once() {
    let purchase = |c: &mut Capability| c.billing_commit = true;
    let card = run(SimSubject::new("shop").declaring(purchase));
    let names: Vec<&str> = card.checks.iter().map(|c| c.about.name).collect();
    assert!(names.contains(&"faults/others/paid-once"));
    assert_eq!(failed(&card), [""; 0], "{card}");
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

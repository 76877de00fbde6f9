//! What every store promises, asked of the one in memory, of SQLite, and of
//! the example of a store that somebody else wrote.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use rm_core::store::{Batch, By, Count, Cursor, Key, Outcome, Page, Refusal, Store};
use support::resource_id;

mod claims;
#[path = "../../../examples/new-backend/examples/own-store/file_store.rs"]
mod file_store;
mod searches;
#[path = "../support/mod.rs"]
mod support;
mod together;
mod writes;

/// Every case, asked of each.
macro_rules! each {
    ($($subject:ident: $($case:ident)*;)*) => {
        mod memory {
            $($(#[tokio::test]
            async fn $case() {
                super::$subject::$case(super::support::memory()).await;
            })*)*
        }
        mod sqlite {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$subject::$case(super::support::sqlite()).await;
            })*)*
        }
        mod file {
            $($(#[tokio::test]
            async fn $case() {
                super::$subject::$case(super::file()).await;
            })*)*
        }
    };
}

each! {
    writes: an_empty_store_has_nothing versions_count_the_writes an_expectation_that_fails_writes_nothing a_counter_stops_at_its_limit counts_of_one_batch_add_up what_is_deleted_is_gone odd_text_is_kept_as_it_is;
    claims: an_older_epoch_is_fenced what_is_due_is_claimed_oldest_first an_account_can_be_left_alone beside_an_account_that_is_left_alone_the_oldest_are_claimed holds_are_found_when_they_end a_claim_ends_with_its_lease who_writes_decides_when_it_is_due_again a_claim_can_be_prolonged what_nobody_works_on_may_be_told_apart what_is_swept_waits_for_itself who_writes_decides_in_which_queue_it_waits a_claim_that_lapses_is_due_in_its_queue an_account_can_be_left_alone_by_the_sweep;
    searches: resources_are_paged_by_everything_they_can_be_searched_by what_is_in_quarantine_is_found_among_all_else documents_are_paged_and_indexed events_come_in_commit_order forgotten_events_leave_gaps_and_no_number_comes_twice a_cursor_that_is_none_is_refused;
    together: revisions_grow_in_commit_order many_writers_of_one_document_lose_nothing four_engines_never_claim_one_resource_twice;
}

fn file() -> support::Rig {
    let env = support::TestEnv::new();
    let folder = tempfile::tempdir().unwrap();
    let store = file_store::FileStore::open(&folder.path().join("store"), env.clone()).unwrap();
    support::Rig {
        store: std::sync::Arc::new(store),
        env,
        folder: Some(folder),
    }
}

fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        Outcome::Done(_) => panic!("it was written"),
    }
}

fn key(n: u128) -> Key {
    Key::Resource(resource_id(n))
}

fn note(id: &str) -> Key {
    Key::Document("s".to_owned(), id.to_owned())
}

fn guest(user: &str, but: &str) -> By {
    By::Guest {
        user: user.to_owned(),
        but: but.to_owned(),
    }
}

async fn ids(store: &dyn Store, by: &By, limit: u32) -> Vec<u128> {
    let mut found = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let Page { items, next } = store.resources(by, after.as_ref(), limit).await.unwrap();
        assert!(items.len() <= usize::try_from(limit.max(1)).unwrap());
        assert!(next.is_none() || !items.is_empty());
        found.extend(items.iter().map(|r| r.record.id.0.as_u128()));
        match next {
            Some(cursor) => after = Some(cursor),
            None => return found,
        }
    }
}

async fn notes(store: &dyn Store, index: Option<(&str, &str)>, limit: u32) -> Vec<String> {
    let mut found = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = store.documents("s", index, after.as_ref(), limit).await;
        let Page { items, next } = page.unwrap();
        found.extend(items.iter().map(|d| d.record.id.clone()));
        match next {
            Some(cursor) => after = Some(cursor),
            None => return found,
        }
    }
}

fn count(by: i64, at_most: Option<u64>) -> Count {
    Count {
        counter: "quota/t/nodes".to_owned(),
        by,
        at_most,
    }
}

fn counts(counts: Vec<Count>) -> Batch {
    Batch {
        counts,
        ..Batch::default()
    }
}

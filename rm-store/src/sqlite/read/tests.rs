//! That no question takes more steps than it must.

use rusqlite::StatementStatus;

use super::*;
use crate::sqlite::{Options, apply, claims, connect, schema};

/// Nothing that is asked in the course of work reads a table from end to
/// end or sorts what it found.
#[test]
fn every_question_is_answered_by_an_index() {
    let conn = Connection::open_in_memory().unwrap();
    schema::upgrade(&conn).unwrap();
    for sql in [
        ALL,
        TENANT,
        ACCOUNT,
        HELD,
        HELD_OF,
        GUEST_BEFORE,
        GUEST,
        SPACE_FIRST,
        SPACE_AFTER,
        INDEX_FIRST,
        INDEX_AFTER,
        NEXT_DUE,
        ENDED,
        NEXT_END,
        EVENTS,
        EVENTS_OF,
        NEXT_ACCOUNT,
        claims::DUE,
        claims::DUE_OF,
        claims::OWNERS,
        apply::REWRITE,
    ] {
        let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let none = vec![rusqlite::types::Null; plan.parameter_count()];
        let steps: Vec<String> = plan
            .query_map(rusqlite::params_from_iter(none), |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for step in steps {
            assert!(step.starts_with("SEARCH"), "{sql}: {step}");
            let by_id = step.contains("sqlite_autoindex_resource_1");
            assert!(by_id || sql != apply::REWRITE, "{step}");
        }
    }
}

/// However much an account has, to pass over it takes as many steps.
#[test]
fn an_account_is_passed_over_in_one_step() {
    let steps = |of_the_first: u32| {
        let conn = Connection::open_in_memory().unwrap();
        schema::upgrade(&conn).unwrap();
        let mut add = conn
            .prepare(
                "INSERT INTO resource (id, version, epoch, due, tenant, site, credential, body)
                 VALUES (?1, 1, 0, ?2, 't', ?3, ?3, '')",
            )
            .unwrap();
        for n in 0..=of_the_first {
            let account = [if n < of_the_first { 1u8 } else { 2 }; 16];
            let id = u128::from(n).to_be_bytes();
            add.execute((id, i64::from(n), account)).unwrap();
        }
        let mut next = conn.prepare(NEXT_ACCOUNT).unwrap();
        let first = [1u8; 16];
        let site: [u8; 16] = next.query_row((first, first, 0), |row| row.get(0)).unwrap();
        assert_eq!(site, [2u8; 16]);
        next.get_status(StatementStatus::VmStep)
    };
    assert_eq!(steps(10), steps(2_000));
}

/// However much is only swept, and overdue, nothing else waits for it.
#[test]
fn what_is_swept_is_no_step_on_the_way_to_what_is_awaited() {
    let steps = |swept: u32| {
        let conn = Connection::open_in_memory().unwrap();
        schema::upgrade(&conn).unwrap();
        let mut add = conn
            .prepare(
                "INSERT INTO resource
                 (id, version, epoch, due, swept, tenant, site, credential, body)
                 VALUES (?1, 1, 0, ?2, ?3, 't', ?4, ?4, '')",
            )
            .unwrap();
        let account = [1u8; 16];
        for n in 0..=swept {
            let id = u128::from(n).to_be_bytes();
            add.execute((id, i64::from(n), n < swept, account)).unwrap();
        }
        let last = u128::from(swept).to_be_bytes();
        let begin = [0u8; 16];
        let mut due = conn.prepare(claims::DUE).unwrap();
        let mut due_of = conn.prepare(claims::DUE_OF).unwrap();
        let mut next = conn.prepare(NEXT_DUE).unwrap();
        let mut next_account = conn.prepare(NEXT_ACCOUNT).unwrap();
        let (now, most, awaited) = (i64::MAX, 99, self::swept(Queue::Awaited));
        let id = |row: &Row<'_>| row.get::<_, [u8; 16]>(1);
        let found: Vec<_> = due
            .query_map((now, most, awaited), id)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(found, [last]);
        let found: Vec<_> = due_of
            .query_map((now, most, awaited, account, account), id)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(found, [last]);
        let at: i64 = next
            .query_row((awaited, i64::MIN), |row| row.get(0))
            .unwrap();
        assert_eq!(at, i64::from(swept));
        let at: i64 = next_account
            .query_row((begin, begin, awaited), |row| row.get(2))
            .unwrap();
        assert_eq!(at, i64::from(swept));
        [due, due_of, next, next_account].map(|sql| sql.get_status(StatementStatus::VmStep))
    };
    assert_eq!(steps(10), steps(2_000));
}

#[test]
fn an_unreadable_body_is_named_and_not_quoted() {
    let conn = Connection::open_in_memory().unwrap();
    let of = Of::Document("s", "x");
    let summed = of.summed("{\"canary\": 1}");
    // As it was written, and with a sum that is another's.
    for (kept, why) in [(&summed[..], "at line 1"), ("00000000canary", "written")] {
        let read = conn.query_row("SELECT ?1", [kept], |row| body::<Document>(row, 0, of));
        let text = read.unwrap_err().to_string();
        assert!(text.contains("document \"x\""), "{text}");
        assert!(text.contains(why), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
}

/// What is asked again and again is planned once, whatever it is asked about.
#[test]
fn a_question_about_something_else_is_not_planned_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = connect::locate(&folder.path().join("s.db")).unwrap();
    let options = Options::default();
    let writer = connect::writer(&path, &options).unwrap();
    let reader = connect::reader(&path, &options).unwrap();
    let mut anew = Vec::new();
    for sql in [
        ALL,
        TENANT,
        ACCOUNT,
        HELD,
        HELD_OF,
        SPACE_FIRST,
        SPACE_AFTER,
        INDEX_FIRST,
        INDEX_AFTER,
        NEXT_DUE,
        NEXT_ACCOUNT,
        ENDED,
        EVENTS,
        EVENTS_OF,
        claims::DUE,
        claims::DUE_OF,
    ] {
        for conn in [&writer, &reader] {
            let mut asked = conn.prepare(sql).unwrap();
            for about in 1..=3 {
                let about = vec![about; asked.parameter_count()];
                let mut rows = asked.query(rusqlite::params_from_iter(about)).unwrap();
                assert!(rows.next().unwrap().is_none());
            }
            if asked.get_status(StatementStatus::RePrepare) > 0 {
                anew.push(sql);
            }
        }
    }
    assert!(anew.is_empty(), "{anew:#?}");
}

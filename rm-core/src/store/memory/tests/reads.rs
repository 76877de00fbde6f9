//! Pages and indexes.

use proptest::prelude::*;

use super::*;
use crate::life::State;

fn guest(user: &str, but: &str) -> By {
    By::Guest {
        user: user.to_owned(),
        but: but.to_owned(),
    }
}

#[tokio::test]
async fn every_page_size_shows_every_resource_once_and_in_order() {
    let (env, store) = store();
    let mut all = Vec::new();
    for n in 0..7 {
        let tenant = if n % 2 == 0 { "even" } else { "odd" };
        let row = record(&env, tenant, &["anna"]);
        done(&store, put(&row, Due::Rest)).await;
        all.push((row.id, tenant));
    }
    all.sort();
    let of = |tenant: &str| -> Vec<ResourceId> {
        all.iter()
            .filter(|(_, t)| *t == tenant)
            .map(|(id, _)| *id)
            .collect()
    };
    let place = record(&env, "x", &[]).place;
    let everything: Vec<ResourceId> = all.iter().map(|(id, _)| *id).collect();
    for limit in 0..9 {
        assert_eq!(walk(&store, &By::All, limit).await, everything);
        for tenant in ["even", "odd", "nobody"] {
            let by = By::Tenant(tenant.to_owned());
            assert_eq!(walk(&store, &by, limit).await, of(tenant));
        }
        // Tenant by tenant, but for one.
        for (but, found) in [
            ("even", of("odd")),
            ("odd", of("even")),
            ("nobody", [of("even"), of("odd")].concat()),
        ] {
            assert_eq!(walk(&store, &guest("anna", but), limit).await, found);
        }
        let account = By::Account(place.site, place.credential);
        assert_eq!(walk(&store, &account, limit).await, everything);
    }
}

#[tokio::test]
async fn a_cursor_survives_what_is_deleted_and_added_meanwhile() {
    let (_, store) = store();
    let some = ["a", "b", "c", "d"].map(|id| document(id, &[("of", "x")]));
    done(&store, write(some.to_vec())).await;
    let index = Some(("of", "x"));
    let first = store.documents("toy", index, None, 2).await.unwrap();
    let mut batch = write(vec![
        document("aa", &[("of", "x")]),
        document("cc", &[("of", "x")]),
    ]);
    batch
        .delete
        .push(Key::Document("toy".to_owned(), "b".to_owned()));
    done(&store, batch).await;
    let rest = store
        .documents("toy", index, first.next.as_ref(), 9)
        .await
        .unwrap();
    let rest: Vec<&str> = rest.items.iter().map(|d| d.record.id.as_str()).collect();
    assert_eq!(rest, ["c", "cc", "d"]);
}

#[tokio::test]
async fn a_cursor_that_nobody_gave_out_is_refused() {
    let (_, store) = store();
    let made_up = Cursor("made up".to_owned());
    let e = store.resources(&By::All, Some(&made_up), 5).await;
    assert_eq!(e.unwrap_err().kind(), crate::ErrorKind::Invalid);
}

#[tokio::test]
async fn a_resource_is_found_by_what_it_is_now() {
    let (env, store) = store();
    let mut row = record(&env, "acme", &["anna", "anna"]);
    done(&store, put(&row, Due::Rest)).await;
    let account = |r: &ResourceRecord| By::Account(r.place.site, r.place.credential);
    let before = account(&row);
    row.tenant = Tenant("other".to_owned());
    row.seen = State::Quarantined;
    row.place.site = CatalogId(uuid::Uuid::from_u128(9));
    row.holds.clear();
    row.grants.push(Grant {
        user: "bert".to_owned(),
        by: "anna".to_owned(),
        since: env.now(),
    });
    done(&store, put(&row, Due::Rest)).await;
    for (by, found) in [
        (By::Tenant("acme".to_owned()), false),
        (By::Tenant("other".to_owned()), true),
        (guest("anna", "mine"), false),
        (guest("bert", "mine"), true),
        (guest("bert", "other"), false),
        (By::Held(None), true),
        (By::Held(Some("acme".to_owned())), false),
        (By::Held(Some("other".to_owned())), true),
        (before, false),
        (account(&row), true),
    ] {
        assert_eq!(!walk(&store, &by, 5).await.is_empty(), found, "{by:?}");
    }
    let delete = Batch {
        delete: vec![Key::Resource(row.id)],
        ..Batch::default()
    };
    done(&store, delete).await;
    for by in [
        By::All,
        By::Tenant("other".to_owned()),
        guest("bert", "mine"),
        account(&row),
    ] {
        assert!(walk(&store, &by, 5).await.is_empty(), "{by:?}");
    }
}

#[tokio::test]
async fn a_document_is_found_by_its_newest_indexes() {
    let (_, store) = store();
    let red = [("colour", "red"), ("size", "big")];
    let blue = [("colour", "blue"), ("colour", "green")];
    done(
        &store,
        write(vec![document("a", &red), document("b", &red)]),
    )
    .await;
    done(&store, write(vec![document("a", &blue)])).await;
    for (index, value, expected) in [
        ("colour", "red", "b"),
        ("colour", "blue", "a"),
        ("colour", "green", "a"),
        ("size", "big", "b"),
        ("size", "bi", ""),
        ("siz", "ebig", ""),
    ] {
        let found = walk_documents(&store, Some((index, value)), 1).await;
        assert_eq!(found, expected, "{index} {value}");
    }
    assert_eq!(walk_documents(&store, None, 1).await, "a b");
}

#[tokio::test]
async fn spaces_do_not_see_each_other() {
    let (_, store) = store();
    let mut other = (*document("z", &[("of", "x")])).clone();
    other.space = "toys".to_owned();
    done(
        &store,
        write(vec![document("a", &[("of", "x")]), Arc::new(other)]),
    )
    .await;
    assert_eq!(walk_documents(&store, None, 5).await, "a");
    assert_eq!(walk_documents(&store, Some(("of", "x")), 5).await, "a");
}

proptest! {
    /// Whatever is written and deleted, an index shows what a list would.
    #[test]
    fn indexes_agree_with_what_is_written(
        steps in proptest::collection::vec((0..6_u8, proptest::option::of(0..3_u8)), 0..40),
        limit in 1..5_u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (_, store) = store();
            let mut model = std::collections::BTreeMap::new();
            for (id, value) in steps {
                let (id, value) = (format!("id-{id}"), value.map(|v| format!("v-{v}")));
                let mut batch = Batch::default();
                match &value {
                    Some(value) => batch.documents.push(document(&id, &[("of", value)])),
                    None => batch.delete.push(Key::Document("toy".to_owned(), id.clone())),
                }
                done(&store, batch).await;
                match value {
                    Some(value) => model.insert(id, value),
                    None => model.remove(&id),
                };
            }
            for value in ["v-0", "v-1", "v-2"] {
                let expected: Vec<&str> = model
                    .iter()
                    .filter(|(_, v)| *v == value)
                    .map(|(id, _)| id.as_str())
                    .collect();
                let found = walk_documents(&store, Some(("of", value)), limit).await;
                assert_eq!(found, expected.join(" "));
            }
        });
    }
}

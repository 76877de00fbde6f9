//! Credentials: whose they are, and how their secrets are kept.

use super::*;

#[tokio::test]
async fn a_credential_of_another_tenant_is_missing() {
    let w = world();
    w.site("berlin").await;
    let hers = w.credential(&anna(), "mine", "berlin").await;
    let bert = Caller::user("bert", "other");
    // Names are the tenant's own.
    let his = w.credential(&bert, "mine", "berlin").await;
    assert_eq!(
        w.catalog.credential(&bert, "mine").await.unwrap().id,
        his.id
    );
    let her_id = hers.id.to_string();
    let nobodys = CatalogId(uuid::Uuid::from_u128(7)).to_string();
    let missing = |e: Error| (e.kind(), e.to_string().replace(&her_id, "ID"));
    let unknown = w.catalog.credential(&bert, &nobodys).await.unwrap_err();
    let expected = (unknown.kind(), unknown.to_string().replace(&nobodys, "ID"));
    assert_eq!(expected.0, ErrorKind::NotFound);
    let (secret, catalog) = (json!({"password": "x"}), &w.catalog);
    for e in [
        catalog.credential(&bert, &her_id).await.unwrap_err(),
        catalog
            .rotate_credential(&bert, &her_id, &secret)
            .await
            .unwrap_err(),
        catalog.remove_credential(&bert, &her_id).await.unwrap_err(),
    ] {
        assert_eq!(missing(e), expected);
    }
    let names = |who: Caller| async move {
        let page = w.catalog.credentials(&who, None, 9).await.unwrap();
        page.items.iter().map(|c| c.id).collect::<Vec<_>>()
    };
    assert_eq!(names(bert).await, [his.id]);
}

#[tokio::test]
async fn an_unknown_credential_does_not_tell_the_names_of_others() {
    let w = world();
    w.site("berlin").await;
    w.credential(&anna(), "annas-own", "berlin").await;
    let bert = Caller::user("bert", "other");
    let e = w.catalog.credential(&bert, "x").await.unwrap_err();
    assert!(!e.to_string().contains("annas-own"), "{e}");
    assert!(!e.to_string().contains("other/"), "{e}");
    let e = w.catalog.credential(&bert, "acme/annas-own").await;
    assert_eq!(kind(e), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_secret_is_in_no_answer_message_or_event() {
    let w = world();
    w.site("berlin").await;
    let new = credential("mine", "berlin");
    assert!(!format!("{new:?}").contains(CANARY));
    let made = w.catalog.add_credential(&anna(), new).await.unwrap();
    let secret = json!({"password": format!("{CANARY}-new")});
    let rotated = w
        .catalog
        .rotate_credential(&anna(), "mine", &secret)
        .await
        .unwrap();
    let read = w.catalog.credential(&anna(), "mine").await.unwrap();
    let listed = w.catalog.credentials(&op(), None, 9).await.unwrap();
    for shown in [&made, &rotated, &read, &listed.items[0]] {
        assert!(!format!("{shown:?}").contains(CANARY));
        let json = serde_json::to_string(shown).unwrap();
        assert!(!json.contains(CANARY) && !json.contains("sealed"), "{json}");
    }
    let mut wrong = credential("other", "berlin");
    wrong.secret = json!(CANARY);
    let refused = [
        w.catalog.add_credential(&anna(), wrong).await.unwrap_err(),
        w.catalog
            .rotate_credential(&anna(), "mine", &json!([CANARY]))
            .await
            .unwrap_err(),
    ];
    for e in refused {
        assert_eq!(e.kind(), ErrorKind::Invalid);
        assert!(!format!("{e} {e:?}").contains(CANARY));
    }
    let events = w.store.since(0, None, 99).await.unwrap();
    assert!(!format!("{events:?}").contains(CANARY));
    assert!(!format!("{:?}", w.catalog).contains(CANARY));
}

#[tokio::test]
async fn a_new_secret_is_the_one_that_is_used() {
    let w = sealed_by(Mirror);
    let berlin = w.site("berlin").await;
    let made = w.credential(&anna(), "mine", "berlin").await;
    let secret = json!({"password": "newer"});
    let rotated = w
        .catalog
        .rotate_credential(&anna(), "mine", &secret)
        .await
        .unwrap();
    assert_eq!((made.revision, rotated.revision), (1, 2));
    let (_, _, opened) = w.catalog.open(berlin.id, made.id).await.unwrap();
    assert_eq!(opened.expose(), secret.to_string());
}

#[tokio::test]
async fn all_are_sealed_anew_and_none_is_lost() {
    let w = sealed_by(Mirror);
    let berlin = w.site("berlin").await;
    let mut made = Vec::new();
    // More than fit on a page.
    for n in 0..205 {
        made.push(w.credential(&anna(), &format!("c-{n}"), "berlin").await.id);
    }
    assert_eq!(w.catalog.reseal(&op()).await.unwrap(), 205);
    for id in made {
        let (_, credential, secret) = w.catalog.open(berlin.id, id).await.unwrap();
        assert_eq!(secret.expose(), json!({"password": CANARY}).to_string());
        assert_eq!(credential.revision, 1);
    }
}

#[tokio::test]
async fn a_callers_own_credential_is_found_behind_those_of_many_others() {
    let w = world();
    let berlin = w.site("berlin").await;
    // More than fit on a page.
    for n in 0..205 {
        w.credential(&anna(), &format!("c-{n}"), "berlin").await;
    }
    let anton = Caller::user("anton", "acme");
    let own = Arc::new(w.credential(&anton, "own", "berlin").await);
    let found = w.catalog.credentials_for(&anton, berlin.id).await.unwrap();
    assert_eq!((found.len(), found.first()), (206, Some(&own)));
}

#[tokio::test]
async fn a_callers_own_credential_for_the_site_comes_first_then_the_tenants_oldest() {
    let w = world();
    let berlin = w.site("berlin").await;
    w.site("paris").await;
    let first = w.credential(&anna(), "z", "berlin").await;
    w.credential(&anna(), "p", "paris").await;
    w.credential(&Caller::user("bert", "other"), "b", "berlin")
        .await;
    w.env.pass(std::time::Duration::from_secs(1));
    let second = w.credential(&anna(), "a", "berlin").await;
    let found = w.catalog.credentials_for(&anna(), berlin.id).await.unwrap();
    let (first, second) = (Arc::new(first), Arc::new(second));
    assert_eq!(found, [first.clone(), second.clone()]);
    // On behalf of whom something is done is who asks for it, where that is
    // possible.
    let anton = Caller::user("anton", "acme");
    let found = w.catalog.credentials_for(&anton, berlin.id).await.unwrap();
    assert_eq!(found, [first.clone(), second.clone()]);
    let own = Arc::new(w.credential(&anton, "own", "berlin").await);
    let found = w.catalog.credentials_for(&anton, berlin.id).await.unwrap();
    assert_eq!(found, [own.clone(), first.clone(), second.clone()]);
    let found = w.catalog.credentials_for(&anna(), berlin.id).await.unwrap();
    assert_eq!(found, [first, second, own]);
}

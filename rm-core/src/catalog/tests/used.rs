//! What is used stays.

use super::*;

fn in_use<T: std::fmt::Debug>(result: Result<T>) {
    let e = result.unwrap_err();
    assert_eq!(
        (e.kind(), e.stable_code()),
        (ErrorKind::Conflict, "in-use"),
        "{e}"
    );
}

#[tokio::test]
async fn what_is_used_stays_until_its_users_are_gone() {
    let w = world();
    let (catalog, op) = (&w.catalog, op());
    let berlin = w.site("berlin").await;
    let hadoop = w.appliance("hadoop").await;
    let made = w.implementation("hadoop", &Target::Site(berlin.id)).await;
    w.credential(&op, "mine", "berlin").await;
    in_use(catalog.remove_appliance(&op, "hadoop").await);
    in_use(catalog.remove_site(&op, "berlin").await);
    catalog.remove_implementation(&op, made.id).await.unwrap();
    catalog
        .remove_appliance(&op, &hadoop.id.to_string())
        .await
        .unwrap();
    in_use(catalog.remove_site(&op, "berlin").await);
    catalog.remove_credential(&op, "mine").await.unwrap();
    catalog.remove_site(&op, "berlin").await.unwrap();
    assert_eq!(kind(catalog.site("berlin").await), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_image_is_used_however_the_appliance_calls_it() {
    let w = world();
    let debian = w.image("debian").await;
    for call in ["debian".to_owned(), debian.id.to_string()] {
        let mut new = appliance("hadoop");
        new.images = vec![call];
        let made = w.catalog.add_appliance(&op(), new).await.unwrap();
        assert_eq!(made.images, ["debian"]);
        in_use(w.catalog.remove_image(&op(), "debian").await);
        w.catalog.remove_appliance(&op(), "hadoop").await.unwrap();
    }
    w.catalog.remove_image(&op(), "debian").await.unwrap();
}

#[tokio::test]
async fn what_resources_were_made_by_stays() {
    let w = world();
    let berlin = w.site("berlin").await;
    let mine = w.credential(&anna(), "mine", "berlin").await;
    w.appliance("hadoop").await;
    let made = w.implementation("hadoop", &any_toy()).await;
    let other = w.implementation("hadoop", &any_toy()).await;
    let mut row = record(&w.env, "acme", &["anna"]);
    row.place.site = berlin.id;
    row.place.credential = mine.id;
    row.place.spec = Json::of(&json!({"implementation": made.id})).unwrap();
    let mut batch = Batch::default();
    batch.resources.push((Arc::new(row), Due::Rest));
    w.store.commit(batch).await.unwrap();
    in_use(w.catalog.remove_credential(&anna(), "mine").await);
    in_use(w.catalog.remove_implementation(&op(), made.id).await);
    w.catalog
        .remove_implementation(&op(), other.id)
        .await
        .unwrap();
}

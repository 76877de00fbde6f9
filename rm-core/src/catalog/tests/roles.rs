//! Who may.

use super::*;

#[tokio::test]
async fn only_an_operator_loads_the_catalog() {
    let w = world();
    let berlin = w.site("berlin").await;
    w.appliance("hadoop").await;
    w.image("debian").await;
    let made = w.implementation("hadoop", &any_toy()).await;
    let (catalog, anna) = (&w.catalog, anna());
    let before = w.written().await;
    let new = implementation("hadoop", &Target::Site(berlin.id));
    for refused in [
        catalog.add_site(&anna, site("x")).await.err(),
        catalog.remove_site(&anna, "berlin").await.err(),
        catalog.add_appliance(&anna, appliance("x")).await.err(),
        catalog.remove_appliance(&anna, "hadoop").await.err(),
        catalog.add_implementation(&anna, new).await.err(),
        catalog
            .enable_implementation(&anna, made.id, false)
            .await
            .err(),
        catalog.remove_implementation(&anna, made.id).await.err(),
        catalog.add_image(&anna, image("x")).await.err(),
        catalog.remove_image(&anna, "debian").await.err(),
        catalog.reseal(&anna).await.err(),
    ] {
        assert_eq!(refused.unwrap().kind(), ErrorKind::Forbidden);
    }
    assert_eq!(w.written().await, before);
}

#[tokio::test]
async fn nobody_brings_a_credential_for_somebody_else() {
    let w = world();
    w.site("berlin").await;
    let mut for_user = credential("x", "berlin");
    for_user.user = Some("bert".to_owned());
    let mut for_tenant = credential("x", "berlin");
    for_tenant.tenant = Some(Tenant("other".to_owned()));
    for new in [for_user, for_tenant.clone()] {
        let refused = w.catalog.add_credential(&anna(), new).await;
        assert_eq!(kind(refused), ErrorKind::Forbidden);
    }
    // An operator may, and names everything that the caller would have said.
    let made = w.catalog.add_credential(&op(), for_tenant).await.unwrap();
    assert_eq!((made.tenant.0.as_str(), &*made.user), ("other", "olga"));
}

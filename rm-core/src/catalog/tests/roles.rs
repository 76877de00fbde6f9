//! Who may.

use async_trait::async_trait;

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

/// Has Anna and her tenant.
#[derive(Debug)]
struct Few;

#[async_trait]
impl Directory for Few {
    async fn has_user(&self, user: &str) -> Result<bool> {
        Ok(user == "anna")
    }

    async fn has_tenant(&self, tenant: &Tenant) -> Result<bool> {
        Ok(tenant.0 == "acme")
    }
}

#[tokio::test]
async fn a_credential_is_for_somebody_there_is() {
    let w = world_of(Unsealed, Few);
    w.site("berlin").await;
    let of = |user: &str, tenant: &str| NewCredential {
        user: Some(user.to_owned()),
        tenant: Some(Tenant(tenant.to_owned())),
        ..credential("x", "berlin")
    };
    let before = w.written().await;
    for (new, fault) in [
        (of("ana", "acme"), "there is no user \"ana\""),
        (of("anna", "acne"), "there is no tenant \"acne\""),
    ] {
        let e = w.catalog.add_credential(&op(), new).await.unwrap_err();
        assert_eq!((e.kind(), e.what()), (ErrorKind::Invalid, fault));
    }
    assert_eq!(w.written().await, before);
    let hers = w.catalog.add_credential(&op(), of("anna", "acme")).await;
    assert_eq!(hers.unwrap().user, "anna");
    // Who calls was let in by the door, which need not ask again.
    w.credential(&op(), "mine", "berlin").await;
}

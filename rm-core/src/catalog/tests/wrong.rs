//! What a request says wrongly is refused, and nothing is written.

use super::*;

#[tokio::test]
async fn what_a_request_names_wrongly_is_the_fault_of_the_request() {
    let w = world();
    w.site("berlin").await;
    w.appliance("hadoop").await;
    let (catalog, op) = (&w.catalog, op());
    let mut with_image = appliance("x");
    with_image.images = vec!["debian".to_owned()];
    let mut nowhere = implementation("hadoop", &any_toy());
    nowhere.site_type = None;
    let mut twice = implementation("hadoop", &any_toy());
    twice.site = Some("berlin".to_owned());
    let mut unread = implementation("hadoop", &any_toy());
    unread.media_type = "text/other".to_owned();
    let mut broken = implementation("hadoop", &any_toy());
    broken.body = "broken".to_owned();
    let before = w.written().await;
    let mut refused = vec![
        catalog
            .add_credential(&op, credential("x", "bern"))
            .await
            .err(),
        catalog.add_appliance(&op, with_image).await.err(),
        catalog
            .add_implementation(&op, implementation("spark", &any_toy()))
            .await
            .err(),
        catalog
            .add_implementation(
                &op,
                implementation("hadoop", &Target::Api("ec2".to_owned())),
            )
            .await
            .err(),
    ];
    for new in [nowhere, twice, unread, broken] {
        refused.push(catalog.add_implementation(&op, new).await.err());
    }
    for e in refused {
        assert_eq!(e.unwrap().kind(), ErrorKind::Invalid);
    }
    assert_eq!(w.written().await, before);
}

#[tokio::test]
async fn an_address_has_no_password_in_it() {
    let w = world();
    for url in [
        "",
        "http://",
        "ftp://x",
        "berlin",
        "http://user:secret@host/",
        "http://a b/",
        "http://a\n/",
    ] {
        let mut new = site("x");
        new.url = url.to_owned();
        let e = w.catalog.add_site(&op(), new).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid, "{url}");
        assert!(!e.to_string().contains("secret"));
    }
    let mut unserved = site("x");
    unserved.api = "ec2".to_owned();
    let e = w.catalog.add_site(&op(), unserved).await.unwrap_err();
    assert_eq!(e.next(), Some("the types are: toy"));
}

#[tokio::test]
async fn an_image_has_a_checksum_and_a_source() {
    let w = world();
    assert_eq!(w.image("debian").await.sha256, "ab".repeat(32));
    let mut short = image("x");
    short.sha256.pop();
    let mut odd = image("x");
    odd.sha256 = "xy".repeat(32);
    let mut nowhere = image("x");
    nowhere.source = "/etc/passwd".to_owned();
    for new in [short, odd, nowhere] {
        assert_eq!(
            kind(w.catalog.add_image(&op(), new).await),
            ErrorKind::Invalid
        );
    }
}

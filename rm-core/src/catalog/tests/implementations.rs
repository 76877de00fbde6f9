//! Revisions.

use super::*;

#[tokio::test]
async fn revisions_count_for_an_appliance_and_a_target() {
    let w = world();
    let berlin = Target::Site(w.site("berlin").await.id);
    w.appliance("hadoop").await;
    w.appliance("spark").await;
    let mut revisions = Vec::new();
    for (name, target) in [
        ("hadoop", &berlin),
        ("hadoop", &berlin),
        ("hadoop", &any_toy()),
        ("spark", &berlin),
        ("hadoop", &berlin),
    ] {
        revisions.push(w.implementation(name, target).await.revision);
    }
    assert_eq!(revisions, [1, 2, 1, 1, 3]);
}

#[tokio::test]
async fn only_whether_it_is_enabled_changes() {
    let w = world();
    let hadoop = w.appliance("hadoop").await;
    let made = w.implementation("hadoop", &any_toy()).await;
    assert!(made.enabled);
    let off = w
        .catalog
        .enable_implementation(&op(), made.id, false)
        .await
        .unwrap();
    let expected = Implementation {
        enabled: false,
        ..made
    };
    assert_eq!(off, expected);
    assert_eq!(
        w.catalog.implementation_now(off.id).await.unwrap(),
        expected
    );
    let all = w.catalog.implementations_of(hadoop.id).await.unwrap();
    assert_eq!(all, [expected]);
}

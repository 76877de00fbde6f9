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
    assert_eq!(all, [Arc::new(expected)]);
}

#[tokio::test]
async fn a_script_has_a_place_and_a_name_of_its_own() {
    let w = world();
    w.appliance("hadoop").await;
    let script = |name: &str, action: &str| Script {
        name: name.to_owned(),
        action: action.to_owned(),
        code: "true".to_owned(),
    };
    let with = |scripts: Vec<Script>| NewImplementation {
        scripts,
        ..implementation("hadoop", &any_toy())
    };
    let (one, other) = (script("a", "user_data"), script("b", "user_data"));
    let before = w.written().await;
    let mut closed = with(vec![one.clone()]);
    closed.body = "closed".to_owned();
    for (new, fault) in [
        (closed, "takes none"),
        (
            with(vec![one.clone(), other.clone(), one.clone()]),
            "two scripts",
        ),
        (with(vec![script("a", "")]), "script's action is empty"),
    ] {
        let e = w.catalog.add_implementation(&op(), new).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid);
        assert!(e.what().contains(fault), "{e}");
    }
    assert_eq!(w.written().await, before);
    let scripts = vec![one, other, script("a", "prepare_node")];
    let made = w
        .catalog
        .add_implementation(&op(), with(scripts.clone()))
        .await;
    assert_eq!(made.unwrap().scripts, scripts);
}

//! What may be a name, and what is found by one.

use super::*;

#[tokio::test]
async fn names_that_could_not_be_told_apart_or_printed_are_refused() {
    let w = world();
    w.site("berlin").await;
    w.appliance("hadoop").await;
    let before = w.written().await;
    let too_long = "x".repeat(NAME_MAX + 1);
    for (name, fault) in [
        ("", "is empty"),
        (too_long.as_str(), "is too long"),
        ("a\nb", "U+000A"),
        ("a\u{1b}[31m", "U+001B"),
        ("a\0", "U+0000"),
        (" a", "begins with a space"),
        ("a\u{a0}", "U+00A0"),
        ("a\u{200d}b", "U+200D"),
        ("a/b", "\"/\""),
    ] {
        let refused = w.add_each(name).await;
        assert_eq!(refused.len(), 5, "{name:?}");
        for e in refused {
            assert_eq!(e.kind(), ErrorKind::Invalid, "{e}");
            assert!(e.what().contains(fault), "{e}");
            assert!(!e.to_string().contains(char::is_control), "{e:?}");
        }
    }
    assert_eq!(w.written().await, before);
}

#[tokio::test]
async fn a_name_is_measured_in_characters() {
    let w = world();
    w.site("berlin").await;
    w.appliance("hadoop").await;
    assert_eq!(w.add_each(&"ß".repeat(NAME_MAX)).await.len(), 0);
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let w = world();
    w.site("berlin").await;
    w.appliance("hadoop").await;
    assert_eq!(w.add_each("twice").await.len(), 0);
    let before = w.written().await;
    // An implementation has revisions, not a name.
    let refused = w.add_each("twice").await;
    assert_eq!(refused.len(), 4);
    for e in refused {
        assert_eq!(e.kind(), ErrorKind::Exists);
        assert!(e.what().contains("\"twice\" already"), "{e}");
    }
    assert_eq!(w.written().await, before + 1);
    // What is removed gives its name free.
    w.catalog.remove_appliance(&op(), "twice").await.unwrap();
    w.appliance("twice").await;
}

#[tokio::test]
async fn a_name_that_looks_like_an_id_is_still_a_name() {
    let w = world();
    let name = "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21";
    let made = w.site(name).await;
    assert_eq!(w.catalog.site(name).await.unwrap().id, made.id);
    let by_id = w.catalog.site(&made.id.to_string()).await.unwrap();
    assert_eq!(by_id, made);
}

#[tokio::test]
async fn an_unknown_name_lists_the_known_ones() {
    let w = world();
    let e = w.catalog.site("berlin").await.unwrap_err();
    assert_eq!(e.next(), Some("there is no site at all yet"));
    for name in ["paris", "berlin"] {
        w.site(name).await;
    }
    let e = w.catalog.site("berln").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert_eq!(e.what(), "there is no site \"berln\"");
    assert_eq!(e.next(), Some("there are: berlin, paris"));
    for n in 0..20 {
        w.site(&format!("site-{n}")).await;
    }
    let e = w.catalog.site("berln").await.unwrap_err();
    assert!(e.next().is_some_and(|a| a.ends_with(", ...")), "{e}");
}

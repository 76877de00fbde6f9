use serde_json::json;

use super::*;

fn mark(incarnation: u32) -> Mark {
    Mark {
        installation: "lab".to_owned(),
        resource: "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21".parse().unwrap(),
        incarnation,
        generation: 1,
    }
}

fn image(json: serde_json::Value) -> Image {
    serde_json::from_value(json).unwrap()
}

#[test]
fn each_image_made_for_a_resource_has_an_id_of_its_own() {
    let ids: Vec<String> = (1..=3).map(|n| image_id(&mark(n))).collect();
    assert_eq!(ids[0], "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21");
    assert_eq!(ids[1], "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d23");
    assert_eq!(ids[2], "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d22");
}

#[test]
fn bytes_are_known_by_the_digest_of_the_site_and_else_by_our_tag() {
    let (right, wrong) = ("5e".repeat(32), "ab".repeat(32));
    let tag = format!("rm.sha256={right}");
    for (json, has) in [
        (json!({"status": "active"}), false),
        (json!({"tags": [tag]}), true),
        (json!({"tags": [format!("rm.sha256={wrong}")]}), false),
        // A digest of another sort proves nothing; the tag does.
        (
            json!({"os_hash_algo": "sha512", "os_hash_value": right}),
            false,
        ),
        (
            json!({"os_hash_algo": "sha512", "os_hash_value": "x", "tags": [tag]}),
            true,
        ),
        (
            json!({"os_hash_algo": "sha256", "os_hash_value": right}),
            true,
        ),
        (
            json!({"os_hash_algo": "sha256", "os_hash_value": wrong, "tags": [tag]}),
            false,
        ),
        // Without bytes Glance has no digest yet.
        (
            json!({"status": "queued", "os_hash_algo": null, "tags": [tag]}),
            true,
        ),
    ] {
        assert_eq!(has_bytes(&image(json.clone()), &right), has, "{json}");
    }
}

#[test]
fn what_is_tried_again_uploads_only_where_there_are_no_bytes() {
    let of = |status: &str| {
        let tags = mark::tags(&mark(1));
        let seen = sight(&image(json!({"id": "i", "status": status, "tags": tags})));
        (seen.phase, seen.mark.unwrap().generation)
    };
    assert_eq!(of("queued"), (Phase::Ready, 0));
    assert_eq!(of("active"), (Phase::Ready, u64::MAX));
    assert_eq!(of("saving"), (Phase::Changing, 1));
    assert_eq!(of("killed"), (Phase::Failed, 1));
}

#[test]
fn a_copy_beside_another_image_has_a_name_that_tells_which_it_is() {
    assert_eq!(own_name("cc7", &"5e".repeat(32)), "cc7-5e5e5e5e5e5e");
}

//! Images and their copies at sites.

use std::time::Duration;

use rm_testkit::{Fault, MEDIA_TYPE, Rule, Verb};
use serde_json::{Value, json};

use crate::support::{Service, Who};

const SOURCE: &str = "https://store.example/cc7.raw?X-Signature=swordfish";

/// The appliance `imaged`, which needs the image `cc7`.
async fn load(s: &Service) {
    s.load().await;
    let root = Who::Operator;
    let image = json!({"name": "cc7", "source": SOURCE, "sha256": "5e".repeat(32),
                       "disk_format": "raw"});
    let added = s.post(root, "/images", image).await.expect(201);
    assert_eq!(added["source"], SOURCE);
    let appliance = json!({"name": "imaged", "images": ["cc7"]});
    s.post(root, "/appliances", appliance).await.expect(201);
    let implementation = json!({"appliance": "imaged", "site_type": "sim",
                                "media_type": MEDIA_TYPE, "body": "{}"});
    s.post(root, "/implementations", implementation)
        .await
        .expect(201);
}

async fn cluster(s: &Service) -> Value {
    let wanted = json!({"appliance": "imaged", "reuse": "never"});
    s.post(Who::Ann, "/clusters", wanted).await.expect(201)
}

async fn copies(s: &Service) -> Vec<Value> {
    let page = s.get(Who::Operator, "/images/cc7/copies").await.expect(200);
    page["items"].as_array().unwrap().clone()
}

/// Waits until a copy is as it should be.
async fn until(s: &Service, path: &str, is: impl Fn(u16, &Value) -> bool) {
    for _ in 0..2000 {
        let now = s.get(Who::Operator, path).await;
        if is(now.status, &now.body) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to that: {:?}", copies(s).await);
}

#[tokio::test]
async fn operators_see_copies_and_drop_those_that_nobody_needs() {
    let s = Service::start().await;
    load(&s).await;
    assert_eq!(copies(&s).await, [] as [Value; 0]);
    let made = cluster(&s).await;
    let all = copies(&s).await;
    assert_eq!(all.len(), 1);
    let copy = &all[0];
    assert_eq!(copy["name"], "cc7");
    assert_eq!(copy["site"], "here");
    assert_eq!(copy["state"], "ready");
    assert_eq!(copy["needed_by"], 1);
    assert!(copy["bytes"].as_u64().unwrap() > 0);
    let path = format!("/images/cc7/copies/{}", copy["id"].as_str().unwrap());
    assert_eq!(&s.get(Who::Operator, &path).await.expect(200), copy);

    let refused = s.call(Who::Operator, "DELETE", &path, None).await;
    assert_eq!((refused.status, refused.code()), (409, "image-needed"));
    let told = refused.body.to_string();
    assert!(told.contains(made["id"].as_str().unwrap()), "{told}");
    let cluster = format!("/clusters/{}", made["id"].as_str().unwrap());
    s.call(Who::Ann, "DELETE", &cluster, None).await.expect(200);
    let kept = s.get(Who::Operator, &path).await.expect(200);
    assert_eq!(
        (&kept["state"], &kept["needed_by"]),
        (&json!("ready"), &json!(0))
    );
    let going = s
        .call(Who::Operator, "DELETE", &path, None)
        .await
        .expect(202);
    assert_eq!(going["wanted"], "absent");
    until(&s, &path, |status, _| status == 404).await;
    assert_eq!(s.cloud.marked_images(s.host.env().now()), []);
}

#[tokio::test]
async fn a_copy_that_will_not_go_can_be_abandoned() {
    let s = Service::with(|policy, _| policy.destroy_tries = 1).await;
    load(&s).await;
    let made = cluster(&s).await;
    let cluster = format!("/clusters/{}", made["id"].as_str().unwrap());
    s.call(Who::Ann, "DELETE", &cluster, None).await.expect(200);
    let copy = copies(&s).await.remove(0);
    let path = format!("/images/cc7/copies/{}", copy["id"].as_str().unwrap());
    let abandon = format!("{path}?abandon=locked");
    let early = s.call(Who::Operator, "DELETE", &abandon, None).await;
    assert_eq!(early.status, 409);
    let locked = Fault::Refused(rm_core::ErrorKind::Conflict);
    s.cloud.inject(Rule::next(Verb::Destroy, locked).always());
    s.call(Who::Operator, "DELETE", &path, None)
        .await
        .expect(202);
    until(&s, &path, |_, copy| copy["state"] == "quarantined").await;
    s.call(Who::Operator, "DELETE", &abandon, None)
        .await
        .expect(204);
    assert_eq!(copies(&s).await, [] as [Value; 0]);
}

#[tokio::test]
async fn what_opens_a_signed_source_is_told_to_operators_only() {
    let s = Service::idle(|_, _| {}).await;
    load(&s).await;
    for path in ["/images", "/images/cc7"] {
        let told = s.get(Who::Operator, path).await.expect(200).to_string();
        assert!(told.contains(SOURCE), "{told}");
        for who in [Who::Ann, Who::Bob, Who::Cat] {
            let told = s.get(who, path).await.expect(200).to_string();
            assert!(told.contains("https://store.example/cc7.raw?..."), "{told}");
            assert!(!told.contains("swordfish"), "{told}");
        }
    }
}

#[tokio::test]
async fn those_who_wait_for_an_image_hear_how_far_it_is() {
    let s = Service::start().await;
    load(&s).await;
    cluster(&s).await;
    let heard = |list: Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().clone();
        let what = items.iter().map(|e| e["what"].as_str().unwrap().to_owned());
        what.filter(|what| what.starts_with("image.")).collect()
    };
    for (who, hears) in [(Who::Ann, true), (Who::Amy, true), (Who::Bob, false)] {
        let request = s
            .request(who, "GET", "/events?after=0&limit=500")
            .header("accept", "application/json");
        let told = s.send("GET", "/events?after=0", request).await.expect(200);
        assert_eq!(!heard(told.clone()).is_empty(), hears, "{who:?}: {told}");
    }
}

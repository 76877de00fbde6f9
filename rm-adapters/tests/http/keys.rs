//! Idempotency keys, and what a refused request leaves behind.

use rm_core::ErrorKind;
use rm_testkit::{Fault, Rule, Verb};
use serde_json::{Value, json};

use crate::support::{Answer, Service, Who};

async fn ask(s: &Service, who: Who, key: &str, body: &Value) -> Answer {
    let request = s
        .request(who, "POST", "/clusters")
        .header("idempotency-key", key)
        .json(body);
    s.send("POST", "/clusters", request).await
}

async fn give_up(s: &Service, who: Who, cluster: &Value) {
    let path = format!("/clusters/{}", cluster["id"].as_str().unwrap());
    s.call(who, "DELETE", &path, None).await.expect(200);
}

#[tokio::test]
async fn a_key_names_one_request_also_when_what_it_got_is_gone() {
    let s = Service::start().await;
    s.load().await;
    let body = json!({"appliance": "hadoop"});
    let made = ask(&s, Who::Ann, "monday", &body).await.expect(201);
    give_up(&s, Who::Ann, &made).await;
    let before = s.snapshot().await;
    for _ in 0..2 {
        let gone = ask(&s, Who::Ann, "monday", &body).await;
        assert_eq!((gone.status, gone.code()), (410, "idempotency-key-spent"));
        assert_eq!(gone.body["resource"], made["id"]);
        assert_eq!(gone.body["temporary"], false);
        assert!(gone.body["advice"].as_str().unwrap().contains("new key"));
    }
    assert_eq!(s.snapshot().await, before, "nothing was made");
    let other = json!({"appliance": "hadoop", "slaves": 1});
    let reused = ask(&s, Who::Ann, "monday", &other).await;
    assert_eq!(reused.code(), "idempotency-key-reused");

    // Another key gets another cluster; and where somebody else keeps that,
    // who gave up a hold on it has it no more.
    let made = ask(&s, Who::Ann, "tuesday", &body).await.expect(201);
    let joined = ask(&s, Who::Amy, "tuesday", &body).await.expect(200);
    assert_eq!(joined["id"], made["id"]);
    give_up(&s, Who::Ann, &made).await;
    let gone = ask(&s, Who::Ann, "tuesday", &body).await;
    assert_eq!(gone.code(), "idempotency-key-spent");
    let again = ask(&s, Who::Amy, "tuesday", &body).await.expect(200);
    assert_eq!(again["hold"], joined["hold"]);
}

#[tokio::test]
async fn a_growth_that_the_site_refuses_leaves_no_hold_and_no_key() {
    let s = Service::start().await;
    s.load().await;
    let made = s
        .post(Who::Ann, "/clusters", json!({"appliance": "hadoop"}))
        .await
        .expect(201);
    let id = made["id"].as_str().unwrap().parse().unwrap();
    let body = json!({"appliance": "hadoop", "slaves": 5, "grow": true});
    s.cloud
        .inject(Rule::next(Verb::Change, Fault::Refused(ErrorKind::Quota)));
    let refused = ask(&s, Who::Amy, "grow", &body).await;
    assert_eq!((refused.status, refused.code()), (502, "change-refused"));
    let advice = refused.body["advice"].as_str().unwrap();
    assert!(advice.contains("holds nothing"), "{advice}");
    let clusters = s.host.clusters();
    let kept = clusters.get(&Who::Ann.caller(), id).await.unwrap();
    let holders: Vec<&str> = kept
        .record()
        .holds
        .iter()
        .map(|h| h.user.as_str())
        .collect();
    assert_eq!(holders, ["ann"]);
    assert_eq!(kept.spec().unwrap().slaves, 0);

    // The same request, once the site has room.
    let grown = ask(&s, Who::Amy, "grow", &body).await.expect(200);
    assert_eq!((&grown["id"], &grown["slaves"]), (&made["id"], &json!(5)));
}

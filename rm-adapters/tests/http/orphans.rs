//! Orphans, adoption and history over HTTP.

use rm_core::backend::{CreateKey, Mark};
use rm_testkit::{Fault, Rule, Verb};
use serde_json::{Value, json};

use crate::support::{Service, Who};

const STRANGER: &str = "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21";

fn plant(s: &Service, name: &str, mark: Option<Mark>) -> String {
    let now = s.host.env().now();
    s.cloud.plant("here", "physics", name, mark, now).0
}

fn mark(installation: &str, resource: &str) -> Mark {
    Mark {
        installation: installation.to_owned(),
        resource: resource.parse().unwrap(),
        incarnation: 1,
        generation: 7,
    }
}

/// What a reclaim is asked with: the item, without what is for people.
fn asked(item: &Value) -> Value {
    let mut body = item.clone();
    let all = body.as_object_mut().unwrap();
    for key in [
        "credential_name",
        "name",
        "phase",
        "stamp",
        "verdict",
        "why",
    ] {
        all.remove(key);
    }
    body
}

#[tokio::test]
async fn an_orphan_is_reported_refused_and_destroyed() {
    let s = Service::start().await;
    let loaded = s.load().await;
    s.cluster(Who::Ann, 0).await;
    let id = plant(&s, "left", Some(mark("test", STRANGER)));
    plant(&s, "theirs", Some(mark("another", STRANGER)));
    let report = s.get(Who::Operator, "/orphans").await.expect(200);
    assert_eq!(
        (&report["owned"], &report["foreign"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(report["skipped"], json!([]));
    let items = report["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{report}");
    let item = &items[0];
    assert_eq!((&item["site"], &item["id"]), (&json!("here"), &json!(id)));
    assert_eq!(item["credential"], json!(loaded.credential));
    assert_eq!(item["resource"], STRANGER);
    assert_eq!(item["generation"], 7);
    assert_eq!(item["verdict"], "unheard");

    let reclaim = "/orphans/reclaim";
    let mut body = asked(item);
    let refused = s.post(Who::Operator, reclaim, body.clone()).await;
    assert_eq!(refused.expect(409)["code"], "not-an-orphan");
    body["unheard"] = json!(true);
    body["generation"] = json!(8);
    s.post(Who::Operator, reclaim, body.clone())
        .await
        .expect(409);
    assert_eq!(s.cloud.count(Verb::Destroy), 0);
    body["generation"] = json!(7);
    let done = s.post(Who::Operator, reclaim, body.clone()).await;
    assert_eq!(done.expect(202)["reclaimed"], "accepted");
    loop {
        let report = s.get(Who::Operator, "/orphans").await.expect(200);
        if report["items"] == json!([]) {
            break;
        }
        assert_eq!(report["items"][0]["verdict"], "going", "{report}");
        s.host
            .env()
            .sleep(std::time::Duration::from_millis(50))
            .await;
    }
    let done = s.post(Who::Operator, reclaim, body).await;
    assert_eq!(done.expect(200)["reclaimed"], "gone");
}

#[tokio::test]
async fn what_is_in_quarantine_is_adopted_and_its_history_told() {
    let s = Service::start().await;
    s.load().await;
    s.cloud.declare(|c| c.create_key = CreateKey::None);
    s.cloud.inject(Rule::next(Verb::Create, Fault::LostBefore));
    let body = json!({"appliance": "hadoop", "reuse": "never"});
    let held = s.post(Who::Ann, "/clusters", body).await.expect(502);
    assert_eq!(held["code"], "quarantined");
    let id = held["resource"].as_str().unwrap();
    let thing = plant(&s, "found", None);
    let adopt = format!("/clusters/{id}/adopt");
    let body = json!({"id": thing, "reason": "its log names our request"});
    s.post(Who::Ann, &adopt, body.clone()).await.expect(403);
    let nothing = json!({"id": "thing-999999", "reason": "a guess"});
    s.post(Who::Operator, &adopt, nothing).await.expect(404);
    let taken = s.post(Who::Operator, &adopt, body).await.expect(202);
    assert_eq!(taken["remote"], json!(thing));
    let path = format!("/clusters/{id}?wait_seconds=30");
    let live = s.get(Who::Ann, &path).await.expect(200);
    assert_eq!(live["state"], "ready", "{live}");
    assert_eq!(live["remote"], Value::Null, "no business of users");

    let history = format!("/clusters/{id}/history");
    let told = s.get(Who::Ann, &history).await.expect(200);
    assert_eq!(told["whole"], true);
    assert_eq!(told["believed"]["state"], "ready");
    assert_eq!(told["believed"]["remote"], json!(thing));
    assert_eq!(told["believed"]["holders"][0]["user"], "ann");
    let items = told["items"].as_array().unwrap().clone();
    let adopted = items.iter().find(|e| e["what"] == "cluster.adopted");
    let adopted = adopted.unwrap();
    assert_eq!(adopted["by"], "root");
    assert!(adopted["text"].as_str().unwrap().contains("its log names"));

    // As it was believed when it was in quarantine.
    let held = items.iter().rfind(|e| e["what"] == "cluster.quarantined");
    let at = held.unwrap()["at"].as_str().unwrap().to_owned();
    let then = s
        .get(Who::Ann, &format!("{history}?at={at}"))
        .await
        .expect(200);
    assert_eq!(then["believed"]["state"], "quarantined");
    let before = format!("{history}?at=2020-01-01T00:00:00Z");
    let none = s.get(Who::Ann, &before).await.expect(200);
    assert_eq!(
        (&none["items"], &none["believed"]),
        (&json!([]), &Value::Null)
    );
    s.get(Who::Ann, &format!("{history}?at=noon"))
        .await
        .expect(400);

    // It outlives the cluster, for its tenant and operators.
    let path = format!("/clusters/{id}");
    let gone = s.call(Who::Ann, "DELETE", &path, None).await.expect(200);
    assert_eq!(gone["deleted"], true);
    s.get(Who::Ann, &format!("/clusters/{id}"))
        .await
        .expect(404);
    for who in [Who::Ann, Who::Amy, Who::Operator] {
        let told = s.get(who, &history).await.expect(200);
        assert_eq!(told["believed"]["ended"], true);
        let why = &told["believed"]["let_go"];
        assert_eq!(why, "its last holder gave it up");
    }
    s.get(Who::Cat, &history).await.expect(404);
}

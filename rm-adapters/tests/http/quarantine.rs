//! What waits for an operator, of any kind, and its ways out, over HTTP.

use rm_core::backend::CreateKey;
use rm_core::manager::{Terms, Want};
use rm_core::model::{Node, NodeSpec};
use rm_core::store::Batch;
use rm_core::{Caller, ResourceId};
use rm_testkit::{Fault, NODE, NODES_API, Rule, Verb};
use serde_json::{Value, json};

use crate::support::{Service, Who};

/// A site of nodes, and who may use it.
async fn cellar(s: &Service) {
    let site = json!({"name": "cellar", "api": NODES_API, "url": "sim:cellar"});
    s.post(Who::Operator, "/sites", site).await.expect(201);
    let body = json!({"name": "k", "site": "cellar", "secret": {"account": "physics"}});
    s.post(Who::Ann, "/credentials", body).await.expect(201);
}

/// Asks for a node that is no part of anything.
async fn node(s: &Service, who: &Caller) -> ResourceId {
    let catalog = s.host.catalog();
    let spec = json!({"image": {"name": "debian", "sha256": "ab"}, "vcpus": 1, "memory_mib": 128});
    let credentials = s.get(Who::Ann, "/credentials").await.expect(200);
    let items = credentials["items"].as_array().unwrap();
    let own = items.iter().find(|c| c["name"] == "k").unwrap();
    let want = Want::<Node> {
        site: catalog.site("cellar").await.unwrap(),
        credential: own["id"].as_str().unwrap().parse().unwrap(),
        spec: serde_json::from_value::<NodeSpec>(spec).unwrap(),
        key: None,
        asking: None,
    };
    let managers = s.host.managers().serving::<Node>(&NODE).unwrap();
    let offer = managers[0].only(&want).await.unwrap();
    let terms = Terms {
        name: "alone".to_owned(),
        ..Terms::default()
    };
    let mut batch = Batch::default();
    let (id, _) = managers[0]
        .prepare(who, &[offer], &terms, &mut batch)
        .unwrap();
    s.host.commit(batch).await.unwrap();
    id
}

/// Waits until it is in this state, as an operator sees it.
async fn comes_to(s: &Service, id: ResourceId, state: &str) -> Value {
    loop {
        let now = s.get(Who::Operator, &format!("/resources/{id}")).await;
        let now = now.expect(200);
        if now["state"] == state {
            return now;
        }
        s.host
            .env()
            .sleep(std::time::Duration::from_millis(10))
            .await;
    }
}

/// One of which nobody can tell whether it was made.
async fn lost(s: &Service) -> ResourceId {
    s.cloud.inject(Rule::next(Verb::Create, Fault::LostBefore));
    let id = node(s, &Who::Ann.caller()).await;
    comes_to(s, id, "quarantined").await;
    id
}

#[tokio::test]
async fn a_node_alone_is_shown_in_quarantine_and_led_out_by_an_operator() {
    let s = Service::start().await;
    cellar(&s).await;
    s.cloud.declare(|c| c.create_key = CreateKey::None);
    let (one, two, three) = (lost(&s).await, lost(&s).await, lost(&s).await);

    let ids = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|r| r["id"].as_str().unwrap().to_owned())
            .collect()
    };
    for who in [Who::Operator, Who::Ann, Who::Amy] {
        let list = s.get(who, "/quarantine").await.expect(200);
        assert_eq!(
            ids(&list),
            [one.to_string(), two.to_string(), three.to_string()],
            "{who:?}"
        );
    }
    let list = s.get(Who::Ann, "/quarantine").await.expect(200);
    let held = &list["items"][0];
    assert_eq!(
        (&held["kind"], &held["site"], &held["tenant"]),
        (&json!(NODE), &json!("cellar"), &json!("physics"))
    );
    assert!(held["reason"].as_str().unwrap().contains("nobody can tell"));
    assert_eq!(held["holds"][0]["mine"], true);
    for who in [Who::Bob, Who::Cat] {
        let list = s.get(who, "/quarantine").await.expect(200);
        assert_eq!(list["items"], json!([]), "{who:?}");
        s.get(who, &format!("/resources/{one}")).await.expect(404);
    }
    let page = s
        .get(Who::Operator, "/quarantine?limit=2")
        .await
        .expect(200);
    assert_eq!(ids(&page).len(), 2);
    let next = page["next"].as_str().unwrap();
    let rest = format!("/quarantine?limit=2&after={next}");
    let rest = s.get(Who::Operator, &rest).await.expect(200);
    assert_eq!(ids(&rest), [three.to_string()]);

    // Tried again: its owner may not say that nothing came of it.
    let retry = format!("/resources/{one}/retry");
    let refused = s.call(Who::Ann, "POST", &retry, None).await;
    refused.expect(403);
    let again = s.call(Who::Operator, "POST", &retry, None).await;
    assert_eq!(again.headers["location"], format!("/resources/{one}"));
    assert_ne!(again.expect(202)["state"], "quarantined");
    comes_to(&s, one, "ready").await;

    // Adopted: what the site has is this one.
    let now = s.host.env().now();
    let thing = s.cloud.plant("cellar", "physics", "found", None, now).0;
    let adopt = format!("/resources/{two}/adopt");
    let body = json!({"id": thing, "reason": "its log names our request"});
    s.post(Who::Ann, &adopt, body.clone()).await.expect(403);
    let empty = json!({"id": thing, "reason": " "});
    s.post(Who::Operator, &adopt, empty).await.expect(400);
    let taken = s.post(Who::Operator, &adopt, body).await.expect(202);
    assert_eq!(taken["remote"], json!(thing));
    comes_to(&s, two, "ready").await;

    // Abandoned: forgotten, and charged no more.
    let abandon = format!("/resources/{three}/abandon");
    let body = json!({"reason": "the host is scrapped"});
    s.post(Who::Ann, &abandon, body.clone()).await.expect(403);
    s.post(Who::Operator, &abandon, json!({"reason": ""}))
        .await
        .expect(400);
    let done = s.post(Who::Operator, &abandon, body).await.expect(200);
    assert_eq!(done["abandoned"], true);
    let path = format!("/resources/{three}");
    s.get(Who::Operator, &path).await.expect(404);
    let list = s.get(Who::Operator, "/quarantine").await.expect(200);
    assert_eq!(list["items"], json!([]));

    // Who did it, and why, is kept.
    let events = s.host.events();
    let root = Who::Operator.caller();
    for (id, what, why) in [
        (two, "sim.node.adopted", "its log names our request"),
        (three, "sim.node.abandoned", "the host is scrapped"),
    ] {
        let told = events.after(&root, Some(id), 0, 100).await.unwrap().events;
        let found = told.iter().find(|e| e.event.what == what);
        let data = &found.unwrap_or_else(|| panic!("{told:#?}")).event.data;
        assert_eq!(
            (&data["by"], &data["reason"]),
            (&json!("root"), &json!(why))
        );
    }
}

/// The original has four words for a cluster and Heat's own beside them: of what
/// nobody can tell whether it was made, it is not told that it would not go.
#[tokio::test]
async fn the_original_tells_what_is_in_quarantine_as_it_is() {
    let s = Service::with(|policy, _| policy.destroy_tries = 1).await;
    s.load().await;
    let shown = async |id: &str, remote: &str| {
        let path = format!("/lambdalink/clusters/{id}/");
        loop {
            // As in the original, what is going is not shown.
            let now = s.get(Who::Ann, &path).await.body;
            if now["status"] == "ERROR" {
                assert_eq!(now["remote_status"], remote, "{now}");
                let monitor = s.get(Who::Ann, &format!("{path}monitor/")).await;
                assert_eq!(monitor.expect(200)["result"], "ERROR");
                let held = s.get(Who::Ann, "/quarantine").await.expect(200);
                let mut held = held["items"].as_array().unwrap().iter();
                let why = &held.find(|held| held["id"] == id).unwrap()["reason"];
                return why.as_str().unwrap().to_owned();
            }
            let soon = std::time::Duration::from_millis(10);
            s.host.env().sleep(soon).await;
        }
    };
    let stays = s.cluster(Who::Ann, 0).await;
    let stays = stays["id"].as_str().unwrap();
    while s.get(Who::Ann, &format!("/clusters/{stays}")).await.body["state"] != "ready" {
        let soon = std::time::Duration::from_millis(10);
        s.host.env().sleep(soon).await;
    }
    let fails = Rule::next(Verb::Destroy, Fault::FailsLater).always();
    s.cloud.inject(fails);
    let path = format!("/lambdalink/clusters/{stays}/");
    s.call(Who::Ann, "DELETE", &path, None).await.expect(204);
    let why = shown(stays, "DELETE_FAILED").await;
    assert!(why.contains("will not go"), "{why}");

    s.cloud.declare(|c| c.create_key = CreateKey::None);
    s.cloud.inject(Rule::next(Verb::Create, Fault::LostBefore));
    let another = json!({"appliance": "hadoop", "slaves": 0, "reuse": "never"});
    // Refused where it is in quarantine by the time of the answer.
    let lost = s.post(Who::Ann, "/clusters", another).await.body;
    let id = lost["id"].as_str().or(lost["resource"].as_str()).unwrap();
    let why = shown(id, "UNKNOWN").await;
    assert!(why.contains("nobody can tell"), "{why}");
}

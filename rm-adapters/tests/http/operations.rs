//! Every operation once, in the order of a life.

use std::collections::BTreeSet;

use rm_testkit::{Fault, MEDIA_TYPE, Rule, Verb};
use serde_json::{Value, json};

use crate::support::{Service, Who, operation};

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

#[tokio::test]
async fn the_catalog_is_loaded_read_and_emptied() {
    let s = Service::start().await;
    let loaded = s.load().await;
    let root = Who::Operator;
    let sites = s.get(Who::Cat, "/sites").await.expect(200);
    assert_eq!(sites["items"][0]["name"], "here");
    assert!(sites.get("next").is_none());
    for path in ["/sites/here", &format!("/sites/{}", loaded.site)] {
        assert_eq!(s.get(Who::Ann, path).await.expect(200)["url"], "sim:here");
    }
    let sha = "a".repeat(64);
    let image = json!({"name": "cc7", "source": "file:/i", "sha256": sha, "disk_format": "raw"});
    s.post(root, "/images", image).await.expect(201);
    assert_eq!(
        s.get(root, "/images").await.expect(200)["items"][0]["name"],
        "cc7"
    );
    assert_eq!(
        s.get(root, "/images/cc7").await.expect(200)["disk_format"],
        "raw"
    );
    s.post(
        root,
        "/appliances",
        json!({"name": "of-image", "images": ["cc7"], "ready_port": 22}),
    )
    .await
    .expect(201);
    assert_eq!(
        s.call(root, "DELETE", "/images/cc7", None).await.code(),
        "in-use"
    );
    let appliances = s.get(root, "/appliances?limit=1").await.expect(200);
    let rest = format!(
        "/appliances?limit=1&after={}",
        appliances["next"].as_str().unwrap()
    );
    let rest = s.get(root, &rest).await.expect(200);
    assert_eq!(rest["items"][0]["name"], "of-image");
    assert_eq!(
        s.get(root, "/appliances/of-image").await.expect(200)["ready_port"],
        22
    );

    let second = s
        .post(
            root,
            "/implementations",
            json!({"appliance": "hadoop", "site_type": "sim", "media_type": MEDIA_TYPE,
                   "body": "{\"parameters\": [\"scripts\", \"environment\"]}",
                   "scripts": [{"name": "s", "action": "prepare_node", "code": "true"}],
                   "environment": {"python": "3"}}),
        )
        .await
        .expect(201);
    assert_eq!(second["revision"], 2);
    let path = format!("/implementations/{}", id(&second));
    let off = s
        .call(root, "PATCH", &path, Some(json!({"enabled": false})))
        .await;
    assert_eq!(off.expect(200)["enabled"], false);
    let one = s.get(Who::Ann, &path).await.expect(200);
    assert_eq!(one["scripts"][0]["action"], "prepare_node");
    let all = s
        .get(root, "/implementations?appliance=hadoop&limit=1")
        .await
        .expect(200);
    assert!(all["items"][0].get("body").is_none());
    let next = all["next"].as_str().unwrap();
    let all = s
        .get(
            root,
            &format!("/implementations?appliance=hadoop&after={next}"),
        )
        .await
        .expect(200);
    assert_eq!(id(&all["items"][0]), id(&second));
    assert_eq!(
        s.get(root, "/implementations").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let rotated = s
        .call(
            Who::Ann,
            "PUT",
            "/credentials/c/secret",
            Some(json!({"secret": {"account": "x"}})),
        )
        .await
        .expect(200);
    assert_eq!(rotated["revision"], 2);
    assert_eq!(
        s.get(Who::Ann, "/credentials/c").await.expect(200)["user"],
        "ann"
    );
    let mine = s.get(Who::Ann, "/credentials").await.expect(200);
    assert_eq!(mine["items"].as_array().unwrap().len(), 1);

    for path in [
        path.as_str(),
        &format!("/implementations/{}", loaded.implementation),
        "/appliances/of-image",
        "/appliances/hadoop",
        "/images/cc7",
        &format!("/credentials/{}", loaded.credential),
    ] {
        s.call(root, "DELETE", path, None).await.expect(204);
        s.call(root, "DELETE", path, None).await.expect(404);
    }
    assert_eq!(
        s.call(root, "DELETE", "/sites/here", None).await.code(),
        "in-use"
    );
    s.call(Who::Bob, "DELETE", "/credentials/c", None)
        .await
        .expect(204);
    s.call(root, "DELETE", "/sites/here", None)
        .await
        .expect(204);
}

#[tokio::test]
async fn a_cluster_lives() {
    let s = Service::start().await;
    s.load().await;
    let ann = Who::Ann;
    let plan = s
        .get(ann, "/plan?appliance=hadoop&slaves=3&site=here&reuse=match")
        .await
        .expect(200);
    assert_eq!(plan["considered"][0]["verdict"], "chosen");
    assert_eq!(plan["quota_left"]["clusters"], 1000);

    let wanted = json!({
        "appliance": "hadoop", "name": "mine", "slaves": 3, "lease_seconds": 3600,
        "hints": {"sites": ["here"], "credential": "c", "revision": 1, "network": "n"},
        "parameters": {"size": 1},
    });
    let made = s.post(ann, "/clusters", wanted.clone()).await;
    let path = made.headers["location"].to_str().unwrap().to_owned();
    let made = made.expect(201);
    assert_eq!(path, format!("/clusters/{}", id(&made)));
    assert_eq!(made["state"], "ready");
    assert_eq!(made["slaves"], 3);
    assert_eq!(made["reused"], false);
    assert_eq!(made["hosts"].as_array().unwrap().len(), 4);
    assert_eq!(made["holds"][0]["mine"], true);
    assert_eq!(made["holds"][0]["id"], made["hold"]);
    assert!(made["address"].is_string());

    let shared = s
        .post(Who::Amy, "/clusters", json!({"appliance": "hadoop"}))
        .await
        .expect(200);
    assert_eq!((id(&shared), &shared["reused"]), (id(&made), &json!(true)));
    let plan = s
        .post(ann, "/plan", json!({"appliance": "hadoop"}))
        .await
        .expect(200);
    assert_eq!(plan["reuses"], made["id"]);
    let small = s
        .post(
            ann,
            "/clusters",
            json!({"appliance": "hadoop", "slaves": 9}),
        )
        .await;
    assert_eq!((small.status, small.code()), (409, "cluster-too-small"));
    let planned = s
        .post(ann, "/plan", json!({"appliance": "hadoop", "slaves": 9}))
        .await
        .expect(200);
    for member in ["status", "code", "detail", "advice", "resource"] {
        assert_eq!(planned["refused"][member], small.body[member], "{member}");
    }
    assert_eq!(planned["reuses"], Value::Null);
    let grows = json!({"appliance": "hadoop", "slaves": 9, "grow": true});
    let planned = s.post(ann, "/plan", grows).await.expect(200);
    assert_eq!(planned["grows"], json!({"from": 3, "to": 9}));
    let grown = s
        .post(
            Who::Amy,
            "/clusters",
            json!({"appliance": "hadoop", "slaves": 4, "grow": true}),
        )
        .await
        .expect(200);
    assert_eq!(grown["hosts"].as_array().unwrap().len(), 5);

    let list = s.get(ann, "/clusters").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        s.get(Who::Operator, "/clusters").await.expect(200)["items"],
        json!([])
    );
    s.get(ann, "/clusters?all=true").await.expect(403);
    s.get(ann, &format!("{path}?wait_seconds=5"))
        .await
        .expect(200);
    assert_eq!(
        s.get(ann, &format!("{path}/hosts")).await.expect(200)["items"][0]["role"],
        "master"
    );
    assert_eq!(
        s.get(ann, &format!("{path}/outputs")).await.expect(200)["port"],
        8080
    );

    let resized = s
        .call(ann, "PATCH", &path, Some(json!({"slaves": 5})))
        .await
        .expect(200);
    assert_eq!(resized["hosts"].as_array().unwrap().len(), 6);
    let resized = s
        .call(ann, "PATCH", &path, Some(json!({"slaves_by": -2})))
        .await
        .expect(200);
    assert_eq!(resized["slaves"], 3);
    let more = s
        .call(ann, "POST", &format!("{path}/hosts"), None)
        .await
        .expect(200);
    assert_eq!(more["slaves"], 4);
    let fewer = s
        .call(ann, "DELETE", &format!("{path}/hosts"), None)
        .await
        .expect(200);
    assert_eq!(fewer["slaves"], 3);

    let lease = Some(json!({"seconds": 7200, "hold": made["hold"]}));
    let renewed = s
        .call(ann, "PUT", &format!("{path}/lease"), lease)
        .await
        .expect(200);
    assert_ne!(renewed["holds"][0]["until"], made["holds"][0]["until"]);

    s.get(Who::Bob, &path).await.expect(404);
    let granted = s
        .call(ann, "PUT", &format!("{path}/grants/bob"), None)
        .await
        .expect(200);
    assert_eq!(granted["grants"][0]["user"], "bob");
    s.get(Who::Bob, &path).await.expect(200);
    let account = s
        .call(Who::Bob, "POST", &format!("{path}/accounts"), None)
        .await
        .expect(201);
    let again = s
        .call(Who::Bob, "POST", &format!("{path}/accounts"), None)
        .await
        .expect(200);
    assert_eq!(account, again);
    let theirs = s
        .get(Who::Bob, &format!("{path}/accounts"))
        .await
        .expect(200);
    assert_eq!(theirs["items"], json!([account]));
    assert_eq!(
        s.get(ann, &format!("{path}/accounts")).await.expect(200)["items"],
        json!([])
    );
    s.call(ann, "DELETE", &format!("{path}/grants/bob"), None)
        .await
        .expect(200);
    s.get(Who::Bob, &format!("{path}/accounts"))
        .await
        .expect(404);

    let events = s
        .send(
            "GET",
            &format!("{path}/events"),
            s.request(ann, "GET", &format!("{path}/events"))
                .header("accept", "application/json"),
        )
        .await
        .expect(200);
    assert_eq!(events["items"][0]["what"], "cluster.requested");

    let first = s
        .call(
            ann,
            "DELETE",
            &format!("{path}?hold={}", made["hold"].as_str().unwrap()),
            None,
        )
        .await
        .expect(200);
    assert_eq!(first, json!({"deleted": false, "holds_left": 2}));
    for (hold, left) in [(&shared["hold"], 1), (&grown["hold"], 0)] {
        let path = format!("{path}?hold={}", hold.as_str().unwrap());
        let gone = s.call(Who::Amy, "DELETE", &path, None).await.expect(200);
        let told = match left {
            0 => json!({"deleted": true}),
            n => json!({"deleted": false, "holds_left": n}),
        };
        assert_eq!(gone, told);
    }
    s.get(ann, &path).await.expect(404);
    assert!(
        s.cloud
            .everything(s.host.env().now())
            .iter()
            .all(|(_, t)| !t.exists())
    );
    // What was kept for who held it went with the hold.
    let accounts = s.host.accounts();
    assert_eq!(accounts.reseal(&Who::Operator.caller()).await.unwrap(), 0);
    assert_eq!(accounts.tidy().await.unwrap(), 0);
}

#[tokio::test]
async fn whoever_does_not_wait_gets_an_operation() {
    let s = Service::start().await;
    s.load().await;
    let ann = Who::Ann;
    let body = json!({"appliance": "hadoop"});
    let request = s
        .request(ann, "POST", "/clusters")
        .header("prefer", "return=minimal, respond-async")
        .header("idempotency-key", "k1")
        .json(&body);
    let begun = s.send("POST", "/clusters", request).await;
    let place = begun.headers["location"].to_str().unwrap().to_owned();
    let begun = begun.expect(202);
    assert_eq!(begun["operation"]["links"]["self"], place);
    assert_eq!(begun["operation"]["state"], "running");
    // The same key with the same body, however it is written, and another wait.
    let again = s
        .request(ann, "POST", "/clusters")
        .header("idempotency-key", "k1")
        .body("{\"wait_seconds\":  60, \"appliance\":\"hadoop\"}")
        .header("content-type", "application/json; charset=utf-8");
    let again = s.send("POST", "/clusters", again).await.expect(201);
    assert_eq!(
        (&again["id"], &again["hold"]),
        (&begun["id"], &begun["hold"])
    );
    let operation = s.get(ann, &place).await.expect(200);
    assert_eq!(operation["state"], "done");
    s.get(Who::Cat, &place).await.expect(404);

    let path = format!("/clusters/{}", id(&begun));
    let request = s
        .request(ann, "DELETE", &path)
        .header("prefer", "respond-async");
    let going = s.send("DELETE", &path, request).await.expect(202);
    assert_eq!(going["state"], "releasing");
    let operation = going["operation"]["links"]["self"]
        .as_str()
        .unwrap()
        .to_owned();
    for _ in 0..1000 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let now = s.get(ann, &operation).await.expect(200);
        if now["state"] == "done" {
            s.get(Who::Cat, &operation).await.expect(404);
            s.get(Who::Operator, &operation).await.expect(200);
            return;
        }
    }
    panic!("it was never done");
}

#[tokio::test]
async fn what_fails_is_told_and_tried_again() {
    let s = Service::start().await;
    s.load().await;
    let ann = Who::Ann;
    s.cloud.inject(Rule::next(Verb::Create, Fault::FailsLater));
    let failed = s
        .post(ann, "/clusters", json!({"appliance": "hadoop"}))
        .await;
    assert_eq!((failed.status, failed.code()), (502, "cluster-failed"));
    assert_eq!(failed.body["site"], "here");
    let path = format!("/clusters/{}", failed.body["resource"].as_str().unwrap());
    let cluster = s.get(ann, &path).await.expect(200);
    assert_eq!(cluster["state"], "failed");
    let again = s
        .call(ann, "POST", &format!("{path}/retry"), None)
        .await
        .expect(202);
    assert_eq!(again["operation"]["state"], "running");
    let ready = s
        .get(ann, &format!("{path}?wait_seconds=10"))
        .await
        .expect(200);
    assert_eq!(ready["state"], "ready", "{ready}");

    // A change that the site will never make is taken back.
    s.cloud.inject(Rule::next(
        Verb::Change,
        Fault::Refused(rm_core::ErrorKind::Quota),
    ));
    let refused = s
        .call(ann, "PATCH", &path, Some(json!({"slaves": 7})))
        .await;
    assert_eq!((refused.status, refused.code()), (502, "change-refused"));
    let kept = s.get(ann, &path).await.expect(200);
    assert_eq!((&kept["slaves"], &kept["ready"]), (&json!(0), &json!(true)));

    // What will not go is told, and an operator may forget it.
    s.cloud
        .inject(Rule::next(Verb::Destroy, Fault::Refused(rm_core::ErrorKind::Forbidden)).always());
    let path_now = format!("{path}?wait_seconds=1");
    let held = s.call(ann, "DELETE", &path_now, None).await.expect(202);
    assert_eq!(held["state"], "releasing");
    let busy = s.call(ann, "DELETE", &path, None).await;
    assert_eq!((busy.status, busy.code()), (409, "busy"));
    let busy = s
        .call(ann, "PATCH", &path, Some(json!({"slaves": 1})))
        .await;
    assert_eq!((busy.status, busy.code()), (409, "busy"));
}

#[tokio::test]
async fn what_will_not_go_is_forgotten_by_an_operator_only() {
    let s = Service::with(|policy, _| policy.destroy_tries = 1).await;
    s.load().await;
    let made = s.cluster(Who::Ann, 0).await;
    let path = format!("/clusters/{}", id(&made));
    s.cloud
        .inject(Rule::next(Verb::Destroy, Fault::Refused(rm_core::ErrorKind::Forbidden)).always());
    let held = s.call(Who::Ann, "DELETE", &path, None).await;
    assert_eq!((held.status, held.code()), (502, "quarantined"));
    let abandon = format!("{path}/abandon");
    let why = Some(json!({"reason": "the site is gone"}));
    s.call(Who::Ann, "POST", &abandon, why.clone())
        .await
        .expect(403);
    s.call(Who::Operator, "POST", &abandon, why)
        .await
        .expect(200);
    s.get(Who::Ann, &path).await.expect(404);
}

#[tokio::test]
async fn the_service_tells_how_it_is() {
    let s = Service::start().await;
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(s.get(Who::Nobody, path).await.expect(200)["status"], "ok");
    }
    let text = s.get(Who::Nobody, "/metrics").await.expect(200);
    let line = "rm_http_requests_total{operation=\"live\",status=\"200\"} 1";
    assert!(text.as_str().unwrap().contains(line), "{text}");
    let head = s.call(Who::Nobody, "HEAD", "/health/live", None).await;
    assert_eq!((head.status, &head.body), (200, &json!("")));
    let document = s.get(Who::Cat, "/openapi.json").await.expect(200);
    assert!(operation(&document, "POST", "/clusters").is_some());
    let ids: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|o| o["operationId"].as_str().unwrap())
        .collect();
    assert!(ids.len() > 80);
}

//! The original's clients: its workflow, its shapes, its refusals.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::{Service, Who};

fn base64(value: &Value) -> String {
    base64::engine::general_purpose::STANDARD.encode(value.to_string())
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

const L: &str = "/lambdalink";

async fn until(s: &Service, path: &str, over: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..1000 {
        let now = s.get(Who::Ann, path).await;
        if now.status != 200 || over(&now.body) {
            return now.body;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{path} never came so far");
}

#[tokio::test]
async fn the_original_workflow_works() {
    let s = Service::start().await;
    let root = Who::Operator;
    let at = |path: &str| format!("{L}{path}");
    let site = json!({"name": "chameleon", "type": "sim", "api_url": "sim:c", "id": "ignored"});
    let site = s.post(root, &at("/sites/"), site).await.expect(201);
    assert_eq!(keys(&site), ["api_url", "id", "name", "type"]);
    let appliance = json!({"name": "hadoop", "description": "d", "owner": "ignored"});
    let appliance = s
        .post(root, &at("/appliances/"), appliance)
        .await
        .expect(201);
    assert_eq!(
        keys(&appliance),
        ["created", "description", "id", "name", "owner"]
    );
    assert_eq!(appliance["owner"], "root");
    let implementation = s
        .post(
            root,
            &at("/implementations/"),
            json!({"appliance": appliance["id"], "site": site["id"],
                   "template": "{\"outputs\": {\"x\": 1}}"}),
        )
        .await
        .expect(201);
    let parsed: Value =
        serde_json::from_str(implementation["template_parsed"].as_str().unwrap()).unwrap();
    assert_eq!(parsed, json!({"outputs": {"x": 1}}));
    assert_eq!(
        implementation["script_parsed"],
        implementation["template_parsed"]
    );
    let secret = json!({"username": "u", "password": "p", "project_name": "x"});
    let credential = s
        .post(
            Who::Ann,
            &at("/credentials/"),
            json!({"name": "mine", "site": site["id"], "credentials": base64(&secret)}),
        )
        .await
        .expect(201);
    assert_eq!(keys(&credential), ["created", "id", "name", "site", "user"]);
    for path in [
        "/sites/",
        "/appliances/",
        "/implementations/",
        "/credentials/",
    ] {
        let list = s.get(Who::Ann, &at(path)).await.expect(200);
        let one = &list.as_array().unwrap()[0];
        let path = at(&format!("{path}{}/", one["id"].as_str().unwrap()));
        assert_eq!(&s.get(Who::Ann, &path).await.expect(200), one);
        // Without the slash, too.
        let bare = path.trim_end_matches('/').to_owned();
        assert_eq!(&s.get(Who::Ann, &bare).await.expect(200), one);
    }

    // A cluster, as the original's Resource Manager made them.
    let wanted = json!({"credential": credential["id"], "implementation": implementation["id"]});
    let cluster = s
        .post(Who::Ann, &at("/clusters/"), wanted.clone())
        .await
        .expect(201);
    assert_eq!(
        keys(&cluster),
        [
            "address",
            "credential",
            "id",
            "implementation",
            "remote_id",
            "remote_status",
            "root_owner",
            "status"
        ]
    );
    assert_eq!(
        (&cluster["status"], &cluster["remote_status"]),
        (&json!("INIT"), &json!("NONE"))
    );
    assert_eq!(cluster["root_owner"], "ann");
    let path = at(&format!("/clusters/{}/", cluster["id"].as_str().unwrap()));
    let ready = until(&s, &path, |c| c["status"] == "READY").await;
    assert_eq!(ready["remote_status"], "CREATE_COMPLETE");
    assert!(ready["address"].is_string() && ready["remote_id"].is_string());
    let resized = format!("/clusters/{}", cluster["id"].as_str().unwrap());
    s.call(Who::Ann, "PATCH", &resized, Some(json!({"slaves": 1})))
        .await
        .expect(200);
    let ready = s.get(Who::Ann, &path).await.expect(200);
    assert_eq!(ready["remote_status"], "UPDATE_COMPLETE");
    let monitor = s
        .get(Who::Ann, &format!("{path}monitor/"))
        .await
        .expect(200);
    assert_eq!(monitor, json!({"result": "READY"}));
    let another = s
        .post(Who::Ann, &at("/clusters/"), wanted)
        .await
        .expect(201);
    assert_ne!(another["id"], cluster["id"]);

    // A resource: the Operation Manager's way.
    let hints = json!({"implementation": implementation["id"], "credentials": credential["id"]});
    let resource = s
        .post(Who::Ann, &at("/resources/"), json!({"hints": hints}))
        .await
        .expect(201);
    assert_eq!(
        keys(&resource),
        ["cluster", "hints", "id", "password", "user", "username"]
    );
    assert_eq!(
        (&resource["hints"], &resource["username"]),
        (&hints, &Value::Null)
    );
    let second = s
        .post(Who::Ann, &at("/resources/"), json!({"hints": hints}))
        .await
        .expect(201);
    assert_eq!(second["cluster"], resource["cluster"]);
    let resource_path = at(&format!("/resources/{}/", resource["id"].as_str().unwrap()));
    // A client that reads nothing but the list is given it, too.
    let all = at("/resources/");
    let listed = until(&s, &all, |all| {
        all.as_array()
            .unwrap()
            .iter()
            .all(|r| r["username"].is_string())
    })
    .await;
    let filled = s.get(Who::Ann, &resource_path).await.expect(200);
    assert!(listed.as_array().unwrap().contains(&filled));
    assert!(filled["password"].as_str().unwrap().starts_with("password"));
    let list = s.get(Who::Ann, &at("/resources/")).await.expect(200);
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(
        s.get(Who::Amy, &at("/resources/")).await.expect(200),
        json!([])
    );

    // What it asks to delete is not shown any more.
    s.call(Who::Ann, "DELETE", &path, None).await.expect(204);
    let gone = s.get(Who::Ann, &path).await;
    assert_eq!(
        (gone.status, &gone.body),
        (404, &json!({"detail": "Not found."}))
    );
    s.call(Who::Ann, "DELETE", &path, None).await.expect(404);
    s.call(Who::Ann, "DELETE", &resource_path, None)
        .await
        .expect(204);
    s.get(Who::Ann, &resource_path).await.expect(404);
    let shared = at(&format!(
        "/clusters/{}/",
        second["cluster"].as_str().unwrap()
    ));
    assert_eq!(
        s.get(Who::Ann, &shared).await.expect(200)["status"],
        "READY"
    );
    let left = at(&format!("/resources/{}/", second["id"].as_str().unwrap()));
    s.call(Who::Ann, "DELETE", &left, None).await.expect(204);
    s.get(Who::Ann, &shared).await.expect(404);
}

#[tokio::test]
async fn refusals_have_the_original_shapes() {
    let s = Service::start().await;
    let loaded = s.load().await;
    let root = Who::Operator;
    let before = s.snapshot().await;
    let implementation = json!({"appliance": "hadoop", "site": "here"});
    let with = |key: &str, value: Value| {
        let mut body = implementation.clone();
        body[key] = value;
        body
    };
    let secret = base64(&json!({"username": "u", "password": "p"}));
    for (who, method, path, body, status, field) in [
        (
            root,
            "POST",
            "/sites/",
            json!({"name": "x"}),
            400,
            "api_url",
        ),
        (
            root,
            "POST",
            "/sites/",
            json!({"name": "here", "type": "sim", "api_url": "sim:x"}),
            400,
            "name",
        ),
        (
            root,
            "POST",
            "/sites/",
            json!({"name": "x", "type": "vms", "api_url": "sim:x"}),
            400,
            "type",
        ),
        (
            root,
            "POST",
            "/sites/",
            json!({"name": "x", "type": "sim", "api_url": "x"}),
            400,
            "api_url",
        ),
        (
            root,
            "POST",
            "/sites/",
            json!({"name": "x".repeat(101), "type": "sim", "api_url": "sim:x"}),
            400,
            "name",
        ),
        (
            root,
            "POST",
            "/appliances/",
            json!({"name": "hadoop"}),
            400,
            "name",
        ),
        (
            root,
            "POST",
            "/appliances/",
            json!({"name": "a/b"}),
            400,
            "name",
        ),
        (
            root,
            "POST",
            "/implementations/",
            implementation.clone(),
            400,
            "non_field_errors",
        ),
        (
            root,
            "POST",
            "/implementations/",
            with("template", json!("[oops")),
            400,
            "template",
        ),
        (
            root,
            "POST",
            "/implementations/",
            json!({"appliance": "none", "site": "here", "template": "{}"}),
            400,
            "appliance",
        ),
        (
            root,
            "POST",
            "/implementations/",
            json!({"appliance": "hadoop", "site": "none", "template": "{}"}),
            400,
            "site",
        ),
        (
            Who::Ann,
            "POST",
            "/credentials/",
            json!({"name": "x", "site": "none", "credentials": base64(&json!({"username": "", "password": "", "project_name": ""}))}),
            400,
            "site",
        ),
        (
            Who::Ann,
            "POST",
            "/credentials/",
            json!({"name": "x", "site": "here", "credentials": secret}),
            400,
            "credentials",
        ),
        (
            Who::Ann,
            "POST",
            "/credentials/",
            json!({"name": "x", "site": "here", "credentials": "%%%"}),
            400,
            "credentials",
        ),
        (
            Who::Ann,
            "POST",
            "/clusters/",
            json!({"credential": loaded.credential}),
            400,
            "implementation",
        ),
        (
            Who::Ann,
            "POST",
            "/clusters/",
            json!({"credential": loaded.credential, "implementation": "x"}),
            400,
            "implementation",
        ),
        (
            Who::Bob,
            "POST",
            "/clusters/",
            json!({"credential": loaded.credential, "implementation": loaded.implementation}),
            400,
            "credential",
        ),
        (Who::Ann, "POST", "/resources/", json!({}), 400, "error"),
        (
            Who::Ann,
            "POST",
            "/resources/",
            json!({"hints": {"implementation": "x"}}),
            400,
            "error",
        ),
        (
            root,
            "PUT",
            "/sites/here/",
            json!({"name": "other", "type": "sim"}),
            400,
            "name",
        ),
        (
            root,
            "PATCH",
            "/appliances/hadoop/",
            json!({"description": "other"}),
            400,
            "description",
        ),
        (
            Who::Ann,
            "POST",
            "/sites/",
            json!({"name": "x", "type": "sim", "api_url": "sim:x"}),
            403,
            "detail",
        ),
        (Who::Nobody, "GET", "/sites/", Value::Null, 403, "detail"),
        (Who::Ann, "GET", "/sites/none/", Value::Null, 404, "detail"),
        (Who::Ann, "GET", "/clusters/x/", Value::Null, 404, "detail"),
        (Who::Ann, "GET", "/nowhere/", Value::Null, 404, "detail"),
        (Who::Ann, "PUT", "/sites/", Value::Null, 405, "detail"),
    ] {
        let body = (!body.is_null()).then_some(body);
        let answer = s.call(who, method, &format!("{L}{path}"), body).await;
        let what = format!("{method} {path}: {}", answer.body);
        assert_eq!(answer.status, status, "{what}");
        assert!(answer.body.get(field).is_some(), "{field}: {what}");
        if !matches!(field, "detail" | "error") {
            assert!(answer.body[field][0].is_string(), "{what}");
        }
        assert_eq!(answer.headers["content-type"], "application/json");
    }
    assert_eq!(s.snapshot().await, before);
    let same = json!({"name": "here", "type": "sim", "api_url": "sim:here", "id": "x"});
    s.call(root, "PUT", "/lambdalink/sites/here/", Some(same))
        .await
        .expect(200);
    let secret = base64(&json!({"username": "u", "password": "p", "project_name": "x"}));
    let path = format!("{L}/credentials/{}/", loaded.credential);
    s.call(
        Who::Ann,
        "PATCH",
        &path,
        Some(json!({"credentials": secret})),
    )
    .await
    .expect(200);
    let both = json!({"name": "other", "credentials": secret});
    s.call(Who::Ann, "PATCH", &path, Some(both))
        .await
        .expect(400);
    assert_eq!(
        s.get(Who::Ann, "/credentials/c").await.expect(200)["revision"],
        2
    );
}

#[tokio::test]
async fn an_image_gets_a_template_around_it() {
    let s = Service::start().await;
    s.load().await;
    let wanted = json!({"appliance": "hadoop", "site": "here", "image": "CC-CentOS7"});
    let path = "/lambdalink/implementations/";
    let made = s.post(Who::Operator, path, wanted).await.expect(201);
    assert_eq!(
        (&made["image"], &made["template"]),
        (&json!("CC-CentOS7"), &json!(null))
    );
    let parsed: Value = serde_json::from_str(made["template_parsed"].as_str().unwrap()).unwrap();
    assert_eq!(parsed, json!({"image": "CC-CentOS7"}));
}

#[tokio::test]
async fn implementations_of_older_registries_are_taken_and_shown_as_they_were() {
    let s = Service::start().await;
    s.load().await;
    let path = "/lambdalink/implementations/";
    let logo = "https://example.org/hadoop.png";
    let wanted = json!({"appliance": "hadoop", "site": "here", "image_name": "CC-CentOS7",
                        "logo_url": logo});
    let made = s.post(Who::Operator, path, wanted).await.expect(201);
    assert_eq!(made["image_name"], "CC-CentOS7");
    assert_eq!(
        (&made["scripts"], &made["logo_url"]),
        (&json!([]), &json!(logo))
    );
    let list = s.get(Who::Ann, path).await.expect(200);
    let shown = |id: &Value| {
        let mut all = list.as_array().unwrap().iter();
        all.find(|i| &i["id"] == id).unwrap()["logo_url"].clone()
    };
    assert_eq!(shown(&made["id"]), logo);
    let others = list.as_array().unwrap().iter();
    assert_eq!(others.filter(|i| i["logo_url"].is_null()).count(), 1);

    let scripts = json!([
        {"action": "prepare_node", "code": "echo 1"},
        {"action": "prepare_node", "code": "echo 2"},
    ]);
    let mut wanted = json!({"appliance": "hadoop", "site": "here", "scripts": scripts,
                            "template": "{\"parameters\": [\"scripts\"]}"});
    let made = s
        .post(Who::Operator, path, wanted.clone())
        .await
        .expect(201);
    let shown = made["scripts"].as_array().unwrap();
    assert_eq!(shown.len(), 2);
    assert_ne!(shown[0]["id"], shown[1]["id"]);
    assert_eq!(
        (
            &shown[1]["appliance"],
            &shown[1]["action"],
            &shown[1]["code"]
        ),
        (&made["appliance"], &json!("prepare_node"), &json!("echo 2"))
    );
    // What reaches no node is not kept.
    wanted["template"] = json!("{}");
    let refused = s.post(Who::Operator, path, wanted).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body["scripts"][0].is_string(), "{}", refused.body);
}

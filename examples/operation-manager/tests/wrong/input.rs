//! One refusal after the other, and nothing changes.

use serde_json::{Value, json};

use crate::stage::{HEAT, Stage, TEMPLATE};
use crate::support::{program, run};

/// What is sent, what is answered, and part of what is told.
struct Case {
    who: &'static str,
    call: &'static str,
    body: Value,
    status: u16,
    told: &'static str,
}

const OPERATOR: &str = "operator";
const USER: &str = "user";

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let case = |who, call, body, status, told| Case { who, call, body, status, told };
    let site = |name: &str| json!({"name": name, "api": "openstack", "url": "http://127.0.0.1:1/v3"});
    let cluster = |key: &str, value: Value| {
        let mut body = json!({"appliance": "cluster", "reuse": "never"});
        body[key] = value;
        body
    };
    let template = |body: &str| json!({"appliance": "cluster", "site_type": "openstack", "media_type": HEAT, "body": body});
    let login = "check all of them";
    vec![
        case(OPERATOR, "POST /clusters", json!({"appliance": "clutser"}), 404, "there are: cluster"),
        case(OPERATOR, "POST /clusters", cluster("sites", json!(["lap"])), 400, "there is no site \"lap\""),
        case(OPERATOR, "POST /credentials", json!({"name": "x", "site": "lab", "user": "ghost", "secret": {}}), 400, "there is no user \"ghost\""),
        case(OPERATOR, "PUT /clusters/{ID}/grants/ghost", Value::Null, 400, "there is no user \"ghost\""),
        case(OPERATOR, "POST /clusters", cluster("slavs", json!(1)), 400, "did you mean \"slaves\"?"),
        case(OPERATOR, "POST /clusters", cluster("parameters", json!({"colour": "red"})), 400, "it has: allowed_ip, network_name\""),
        case(OPERATOR, "POST /sites", site("lab"), 409, "\"lab\" already"),
        case(OPERATOR, "POST /appliances", json!({"name": "cluster"}), 409, "\"cluster\" already"),
        case(OPERATOR, "POST /sites", site(&"x".repeat(101)), 400, "100 is the most"),
        case(OPERATOR, "POST /clusters", cluster("name", json!("x".repeat(101))), 400, "100 is the most"),
        case(OPERATOR, "POST /clusters", cluster("slaves", json!(-1)), 400, "0 to 10000"),
        case(OPERATOR, "POST /clusters", cluster("slaves", json!(4_000_000_000u32)), 400, "0 to 10000"),
        case(OPERATOR, "POST /clusters", cluster("slaves", json!(1.5)), 400, "a whole number"),
        // What the template allows is less than what a request may ask for.
        case(OPERATOR, "POST /clusters", cluster("slaves", json!(501)), 400, "takes 0 to 500"),
        case(OPERATOR, "POST /clusters", json!({"appliance": "never-alone"}), 400, "takes 1 to 3"),
        case(OPERATOR, "POST /clusters", json!({"appliance": "never-alone", "slaves": 0}), 400, "takes 1 to 3"),
        case(OPERATOR, "PATCH /clusters/{ID}", json!({"slaves": 501}), 400, "takes 0 to 500"),
        case(OPERATOR, "PATCH /clusters/{ID}", json!({"slaves_by": -2}), 400, "0 or more"),
        case(OPERATOR, "POST /clusters", cluster("lease_seconds", json!(0)), 400, "lease_seconds"),
        case(OPERATOR, "POST /implementations", template("outputs: ["), 400, "cannot be read as YAML at line 1"),
        case(OPERATOR, "POST /implementations", template("a text"), 400, "should be a mapping"),
        case(OPERATOR, "POST /implementations", template(&TEMPLATE.replace("master_ip", "address")), 400, "no output master_ip; it has address"),
        case(OPERATOR, "POST /implementations", template(&TEMPLATE.replace("{get_param: slaves}", "{get_param: slavs}")), 400, "\"slavs\" that it does not declare"),
        case(OPERATOR, "POST /clusters", cluster("hints", json!({"credential": "wrong"})), 502, login),
        case(OPERATOR, "POST /clusters", cluster("hints", json!({"credential": "elsewhere"})), 502, login),
        case(USER, "GET /clusters/{ID}", Value::Null, 404, "there is no cluster"),
        case(USER, "PATCH /clusters/{ID}", json!({"slaves": 2}), 404, "there is no cluster"),
        case(USER, "DELETE /clusters/{ID}", Value::Null, 404, "there is no cluster"),
        case(USER, "POST /sites", site("mine"), 403, "user may not"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_told_and_changes_neither_catalog_nor_store_nor_cloud() {
    let Some(clouds) = needs::lab("bad_input_is_told", "RM_LAB_CLOUDS") else {
        return;
    };
    let stage = Stage::open(&clouds, |_, command| command).await;
    let alone = TEMPLATE
        .replace("default: 2", "default: 0")
        .replace("min: 0, max: 500", "min: 1, max: 3");
    stage
        .must("POST", "/appliances", json!({"name": "never-alone"}))
        .await;
    let body = json!({"appliance": "never-alone", "site_type": "openstack", "media_type": HEAT, "body": alone});
    stage.must("POST", "/implementations", body).await;
    let monday = |slaves: u32| {
        let body =
            json!({"appliance": "cluster", "slaves": slaves, "hints": {"credential": "mine"}});
        stage
            .request(OPERATOR, "POST", "/clusters")
            .header("idempotency-key", "monday")
            .json(&body)
    };
    let (status, made) = stage.send(monday(1)).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap();

    let before = (stage.listings().await, stage.rows().await);
    let unchanged = async |what: &str| {
        assert_eq!(stage.listings().await, before.0, "{what}");
        assert_eq!(stage.rows().await, before.1, "{what}");
    };
    for case in cases() {
        let (method, path) = case.call.split_once(' ').unwrap();
        let mut request = stage.request(case.who, method, &path.replace("{ID}", id));
        if !case.body.is_null() {
            request = request.json(&case.body);
        }
        let (status, said) = stage.send(request).await;
        let what = format!("{} {}: {status} {said}", case.call, case.body);
        assert_eq!(status, case.status, "{what}");
        let text = said.to_string().replace("\\\"", "\"");
        assert!(text.contains(case.told), "{what}");
        assert!(!text.contains("CANARY"), "{what}");
        unchanged(&what).await;
    }

    let garbage = stage
        .request(OPERATOR, "POST", "/clusters")
        .header("content-type", "application/json");
    let large = stage
        .request(OPERATOR, "POST", "/sites")
        .header("content-type", "application/json");
    for (request, status, code) in [
        (garbage.body("{\"appliance\": \u{0}"), 400, "not-json"),
        (large.body("x".repeat(3 << 20)), 413, "too-large"),
        (monday(2), 409, "idempotency-key-reused"),
    ] {
        let (got, said) = stage.send(request).await;
        assert_eq!((got, said["code"].as_str()), (status, Some(code)), "{said}");
        unchanged(code).await;
    }

    // A configuration that would not do is refused before the store is opened.
    let serve = |key: &str| {
        let mut command = program();
        command.args(["serve", "--config"]).arg(stage.home.config());
        run(command.env(key, "x"))
    };
    serve("RM_STORE__PTH").bad(2, &["RM_STORE__PTH", "RM_STORE__PATH"]);
    unchanged("an unknown key").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_its_way_out_takes_neither_a_size_nor_another_delete() {
    const SLOW: &str = include_str!("../../../../lab/openstack/templates/slow.yaml");
    let Some(clouds) = needs::lab("what_is_on_its_way_out", "RM_LAB_CLOUDS") else {
        return;
    };
    let stage = Stage::open(&clouds, |_, command| command).await;
    stage
        .must("POST", "/appliances", json!({"name": "slow"}))
        .await;
    let body =
        json!({"appliance": "slow", "site_type": "openstack", "media_type": HEAT, "body": SLOW});
    stage.must("POST", "/implementations", body).await;
    let body = json!({
        "appliance": "slow", "hints": {"credential": "mine"},
        "parameters": {"seconds": 0, "delete_seconds": 20},
    });
    let made = stage.must("POST", "/clusters", body).await;
    let path = format!("/clusters/{}", made["id"].as_str().unwrap());
    let at_once = format!("{path}?wait_seconds=0");
    stage.must("DELETE", &at_once, Value::Null).await;
    let mut before = stage.listings().await;
    // Heat is at it, and the engine has seen that.
    while !before["/clusters?all=true"]
        .to_string()
        .contains("DELETE_IN_PROGRESS")
    {
        before = stage.listings().await;
    }
    for (method, body) in [
        ("DELETE", Value::Null),
        ("PATCH", json!({"slaves": 5})),
        ("PATCH", json!({"slaves_by": 1})),
    ] {
        let mut request = stage.request(OPERATOR, method, &path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let (status, said) = stage.send(request).await;
        assert_eq!(
            (status, said["code"].as_str()),
            (409, Some("busy")),
            "{said}"
        );
        assert_eq!(stage.listings().await, before, "{said}");
    }
    loop {
        let (status, said) = stage.send(stage.request(OPERATOR, "GET", &path)).await;
        if status == 404 {
            break;
        }
        assert_eq!(said["state"], "releasing", "{said}");
    }
    assert_eq!(stage.listings().await["stacks"], json!([]));
    let again = stage.request(OPERATOR, "DELETE", &path);
    assert_eq!(stage.send(again).await.0, 404);
}

//! Planted secrets are seen nowhere but where they belong.

use base64::Engine as _;
use serde_json::json;
use tracing::Level;

use crate::interservice;
use crate::log::Log;
use crate::support::{Service, Who};

const CANARY: &str = "canary-7f3a";

#[tokio::test]
async fn neither_answers_nor_logs_hold_a_secret() {
    let log = Log::begin(Level::TRACE);
    let s = Service::start().await;
    s.load().await;
    let mut said = String::new();
    let secret = json!({"username": "u", "password": CANARY, "project_name": "x", "account": "x"});
    let base64 = base64::engine::general_purpose::STANDARD.encode(secret.to_string());
    for (method, path, body) in [
        (
            "POST",
            "/credentials",
            json!({"name": "d", "site": "here", "secret": secret}),
        ),
        (
            "POST",
            "/credentials",
            json!({"name": "d", "site": "here", "secret": secret}),
        ),
        (
            "POST",
            "/credentials",
            json!({"name": "e", "site": "none", "secret": secret}),
        ),
        (
            "POST",
            "/credentials",
            json!({"name": "e", "site": "here", "secret": CANARY}),
        ),
        (
            "POST",
            "/credentials",
            json!({"name": "e", "site": "here", "secret": {}, "password": CANARY}),
        ),
        (
            "POST",
            "/credentials",
            json!({"name": [CANARY], "site": 1, "secret": [CANARY]}),
        ),
        ("POST", "/credentials", json!(CANARY)),
        ("PUT", "/credentials/d/secret", json!({"secret": secret})),
        ("PUT", "/credentials/d/secret", json!({"secret": CANARY})),
        (
            "POST",
            "/lambdalink/credentials/",
            json!({"name": "f", "site": "here", "credentials": base64}),
        ),
        (
            "POST",
            "/lambdalink/credentials/",
            json!({"name": "g", "site": "here", "credentials": CANARY}),
        ),
        (
            "PATCH",
            "/lambdalink/credentials/f/",
            json!({"credentials": base64}),
        ),
        (
            "PATCH",
            "/lambdalink/credentials/f/",
            json!({"credentials": [CANARY]}),
        ),
        (
            "POST",
            "/clusters",
            json!({"appliance": "hadoop", "hints": {"credential": "d"}}),
        ),
        (
            "POST",
            "/sites",
            json!({"name": "x", "api": "sim", "url": format!("http://u:{CANARY}@x")}),
        ),
    ] {
        let answer = s.call(Who::Ann, method, path, Some(body)).await;
        said.push_str(&answer.body.to_string());
    }
    let site = json!({"name": "x", "api": "sim", "url": format!("http://u:{CANARY}@x")});
    said += &s.post(Who::Operator, "/sites", site).await.body.to_string();
    let garbage = s
        .request(Who::Ann, "POST", "/credentials")
        .header("content-type", "application/json")
        .body(format!("{{\"secret\": {CANARY}"));
    said += &s
        .send("POST", "/credentials", garbage)
        .await
        .body
        .to_string();
    // A service's word, a good one and a forged one.
    let words = [
        crate::support::SHARED,
        "another secret of enough characters",
    ]
    .map(|secret| interservice::token("HS256", &interservice::for_user("ann"), secret));
    for word in &words {
        let path = "/lambdalink/credentials/";
        let request = s
            .request(Who::Nobody, "GET", path)
            .header("dibbs-interservice", word);
        said += &s.send("GET", path, request).await.body.to_string();
    }
    for path in [format!("/{CANARY}"), format!("/sites?token={CANARY}")] {
        // Whoever puts a secret into a path is told nothing of it.
        let answer = s.get(Who::Ann, &path).await;
        said += &answer.body.to_string();
    }
    for path in [
        "/credentials",
        "/credentials/d",
        "/lambdalink/credentials/",
        "/clusters",
        "/openapi.json",
        "/metrics",
    ] {
        said += &s.get(Who::Ann, path).await.body.to_string();
    }
    let request = s
        .request(Who::Operator, "GET", "/events")
        .header("accept", "application/json");
    said += &s.send("GET", "/events", request).await.body.to_string();
    // A password for an account is its user's, and nobody else's; not even the
    // log's.
    let made = s.cluster(Who::Ann, 0).await;
    let path = format!("/clusters/{}/accounts", made["id"].as_str().unwrap());
    let account = s.call(Who::Ann, "POST", &path, None).await.expect(201);
    let password = account["password"].as_str().unwrap();
    said += &s.get(Who::Amy, &path).await.body.to_string();
    said += &s.get(Who::Operator, &path).await.body.to_string();
    let logged = log.said();
    assert!(logged.contains("served"), "nothing was logged");
    assert!(
        logged.contains("user=\"ann\" status=403"),
        "nobody was named"
    );
    for text in [&said, &logged] {
        for secret in [
            CANARY,
            base64.as_str(),
            words[0].as_str(),
            words[1].as_str(),
            password,
            "token-of-ann",
            "token-of-root",
        ] {
            let at = text.find(secret);
            let around = at.map(|at| &text[at.saturating_sub(200)..(at + 100).min(text.len())]);
            assert!(at.is_none(), "{secret} in {around:?}");
        }
    }
}

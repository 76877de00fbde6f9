//! Services that speak for users: `Dibbs-Interservice`.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::{Answer, SHARED, Service, Who};

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// As the original's services make them.
pub(crate) fn token(algorithm: &str, claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = json!({"typ": "JWT", "alg": algorithm});
    let text = format!("{}.{}", part(&head), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
}

pub(crate) fn for_user(user: &str) -> Value {
    json!({"iat": now(), "exp": now() + 30, "dibbs-user": user})
}

async fn get(s: &Service, who: Who, path: &str, token: &str) -> Answer {
    let request = s
        .request(who, "GET", path)
        .header("dibbs-interservice", token);
    s.send("GET", path, request).await
}

const CREDENTIALS: &str = "/lambdalink/credentials/";

#[tokio::test]
async fn a_service_acts_for_a_user_and_may_what_the_user_may() {
    let s = Service::start().await;
    s.load().await;
    let ann = token("HS256", &for_user("ann"), SHARED);
    let seen = get(&s, Who::Nobody, CREDENTIALS, &ann).await.expect(200);
    assert_eq!(seen[0]["user"], "ann");
    let nobodys = token("HS256", &for_user("cat"), SHARED);
    let seen = get(&s, Who::Nobody, CREDENTIALS, &nobodys).await;
    assert_eq!(seen.expect(200), json!([]));
    // Where both are given, the service's word counts.
    let seen = get(&s, Who::Cat, CREDENTIALS, &ann).await.expect(200);
    assert_eq!(seen[0]["user"], "ann");

    let site = json!({"name": "x", "type": "sim", "api_url": "sim:x"});
    let sites = "/lambdalink/sites/";
    for (user, status) in [("ann", 403), ("root", 201)] {
        let request = s
            .request(Who::Nobody, "POST", sites)
            .header(
                "dibbs-interservice",
                token("HS256", &for_user(user), SHARED),
            )
            .json(&site);
        assert_eq!(s.send("POST", sites, request).await.status, status);
    }
    // Elsewhere it means nothing.
    get(&s, Who::Nobody, "/credentials", &ann).await.expect(401);
}

#[tokio::test]
async fn what_no_service_of_ours_has_signed_is_refused_and_not_repeated() {
    let s = Service::start().await;
    s.load().await;
    let root = for_user("root");
    let expired = json!({"iat": 1, "exp": now() - 60, "dibbs-user": "root"});
    let eternal = json!({"exp": now() + 86_400, "dibbs-user": "root"});
    let unsigned = token("none", &root, SHARED);
    let (unsigned, _) = unsigned.rsplit_once('.').unwrap();
    for forged in [
        format!("{unsigned}."),
        token("none", &root, SHARED),
        token("HS256", &root, "another secret of enough characters"),
        token("HS256", &expired, SHARED),
        token("HS256", &eternal, SHARED),
        token("HS256", &for_user("nobody"), SHARED),
        "token-of-root".to_owned(),
        String::new(),
    ] {
        // A good token beside it does not help.
        for who in [Who::Nobody, Who::Operator] {
            let refused = get(&s, who, CREDENTIALS, &forged).await.expect(403);
            let said = refused["detail"].as_str().unwrap();
            assert!(said.contains("service"), "{said}");
            assert!(forged.is_empty() || !said.contains(&forged), "{said}");
        }
    }
}

//! What is wrong is told, with a code and words, and changes nothing.

use serde_json::{Value, json};

use crate::support::{Service, Who};

struct Case {
    who: Who,
    method: &'static str,
    path: String,
    body: Option<Value>,
    status: u16,
    code: &'static str,
    /// Part of what is told: detail or advice.
    told: &'static str,
}

fn case(
    who: Who,
    call: &'static str,
    body: impl Into<Option<Value>>,
    status: u16,
    code: &'static str,
    told: &'static str,
) -> Case {
    let (method, path) = call.split_once(' ').unwrap();
    Case {
        who,
        method,
        path: path.to_owned(),
        body: body.into(),
        status,
        code,
        told,
    }
}

#[rustfmt::skip]
fn catalog() -> Vec<Case> {
    use Who::{Ann, Operator as Root};
    let site = |name: Value| json!({"name": name, "api": "sim", "url": "sim:x"});
    let body = |body: &str| json!({"appliance": "hadoop", "site": "here", "media_type": "application/vnd.rm.sim+json", "body": body});
    let mut scripted = body("{}");
    scripted["scripts"] = json!([{"name": "boot.sh", "action": "user_data", "code": "true"}]);
    let sha = "0".repeat(64);
    vec![
        case(Root, "POST /sites", site(json!("here")), 409, "exists", "\"here\" already"),
        case(Root, "POST /sites", site(json!("")), 400, "too-short", "name should not be empty"),
        case(Root, "POST /sites", site(json!("x".repeat(101))), 400, "too-long", "100 is the most"),
        case(Root, "POST /sites", site(json!("a/b")), 400, "invalid", "has a \"/\""),
        case(Root, "POST /sites", site(json!(" a")), 400, "invalid", "begins with a space"),
        case(Root, "POST /sites", site(json!("he\u{200b}re")), 400, "invalid", "nobody sees, U+200B, at place 3"),
        case(Root, "POST /sites", site(json!("a\u{7}")), 400, "invalid", "control character U+0007"),
        case(Root, "POST /sites", site(json!(7)), 400, "wrong-type", "name should be a text, not a number"),
        case(Root, "POST /sites", json!({"name": "x", "api": "opnstack", "url": "sim:x"}), 400, "invalid", "the types are: sim"),
        case(Root, "POST /sites", json!({"name": "x", "api": "sim", "url": "ftp://x"}), 400, "invalid", "not the address"),
        case(Root, "POST /sites", json!({"name": "x", "api": "sim", "url": "http://user:pw@x"}), 400, "invalid", "without a user or password"),
        case(Root, "POST /sites", json!({"name": "x", "api": "sim"}), 400, "missing-key", "url is missing"),
        case(Root, "POST /sites", json!({"name": "x", "api": "sim", "uri": "sim:x", "url": "sim:x"}), 400, "unknown-key", "did you mean \"url\"?"),
        case(Root, "POST /sites", json!([1]), 400, "wrong-type", "the body should be an object"),
        case(Root, "POST /sites", None, 400, "missing-body", "needs a body"),
        case(Root, "DELETE /sites/here", None, 409, "in-use", "still used by"),
        case(Root, "DELETE /sites/there", None, 404, "not-found", "there are: here"),
        case(Root, "GET /sites?limit=0", None, 400, "wrong-parameter", "1 to 500"),
        case(Root, "GET /sites?limit=x", None, 400, "wrong-parameter", "1 to 500"),
        case(Root, "GET /sites?limt=5", None, 400, "unknown-parameter", "did you mean \"limit\"?"),
        case(Root, "GET /sites?limit=5&limit=6", None, 400, "unknown-parameter", "given twice"),
        case(Root, "POST /appliances", json!({"name": "hadoop"}), 409, "exists", "choose another name"),
        case(Root, "POST /appliances", json!({"name": "x", "ready_port": 0}), 400, "out-of-range", "1 to 65535"),
        case(Root, "POST /appliances", json!({"name": "x", "images": ["none"]}), 400, "invalid", "no image"),
        case(Root, "POST /images", json!({"name": "x", "source": "file:x", "sha256": "y", "disk_format": "raw"}), 400, "too-short", "sha256"),
        case(Root, "POST /images", json!({"name": "x", "source": "gopher:x", "sha256": sha, "disk_format": "raw"}), 400, "invalid", "file or an HTTP address"),
        case(Root, "POST /implementations", body("[]"), 400, "invalid", "not a JSON object"),
        case(Root, "POST /implementations", scripted, 400, "invalid", "\"script_user_data\""),
        case(Root, "POST /implementations", json!({"appliance": "hadop", "site": "here", "media_type": "application/vnd.rm.sim+json", "body": "{}"}), 400, "invalid", "there are: hadoop"),
        case(Root, "POST /implementations", json!({"appliance": "hadoop", "site": "here", "media_type": "text/x", "body": "{}"}), 400, "invalid", "the types are: application/vnd.resource-manager.nodes+json, application/vnd.rm.sim+json"),
        case(Root, "POST /implementations", json!({"appliance": "hadoop", "media_type": "application/vnd.rm.sim+json", "body": "{}"}), 400, "invalid", "either site or site_type"),
        case(Root, "GET /implementations/nonsense", None, 400, "invalid", "ids look like"),
        case(Ann, "POST /credentials", json!({"name": "d", "site": "there", "secret": {}}), 400, "invalid", "no site \"there\""),
        case(Ann, "POST /credentials", json!({"name": "d", "site": "here", "secret": "hunter2"}), 400, "wrong-type", "secret should be an object, not a text"),
        case(Ann, "POST /credentials", json!({"name": "c", "site": "here", "secret": {}}), 409, "exists", "named \"c\" already"),
        case(Ann, "POST /credentials", json!({"name": "d", "site": "here", "secret": {}, "user": "amy"}), 403, "forbidden", "role \"operator\""),
        case(Root, "POST /credentials", json!({"name": "d", "site": "here", "secret": {}, "user": "any"}), 400, "unknown-user", "there is no user \"any\""),
        case(Root, "POST /credentials", json!({"name": "d", "site": "here", "secret": {}, "user": "amy", "tenant": "fysics"}), 400, "unknown-tenant", "there is no tenant \"fysics\""),
        case(Ann, "PUT /credentials/c/secret", json!({"secrt": {}}), 400, "missing-key", "secret is missing"),
        case(Ann, "POST /sites", site(json!("x")), 403, "forbidden", "ann may not"),
        case(Root, "PUT /sites", None, 405, "no-such-method", "GET, HEAD, POST"),
        case(Root, "GET /sits", None, 404, "no-such-path", "/openapi.json"),
    ]
}

#[rustfmt::skip]
fn clusters() -> Vec<Case> {
    use Who::{Amy, Ann, Bob, Cat};
    let with = |key: &str, value: Value| {
        let mut body = json!({"appliance": "hadoop"});
        body[key] = value;
        body
    };
    vec![
        case(Ann, "POST /clusters", json!({"appliance": "hadop"}), 404, "not-found", "there are: hadoop"),
        case(Ann, "POST /clusters", json!({}), 400, "missing-key", "appliance is missing"),
        case(Ann, "POST /clusters", with("slavs", json!(3)), 400, "unknown-key", "did you mean \"slaves\"?"),
        case(Ann, "POST /clusters", with("slaves", json!(-1)), 400, "out-of-range", "0 to 10000"),
        case(Ann, "POST /clusters", with("slaves", json!(1_000_000_000)), 400, "out-of-range", "0 to 10000"),
        case(Ann, "POST /clusters", with("slaves", json!(1.5)), 400, "wrong-type", "a whole number"),
        case(Ann, "POST /clusters", with("slaves", json!("3")), 400, "wrong-type", "not a text"),
        case(Ann, "POST /clusters", with("slaves", json!(10_000)), 403, "quota-exceeded", "nodes"),
        case(Ann, "POST /clusters", with("name", json!("x".repeat(101))), 400, "too-long", "name has 101"),
        case(Ann, "POST /clusters", with("name", json!("a\nb")), 400, "invalid", "control character U+000A"),
        case(Ann, "POST /clusters", with("sites", json!(["there"])), 400, "invalid", "no site \"there\""),
        case(Ann, "POST /clusters", with("sites", json!("here")), 400, "wrong-type", "a list"),
        case(Ann, "POST /clusters", with("hints", json!({"site": "here"})), 400, "unknown-key", "did you mean \"sites\"?"),
        case(Ann, "POST /clusters", with("hints", json!({"credential": "other"})), 503, "no-site", "no such credential"),
        case(Ann, "POST /clusters", with("hints", json!({"revision": 7})), 400, "invalid", "no implementation of revision 7"),
        case(Ann, "POST /clusters", with("hints", json!({"revision": 0})), 400, "out-of-range", "hints.revision"),
        case(Ann, "POST /clusters", with("hints", json!({"implementation": "x"})), 400, "not-an-id", "hints.implementation"),
        case(Ann, "POST /clusters", with("parameters", json!({"sise": 1})), 400, "invalid", "did you mean \"size\"?"),
        case(Ann, "POST /clusters", with("reuse", json!("always")), 400, "unknown-word", "match, never"),
        case(Ann, "POST /clusters", with("lease_seconds", json!(0)), 400, "out-of-range", "lease_seconds"),
        case(Ann, "POST /clusters", with("wait_seconds", json!(601)), 400, "out-of-range", "0 to 600"),
        case(Ann, "POST /clusters", json!({"appliance": "hadoop", "hints": {"network": "a"}, "parameters": {"network": "b"}}), 400, "invalid", "give it once"),
        case(Ann, "POST /plan", json!({"appliance": "hadop"}), 404, "not-found", "there are: hadoop"),
        case(Ann, "GET /plan", None, 400, "invalid", "?appliance=NAME"),
        case(Cat, "POST /clusters", json!({"appliance": "hadoop"}), 503, "no-site", "chemistry has no such credential"),
        case(Ann, "GET /clusters?after=nonsense", None, 400, "invalid", ""),
        case(Ann, "GET /clusters?all=maybe", None, 400, "wrong-parameter", "true or false"),
        case(Ann, "GET /clusters/nonsense", None, 400, "invalid", "ids look like"),
        case(Ann, "GET /clusters/01a20038-c439-71e8-920e-65419c93f159", None, 404, "not-found", "list those you have"),
        case(Bob, "GET /clusters/{ID}", None, 404, "not-found", "there is no cluster"),
        case(Bob, "PATCH /clusters/{ID}", json!({"slaves": 1}), 404, "not-found", ""),
        case(Bob, "DELETE /clusters/{ID}", None, 404, "not-found", ""),
        case(Amy, "DELETE /clusters/{ID}", None, 403, "forbidden", "amy holds nothing"),
        case(Amy, "PATCH /clusters/{ID}", json!({"slaves": 1}), 403, "forbidden", "ask one of its holders"),
        case(Ann, "PATCH /clusters/{ID}", json!({}), 400, "missing-key", "either slaves or slaves_by"),
        case(Ann, "PATCH /clusters/{ID}", json!({"slaves": 1, "slaves_by": 1}), 400, "missing-key", "either slaves or slaves_by"),
        case(Ann, "PATCH /clusters/{ID}", json!({"slaves": -1}), 400, "out-of-range", "0 to 10000"),
        case(Ann, "PATCH /clusters/{ID}", json!({"slaves": 10_000}), 403, "quota-exceeded", "nodes"),
        case(Ann, "PATCH /clusters/{ID}", json!({"slaves_by": -2}), 400, "invalid", "0 or more"),
        case(Ann, "PATCH /clusters/{ID}", json!({"slaves_by": 10_000}), 400, "out-of-range", "10000 slaves at the most"),
        case(Ann, "DELETE /clusters/{ID}?hold=x", None, 400, "invalid", "id of a hold"),
        case(Ann, "DELETE /clusters/{ID}?hold=01a20038-c439-71e8-920e-65419c93f159", None, 404, "not-found", "no hold"),
        case(Ann, "PUT /clusters/{ID}/lease", json!({"seconds": 0}), 400, "out-of-range", "seconds"),
        case(Ann, "PUT /clusters/{ID}/lease", json!({"hold": "x"}), 400, "not-an-id", "hold should be an id"),
        case(Ann, "PUT /clusters/{ID}/grants/%20x", None, 400, "invalid", "begins with a space"),
        case(Ann, "PUT /clusters/{ID}/grants/bobb", None, 400, "unknown-user", "there is no user \"bobb\""),
        case(Ann, "PUT /clusters/{ID}/grants/%ff", None, 400, "invalid", "UTF-8"),
        case(Ann, "DELETE /clusters/{ID}/grants/bob", None, 404, "not-found", "nothing was granted"),
        case(Ann, "POST /clusters/{ID}/retry", None, 409, "busy", "nothing to try again"),
        case(Ann, "POST /clusters/{ID}/retry", json!({"x": 1}), 400, "unexpected-body", "takes no body"),
        case(Who::Operator, "POST /clusters/{ID}/abandon", json!({"reason": "x"}), 409, "busy", "in quarantine"),
        case(Who::Operator, "POST /clusters/{ID}/abandon", json!({"reason": ""}), 400, "too-short", "reason"),
        case(Amy, "POST /clusters/{ID}/accounts", None, 403, "forbidden", "for a grant"),
        case(Ann, "GET /operations/{ID}", None, 404, "not-found", "no such operation"),
        case(Ann, "GET /events?after=-1", None, 400, "wrong-parameter", "whole number"),
        case(Who::Nobody, "GET /clusters", None, 401, "unauthenticated", "Authorization: Bearer"),
        case(Who::Liar, "GET /clusters", None, 401, "unauthenticated", "not known"),
    ]
}

#[tokio::test]
async fn each_refusal_says_why_and_nothing_changes() {
    let s = Service::start().await;
    s.load().await;
    let made = s.cluster(Who::Ann, 1).await;
    let id = made["id"].as_str().unwrap();
    let before = s.snapshot().await;
    for case in catalog().into_iter().chain(clusters()) {
        let path = case.path.replace("{ID}", id);
        let answer = s
            .call(case.who, case.method, &path, case.body.clone())
            .await;
        let what = format!("{} {path} {:?}: {}", case.method, case.body, answer.body);
        assert_eq!(answer.status, case.status, "{what}");
        assert_eq!(answer.code(), case.code, "{what}");
        assert!(
            answer
                .body
                .to_string()
                .replace("\\\"", "\"")
                .contains(case.told),
            "{what}"
        );
        assert!(!answer.body.to_string().contains("hunter2"), "{what}");
    }
    assert_eq!(s.snapshot().await, before);
}

#[tokio::test]
async fn all_faults_of_a_body_are_told_at_once() {
    let s = Service::start().await;
    let body = json!({"appliance": 1, "slaves": -1, "hints": {"flavour": "m1"}});
    let answer = s.post(Who::Ann, "/clusters", body).await;
    let pointers: Vec<&str> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["/appliance", "/hints/flavour", "/slaves"]);
    assert_eq!(
        answer.body["errors"][1]["advice"],
        "did you mean \"flavor\"?"
    );
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_user() {
    let s = Service::start().await;
    s.load().await;
    let ask = async |who: Who, slaves: u32| {
        let request = s
            .request(who, "POST", "/clusters")
            .header("idempotency-key", "monday")
            .json(&json!({"appliance": "hadoop", "reuse": "never", "slaves": slaves, "wait_seconds": 0}));
        s.send("POST", "/clusters", request).await
    };
    let first = ask(Who::Ann, 1).await.expect(202);
    let before = s.snapshot().await;
    let other = ask(Who::Ann, 2).await;
    assert_eq!(
        (other.status, other.code()),
        (409, "idempotency-key-reused")
    );
    assert_eq!(s.snapshot().await["credentials"], before["credentials"]);
    let again = ask(Who::Ann, 1).await;
    assert_eq!(again.body["id"], first["id"]);
    let theirs = ask(Who::Amy, 2).await.expect(202);
    assert_ne!(theirs["id"], first["id"]);
    assert_eq!(
        s.get(Who::Ann, "/clusters").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn what_is_deleted_is_deleted_once() {
    let s = Service::start().await;
    s.load().await;
    let made = s.cluster(Who::Ann, 0).await;
    let path = format!("/clusters/{}", made["id"].as_str().unwrap());
    let going = s
        .call(Who::Ann, "DELETE", &format!("{path}?wait_seconds=0"), None)
        .await;
    going.expect(202);
    let twice = s.call(Who::Ann, "DELETE", &path, None).await;
    assert_eq!((twice.status, twice.code()), (409, "busy"));
    assert!(
        twice.body["detail"]
            .as_str()
            .unwrap()
            .contains("being deleted already")
    );
    let resized = s
        .call(Who::Ann, "PATCH", &path, Some(json!({"slaves": 2})))
        .await;
    assert_eq!((resized.status, resized.code()), (409, "busy"));
    let lease = Some(json!({"seconds": 60}));
    assert_eq!(
        s.call(Who::Ann, "PUT", &format!("{path}/lease"), lease)
            .await
            .status,
        409
    );
    // Until it is seen to be gone.
    for _ in 0..1000 {
        let answer = s.call(Who::Ann, "DELETE", &path, None).await;
        if answer.status == 404 {
            return;
        }
        assert_eq!(answer.status, 409);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("it never went");
}

#[tokio::test]
async fn a_quota_is_a_limit_and_its_problem_says_so() {
    let s = Service::with(|policy, _| {
        policy.quota.clusters = Some(1);
        policy.quota.lease_seconds = Some(60);
    })
    .await;
    s.load().await;
    let wanted = json!({"appliance": "hadoop", "reuse": "never", "wait_seconds": 0});
    s.post(Who::Ann, "/clusters", wanted.clone())
        .await
        .expect(202);
    let second = s.post(Who::Amy, "/clusters", wanted.clone()).await;
    assert_eq!((second.status, second.code()), (403, "quota-exceeded"));
    let mut long = wanted;
    long["lease_seconds"] = json!(61);
    let long = s.post(Who::Bob, "/clusters", long).await;
    assert_eq!((long.status, long.code()), (403, "lease-too-long"));
    assert_eq!(long.body["temporary"], false);
}

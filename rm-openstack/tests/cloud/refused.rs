//! What cannot be made, and what is said about it.

use rm_core::ErrorKind;
use rm_core::env::Env;
use rm_core::life::State;
use serde_json::{Value, json};

use crate::lab::{Lab, RealEnv};

const FAILING: &str = include_str!("../../../lab/openstack/templates/failing.yaml");

/// What only the cloud knows: which types of resources it has.
const UNKNOWN_TYPE: &str = "{heat_template_version: 2018-08-31, \
    resources: {disk: {type: OS::Nowhere::Disk}}, outputs: {master_ip: {value: 10.77.0.1}}}";

#[tokio::test]
async fn a_template_that_heat_refuses_fails_with_its_words_and_leaves_nothing() {
    let Some(lab) = Lab::open("a_template_that_heat_refuses").await else {
        return;
    };
    lab.appliance("unknown-type", UNKNOWN_TYPE).await;
    let clusters = lab.host.clusters();
    let request = lab.another("unknown-type");
    let made = clusters.create(&lab.user, &request).await.unwrap();
    let id = made.cluster.id();
    let cluster = lab.settled(id).await;
    let (seen, reason) = (cluster.record().seen, &cluster.record().reason);
    assert_eq!(seen, State::Failed);
    assert!(reason.contains("OS::Nowhere::Disk"), "{reason}");
    assert!(lab.stacks(id).await.is_empty());
    lab.delete(id).await;
}

#[tokio::test]
async fn a_failing_resource_is_named_and_can_be_deleted() {
    let Some(lab) = Lab::open("a_failing_resource_is_named").await else {
        return;
    };
    lab.appliance("failing", FAILING).await;
    let clusters = lab.host.clusters();
    let id = clusters
        .create(&lab.user, &lab.another("failing"))
        .await
        .unwrap()
        .cluster
        .id();
    let cluster = lab.settled(id).await;
    assert_eq!(cluster.record().seen, State::Failed);
    // The path to one that failed, of several whichever Heat names.
    let reason = &cluster.record().reason;
    assert!(reason.contains("resources.slave_group"), "{reason}");
    let member = ["slave0", "slave1", "resources[0]", "resources[1]"];
    assert!(member.iter().any(|m| reason.contains(m)), "{reason}");
    assert_eq!(lab.stacks(id).await.len(), 1, "it stays to be looked at");
    lab.delete(id).await;
    assert!(lab.stacks(id).await.is_empty());
}

/// Its member takes longer than anybody waits for it.
const STUCK: &str = "{heat_template_version: 2018-08-31, \
    resources: {group: {type: OS::Heat::ResourceGroup, properties: {count: 1, \
    resource_def: {type: OS::Heat::TestResource, \
    properties: {value: x, action_wait_secs: {create: 600}}}}}}, \
    outputs: {master_ip: {value: 10.77.0.1}}}";

#[tokio::test]
async fn what_did_not_come_in_time_is_named_although_heat_only_says_timed_out() {
    let Some(lab) = Lab::patient("what_did_not_come_in_time_is_named", 60).await else {
        return;
    };
    lab.appliance("stuck", STUCK).await;
    let clusters = lab.host.clusters();
    let made = clusters.create(&lab.user, &lab.another("stuck")).await;
    let id = made.unwrap().cluster.id();
    // Heat's own time is over a moment before or after ours, and what it says
    // of the stack does not wait for what it says of the resources.
    let mut reason = String::new();
    for _ in 0..300 {
        let cluster = clusters.get(&lab.user, id).await.unwrap();
        reason.clone_from(&cluster.record().reason);
        let said = reason.contains("Timed out") && reason.contains("resource ");
        if cluster.record().seen == State::Failed && said {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert!(reason.starts_with("CREATE_FAILED: "), "{reason}");
    assert!(
        reason.contains("resource group.0 (OS::Heat::TestResource): "),
        "{reason}"
    );
    lab.delete(id).await;
}

/// A token of the lab's user, and an application credential made with it: both
/// from Keystone, by somebody else than the host.
async fn delegated(lab: &Lab) -> (String, Value) {
    let http = reqwest::Client::new();
    let domain = json!({"id": "default"});
    let user = json!({"name": "demo", "password": "oslab-user", "domain": domain});
    let login = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": "demo", "domain": domain}},
    }});
    let url = format!("{}/auth/tokens", lab.url);
    let answer = http.post(url).json(&login).send().await.unwrap();
    let token = answer.headers()["x-subject-token"].to_str().unwrap();
    let token = token.to_owned();
    let answer: Value = answer.json().await.unwrap();
    let user = answer["token"]["user"]["id"].as_str().unwrap();
    let name = format!("of-{:016x}", RealEnv.random());
    let url = format!("{}/users/{user}/application_credentials", lab.url);
    let new = json!({"application_credential": {"name": name, "unrestricted": true}});
    let asked = http.post(url).header("x-auth-token", &token).json(&new);
    let made: Value = asked.send().await.unwrap().json().await.unwrap();
    let made = &made["application_credential"];
    let secret = json!({
        "application_credential_id": made["id"],
        "application_credential_secret": made["secret"],
    });
    (token, secret)
}

#[tokio::test]
async fn what_heat_does_not_take_of_an_application_credential_is_said_and_a_token_is_enough() {
    let Some(lab) = Lab::open("what_heat_does_not_take_of_an_application_credential").await else {
        return;
    };
    let (token, delegated) = delegated(&lab).await;
    let catalog = lab.host.catalog();
    let rotate = async |secret: &Value| {
        let done = catalog.rotate_credential(&lab.user, "my-lab", secret).await;
        done.unwrap();
    };
    rotate(&delegated).await;
    let clusters = lab.host.clusters();
    let made = clusters.create(&lab.user, &lab.request(1)).await.unwrap();
    let id = made.cluster.id();
    let refused = lab.settled(id).await;
    let r = refused.record();
    assert_eq!(r.seen, State::Failed, "{}", r.reason);
    for word in ["application credential", "trust", "password"] {
        assert!(r.reason.contains(word), "{word}: {}", r.reason);
    }
    let secret = delegated["application_credential_secret"].as_str().unwrap();
    assert!(!r.reason.contains(secret));
    assert!(lab.stacks(id).await.is_empty());

    rotate(&json!({"token": token, "project_name": "demo"})).await;
    refused.retry(&lab.user).await.unwrap();
    lab.ready(id).await;
    // It can look at what is there and delete it, all the same.
    rotate(&delegated).await;
    let now = clusters.get(&lab.user, id).await.unwrap();
    assert!(now.is_ready());
    lab.delete(id).await;
    assert!(lab.stacks(id).await.is_empty());
}

#[tokio::test]
async fn a_wrong_password_is_told_without_guessing_which_part_is_wrong() {
    let Some(lab) = Lab::open("a_wrong_password_is_told").await else {
        return;
    };
    lab.host
        .catalog()
        .rotate_credential(
            &lab.user,
            "my-lab",
            &json!({"username": "demo", "password": "canary-wrong", "project_name": "demo"}),
        )
        .await
        .unwrap();
    let clusters = lab.host.clusters();
    let e = clusters
        .create(&lab.user, &lab.request(1))
        .await
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Credential);
    let said = e.to_string();
    assert!(said.contains("check all of them"), "{said}");
    assert!(!said.contains("canary"), "{said}");
    let kept = clusters.list(&lab.user, false, None, 10).await.unwrap();
    assert!(
        kept.items.is_empty(),
        "nothing is kept of a request that cannot be served"
    );
    // With the right one it goes.
    lab.host
        .catalog()
        .rotate_credential(&lab.user, "my-lab", &lab.secret)
        .await
        .unwrap();
    let made = clusters.create(&lab.user, &lab.request(1)).await.unwrap();
    lab.ready(made.cluster.id()).await;
    lab.delete(made.cluster.id()).await;
}

#[tokio::test]
async fn a_site_that_is_down_is_passed_over_and_the_answer_says_why() {
    let Some(lab) = Lab::open("a_site_that_is_down_is_passed_over").await else {
        return;
    };
    // Nobody listens on the discard port.
    lab.site("a-down", "http://127.0.0.1:9/v3").await;
    let clusters = lab.host.clusters();
    let made = clusters.create(&lab.user, &lab.request(0)).await.unwrap();
    let chosen = &made.considered[0];
    assert_eq!(
        (chosen.site.as_str(), chosen.verdict.as_str()),
        ("lab", "chosen")
    );
    let down = made.considered.iter().find(|c| c.site == "a-down").unwrap();
    assert_eq!(down.verdict, "refused");
    assert!(
        down.why.starts_with("keystone: log in: no connection"),
        "{}",
        down.why
    );
    lab.ready(made.cluster.id()).await;
    lab.delete(made.cluster.id()).await;
}

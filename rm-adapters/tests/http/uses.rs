//! The original's resources: one user's use of a cluster each.

use rm_core::event::{NewEvent, Revision};
use rm_core::store::{Batch, Outcome};
use serde_json::{Value, json};

use crate::support::{Loaded, Service, Who};

const PATH: &str = "/lambdalink/resources/";

async fn ask(s: &Service, who: Who, loaded: &Loaded) -> Value {
    let hints = json!({"implementation": loaded.implementation, "credentials": loaded.credential});
    s.post(who, PATH, json!({"hints": hints})).await.expect(201)
}

fn one(used: &Value) -> String {
    format!("{PATH}{}/", used["id"].as_str().unwrap())
}

/// The revision of a commit that is made now.
async fn revision(s: &Service) -> u64 {
    let event = NewEvent {
        at: s.host.env().now(),
        what: "test.marked".to_owned(),
        tenant: None,
        resource: None,
        audience: Vec::new(),
        data: Value::Null.into(),
    };
    let batch = Batch {
        events: vec![event],
        ..Batch::default()
    };
    match s.host.store().commit(batch).await.unwrap() {
        Outcome::Done(Revision(revision)) => revision,
        Outcome::Refused(refusal) => panic!("{refusal:?}"),
    }
}

/// A crash between two commits would leave a hold that nobody can give up, or
/// a resource without one.
#[tokio::test]
async fn a_use_and_its_hold_come_and_go_in_one_commit() {
    let s = Service::idle(|_, _| {}).await;
    let loaded = s.load().await;
    let mut before = revision(&s).await;
    let mut commits = async || {
        let now = revision(&s).await;
        let made = now - before - 1;
        before = now;
        made
    };
    let first = ask(&s, Who::Ann, &loaded).await;
    assert_eq!(commits().await, 1, "a cluster of its own");
    let second = ask(&s, Who::Ann, &loaded).await;
    assert_eq!(second["cluster"], first["cluster"]);
    assert_eq!(commits().await, 1, "one that is reused");
    for used in [first, second] {
        s.call(Who::Ann, "DELETE", &one(&used), None)
            .await
            .expect(204);
        assert_eq!(commits().await, 1, "given up");
        s.call(Who::Ann, "DELETE", &one(&used), None)
            .await
            .expect(404);
    }
}

#[tokio::test]
async fn nobody_gets_a_cluster_of_somebody_elses_even_of_the_same_tenant() {
    let s = Service::start().await;
    let loaded = s.load().await;
    let anns = ask(&s, Who::Ann, &loaded).await;
    let amys = ask(&s, Who::Amy, &loaded).await;
    assert_ne!(anns["cluster"], amys["cluster"]);
    assert_eq!(ask(&s, Who::Amy, &loaded).await["cluster"], amys["cluster"]);
    // Nor does who asks for a cluster of the tenant's get one of theirs.
    let shared = s
        .post(Who::Amy, "/clusters", json!({"appliance": "hadoop"}))
        .await
        .expect(201);
    assert_ne!(shared["id"], amys["cluster"]);
}

#[tokio::test]
async fn a_use_ends_with_its_hold_and_is_forgotten() {
    let s = Service::start().await;
    let loaded = s.load().await;
    let kept = ask(&s, Who::Amy, &loaded).await;
    let ended = ask(&s, Who::Ann, &loaded).await;
    let cluster = format!(
        "/lambdalink/clusters/{}/",
        ended["cluster"].as_str().unwrap()
    );
    assert_eq!(rm_adapters::lambdalink::tidy(&s.host).await.unwrap(), 0);
    s.call(Who::Ann, "DELETE", &cluster, None).await.expect(204);
    s.get(Who::Ann, &one(&ended)).await.expect(404);
    assert_eq!(s.get(Who::Ann, PATH).await.expect(200), json!([]));
    s.call(Who::Ann, "DELETE", &one(&ended), None)
        .await
        .expect(404);
    // What nobody can see any more is not kept either.
    assert_eq!(rm_adapters::lambdalink::tidy(&s.host).await.unwrap(), 1);
    assert_eq!(rm_adapters::lambdalink::tidy(&s.host).await.unwrap(), 0);
    s.get(Who::Amy, &one(&kept)).await.expect(200);
}

#[tokio::test]
async fn another_credential_of_the_same_user_gets_a_cluster_of_its_own() {
    let s = Service::start().await;
    let loaded = s.load().await;
    let first = ask(&s, Who::Ann, &loaded).await;
    let secret = json!({"username": "u", "password": "p", "project_name": "another"});
    let second = json!({"name": "another", "site": "here", "secret": secret});
    let second = s.post(Who::Ann, "/credentials", second).await.expect(201);
    let with = Loaded {
        credential: second["id"].as_str().unwrap().to_owned(),
        ..loaded.clone()
    };
    let other = ask(&s, Who::Ann, &with).await;
    assert_ne!(other["cluster"], first["cluster"]);
    let cluster = format!(
        "/lambdalink/clusters/{}/",
        other["cluster"].as_str().unwrap()
    );
    let made = s.get(Who::Ann, &cluster).await.expect(200);
    assert_eq!(made["credential"], second["id"]);
    // Each of them is found again by its own.
    for (loaded, before) in [(&loaded, &first), (&with, &other)] {
        assert_eq!(
            ask(&s, Who::Ann, loaded).await["cluster"],
            before["cluster"]
        );
    }
}

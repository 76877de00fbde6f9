//! I13: no secret in an event, an error, a record or a `Debug`.

use rm_core::accounts::Account;
use rm_core::catalog::NewCredential;
use rm_core::secret::Secret;
use rm_testkit::{Fault, Scene, Verb};
use serde_json::json;

use crate::support::{ask, have, let_go, next, scene, secs};

const CANARY: &str = "c4nary-5ecret";

async fn with_canary(s: &Scene) {
    let catalog = s.door.catalog();
    let secret = json!({"account": "physics", "password": CANARY});
    catalog
        .rotate_credential(&s.alice, "physics-north", &secret)
        .await
        .unwrap();
}

async fn is_nowhere(s: &Scene) {
    for event in s.truth.since(0, None, 100_000).await.unwrap() {
        assert!(!format!("{event:?}").contains(CANARY), "{event:?}");
    }
    for record in s.records().await {
        let text = format!("{record:?}{}", serde_json::to_string(&record).unwrap());
        assert!(!text.contains(CANARY), "{text}");
    }
    let credential = s.door.catalog().credential(&s.alice, "physics-north");
    let credential = credential.await.unwrap();
    let shown = format!("{credential:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    let host = format!("{:?} {:?}", s.door, s.truth);
    assert!(!host.contains(CANARY));
    // What a program has in its hands and prints.
    let account = Account {
        username: "alice".to_owned(),
        password: Secret::new(CANARY),
        created: s.world.now(),
    };
    let shown = format!("{account:?} {}", account.password);
    assert!(!shown.contains(CANARY), "{shown}");
}

/// <https://github.com/crossplane-contrib/provider-jet-aws/issues/219>: secrets
/// stood in the log of a controller that debugged.
#[test]
fn jet_aws_219() {
    let scene = scene(1);
    scene.run(async |s| {
        with_canary(s).await;
        let id = have(s, 1).await;
        for fault in [Fault::LostBefore, Fault::FailsLater] {
            next(s, Verb::Create, fault);
            ask(s, 1).await;
        }
        s.world.sleep(secs(300)).await;
        let_go(s, &s.alice, id).await;
        s.world.sleep(secs(60)).await;
        is_nowhere(s).await;
    });
}

/// <https://github.com/apache/cloudstack/issues/10339>: a refused login repeated
/// the password.
#[test]
fn cloudstack_10339() {
    let scene = scene(1);
    scene.run(async |s| {
        with_canary(s).await;
        s.cloud.password("physics", "another");
        let e = s.clusters().create(&s.alice, &s.own(1)).await.unwrap_err();
        let said = format!("{e} {e:?} {:?}", e.next());
        assert!(!said.contains(CANARY), "{said}");
        let wrong = NewCredential::new("wrong", "nowhere", json!({"password": CANARY}));
        let e = s.door.catalog().add_credential(&s.operator, wrong).await;
        let said = format!("{:?}", e.unwrap_err());
        assert!(!said.contains(CANARY), "{said}");
        is_nowhere(s).await;
    });
}

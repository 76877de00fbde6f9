//! What is logged on the way to a real cloud holds no secret: neither the
//! password nor a token nor what somebody sent by mistake. Of this program there
//! is one test, for there is one log.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    dead_code,
    reason = "tests, and what they share"
)]

#[path = "cloud/lab.rs"]
mod lab;
#[path = "../../rm-adapters/tests/shared/log.rs"]
mod log;

use rm_core::ErrorKind;
use rm_core::clusters::ClusterRequest;
use serde_json::json;
use tracing::Level;

use lab::Lab;
use log::Log;

const CANARY: &str = "canary-4be1";

#[tokio::test]
async fn neither_passwords_nor_tokens_are_logged() {
    let log = Log::begin(Level::TRACE);
    let Some(lab) = Lab::open("neither_passwords_nor_tokens").await else {
        return;
    };
    let clusters = lab.host.clusters();
    let made = clusters.create(&lab.user, &lab.request(1)).await.unwrap();
    let id = made.cluster.id();
    lab.ready(id).await;
    let grow = ClusterRequest {
        grow: true,
        ..lab.request(2)
    };
    clusters.create(&lab.user, &grow).await.unwrap();
    lab.ready(id).await;
    let there = clusters.get(&lab.user, id).await.unwrap();
    let holds = there.record().holds.clone();
    for hold in holds {
        there.release(&lab.user, Some(hold.id)).await.unwrap();
    }
    let limit = std::time::Duration::from_secs(120);
    assert!(clusters.gone(&lab.user, id, limit).await.unwrap());

    // A password that is refused, and one that is no password at all.
    let catalog = lab.host.catalog();
    for secret in [
        json!({"username": "demo", "password": CANARY, "project_name": "demo"}),
        json!({"application_credential_id": CANARY, "application_credential_secret": CANARY}),
        json!({"token": CANARY, "project_name": "demo"}),
    ] {
        let rotated = catalog
            .rotate_credential(&lab.user, "my-lab", &secret)
            .await;
        rotated.unwrap();
        let e = clusters.create(&lab.user, &lab.another("cluster")).await;
        let e = e.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Credential, "{e}");
        assert!(!format!("{e} {e:?}").contains(CANARY), "{}", e.what());
    }
    drop(lab);

    let said = log.said();
    assert!(said.contains("TRACE"), "everything is logged");
    assert!(
        said.contains(&id.to_string()) || said.contains("heat"),
        "of this way, too"
    );
    for secret in ["oslab-user", CANARY] {
        let at = said.find(secret);
        assert_eq!(at.map(|at| &said[at.saturating_sub(200)..at]), None);
    }
    // Keystone's tokens begin so.
    assert_eq!(said.find("gAAAAA"), None, "a token is logged");
}

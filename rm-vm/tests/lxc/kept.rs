//! What a container keeps for the day on which the store is lost, and what it
//! tells by itself.

use std::time::{Duration, Instant};

use rm_core::ResourceId;
use rm_core::life::State;
use rm_vm::lxc::Lxc;
use serde_json::{Value, json};

use crate::house::lost::comes_back;
use crate::lab::{Lab, Program};

/// Waits for something that comes soon.
async fn soon(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let patience = Duration::from_secs(20);
    let done = tokio::time::timeout(patience, wait).await;
    assert!(done.is_ok(), "not within {patience:?}: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_store_gets_back_owner_and_lease_from_the_containers() {
    let Some(lab) = Lab::find("a_lost_store_gets_back_owner_and_lease") else {
        return;
    };
    let first = Program::of(&lab, "tkept").await;
    let (id, name) = first.node(lab.spec()).await;
    let (other, _) = first.node(lab.spec()).await;
    let hour = Some(Duration::from_secs(3600));
    let node = first.get(id).await;
    node.grant(&first.user, "bob").await.unwrap();
    let node = node.renew(&first.user, None, hour).await.unwrap();
    let before = node.record().clone();
    let file = lab.path.join(&name).join("rm.json");
    let owner = || -> Value {
        let told: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        told["owner"].clone()
    };
    let is_noted = async || owner()["holds"] == json!(before.holds);
    soon("the renewal is noted", is_noted).await;
    assert_eq!(lab.state(&name), "RUNNING");
    drop(first);

    let second = Program::of(&lab, "tkept").await;
    let rebuild = second.host.rebuild();
    let rebuilt = rebuild.run(&second.operator, true).await.unwrap();
    let of = |id: ResourceId| rebuilt.restored.iter().find(|r| r.resource == id).unwrap();
    assert!(of(id).kept && of(other).kept, "{rebuilt:?}");
    assert_eq!(
        (of(id).until, of(other).until),
        (before.holds[0].until, None)
    );
    let node = second.ready(id).await;
    let r = node.record();
    assert_eq!((&r.tenant, &r.name), (&before.tenant, &before.name));
    assert_eq!((&r.holds, &r.grants), (&before.holds, &before.grants));
    // The lease ends as it would have.
    let moment = Some(Duration::from_millis(500));
    node.renew(&second.user, None, moment).await.unwrap();
    let store = second.host.store();
    let is_gone = async || store.resource(id).await.unwrap().is_none();
    soon("its lease is over", is_gone).await;
    assert!(!lab.path.join(&name).exists());
    second.end(other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_that_run_or_stand_still_or_not_give_back_a_lost_store() {
    let Some(lab) = Lab::find("containers_that_run_or_stand_still_or_not_give_back") else {
        return;
    };
    let lab = lab.apart("rm-lost");
    let beside = Lxc::at(&lab.path, 256).unwrap();
    comes_back(lab.place().with_last([244, 249]), &beside).await;
}

/// The list comes once an hour; what is seen before was told.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_behind_our_back_is_known_without_a_list() {
    let Some(lab) = Lab::find("what_is_done_behind_our_back_is_known_without_a_list") else {
        return;
    };
    let p = Program::sweeping(&lab, Duration::from_secs(3600)).await;
    let (id, name) = p.node(lab.spec()).await;
    let seen = async || p.get(id).await.record().seen;
    let reason = async || p.get(id).await.record().reason.clone();
    let begun = Instant::now();

    lab.tool("lxc-stop", &name, &["-k"]);
    soon("stopped", async || seen().await == State::Failed).await;
    assert!(
        reason().await.contains("it is stopped"),
        "{}",
        reason().await
    );

    lab.tool("lxc-start", &name, &["-d"]);
    soon("it runs again", async || seen().await == State::Ready).await;

    let init = lab.tool("lxc-info", &name, &["-p", "-H"]);
    let mut kill = std::process::Command::new("kill");
    assert!(kill.args(["-9", init.trim()]).status().unwrap().success());
    soon("its init was killed", async || {
        seen().await == State::Failed
    })
    .await;

    p.get(id).await.retry(&p.user).await.unwrap();
    p.ready(id).await;
    lab.tool("lxc-stop", &name, &["-k"]);
    lab.tool("lxc-destroy", &name, &[]);
    soon("it is destroyed", async || {
        reason().await.contains("gone from the site")
    })
    .await;
    assert!(
        begun.elapsed() < Duration::from_secs(600),
        "no list came between"
    );
    p.end(id).await;
}

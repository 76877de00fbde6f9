//! What goes wrong at a host, and what must not reach it.

use std::collections::BTreeSet;
use std::path::Path;

use rm_core::ErrorKind;
use rm_core::life::State;
use rm_core::model::{Action, NodeSpec, NodeUser, Power};
use serde_json::{Value, json};

use crate::lab::{Lab, Program};

/// Everything below the host's path, but what other tests have there.
fn names(path: &Path) -> BTreeSet<String> {
    let all = std::fs::read_dir(path).unwrap();
    all.map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("rm-"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_before_anything_exists() {
    let Some(lab) = Lab::find("what_cannot_be_is_refused_before_anything_exists") else {
        return;
    };
    let p = Program::on(&lab).await;
    let (id, _) = p.node(lab.spec()).await;
    let before = names(&lab.path);
    let user = |name: &str| NodeUser {
        name: name.to_owned(),
        ssh_keys: Vec::new(),
    };
    type Edit<'a> = Box<dyn Fn(&mut NodeSpec) + 'a>;
    let wrong: Vec<(Edit<'_>, ErrorKind)> = vec![
        (
            Box::new(|s| s.hostname = Some("a/../b".to_owned())),
            ErrorKind::Invalid,
        ),
        (
            Box::new(|s| s.hostname = Some("a\nlxc.hook.start = /x".to_owned())),
            ErrorKind::Invalid,
        ),
        (
            Box::new(|s| s.hostname = Some("'\"<x>".to_owned())),
            ErrorKind::Invalid,
        ),
        (
            Box::new(|s| s.users = vec![user("../../root")]),
            ErrorKind::Invalid,
        ),
        (
            Box::new(|s| s.users = vec![user("a:b")]),
            ErrorKind::Invalid,
        ),
        (Box::new(|s| s.memory_mib = 1 << 29), ErrorKind::NoCapacity),
        (Box::new(|s| s.vcpus = 4000), ErrorKind::NoCapacity),
        (
            Box::new(|s| s.user_data = "x".repeat(10 << 20)),
            ErrorKind::Invalid,
        ),
        (
            Box::new(|s| s.image.sha256 = "0".repeat(64)),
            ErrorKind::Invalid,
        ),
        (Box::new(|s| s.disk_gib = Some(1)), ErrorKind::Unsupported),
    ];
    for (at, (edit, kind)) in wrong.iter().enumerate() {
        let mut spec = lab.spec();
        edit(&mut spec);
        let e = p.ask(spec, false).await.unwrap_err();
        assert_eq!(e.kind(), *kind, "{at}: {e}");
        assert!(e.next().is_some(), "{at}: {e}");
    }
    assert_eq!(names(&lab.path), before);
    let resource = |(_, mark): &(String, rm_core::backend::Mark)| mark.resource == id;
    assert_eq!(lab.marked().iter().filter(|m| resource(m)).count(), 1);
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_pool_is_told_and_an_address_that_is_free_again_is_given() {
    let Some(lab) = Lab::find("an_empty_pool_is_told") else {
        return;
    };
    let mut section = lab.section();
    // One of each family, and none that other tests take.
    let own = |pool: &mut Value, last: &str| {
        let first = pool["first"].as_str().unwrap();
        let (net, _) = first.rsplit_once(['.', ':']).unwrap();
        let separator = if first.contains(':') { ':' } else { '.' };
        let only = format!("{net}{separator}{last}");
        pool["first"] = json!(only);
        pool["last"] = json!(only);
    };
    own(&mut section["sites"]["lab"]["pools"][0], "5");
    own(&mut section["sites"]["lab"]["pools"][1], "5");
    let one = Program::of(&lab, "tone", section.clone()).await;
    let (id, _) = one.node(lab.spec()).await;
    let address = one.get(id).await.view().unwrap().interfaces[0]
        .addresses
        .clone();
    assert_eq!(address.len(), 2);
    // Another manager with a store of its own finds none left either.
    let other = Program::of(&lab, "tother", section).await;
    let full = other.ask(lab.spec(), false).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::NoCapacity, "{full}");
    one.end(id).await;
    let (id, _) = other.node(lab.spec()).await;
    assert_eq!(
        other.get(id).await.view().unwrap().interfaces[0].addresses,
        address
    );
    other.end(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_store_is_made_anew_from_the_containers() {
    let Some(lab) = Lab::find("a_lost_store_is_made_anew_from_the_containers") else {
        return;
    };
    let first = Program::of(&lab, "tlost", lab.section()).await;
    let mut spec = lab.spec();
    spec.hostname = Some("kept".to_owned());
    let (id, name) = first.node(spec.clone()).await;
    let view = first.get(id).await.view().unwrap();
    let pid = lab.tool("lxc-info", &name, &["-p", "-H"]);
    drop(first);

    let second = Program::of(&lab, "tlost", lab.section()).await;
    let rebuilt = second
        .host
        .rebuild()
        .run(&second.operator, true)
        .await
        .unwrap();
    assert!(
        rebuilt.restored.iter().any(|r| r.resource == id),
        "{rebuilt:?}"
    );
    let node = second.ready(id).await;
    assert_eq!(node.spec().unwrap(), spec);
    assert_eq!(node.view().unwrap(), view);
    assert_eq!(
        lab.tool("lxc-info", &name, &["-p", "-H"]),
        pid,
        "it ran all the time"
    );
    second.end(id).await;
    assert!(!lab.path.join(name).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_half_made_is_finished_and_what_it_began_aside_is_swept() {
    let Some(lab) = Lab::find("what_a_crash_left_half_made_is_finished") else {
        return;
    };
    let p = Program::on(&lab).await;
    let (id, name) = p.node(lab.spec()).await;
    // As a create leaves it that was cut off between its two steps.
    lab.tool("lxc-stop", &name, &["-k"]);
    let file = lab.path.join(&name).join("rm.json");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    record["mark"]["generation"] = json!(0);
    std::fs::write(&file, record.to_string()).unwrap();
    let aside = lab.path.join(".new-1-1");
    std::fs::create_dir_all(aside.join("overlay/delta")).unwrap();
    let whole = async {
        while lab.state(&name) != "RUNNING" {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), whole)
        .await
        .unwrap();
    let (other, _) = p.node(lab.spec()).await;
    assert!(!aside.exists());
    p.ready(id).await;
    p.end(id).await;
    p.end(other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_will_not_stop_is_stopped_when_its_grace_is_over() {
    let Some(lab) = Lab::find("a_guest_that_will_not_stop_is_stopped") else {
        return;
    };
    let p = Program::on(&lab).await;
    let mut spec = lab.spec();
    spec.boot_commands = vec!["touch /etc/stubborn".to_owned()];
    let (id, name) = p.node(spec).await;
    let stubborn =
        "for i in $(seq 100); do [ -e /etc/stubborn ] && break; sleep 0.3; done; ls /etc/stubborn";
    assert_eq!(lab.inside(&name, stubborn), "/etc/stubborn");
    p.get(id).await.stop(&p.user).await.unwrap();
    p.ready(id).await;
    assert_eq!(lab.state(&name), "STOPPED");
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_leaves_what_is_there() {
    let Some(lab) = Lab::find("a_change_that_cannot_be_leaves_what_is_there") else {
        return;
    };
    let p = Program::on(&lab).await;
    let (id, name) = p.node(lab.spec()).await;
    let node = p.get(id).await;
    let born = |spec: &mut NodeSpec| {
        spec.hostname = Some("another".to_owned());
        spec.power = Power::Stopped;
        Ok(())
    };
    node.change(&p.user, born).await.unwrap();
    let node = p.settled(id).await;
    assert_eq!(node.record().seen, State::Ready, "{:?}", node.record());
    assert!(
        node.record().reason.contains("born with"),
        "{}",
        node.record().reason
    );
    assert!(node.is_ready(), "what is there stays wanted, and runs");
    assert_eq!(lab.state(&name), "RUNNING");
    // With a reimage in the same change it is possible.
    let anew = |spec: &mut NodeSpec| {
        spec.hostname = Some("another".to_owned());
        spec.ask(Action::Reimage, 0).map(|_| ())
    };
    node.change(&p.user, anew).await.unwrap();
    p.ready(id).await;
    assert_eq!(lab.inside(&name, "hostname"), "another");
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_outlives_its_image_in_the_catalog() {
    let Some(lab) = Lab::find("a_node_outlives_its_image_in_the_catalog") else {
        return;
    };
    let p = Program::on(&lab).await;
    let (id, name) = p.node(lab.spec()).await;
    let catalog = p.host.catalog();
    catalog.remove_image(&p.operator, "small").await.unwrap();
    p.get(id).await.stop(&p.user).await.unwrap();
    p.ready(id).await;
    assert_eq!(lab.state(&name), "STOPPED");
    let anew = |spec: &mut NodeSpec| spec.ask(Action::Reimage, 0).map(|_| ());
    p.get(id).await.change(&p.user, anew).await.unwrap();
    let node = p.settled(id).await;
    assert!(
        node.record().reason.contains("no image"),
        "{}",
        node.record().reason
    );
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bears_no_mark_of_ours_is_never_touched() {
    let Some(lab) = Lab::find("what_bears_no_mark_of_ours_is_never_touched") else {
        return;
    };
    let p = Program::on(&lab).await;
    let (id, name) = p.node(lab.spec()).await;
    let file = lab.path.join(&name).join("rm.json");
    let ours = std::fs::read(&file).unwrap();
    // Somebody else's, under our name.
    std::fs::write(&file, "{}").unwrap();
    p.get(id).await.release(&p.user, None).await.unwrap();
    let refused = async {
        loop {
            let row = p.host.store().resource(id).await.unwrap().unwrap();
            if row.record.reason.contains("does not bear our mark") {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), refused)
        .await
        .unwrap();
    assert_eq!(lab.state(&name), "RUNNING");
    std::fs::write(&file, ours).unwrap();
    let gone = async {
        while p.host.store().resource(id).await.unwrap().is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(90), gone)
        .await
        .unwrap();
    assert!(!lab.path.join(&name).exists());
}

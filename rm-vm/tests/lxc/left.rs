//! What a crash or a restart leaves on a host, and what is not taken for that.

use std::time::Duration;

use rm_core::model::Power;
use serde_json::{Value, json};

use crate::lab::{Lab, Program};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_half_made_is_finished_and_what_it_began_aside_is_swept() {
    let Some(lab) = Lab::find("what_a_crash_left_half_made_is_finished") else {
        return;
    };
    let p = Program::on(&lab).await;
    let mut spec = lab.spec();
    spec.power = Power::Stopped;
    let id = p.ask(spec, false).await.unwrap();
    let name = p.ready(id).await.view().unwrap().name;
    let file = lab.path.join(&name).join("rm.json");
    let read = || -> Value { serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap() };
    let aside = lab.path.join(".new-1-1");
    std::fs::create_dir_all(aside.join("overlay/delta")).unwrap();
    // As a create leaves it that was cut off: where more is to follow than the
    // start, and where nothing is and it never ran.
    let cut: [fn(&mut Value); 2] = [
        |record| record["mark"]["generation"] = json!(0),
        |record| record["new"] = json!(true),
    ];
    for cut in cut {
        let mut record = read();
        cut(&mut record);
        let new = file.with_extension("test");
        std::fs::write(&new, record.to_string()).unwrap();
        std::fs::rename(&new, &file).unwrap();
        let whole = async {
            while read()["mark"]["generation"] != json!(1) || !read()["new"].is_null() {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), whole)
            .await
            .unwrap();
        p.ready(id).await;
    }
    p.get(id).await.start(&p.user).await.unwrap();
    p.ready(id).await;
    assert_eq!(lab.state(&name), "RUNNING");
    let (other, _) = p.node(lab.spec()).await;
    assert!(!aside.exists());
    p.ready(id).await;
    p.end(id).await;
    p.end(other).await;
}

/// The first that is asked for there is another node.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_where_what_is_known_to_be_there_is_not_mounted() {
    let Some(lab) = Lab::find("nothing_is_made_where_what_is_known_to_be_there") else {
        return;
    };
    let lab = lab.apart("rm-unmounted");
    let place = lab.place().with_last([2, 4]);
    let p = Program::sweeping(place, Duration::from_secs(3600)).await;
    let mut spec = lab.spec();
    spec.power = Power::Stopped;
    let first = p.ask(spec.clone(), false).await.unwrap();
    p.ready(first).await;
    let away = lab.path.with_file_name("rm-unmounted-away");
    std::fs::rename(&lab.path, &away).unwrap();
    std::fs::create_dir(&lab.path).unwrap();
    // The host is opened anew, as after a restart.
    let catalog = p.host.catalog();
    let secret = json!({});
    let rotated = catalog.rotate_credential(&p.user, "mine", &secret);
    rotated.await.unwrap();
    let second = p.ask(spec, false).await.unwrap();
    let told = async {
        while !p.get(second).await.record().reason.contains("mount what") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let soon = Duration::from_secs(60);
    tokio::time::timeout(soon, told).await.unwrap();
    assert_eq!(std::fs::read_dir(&lab.path).unwrap().count(), 0);
    std::fs::remove_dir(&lab.path).unwrap();
    std::fs::rename(&away, &lab.path).unwrap();
    for id in [second, first] {
        p.ready(id).await;
        p.end(id).await;
    }
}

/// Nothing is ever made there again that could sweep it.
#[tokio::test(flavor = "multi_thread")]
async fn who_looks_for_orphans_sweeps_up_what_a_crash_began() {
    let Some(lab) = Lab::find("who_looks_for_orphans_sweeps_up") else {
        return;
    };
    let lab = lab.apart("rm-swept");
    let p = Program::on(lab.place().with_last([6, 7])).await;
    let (id, name) = p.node(lab.spec()).await;
    let own = lab.path.join(&name);
    let begun = [
        lab.path.join(".new-1-1/overlay/delta"),
        lab.path.join(".images/.new-1-1/rootfs/bin"),
        own.join(".new-1-1/delta"),
        own.join("snapshots/.new-1-1/delta"),
    ];
    // Somebody is at it, and somebody else's is not ours.
    let under_way = lab.path.join(".new-1-2");
    let theirs = lab.path.join("theirs/.new-1-1");
    for folder in begun.iter().chain([&under_way, &theirs]) {
        std::fs::create_dir_all(folder).unwrap();
    }
    let lock = std::fs::File::open(&under_way).unwrap();
    lock.lock().unwrap();
    let report = async || p.host.orphans().report(&p.operator).await.unwrap();
    let found = report().await;
    assert_eq!((found.orphans.len(), found.skipped.len()), (0, 0));
    for folder in &begun {
        let aside = folder.ancestors().find(|path| path.ends_with(".new-1-1"));
        assert!(!aside.unwrap().exists(), "{}", folder.display());
    }
    assert!(under_way.exists() && theirs.exists());
    drop(lock);
    report().await;
    assert!(!under_way.exists(), "its maker is gone");
    std::fs::remove_dir_all(lab.path.join("theirs")).unwrap();
    assert_eq!(lab.state(&name), "RUNNING");
    p.end(id).await;
    let left = std::fs::read_dir(&lab.path).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".images"]);
}

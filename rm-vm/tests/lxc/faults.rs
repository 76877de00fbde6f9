//! What goes wrong at a host, and what must not reach it.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use rm_core::ErrorKind;
use rm_core::life::State;
use rm_core::model::{Action, NodeSpec, Power};

use crate::house::hostile;
use crate::lab::{Lab, Program};

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_before_anything_exists() {
    let Some(lab) = Lab::find("what_cannot_be_is_refused_before_anything_exists") else {
        return;
    };
    let lab = lab.apart("rm-hostile");
    let images = lab.path.join(".images");
    let files = || hostile::files(&[&lab.path, &images]);
    hostile::nothing_comes_of_it(lab.place(), &lab, &files).await;
    let p = Program::on(&lab).await;
    let mut spec = lab.spec();
    spec.disk_gib = Some(1);
    let e = p.ask(spec, false).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_pool_is_told_and_an_address_that_is_free_again_is_given() {
    let Some(lab) = Lab::find("an_empty_pool_is_told") else {
        return;
    };
    // One of each family, and none that other tests take.
    let place = lab.place().with_last([5, 5]);
    let one = Program::of(place.clone(), "tone").await;
    let (id, _) = one.node(lab.spec()).await;
    let address = one.get(id).await.view().unwrap().interfaces[0]
        .addresses
        .clone();
    assert_eq!(address.len(), 2);
    // Another manager with a store of its own finds none left either.
    let other = Program::of(place, "tother").await;
    let full = other.ask(lab.spec(), false).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::NoCapacity, "{full}");
    for told in ["lab: ", "0 of the 1 addresses ", "1 asked for"] {
        assert!(full.what().contains(told), "{full}");
    }
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
    let first = Program::of(&lab, "tlost").await;
    let mut spec = lab.spec();
    spec.hostname = Some("kept".to_owned());
    let (id, name) = first.node(spec.clone()).await;
    let view = first.get(id).await.view().unwrap();
    let pid = lab.tool("lxc-info", &name, &["-p", "-H"]);
    drop(first);

    let second = Program::of(&lab, "tlost").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn two_managers_on_one_host_take_nothing_from_each_other() {
    let Some(lab) = Lab::find("two_managers_on_one_host_take_nothing_from_each_other") else {
        return;
    };
    // Just enough for both.
    let lab = lab.apart("rm-two");
    let place = lab.place().with_last([2, 9]);
    let one = Program::of(place.clone(), "tone").await;
    let other = Program::of(place, "tother").await;
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        ones.push(one.ask(lab.spec(), false).await.unwrap());
        others.push(other.ask(lab.spec(), false).await.unwrap());
    }
    let mut given = BTreeSet::new();
    let mut names = Vec::new();
    for (program, ids) in [(&one, &ones), (&other, &others)] {
        for id in ids {
            let view = program.ready(*id).await.view().unwrap();
            for address in &view.interfaces[0].addresses {
                assert!(given.insert(address.ip), "{address} is given twice");
            }
            names.push(view.name);
        }
    }
    assert_eq!(given.len(), 16, "of each family one for each");
    for id in ones {
        one.end(id).await;
    }
    // The sweep of one sees what the other has, and lets it be.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for name in &names[4..] {
        assert_eq!(lab.state(name), "RUNNING");
    }
    for id in others {
        other.ready(id).await;
        other.end(id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_room_of_a_host_is_not_given_to_two_at_one_moment() {
    let Some(lab) = Lab::find("the_last_room_of_a_host_is_not_given_to_two_at_one_moment") else {
        return;
    };
    let lab = lab.apart("rm-room");
    let p = Program::on(lab.place().with_last([8, 9])).await;
    let facts = std::fs::read_to_string("/proc/meminfo").unwrap();
    let free = facts.lines().find(|l| l.starts_with("MemAvailable"));
    let kib: u64 = free
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    // There is room for one of these, and not for two.
    let spec = NodeSpec {
        memory_mib: kib / 1024 / 10 * 7,
        ..lab.spec()
    };
    let asks = [(); 4].map(|()| p.ask(spec.clone(), true));
    let asked = futures_util::future::join_all(asks).await;
    let (got, refused): (Vec<_>, Vec<_>) = asked.into_iter().partition(Result::is_ok);
    let got: Vec<_> = got.into_iter().map(Result::unwrap).collect();
    assert_eq!(got.len(), 1, "so many were promised it");
    for e in refused.into_iter().map(Result::unwrap_err) {
        assert_eq!(e.kind(), ErrorKind::NoCapacity, "{e}");
    }
    // Nothing is there yet, and its room is taken all the same.
    let late = p.ask(spec.clone(), false).await.unwrap_err();
    assert!(late.what().contains("of memory are free"), "{late}");
    assert_eq!(lab.marked().len(), 0);
    p.end(got[0]).await;
    let again = p.ask(spec, true).await.unwrap();
    p.end(again).await;
}

/// A file system of its own, which goes with this.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(at: &std::path::Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        let done = mount
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(at);
        assert!(done.status().unwrap().success());
        Self(at.to_owned())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_nothing_half_made_stays() {
    let Some(lab) = Lab::find("a_full_disk_is_told_and_nothing_half_made_stays") else {
        return;
    };
    let lab = lab.apart("rm-full");
    let _small = Small::mount(&lab.path);
    let p = Program::on(lab.place().with_last([6, 7])).await;
    let (first, name) = p.node(lab.spec()).await;
    // It has its place, and is made when there is no room for it any more.
    let id = p.ask(lab.spec(), true).await.unwrap();
    let filler = lab.path.join("filler");
    let full = std::io::copy(
        &mut std::io::repeat(1),
        &mut std::fs::File::create(&filler).unwrap(),
    );
    assert_eq!(full.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    let refused = p.ask(lab.spec(), false).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NoCapacity, "{refused}");
    assert!(refused.what().contains("MiB of disk are free"), "{refused}");
    p.get(id).await.start(&p.user).await.unwrap();
    let told = async {
        loop {
            let reason = p.get(id).await.record().reason.clone();
            if reason.contains("no room") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let soon = Duration::from_secs(60);
    tokio::time::timeout(soon, told).await.unwrap();
    let marked = lab.marked().into_iter().map(|(name, _)| name);
    assert_eq!(marked.collect::<Vec<_>>(), std::slice::from_ref(&name));
    assert_eq!(lab.state(&name), "RUNNING", "what is there goes on");

    // Room again: it is made, when somebody says so where nobody tries it any more.
    std::fs::remove_file(&filler).unwrap();
    let node = p.settled(id).await;
    if node.record().seen == State::Failed {
        node.retry(&p.user).await.unwrap();
    }
    p.ready(id).await;
    p.end(id).await;
    p.end(first).await;
    let left = std::fs::read_dir(&lab.path).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".images"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_monitor_leaves_goes_with_its_node() {
    let Some(lab) = Lab::find("what_a_killed_monitor_leaves_goes_with_its_node") else {
        return;
    };
    let p = Program::on(&lab).await;
    let (id, name) = p.node(lab.spec()).await;
    let first = lab.host_link(&name);
    let monitor = lab.monitor(&name);
    let killed = Command::new("kill").args(["-KILL", &monitor]).status();
    assert!(killed.unwrap().success());
    let failed = async {
        while p.get(id).await.record().seen != State::Failed {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let soon = Duration::from_secs(60);
    tokio::time::timeout(soon, failed).await.unwrap();
    p.get(id).await.retry(&p.user).await.unwrap();
    p.ready(id).await;
    assert_eq!(lab.state(&name), "RUNNING");
    let mac = p.get(id).await.view().unwrap().interfaces[0].mac.clone();
    assert!(lab.inside(&name, "ip link show dev eth0").contains(&mac));
    let second = lab.host_link(&name);
    p.end(id).await;
    assert_eq!(lab.cgroups(&name), [""; 0]);
    for link in [first, second] {
        let there = std::path::Path::new("/sys/class/net").join(&link);
        assert!(!there.exists(), "{link} is left");
    }
}

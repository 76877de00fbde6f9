//! What goes wrong at a host of libvirt, and what must not reach it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rm_core::life::State;
use rm_core::model::Power;
use rm_core::{ErrorKind, ResourceId};
use rm_libvirt::{DestroyFlags, ListFlags};
use rm_vm::libvirt::Libvirt;
use serde_json::json;

use crate::booted::kernel;
use crate::conformance::Beside;
use crate::house::{self, Place, Program, hostile};
use crate::lab::{Lab, OwnLab, settings, storage};
use crate::machines::archive;

const SOON: Duration = Duration::from_secs(120);

/// Waits until it is seen so.
async fn seen(p: &Program, id: ResourceId, state: State) -> String {
    let look = async {
        loop {
            let node = p.get(id).await;
            if node.record().seen == state {
                return node.record().reason.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(SOON, look).await {
        Ok(reason) => reason,
        Err(_) => panic!("not {state}: {:#?}", p.get(id).await.record()),
    }
}

/// The names of all domains of libvirt's containers.
async fn domains(lab: &Lab) -> BTreeSet<String> {
    let all = lab.somebody("lxc").list_domains(ListFlags::default()).await;
    all.unwrap().into_iter().map(|domain| domain.name).collect()
}

fn patient(mut place: Place, call_seconds: u64) -> Place {
    place.section["call_timeout_seconds"] = json!(call_seconds);
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_refused_before_anything_exists() {
    let Some(lab) = Lab::of_this_run("what_cannot_be_is_refused_before_anything_exists") else {
        return;
    };
    let folder = storage(&lab);
    let place = lab.place("lxc", folder.path(), [90, 94]);
    let eyes = Beside(Libvirt::at(&place.url, &settings(Some(folder.path()))).unwrap());
    let images = folder.path().join(".images");
    let files = || hostile::files(&[folder.path(), &images]);
    hostile::nothing_comes_of_it(place, &eyes, &files).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_machine_that_cannot_be_nothing_reaches_the_pool() {
    let Some(lab) = Lab::of_this_run("of_a_machine_that_cannot_be_nothing_reaches_the_pool") else {
        return;
    };
    // No other test puts anything into it.
    let (name, folder) = (format!("rm-hostile-{}", std::process::id()), storage(&lab));
    let somebody = lab.somebody("qemu");
    let pool = format!(
        "<pool type='dir'><name>{name}</name><target><path>{}</path></target></pool>",
        folder.path().display()
    );
    somebody.create_pool_xml(&pool).await.unwrap();
    let (_dir, image) = kernel(&lab, "console=ttyS0 quiet panic=-1");
    let name = Path::new(&name);
    let mut place = lab.place_of("qemu", name, &image, [45, 49]);
    place.memory_mib = 256;
    let eyes = Beside(Libvirt::at(&place.url, &settings(Some(name))).unwrap());
    let files = || hostile::files(&[folder.path()]);
    hostile::nothing_comes_of_it(place, &eyes, &files).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_machine_of_xen_that_cannot_be_nothing_reaches_its_host() {
    let Some(lab) = Lab::named("RM_LAB_XEN", "of_a_machine_of_xen_that_cannot_be_nothing") else {
        return;
    };
    let idle = Path::new(lab.text("/idle/kernel"));
    let (_dir, image) = archive(&[("kernel", idle)], "{ip} {cloud-config}");
    let pool = Path::new(lab.text("/pool"));
    let mut place = lab.place_of("xen", pool, &image, [100, 107]);
    place.memory_mib = 8;
    let eyes = Beside(Libvirt::at(&place.url, &settings(Some(pool))).unwrap());
    hostile::nothing_comes_of_it(place, &eyes, &BTreeSet::new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_libvirtd_killed_in_the_middle_leaves_each_node_there_once() {
    let Some(lab) = OwnLab::start("killed") else {
        return;
    };
    let lab = &lab.0;
    let folder = storage(lab);
    let place = patient(lab.place("lxc", folder.path(), [10, 250]), 20);
    let p = Program::on(place).await;
    let (first, _) = p.node(p.place.spec()).await;
    let mut nodes = Vec::new();
    for _ in 0..6 {
        nodes.push(p.ask(p.place.spec(), false).await.unwrap());
    }
    // As soon as one of them is there, and the others are on their way.
    while domains(lab).await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    lab.daemon("kill");
    tokio::time::sleep(Duration::from_secs(2)).await;
    lab.daemon("start");
    let mut names = BTreeSet::new();
    for id in nodes.iter().chain([&first]) {
        seen(&p, *id, State::Ready).await;
        names.insert(p.get(*id).await.view().unwrap().name);
    }
    assert_eq!(domains(lab).await, names);
    for id in nodes.into_iter().chain([first]) {
        p.end(id).await;
    }
    assert_eq!(domains(lab).await, BTreeSet::new());
    let left = std::fs::read_dir(folder.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".images"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_gone_for_a_minute_loses_nothing() {
    let Some(lab) = OwnLab::start("gone") else {
        return;
    };
    let lab = &lab.0;
    let folder = storage(lab);
    let place = patient(lab.place("lxc", folder.path(), [10, 250]), 5);
    let p = Program::on(place).await;
    let (stays, name) = p.node(p.place.spec()).await;
    let (goes, _) = p.node(p.place.spec()).await;
    // Half of the time it does not answer, and then nobody is there.
    lab.daemon("pause");
    p.get(goes).await.release(&p.user, None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let quick = p.ask(p.place.spec(), false).await;
    let quick = quick.unwrap_err();
    assert!(quick.is_temporary(), "{quick}");
    assert!(quick.next().is_some(), "{quick}");
    lab.daemon("kill");
    tokio::time::sleep(Duration::from_secs(30)).await;
    let known = p.get(stays).await;
    assert!(
        matches!(known.record().seen, State::Ready | State::Unknown),
        "nothing is known of it, so it is not gone: {:#?}",
        known.record()
    );
    lab.daemon("start");
    seen(&p, stays, State::Ready).await;
    let gone = async {
        while p.host.store().resource(goes).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, gone).await.unwrap();
    assert_eq!(domains(lab).await, BTreeSet::from([name]));
    p.end(stays).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_does_to_a_node_is_seen_and_mended_when_asked() {
    let Some(lab) = Lab::of_this_run("what_somebody_else_does_to_a_node_is_seen") else {
        return;
    };
    let folder = storage(&lab);
    // What the host tells must do: nobody lists what is there before an hour.
    let place = lab.place("lxc", folder.path(), [80, 84]);
    let p = Program::sweeping(place, Duration::from_secs(3600)).await;
    // Ready is who can be asked to end: the first process of a container never
    // hears of a signal that comes before it says what is to be done then.
    let mut spec = p.place.spec();
    spec.ready_port = Some(80);
    let (id, name) = p.node(spec).await;
    let somebody = lab.somebody("lxc");
    let domain = somebody.domain_by_name(&name).await.unwrap();
    let end = somebody.destroy(&domain, DestroyFlags::default());
    end.await.unwrap();
    let reason = seen(&p, id, State::Failed).await;
    assert!(reason.contains("not by our doing"), "{reason}");
    p.get(id).await.retry(&p.user).await.unwrap();
    p.ready(id).await;

    // It turns itself off.
    let domain = somebody.domain_by_name(&name).await.unwrap();
    let flags = rm_libvirt::ShutdownFlags::SIGNAL;
    somebody.shutdown(&domain, flags).await.unwrap();
    // Who is not heard says it again; it is refused where it is off by then, and
    // that must be seen.
    let asked = async {
        while p.get(id).await.record().seen == State::Ready {
            let _ = somebody.shutdown(&domain, flags).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(SOON, asked).await.unwrap();
    seen(&p, id, State::Failed).await;
    p.get(id).await.retry(&p.user).await.unwrap();
    p.ready(id).await;
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_is_asked_to_stop_before_it_is_stopped_hard() {
    let Some(lab) = Lab::of_this_run("a_guest_is_asked_to_stop_before") else {
        return;
    };
    let folder = storage(&lab);
    let p = Program::on(lab.place("lxc", folder.path(), [95, 99])).await;
    let mut spec = p.place.spec();
    spec.ready_port = Some(80);
    spec.boot_commands = vec![house::TELLS.to_owned()];
    let (id, name) = p.node(spec).await;
    let told = folder.path().join(&name).join("rootfs/told");
    p.get(id).await.stop(&p.user).await.unwrap();
    p.ready(id).await;
    p.get(id).await.start(&p.user).await.unwrap();
    p.ready(id).await;
    let _ = std::fs::remove_file(&told);
    p.get(id).await.stop(&p.user).await.unwrap();
    p.ready(id).await;
    assert!(told.exists(), "it was not asked");
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_will_not_stop_is_stopped_when_its_grace_is_over() {
    let Some(lab) = Lab::of_this_run("a_guest_that_will_not_stop_is_stopped") else {
        return;
    };
    let folder = storage(&lab);
    let p = Program::on(lab.place("lxc", folder.path(), [85, 89])).await;
    let mut spec = p.place.spec();
    spec.boot_commands = vec!["touch /etc/stubborn".to_owned()];
    let (id, name) = p.node(spec).await;
    let stubborn = folder.path().join(&name).join("rootfs/etc/stubborn");
    let there = async {
        while !stubborn.exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, there).await.unwrap();
    p.get(id).await.stop(&p.user).await.unwrap();
    let node = p.ready(id).await;
    assert_eq!(node.view().unwrap().power, Power::Stopped);
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_managers_share_a_libvirt_and_its_addresses_until_there_are_none() {
    let Some(lab) = Lab::of_this_run("two_managers_share_a_libvirt_and_its_addresses") else {
        return;
    };
    let folder = storage(&lab);
    // Just enough for both.
    let place = lab.place("lxc", folder.path(), [20, 23]);
    let one = Program::on(place.clone()).await;
    let other = Program::on(place).await;
    let mut nodes = Vec::new();
    for _ in 0..2 {
        for program in [&one, &other] {
            let id = program.ask(program.place.spec(), false).await.unwrap();
            nodes.push((program, id));
        }
    }
    let mut given = BTreeSet::new();
    for (program, id) in &nodes {
        let view = program.ready(*id).await.view().unwrap();
        let address = view.interfaces[0].addresses[0];
        assert!(given.insert(address.ip), "{address} is given twice");
    }
    let full = other.ask(other.place.spec(), false).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::NoCapacity, "{full}");
    // What one gives up the other takes, and leaves the rest alone.
    let (_, first) = nodes.remove(0);
    one.end(first).await;
    let (last, _) = other.node(other.place.spec()).await;
    nodes.push((&other, last));
    let view = other.get(last).await.view().unwrap();
    assert!(given.contains(&view.interfaces[0].addresses[0].ip));
    for (program, id) in nodes {
        program.ready(id).await;
        program.end(id).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_that_a_crash_left_without_its_container_is_swept() {
    let Some(lab) = Lab::of_this_run("a_root_that_a_crash_left_without_its_container") else {
        return;
    };
    let folder = storage(&lab);
    let p = Program::on(lab.place("lxc", folder.path(), [70, 74])).await;
    let (id, name) = p.node(p.place.spec()).await;
    // Cut off between the domain and its root, as nobody could order it.
    let somebody = lab.somebody("lxc");
    let domain = somebody.domain_by_name(&name).await.unwrap();
    let end = somebody.destroy(&domain, DestroyFlags::default());
    end.await.unwrap();
    let none = rm_libvirt::UndefineFlags::default();
    somebody.undefine(&domain, none).await.unwrap();
    // Whose this is, nobody can tell: it stays.
    std::fs::create_dir(folder.path().join("somebody")).unwrap();
    seen(&p, id, State::Failed).await;
    p.end(id).await;
    assert!(folder.path().join(&name).exists());
    // What was begun aside has no owner yet, and nobody at it any more.
    let aside = [".new-1-1", ".images/.new-1-1"].map(|name| folder.path().join(name));
    let begun = async || {
        for aside in &aside {
            std::fs::create_dir_all(aside.join("rootfs")).unwrap();
        }
        let report = p.host.orphans().report(&p.operator).await.unwrap();
        assert_eq!((report.orphans, report.skipped), (vec![], vec![]));
        assert!(aside.iter().all(|aside| !aside.exists()));
    };
    // Its container may come yet: libvirt can be slow to define it.
    begun().await;
    assert!(folder.path().join(&name).exists());
    let bears = std::fs::File::options()
        .write(true)
        .open(folder.path().join(&name).join("libvirt"))
        .unwrap();
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    bears.set_modified(long_ago).unwrap();
    // Nothing else is made there: who looks for orphans sweeps it.
    begun().await;
    let left = std::fs::read_dir(folder.path()).unwrap();
    let left: BTreeSet<_> = left
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let want = [".images", "somebody"].map(str::to_owned);
    assert_eq!(left, BTreeSet::from(want));
}

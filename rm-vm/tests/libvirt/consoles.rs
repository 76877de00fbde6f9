//! What domains write to their consoles, read through the driver and through
//! their nodes.

use std::path::Path;
use std::time::Duration;

use rm_core::{Caller, ErrorKind};
use rm_libvirt::{Code, ConsoleFlags, CreateFlags};
use rm_vm::driver::{Definition, Driver, Error, Size};
use rm_vm::libvirt::Libvirt;

use crate::house::Program;
use crate::lab::{Lab, OwnLab, clear, only, pool, settings, storage};
use crate::machines::archive;

/// Beside much else, under emulation.
const PATIENCE: Duration = Duration::from_secs(300);

/// Has a guest write to its console once a second, without end, in each of its
/// lives. In the first one the image's own init may have looked for rc.local
/// before it is written, for what a node boots with runs beside it.
const TICKS: &str = "{ echo '#!/bin/sh'; echo '(while :; do echo tick >/dev/console; sleep 1; done) &'; } >/etc/rc.local; chmod +x /etc/rc.local; /etc/rc.local";

async fn said(driver: &Libvirt, name: &str) -> String {
    let said = driver.console(name, usize::MAX).await.unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let done = tokio::time::timeout(PATIENCE, wait).await;
    assert!(done.is_ok(), "not within {PATIENCE:?}: {what}");
}

fn count(said: &str, what: &str) -> usize {
    said.matches(what).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_container_wrote_is_read_from_start_to_start_and_goes_with_it() {
    let Some(lab) = Lab::of_this_run("what_a_container_wrote_is_read_from_start_to_start") else {
        return;
    };
    let storage = storage(&lab);
    let driver = lab.open("lxc", Some(storage.path()));
    let mut new = lab.definition("rm-console");
    new.seed.boot_commands = vec![TICKS.to_owned()];
    let name = &new.name;
    clear(&driver, name).await;
    driver.bring(&new.image).await.unwrap();
    driver.define(&new).await.unwrap();
    assert_eq!(said(&driver, name).await, "", "it has not run");
    driver.start(name).await.unwrap();
    let ready = "rm-console is ready";
    until("it is ready", async || {
        said(&driver, name).await.contains(ready)
    })
    .await;
    let few = driver.console(name, 5).await.unwrap();
    assert_eq!(few.len(), 5, "no more than was asked for");
    driver.stop(name, Duration::from_secs(20)).await.unwrap();
    let kept = said(&driver, name).await;
    assert_eq!(count(&kept, ready), 1, "{kept}");
    driver.start(name).await.unwrap();
    let again = async || count(&said(&driver, name).await, ready) == 2;
    until("it is ready once more", again).await;

    // A program that was started anew hears what is written from then on.
    drop(driver);
    let driver = lab.open("lxc", Some(storage.path()));
    only(&driver, name).await;
    let goes_on = async || count(&said(&driver, name).await, "tick") > 2;
    until("it is heard again", goes_on).await;
    assert_eq!(count(&said(&driver, name).await, ready), 0);
    clear(&driver, name).await;
    let gone = driver.console(name, 5).await.unwrap_err();
    assert!(matches!(gone, Error::NotFound(_)), "{gone}");
    driver.define(&new).await.unwrap();
    assert_eq!(said(&driver, name).await, "", "it is another one");
    clear(&driver, name).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_is_heard_again_when_libvirt_is_back() {
    let Some(lab) = OwnLab::start("console") else {
        return;
    };
    let lab = &lab.0;
    let storage = storage(lab);
    let driver = lab.open("lxc", Some(storage.path()));
    let mut new = lab.definition("rm-console");
    new.seed.boot_commands = vec![TICKS.to_owned()];
    let name = &new.name;
    driver.bring(&new.image).await.unwrap();
    driver.define(&new).await.unwrap();
    driver.start(name).await.unwrap();
    until("it ticks", async || {
        said(&driver, name).await.contains("tick")
    })
    .await;
    lab.daemon("kill");
    let is_away = async || driver.console(name, 100).await.is_err();
    until("libvirt is away", is_away).await;
    let away = driver.console(name, 100).await.unwrap_err();
    assert!(matches!(away, Error::Unavailable(_)), "{away}");
    lab.daemon("start");
    // Nobody asks for it meanwhile, so that it is heard by itself.
    let ready = lab.somebody("lxc");
    until("libvirt is back", async || ready.ready().await.is_ok()).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let kept = said(&driver, name).await;
    assert!(kept.contains("is ready"), "what was heard before: {kept}");
    assert!(count(&kept, "tick") > 4, "what was written since: {kept}");
    clear(&driver, name).await;
}

fn machine(lab: &Lab, name: &str) -> (tempfile::TempDir, Definition) {
    let files = [
        ("kernel", Path::new(lab.text("/machine/kernel"))),
        ("initrd", Path::new(lab.text("/machine/initrd"))),
    ];
    let (dir, image) = archive(&files, lab.text("/machine/cmdline"));
    let size = Size {
        vcpus: 1,
        memory_mib: 256,
    };
    let new = Definition {
        image,
        size,
        ..lab.definition(name)
    };
    (dir, new)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_of_a_machine_is_left_to_who_has_it() {
    let Some(lab) = Lab::of_this_run("the_console_of_a_machine_is_left_to_who_has_it") else {
        return;
    };
    pool(&lab).await;
    let driver = lab.open("qemu", Some(Path::new("rm-test")));
    let (_dir, new) = machine(&lab, "rm-console-machine");
    let name = &new.name;
    clear(&driver, name).await;
    driver.bring(&new.image).await.unwrap();
    driver.define(&new).await.unwrap();
    driver.start(name).await.unwrap();
    let ready = "is ready";
    until("it is ready", async || {
        said(&driver, name).await.contains(ready)
    })
    .await;

    // Nobody else gets it, unless by force; and from him it is not taken.
    let somebody = lab.somebody("qemu");
    let domain = somebody.domain_by_name(name).await.unwrap();
    let polite = somebody.open_console(&domain, None, ConsoleFlags::default());
    let refused = polite.await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::OPERATION_FAILED), "{refused}");
    let by_force = somebody.open_console(&domain, None, ConsoleFlags::FORCE);
    let theirs = by_force.await.unwrap();
    let in_use = async || matches!(driver.console(name, 5).await, Err(Error::ConsoleInUse(_)));
    until("it is known to be in use", in_use).await;
    for _ in 0..20 {
        assert!(in_use().await, "it was taken from who has it");
    }
    drop(theirs);
    let heard = async || driver.console(name, usize::MAX).await.is_ok();
    until("it is heard again", heard).await;
    let kept = said(&driver, name).await;
    assert!(kept.contains(ready), "what was heard before: {kept}");

    // Also where somebody was faster than we are.
    driver.stop(name, Duration::ZERO).await.unwrap();
    somebody
        .create(&domain, CreateFlags::default())
        .await
        .unwrap();
    let first = somebody.open_console(&domain, None, ConsoleFlags::default());
    let mut theirs = first.await.unwrap();
    only(&driver, name).await;
    until("it is known to be in use", in_use).await;
    let mut boots = String::new();
    let reads = async {
        while !boots.contains(ready) {
            let piece = theirs.read().await.unwrap().unwrap();
            boots.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    tokio::time::timeout(PATIENCE, reads).await.unwrap();
    assert!(in_use().await);
    drop(theirs);

    // Who is told to leave consoles alone does, and says so.
    let leave = rm_vm::libvirt::Settings {
        leave_consoles: true,
        ..settings(Some(Path::new("rm-test")))
    };
    let other = Libvirt::at(lab.text("/uris/qemu"), &leave).unwrap();
    let left = other.console(name, 5).await.unwrap_err();
    assert!(matches!(left, Error::Unsupported { .. }), "{left}");
    clear(&driver, name).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_holder_reads_the_console_of_a_node_and_nobody_else() {
    let Some(lab) = Lab::of_this_run("its_holder_reads_the_console_of_a_node") else {
        return;
    };
    let folder = storage(&lab);
    let p = Program::on(lab.place("lxc", folder.path(), [95, 97])).await;
    let (id, name) = p.node(p.place.spec()).await;
    let node = p.get(id).await;
    let ready = format!("{name} is ready");
    until("it is ready", async || {
        let said = node.console(&p.user, 4096).await.unwrap();
        String::from_utf8_lossy(&said).contains(&ready)
    })
    .await;
    let beside = Caller::user("bob", "physics");
    let refused = node.console(&beside, 4096).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    let stranger = Caller::user("eve", "chemistry");
    let hidden = node.console(&stranger, 4096).await.unwrap_err();
    assert_eq!(hidden.kind(), ErrorKind::NotFound);
    p.end(id).await;
}

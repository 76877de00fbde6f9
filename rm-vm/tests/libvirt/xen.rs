//! Linux machines of a real Xen through the whole house: asked for, logged into,
//! ordered about, given up.

use std::path::Path;
use std::time::Duration;

use rm_core::ResourceId;
use rm_core::life::State;
use rm_core::model::{Action, Interface, NodeSpec, NodeView, Power};
use rm_libvirt::{SaveFlags, State as Doing};
use rm_vm::driver::Driver as _;
use serde_json::json;

use crate::booted::{Key, PATIENCE, kernel, memory_kib, ready, until, with_memory};
use crate::house::Program;
use crate::lab::{Lab, only};

/// An address that more than one of these machines has, one after the other.
const NEXT: &str = "10.0.2.101";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linux_machine_of_xen_is_logged_into_changed_saved_and_gone() {
    let Some(lab) = Lab::named("RM_LAB_XEN", "a_linux_machine_of_xen_is_logged_into") else {
        return;
    };
    let (_dir, image) = kernel(&lab, "console=hvc0 quiet {ip} {cloud-config}");
    let storage = Path::new(lab.text("/pool"));
    let place = lab.place_of("xen", storage, &image, [100, 107]);
    let p = Program::on(with_memory(place, 160)).await;
    let key = Key::new();
    let known = format!("{}/24", lab.text("/ipv4/first"));
    let spec = NodeSpec {
        users: key.root(),
        hostname: Some("on-xen".to_owned()),
        interfaces: vec![
            Interface {
                addresses: vec![known.parse().unwrap()],
                ..Interface::default()
            },
            // Of another machine after this one: the network must learn that.
            Interface {
                addresses: vec![format!("{NEXT}/24").parse().unwrap()],
                ..Interface::default()
            },
        ],
        ..p.place.spec()
    };
    let id = p.ask(spec, false).await.unwrap();
    let name = ready(&p, id).await;
    // What is on the guest's port 22 is a port of this machine.
    let port = lab.number(&format!("/guest_ssh/{}", lab.text("/ipv4/first")));
    let said = "hostname; ip address show dev eth1";
    let said = key.inside("127.0.0.1", port, said).await;
    let second = p.get(id).await.view().unwrap().interfaces[1].addresses[0];
    assert!(said.starts_with("on-xen\n"), "{said}");
    assert!(said.contains(&second.to_string()), "{said}");

    // Saved by somebody, it goes on where it was.
    key.inside("127.0.0.1", port, "touch /run/here").await;
    let somebody = lab.somebody("xen");
    let domain = somebody.domain_by_name(&name).await.unwrap();
    let save = somebody.managed_save(&domain, SaveFlags::default());
    save.await.unwrap();
    let failed = async {
        while p.get(id).await.record().seen != State::Failed {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, failed).await.unwrap();
    p.get(id).await.retry(&p.user).await.unwrap();
    p.ready(id).await;
    key.inside("127.0.0.1", port, "ls /run/here").await;

    let all = memory_kib(&key, "127.0.0.1", port).await;
    let other = |spec: &mut NodeSpec| {
        (spec.memory_mib, spec.vcpus) = (128, 2);
        Ok(())
    };
    p.get(id).await.change(&p.user, other).await.unwrap();
    ready(&p, id).await;
    assert_eq!(p.get(id).await.view().unwrap().vcpus, 2);
    let fifth = 24 << 10;
    until("it has less", async || {
        memory_kib(&key, "127.0.0.1", port).await + fifth < all
    })
    .await;
    // A guest that does not do so by itself takes the new one when it likes.
    let cpus = "/sys/devices/system/cpu";
    let taken = format!("echo 1 >{cpus}/cpu1/online && cat {cpus}/online");
    assert_eq!(key.inside("127.0.0.1", port, &taken).await, "0-1");
    p.end(id).await;
    let driver = lab.open("xen", Some(storage));
    assert_eq!(driver.these(&[name]).await.unwrap(), []);
}

/// As it is when what is wanted of it is seen, as long as emulation takes.
async fn settled(p: &Program, id: ResourceId) -> NodeView {
    until("what is wanted of it is seen", async || {
        let node = p.get(id).await;
        let r = node.record();
        assert_ne!(r.seen, State::Failed, "{r:#?}");
        r.seen == State::Ready && r.seen_generation == r.generation
    })
    .await;
    p.get(id).await.view().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linux_machine_of_xen_stops_starts_reboots_stands_still_and_is_read() {
    let Some(lab) = Lab::named("RM_LAB_XEN", "a_linux_machine_of_xen_stops_starts") else {
        return;
    };
    let (_dir, image) = kernel(&lab, "console=hvc0 quiet {ip} {cloud-config}");
    let storage = Path::new(lab.text("/pool"));
    let mut place = with_memory(lab.place_of("xen", storage, &image, [100, 107]), 160);
    place.section["stop_grace_seconds"] = json!(45);
    let p = Program::on(place).await;
    let (key, address) = (Key::new(), NEXT);
    let spec = NodeSpec {
        users: key.root(),
        hostname: Some("obeys".to_owned()),
        interfaces: vec![Interface {
            addresses: vec![format!("{address}/24").parse().unwrap()],
            ..Interface::default()
        }],
        ..p.place.spec()
    };
    let id = p.ask(spec, false).await.unwrap();
    let name = settled(&p, id).await.name;
    let port = lab.number(&format!("/guest_ssh/{address}"));
    let inside = async |command: &str| key.inside("127.0.0.1", port, command).await;
    assert_eq!(inside("hostname").await, "obeys");
    let console = async || {
        let said = p.get(id).await.console(&p.user, 1 << 16).await.unwrap();
        String::from_utf8_lossy(&said).into_owned()
    };
    let times_ready = async || console().await.matches("obeys is ready").count();
    until("its console says that it is ready", async || {
        times_ready().await == 1
    })
    .await;
    let driver = lab.open("xen", Some(storage));
    let boot = async || only(&driver, &name).await.boot;
    let first = boot().await;
    let somebody = lab.somebody("xen");
    let domain = somebody.domain_by_name(&name).await.unwrap();
    // By libvirt's number of the reason.
    let (asked, hard) = ((Doing::Shutoff, 1), (Doing::Shutoff, 2));
    let state = async || somebody.state(&domain).await.unwrap();

    // It is asked, and goes by itself.
    p.get(id).await.stop(&p.user).await.unwrap();
    assert_eq!(settled(&p, id).await.power, Power::Stopped);
    assert_eq!(state().await, asked, "{}", console().await);
    assert_eq!(times_ready().await, 1, "what it wrote is kept");
    p.get(id).await.start(&p.user).await.unwrap();
    assert_eq!(settled(&p, id).await.power, Power::Running);
    inside("touch /run/here").await;
    let second = boot().await;
    assert!(second.is_some() && second != first);

    let again = |spec: &mut NodeSpec| spec.ask(Action::Reboot, 0).map(|_| ());
    p.get(id).await.change(&p.user, again).await.unwrap();
    let view = settled(&p, id).await;
    assert_eq!((view.done, view.power), (1, Power::Running));
    assert_ne!(boot().await, second);
    let said = inside("ls /run/here || touch /run/again").await;
    assert_eq!(said, "", "it is another boot");
    until("it has been ready three times", async || {
        times_ready().await == 3
    })
    .await;

    let still = |spec: &mut NodeSpec| {
        spec.power = Power::Suspended;
        Ok(())
    };
    p.get(id).await.change(&p.user, still).await.unwrap();
    assert_eq!(settled(&p, id).await.power, Power::Suspended);
    assert_eq!(state().await.0, Doing::Paused);
    p.get(id).await.start(&p.user).await.unwrap();
    assert_eq!(settled(&p, id).await.power, Power::Running);
    assert_eq!(inside("ls /run/again").await, "/run/again");

    // It is asked, and does not go.
    inside("touch /etc/stubborn").await;
    p.get(id).await.stop(&p.user).await.unwrap();
    assert_eq!(settled(&p, id).await.power, Power::Stopped);
    assert_eq!(state().await, hard);
    p.end(id).await;
    assert_eq!(driver.these(&[name]).await.unwrap(), []);
}

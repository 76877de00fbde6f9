//! Links between domains of one libvirt: who reaches whom, and what is left.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rm_core::ErrorKind;
use rm_core::model::{Interface, NodeSpec, Power};
use rm_libvirt::Client;
use rm_vm::driver::{Definition, Driver, Error, Nic, Size, State};

use crate::booted::{Key, kernel, ready, with_memory};
use crate::containers::served;
use crate::house::Program;
use crate::lab::{Lab, OwnLab, clear, only, pool, storage};
use crate::machines::archive;

/// A domain at the end of a link, whose network bears this name.
fn end(lab: &Lab, name: &str, link: &str) -> Definition {
    let nic = Nic {
        bridge: link.to_owned(),
        mac: "02:00:00:00:03:01".to_owned(),
        addresses: vec!["10.9.0.1/24".parse().unwrap()],
        gateways: Vec::new(),
        shaping: None,
    };
    Definition {
        nics: vec![nic],
        ..lab.definition(name)
    }
}

/// The networks of links that a libvirt has.
async fn networks(somebody: &Client) -> BTreeSet<String> {
    let all = somebody.list_networks().await.unwrap().into_iter();
    let names = all.map(|network| network.name);
    names.filter(|name| name.starts_with("rml")).collect()
}

async fn has(somebody: &Client, link: &str) -> bool {
    networks(somebody).await.contains(link)
}

/// Ends a network as the host's end does.
async fn destroy(somebody: &Client, link: &str) {
    let network = somebody.network_by_name(link).await.unwrap();
    somebody.destroy_network(&network).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_comes_with_the_first_end_of_its_link_and_goes_with_the_last() {
    let Some(lab) = Lab::of_this_run("a_network_comes_with_the_first_end_of_its_link") else {
        return;
    };
    let link = "rml00000000a001";
    // Two managers share the host.
    let (driver, other) = (lab.open("test", None), lab.open("test", None));
    let somebody = lab.somebody("test");
    let [a, b] = ["rm-link-a", "rm-link-b"].map(|name| end(&lab, name, link));
    for new in [&a, &b] {
        clear(&driver, &new.name).await;
        driver.define(new).await.unwrap();
    }
    assert!(!has(&somebody, link).await, "none of them has started");
    driver.start(&a.name).await.unwrap();
    let network = somebody.network_by_name(link).await.unwrap();
    let xml = somebody.network_xml(&network).await.unwrap();
    assert!(xml.contains(&format!("<bridge name='{link}'")), "{xml}");
    for leads_out in ["<forward", "<ip", "<dhcp"] {
        assert!(!xml.contains(leads_out), "{xml}");
    }
    other.start(&b.name).await.unwrap();
    let same = somebody.network_by_name(link).await.unwrap();
    assert_eq!(same, network, "both are on one");

    // It goes neither with who stands still, nor with who is not the last.
    driver.stop(&a.name, Duration::ZERO).await.unwrap();
    driver.stop(&b.name, Duration::ZERO).await.unwrap();
    driver.undefine(&a.name).await.unwrap();
    assert!(has(&somebody, link).await);
    other.undefine(&b.name).await.unwrap();
    assert!(!has(&somebody, link).await, "nobody is on it any more");
    // What is no link's is as it was.
    somebody.network_by_name("default").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_made_again_after_its_host_has_started_anew() {
    let Some(lab) = Lab::of_this_run("a_link_is_made_again_after_its_host") else {
        return;
    };
    let link = "rml00000000a002";
    let somebody = lab.somebody("test");
    let new = end(&lab, "rm-link-again", link);
    let before = lab.open("test", None);
    clear(&before, &new.name).await;
    before.define(&new).await.unwrap();
    before.start(&new.name).await.unwrap();
    before.stop(&new.name, Duration::ZERO).await.unwrap();
    destroy(&somebody, link).await;
    // The manager has started anew, too, or has not.
    let after = lab.open("test", None);
    for driver in [&after, &before] {
        driver.start(&new.name).await.unwrap();
        assert!(has(&somebody, link).await);
        driver.stop(&new.name, Duration::ZERO).await.unwrap();
        destroy(&somebody, link).await;
    }
    clear(&after, &new.name).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_has_left_of_a_link_is_swept_and_what_is_others_is_not() {
    let Some(lab) = Lab::of_this_run("what_a_crash_has_left_of_a_link_is_swept") else {
        return;
    };
    let (left, theirs, named) = ("rml00000000a003", "rml00000000a004", "rmlab-a005");
    let another = "rml00000000a007";
    let somebody = lab.somebody("test");
    let of = |driver: &str| {
        format!(
            "<metadata><rm:link xmlns:rm='urn:resource-manager:link' driver='{driver}'/></metadata>"
        )
    };
    let ours = of("libvirt-test");
    for (link, mark) in [
        (left, &ours),
        (theirs, &String::new()),
        (named, &ours),
        // Of a driver whose domains ours does not see.
        (another, &of("libvirt-qemu")),
    ] {
        if has(&somebody, link).await {
            destroy(&somebody, link).await;
        }
        let xml = format!("<network><name>{link}</name>{mark}<bridge name='{link}'/></network>");
        somebody.create_network_xml(&xml).await.unwrap();
    }
    let driver = lab.open("test", None);
    // Nobody takes what somebody else has made, even by that name.
    let on_theirs = end(&lab, "rm-link-theirs", theirs);
    clear(&driver, &on_theirs.name).await;
    driver.define(&on_theirs).await.unwrap();
    let refused = driver.start(&on_theirs.name).await.unwrap_err();
    assert!(matches!(refused, Error::Failed(_)), "{refused}");
    assert!(refused.to_string().contains(theirs), "{refused}");
    assert_eq!(only(&driver, &on_theirs.name).await.state, State::Stopped);
    driver.undefine(&on_theirs.name).await.unwrap();

    let now = networks(&somebody).await;
    assert!(!now.contains(left), "{now:?}");
    for link in [theirs, named, another] {
        assert!(now.contains(link), "{link} of {now:?}");
        destroy(&somebody, link).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_that_come_and_go_at_once_never_take_the_link_from_each_other() {
    let Some(lab) = OwnLab::start("turns") else {
        return;
    };
    let lab = &lab.0;
    let link = "rml00000000a006";
    let driver = Arc::new(lab.open("test", None));
    let somebody = lab.somebody("test");
    let mut ends = tokio::task::JoinSet::new();
    for name in ["rm-turn-a", "rm-turn-b", "rm-turn-c"] {
        let (new, driver, somebody) = (end(lab, name, link), driver.clone(), somebody.clone());
        ends.spawn(async move {
            for round in 0..50 {
                driver.define(&new).await.unwrap();
                driver.start(&new.name).await.unwrap();
                let before = somebody.network_by_name(link).await;
                tokio::task::yield_now().await;
                let after = somebody.network_by_name(link).await;
                assert_eq!(before.unwrap(), after.unwrap(), "{round}");
                driver.stop(&new.name, Duration::ZERO).await.unwrap();
                driver.undefine(&new.name).await.unwrap();
            }
        });
    }
    while let Some(done) = ends.join_next().await {
        done.unwrap();
    }
    assert_eq!(networks(&somebody).await, BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_are_plugged_into_their_link_and_leave_nothing_of_it() {
    let Some(lab) = Lab::of_this_run("machines_are_plugged_into_their_link") else {
        return;
    };
    let link = "rml00000000a008";
    pool(&lab).await;
    let somebody = lab.somebody("qemu");
    let driver = lab.open("qemu", Some(Path::new("rm-test")));
    let files = [("kernel", Path::new(lab.text("/machine/kernel")))];
    let (_dir, image) = archive(&files, "panic=0");
    driver.bring(&image).await.unwrap();
    let machines = ["rm-link-m", "rm-link-n"].map(|name| Definition {
        image: image.clone(),
        size: Size {
            vcpus: 1,
            memory_mib: 128,
        },
        ..end(&lab, name, link)
    });
    for new in &machines {
        clear(&driver, &new.name).await;
        driver.define(new).await.unwrap();
        driver.start(&new.name).await.unwrap();
    }
    let network = somebody.network_by_name(link).await.unwrap();
    let xml = somebody.network_xml(&network).await.unwrap();
    assert!(xml.contains("connections='2'"), "{xml}");
    for new in &machines {
        assert!(has(&somebody, link).await);
        driver.stop(&new.name, Duration::ZERO).await.unwrap();
        driver.undefine(&new.name).await.unwrap();
    }
    assert!(!has(&somebody, link).await);
}

/// A container at the end of a link, which tells at `/cgi-bin/reach?ADDRESS`
/// whom it reaches.
fn on(p: &Program, link: &str, address: &str) -> NodeSpec {
    let end = Interface {
        link: Some(link.to_owned()),
        addresses: vec![address.parse().unwrap()],
        ..Interface::default()
    };
    let tell = "cd /srv/www/cgi-bin && \
         sed 's/$(hostname)/$(ping -c 1 -W 3 \"$QUERY_STRING\")/' whoami >told && \
         chmod 755 told && mv told reach";
    NodeSpec {
        interfaces: vec![Interface::default(), end],
        boot_commands: vec![tell.to_owned()],
        ..p.place.spec()
    }
}

/// Whether the node whose usual address is this reaches another one.
async fn reaches(from: &str, to: &str) -> bool {
    let said = served(from, &format!("/cgi-bin/reach?{to}")).await;
    assert!(said.contains("1 packets transmitted"), "{said}");
    said.contains(" 1 packets received")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_containers_of_one_link_reach_each_other_and_nobody_else_does() {
    let Some(lab) = OwnLab::start("linked") else {
        return;
    };
    let lab = &lab.0;
    let folder = storage(lab);
    let p = Program::on(lab.place("lxc", folder.path(), [10, 250])).await;
    let somebody = lab.somebody("lxc");
    let (first, _) = p.node(on(&p, "slice lan", "10.9.0.1/24")).await;
    let (second, _) = p.node(on(&p, "slice lan", "10.9.0.2/24")).await;
    let (third, _) = p.node(on(&p, "slice other", "10.9.0.2/24")).await;
    let mut usual = Vec::new();
    for id in [first, third] {
        let view = p.get(id).await.view().unwrap();
        usual.push(view.interfaces[0].addresses[0].ip.to_string());
    }
    let [a, c] = &usual[..] else {
        panic!("{usual:?}");
    };
    assert!(reaches(a, "10.9.0.2").await);
    assert!(!reaches(c, "10.9.0.1").await);
    let refused = p.ask(on(&p, "slice lan", "10.9.0.2/24"), false).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(networks(&somebody).await.len(), 2);

    // It outlives its libvirtd, and its ends stop and start on it.
    lab.daemon("kill");
    lab.daemon("start");
    assert!(reaches(a, "10.9.0.2").await);
    for power in [Power::Stopped, Power::Running] {
        let node = p.get(second).await;
        let change = move |spec: &mut NodeSpec| {
            spec.power = power;
            Ok(())
        };
        node.change(&p.user, change).await.unwrap();
        p.ready(second).await;
    }
    assert!(reaches(a, "10.9.0.2").await);

    p.end(second).await;
    assert_eq!(networks(&somebody).await.len(), 2, "one is on it still");
    p.end(first).await;
    p.end(third).await;
    assert_eq!(networks(&somebody).await, BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_of_xen_reach_each_other_by_their_link_and_leave_nothing_of_it() {
    let Some(lab) = Lab::named(
        "RM_LAB_XEN",
        "machines_of_xen_reach_each_other_by_their_link",
    ) else {
        return;
    };
    let (_dir, image) = kernel(&lab, "console=hvc0 quiet {ip} {cloud-config}");
    let place = lab.place_of("xen", Path::new(lab.text("/pool")), &image, [100, 107]);
    let p = Program::on(with_memory(place, 160)).await;
    let somebody = lab.somebody("xen");
    let key = Key::new();
    let end = |address: &str| Interface {
        link: Some("slice lan".to_owned()),
        addresses: vec![address.parse().unwrap()],
        ..Interface::default()
    };
    let usual = lab.text("/ipv4/first");
    let first = NodeSpec {
        users: key.root(),
        interfaces: vec![
            Interface {
                addresses: vec![format!("{usual}/24").parse().unwrap()],
                ..Interface::default()
            },
            end("10.9.0.1/24"),
        ],
        ..p.place.spec()
    };
    // Nobody reaches it but by the link.
    let second = NodeSpec {
        interfaces: vec![end("10.9.0.2/24")],
        ..p.place.spec()
    };
    let second = p.ask(second, false).await.unwrap();
    ready(&p, second).await;
    let first = p.ask(first, false).await.unwrap();
    ready(&p, first).await;
    let port = lab.number(&format!("/guest_ssh/{usual}"));
    // By the usual network it is no neighbour. A ping would ask the way out of
    // there, behind which anybody may answer.
    let said = "ping -c 1 -W 3 10.9.0.2 && ! arping -q -c 1 -w 2 -I eth0 10.9.0.2";
    let said = key.inside("127.0.0.1", port, said).await;
    assert!(said.contains(" 1 packets received"), "{said}");
    assert_eq!(networks(&somebody).await.len(), 1);

    p.end(first).await;
    assert_eq!(networks(&somebody).await.len(), 1, "one is on it still");
    p.end(second).await;
    assert_eq!(networks(&somebody).await, BTreeSet::new());
}

//! Containers of libvirt that do something, and hosts that are reached in other
//! ways than the usual one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rm_core::ErrorKind;
use rm_core::model::{NodeSpec, Power};
use rm_vm::driver::{Definition, Driver, Error, Image, Nic};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::Program;
use crate::lab::{Lab, clear, pool, storage};
use crate::machines::archive;

/// What the guest serves at this path, once it does.
pub(crate) async fn served(address: &str, path: &str) -> String {
    let ask = async {
        loop {
            if let Ok(mut line) = TcpStream::connect((address, 80)).await {
                let asked = format!("GET {path} HTTP/1.0\r\n\r\n");
                let _ = line.write_all(asked.as_bytes()).await;
                let mut said = String::new();
                if line.read_to_string(&mut said).await.is_ok() && said.contains("200 OK") {
                    break said;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, ask).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_answers_at_the_address_it_was_given() {
    let Some(lab) = Lab::of_this_run("a_container_answers_at_the_address_it_was_given") else {
        return;
    };
    let storage = storage(&lab);
    let driver = lab.open("lxc", Some(storage.path()));
    let nic = lab.nic(40);
    let address = nic.addresses[0].ip.to_string();
    // And another one in a VLAN, which is a bridge of its own.
    let vlan = Nic {
        bridge: lab.text("/vlans/10").to_owned(),
        mac: "02:00:00:00:02:40".to_owned(),
        addresses: vec!["10.76.10.5/24".parse().unwrap()],
        gateways: Vec::new(),
        shaping: None,
    };
    let mut new = Definition {
        nics: vec![nic, vlan],
        ..lab.definition("rm-answers")
    };
    new.seed.boot_commands = vec![
        "echo first boot > /srv/www/told".to_owned(),
        "ip -4 address show dev eth1 > /srv/www/second".to_owned(),
    ];
    clear(&driver, &new.name).await;
    driver.bring(&new.image).await.unwrap();
    let late = Definition {
        by: Some(std::time::Instant::now()),
        ..new.clone()
    };
    let refused = driver.define(&late).await.unwrap_err();
    assert!(matches!(refused, Error::Late(_)), "{refused}");
    assert!(!storage.path().join(&new.name).exists());
    driver.define(&new).await.unwrap();
    // What root can do in there nobody else of this machine is to find.
    for folder in [&new.name, ".images"] {
        let facts = std::fs::metadata(storage.path().join(folder)).unwrap();
        assert_eq!(facts.permissions().mode() & 0o777, 0o700, "{folder}");
    }
    driver.start(&new.name).await.unwrap();
    let said = served(&address, "/cgi-bin/whoami").await;
    assert!(said.contains("rm-answers"), "{said}");
    let said = served(&address, "/told").await;
    assert!(said.contains("first boot"), "{said}");
    let said = served(&address, "/second").await;
    assert!(said.contains("10.76.10.5/24"), "{said}");

    // Its disk is made anew, with another seed; whose it is stays.
    driver
        .stop(&new.name, Duration::from_secs(20))
        .await
        .unwrap();
    let anew = Definition {
        metadata: String::new(),
        seed: rm_vm::driver::Seed {
            boot_commands: vec!["echo anew > /srv/www/told".to_owned()],
            ..new.seed.clone()
        },
        ..new.clone()
    };
    driver.reimage(&anew).await.unwrap();
    driver.start(&new.name).await.unwrap();
    let said = served(&address, "/told").await;
    assert!(said.contains("anew"), "{said}");
    let there = crate::lab::only(&driver, &new.name).await;
    assert_eq!(there.metadata, Some(new.metadata.clone()));
    clear(&driver, &new.name).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_image_leaves_nothing() {
    let Some(lab) = Lab::of_this_run("a_bad_image_leaves_nothing") else {
        return;
    };
    let storage = storage(&lab);
    let driver = lab.open("lxc", Some(storage.path()));
    let wrong = Definition {
        image: Image {
            sha256: "0".repeat(64),
            ..lab.image()
        },
        ..lab.definition("rm-wrong")
    };
    let brought = driver.bring(&wrong.image).await.unwrap_err();
    assert!(matches!(brought, Error::Image { .. }), "{brought}");
    let defined = driver.define(&wrong).await.unwrap_err();
    assert!(matches!(defined, Error::Image { .. }), "{defined}");
    assert_eq!(
        driver
            .these(std::slice::from_ref(&wrong.name))
            .await
            .unwrap(),
        []
    );
    assert!(!storage.path().join("rm-wrong").exists());
}

/// What a site may have of addresses, as it is at no other place here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_has_an_address_of_each_family_from_the_pools() {
    let Some(lab) = Lab::of_this_run("a_container_has_an_address_of_each_family") else {
        return;
    };
    let folder = storage(&lab);
    let mut place = lab.place("lxc", folder.path(), [40, 44]);
    let pools = place.section["sites"]["lab"]["pools"].as_array_mut();
    let six = lab.text("/ipv6/first");
    pools.unwrap().push(json!({
        "first": six, "last": six, "prefix": 64, "gateway": lab.text("/ipv6/host"),
    }));
    let p = Program::on(place).await;
    let mut spec = p.place.spec();
    spec.boot_commands = vec!["ip -6 address show dev eth0 > /srv/www/six".to_owned()];
    let (id, _) = p.node(spec).await;
    let given = p.get(id).await.view().unwrap().interfaces[0]
        .addresses
        .clone();
    assert_eq!(given.len(), 2);
    let six: std::net::IpAddr = six.parse().unwrap();
    assert_eq!((given[1].ip, given[1].prefix), (six, 64));
    let said = served(&given[0].ip.to_string(), "/six").await;
    assert!(said.contains(&given[1].to_string()), "{said}");
    // There is no second one of version 6, so there is none.
    let full = p.ask(p.place.spec(), false).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::NoCapacity, "{full}");
    p.end(id).await;
}

/// The manager itself reaches a host by TLS, with the certificates that the
/// site's address names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_is_reached_by_tls() {
    let Some(lab) = Lab::of_this_run("a_site_is_reached_by_tls") else {
        return;
    };
    pool(&lab).await;
    let kernel = Path::new(lab.text("/machine/kernel"));
    let (_dir, image) = archive(&[("kernel", kernel)], "");
    let url = |who: &str| {
        let host = lab.text("/uris/test_tls").split("//").nth(1).unwrap();
        let host = host.split('/').next().unwrap();
        format!("qemu+tls://{host}/system?pkipath={}", lab.text(who))
    };
    let mut place = lab.place_of("qemu", Path::new("rm-test"), &image, [36, 38]);
    place.url = url("/pki");
    let p = Program::on(place).await;
    let spec = || NodeSpec {
        power: Power::Stopped,
        ..p.place.spec()
    };
    let id = p.ask(spec(), false).await.unwrap();
    let name = p.ready(id).await.view().unwrap().name;
    let beside = lab.somebody("qemu");
    beside.domain_by_name(&name).await.unwrap();
    p.end(id).await;
    assert!(beside.domain_by_name(&name).await.is_err());

    let mut stranger = lab.place_of("qemu", Path::new("rm-test"), &image, [39, 39]);
    stranger.url = url("/pki_stranger");
    let p = Program::on(stranger).await;
    let refused = p.ask(p.place.spec(), false).await.unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
}

//! Containers of libvirt that do something.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rm_vm::driver::{Definition, Driver, Error, Image, Nic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::lab::{Lab, clear, storage};

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

//! What every driver promises, by libvirt's drivers for tests and containers.

use std::time::Duration;

use futures_util::StreamExt;
use rm_vm::driver::{Definition, Driver, Error, Event, Features, Image, Seed, Size, State};
use rm_vm::libvirt::Libvirt;

use crate::lab::{Lab, clear, only, settings, states_of, storage};

const GRACE: Duration = Duration::from_secs(20);

async fn life(driver: &Libvirt, new: &Definition) {
    let name = &new.name;
    clear(driver, name).await;
    driver.bring(&new.image).await.unwrap();
    driver.define(new).await.unwrap();
    let again = driver.define(new).await.unwrap_err();
    assert!(matches!(again, Error::Exists(_)), "{again}");

    let there = only(driver, name).await;
    assert_eq!((there.state, there.size), (State::Stopped, new.size));
    assert_eq!(
        (there.boot, there.metadata.as_ref()),
        (None, Some(&new.metadata))
    );
    let listed = driver.list().await.unwrap();
    assert!(
        listed
            .iter()
            .any(|d| d.name == *name && d.metadata.as_ref() == Some(&new.metadata))
    );

    // Each call can be repeated.
    for _ in 0..2 {
        driver.start(name).await.unwrap();
    }
    let first = only(driver, name).await;
    assert_eq!(first.state, State::Running);
    assert!(first.boot.is_some());
    let early = driver.undefine(name).await.unwrap_err();
    assert!(
        matches!(
            early,
            Error::NotNow {
                state: State::Running,
                ..
            }
        ),
        "{early}"
    );

    for _ in 0..2 {
        driver.suspend(name).await.unwrap();
    }
    assert_eq!(only(driver, name).await.state, State::Suspended);
    let now = driver.start(name).await.unwrap_err();
    assert!(
        matches!(
            now,
            Error::NotNow {
                state: State::Suspended,
                ..
            }
        ),
        "{now}"
    );
    for _ in 0..2 {
        driver.resume(name).await.unwrap();
    }
    assert_eq!(only(driver, name).await.state, State::Running);

    // It is noted with what runs and with what will run.
    driver.annotate(name, "while it ran").await.unwrap();
    let noted = ("while it ran".to_owned(), only(driver, name).await.metadata);
    assert_eq!(noted.1.as_ref(), Some(&noted.0));
    for _ in 0..2 {
        driver.stop(name, GRACE).await.unwrap();
    }
    let stopped = only(driver, name).await;
    assert_eq!(
        (stopped.state, stopped.metadata),
        (State::Stopped, Some(noted.0.clone()))
    );
    assert!(
        driver
            .notes()
            .await
            .unwrap()
            .contains(&(name.clone(), noted.0))
    );

    let size = Size {
        vcpus: 2,
        memory_mib: 96,
    };
    driver.resize(name, size).await.unwrap();
    assert_eq!(only(driver, name).await.size, size);
    // What is left for others is known at once of what we have changed.
    let shares = driver.shares().await.unwrap();
    assert!(shares.iter().any(|s| s.name == *name && s.size == size));
    driver.start(name).await.unwrap();
    let second = only(driver, name).await;
    assert_eq!((second.state, second.size), (State::Running, size));
    assert!(second.boot.is_some());
    driver.stop(name, Duration::ZERO).await.unwrap();

    driver.undefine(name).await.unwrap();
    assert_eq!(driver.these(std::slice::from_ref(name)).await.unwrap(), []);
    for gone in [driver.start(name).await, driver.undefine(name).await] {
        assert!(matches!(gone, Err(Error::NotFound(_))), "{gone:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_for_tests_keeps_the_contract() {
    let Some(lab) = Lab::of_this_run("a_domain_for_tests_keeps_the_contract") else {
        return;
    };
    let driver = lab.open("test", None);
    life(&driver, &lab.definition("rm-contract")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_keeps_the_contract() {
    let Some(lab) = Lab::of_this_run("a_container_keeps_the_contract") else {
        return;
    };
    let storage = storage(&lab);
    let driver = lab.open("lxc", Some(storage.path()));
    life(&driver, &lab.definition("rm-contract")).await;
    // Nothing of it is left but the image.
    let left: Vec<_> = std::fs::read_dir(storage.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_gets_another_size_up_to_its_most() {
    let Some(lab) = Lab::of_this_run("what_runs_gets_another_size_up_to_its_most") else {
        return;
    };
    let driver = lab.open("test", None);
    let new = lab.definition("rm-live");
    clear(&driver, "rm-live").await;
    driver.define(&new).await.unwrap();
    driver.start("rm-live").await.unwrap();
    let size = |vcpus, memory_mib| Size { vcpus, memory_mib };
    driver.resize("rm-live", size(3, 200)).await.unwrap();
    assert_eq!(only(&driver, "rm-live").await.size, size(3, 200));
    let much = driver.resize("rm-live", size(3, 300)).await.unwrap_err();
    assert!(
        matches!(&much, Error::Invalid(why) if why.contains("256 MiB")),
        "{much}"
    );
    assert_eq!(only(&driver, "rm-live").await.size, size(3, 200));
    clear(&driver, "rm-live").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_define_one_name_one_does() {
    let Some(lab) = Lab::of_this_run("of_two_that_define_one_name_one_does") else {
        return;
    };
    let storage = storage(&lab);
    for uri in ["test", "lxc"] {
        let one = lab.open(uri, Some(storage.path()));
        let other = lab.open(uri, Some(storage.path()));
        let new = lab.definition("rm-race");
        one.bring(&new.image).await.unwrap();
        for _ in 0..4 {
            clear(&one, "rm-race").await;
            let (a, b) = tokio::join!(one.define(&new), other.define(&new));
            let exists = |r: &Result<(), Error>| matches!(r, Err(Error::Exists(_)));
            assert!(
                a.is_ok() && exists(&b) || b.is_ok() && exists(&a),
                "{uri}: {a:?} {b:?}"
            );
            one.start("rm-race").await.unwrap();
        }
        clear(&one, "rm-race").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_does_is_told() {
    let Some(lab) = Lab::of_this_run("what_somebody_else_does_is_told") else {
        return;
    };
    let driver = lab.open("test", None);
    let new = lab.definition("rm-told");
    clear(&driver, "rm-told").await;
    driver.define(&new).await.unwrap();
    driver.start("rm-told").await.unwrap();
    let mut events = driver.events().await.unwrap();
    assert_eq!(events.next().await, Some(Event::Listening));
    let mut events = states_of(events, "rm-told");

    let somebody = lab.somebody("test");
    let domain = somebody.domain_by_name("rm-told").await.unwrap();
    somebody.suspend(&domain).await.unwrap();
    // Its own start may be told a moment later, and so come first.
    let mut told = events.next().await;
    if told == Some(State::Running) {
        told = events.next().await;
    }
    assert_eq!(told, Some(State::Suspended));
    let end = somebody.destroy(&domain, rm_libvirt::DestroyFlags::default());
    end.await.unwrap();
    assert_eq!(events.next().await, Some(State::Stopped));
    assert_eq!(only(&driver, "rm-told").await.state, State::Stopped);
    clear(&driver, "rm-told").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_defined_anew_under_its_name_is_there() {
    let Some(lab) = Lab::of_this_run("what_somebody_defined_anew_under_its_name_is_there") else {
        return;
    };
    let driver = lab.open("test", None);
    let new = lab.definition("rm-anew");
    clear(&driver, "rm-anew").await;
    driver.define(&new).await.unwrap();
    assert_eq!(only(&driver, "rm-anew").await.state, State::Stopped);
    let somebody = lab.somebody("test");
    let domain = somebody.domain_by_name("rm-anew").await.unwrap();
    let xml = somebody
        .xml(&domain, rm_libvirt::XmlFlags::default())
        .await
        .unwrap();
    let (head, rest) = xml.split_once("<uuid>").unwrap();
    let (_, tail) = rest.split_once("</uuid>").unwrap();
    let none = rm_libvirt::UndefineFlags::default();
    somebody.undefine(&domain, none).await.unwrap();
    let again = somebody.define_xml(&format!("{head}{tail}")).await.unwrap();
    assert_ne!(again.uuid, domain.uuid);
    assert_eq!(only(&driver, "rm-anew").await.metadata, Some(new.metadata));
    clear(&driver, "rm-anew").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_mean_something_elsewhere_reach_nobody() {
    let Some(lab) = Lab::of_this_run("names_that_mean_something_elsewhere_reach_nobody") else {
        return;
    };
    let driver = lab.open("test", None);
    for bad in ["../x", "a/b", "<x/>", "a\nb", "a'b", "", "a b"] {
        let new = Definition {
            name: bad.to_owned(),
            ..lab.definition("x")
        };
        for refused in [driver.define(&new).await, driver.start(bad).await] {
            assert!(
                matches!(refused, Err(Error::Invalid(_))),
                "{bad:?}: {refused:?}"
            );
        }
        let listed = driver.list().await.unwrap();
        assert!(listed.iter().all(|domain| domain.name != bad));
    }
    assert!(Libvirt::at("qemu+ssh://x/", &settings(None)).is_err());
    assert!(Libvirt::at("lxc:///", &settings(None)).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_brings_back_the_disk_and_nothing_else() {
    let Some(lab) = Lab::of_this_run("a_snapshot_brings_back_the_disk_and_nothing_else") else {
        return;
    };
    let driver = lab.open("test", None);
    let name = "rm-snapshot";
    clear(&driver, name).await;
    driver.define(&lab.definition(name)).await.unwrap();
    assert_eq!(driver.snapshots(name).await.unwrap(), [""; 0]);
    // Of what does not run and of what does; one that is there stays.
    for _ in 0..2 {
        driver.snapshot(name, "clean").await.unwrap();
    }
    driver.start(name).await.unwrap();
    driver.snapshot(name, "used").await.unwrap();
    assert_eq!(driver.snapshots(name).await.unwrap(), ["clean", "used"]);
    assert_eq!(only(&driver, name).await.state, State::Running);
    driver.annotate(name, "later").await.unwrap();
    let early = driver.restore(name, "clean").await.unwrap_err();
    assert!(matches!(early, Error::NotNow { .. }), "{early}");
    driver.stop(name, Duration::ZERO).await.unwrap();
    let size = Size {
        vcpus: 2,
        memory_mib: 96,
    };
    driver.resize(name, size).await.unwrap();
    for back in ["used", "clean", "used"] {
        driver.restore(name, back).await.unwrap();
        let there = only(&driver, name).await;
        assert_eq!((there.state, there.size), (State::Stopped, size));
        assert_eq!(there.metadata.as_deref(), Some("later"));
    }
    for never in ["never", "../clean", "<name/>"] {
        let refused = driver.restore(name, never).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    }
    let wrong = driver.snapshot(name, "<name/>").await.unwrap_err();
    assert!(matches!(wrong, Error::Invalid(_)), "{wrong}");
    clear(&driver, name).await;
    assert_eq!(driver.snapshots(name).await.unwrap(), [""; 0]);
}

/// What is declared is what is refused, and nobody is asked for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_driver_cannot_do_it_declares_and_refuses() {
    let storage = tempfile::tempdir().unwrap();
    let at = |uri: &str| Libvirt::at(uri, &settings(Some(storage.path()))).unwrap();
    for (driver, can) in [
        (at("xen+tcp://127.0.0.1:1/"), [false, false, true]),
        (at("lxc+unix:///system?socket=/none"), [false, true, true]),
        (at("test+unix:///default?socket=/none"), [true, false, true]),
        (at("qemu+unix:///system?socket=/none"), [true, true, true]),
    ] {
        let Features {
            snapshots,
            reimage,
            links,
            ..
        } = driver.features();
        assert_eq!([snapshots, reimage, links], can, "{driver:?}");
        let is_refused = |done: Result<(), Error>| matches!(done, Err(Error::Unsupported { .. }));
        if !snapshots {
            assert!(is_refused(driver.snapshot("x", "a").await), "{driver:?}");
            assert!(is_refused(driver.restore("x", "a").await), "{driver:?}");
            assert_eq!(driver.snapshots("x").await.unwrap(), [""; 0]);
        }
        if !reimage {
            let new = Definition {
                name: "x".to_owned(),
                size: Size {
                    vcpus: 1,
                    memory_mib: 1,
                },
                image: Image {
                    name: "x".to_owned(),
                    source: "file:/none".to_owned(),
                    sha256: "0".repeat(64),
                    format: "rootfs".to_owned(),
                },
                disk_mib: None,
                nics: Vec::new(),
                seed: Seed::default(),
                metadata: String::new(),
                unfinished: String::new(),
                by: None,
            };
            assert!(is_refused(driver.reimage(&new).await), "{driver:?}");
        }
        // Others would have to be asked, and nobody is there.
        let console = driver.console("x", 1).await.map(drop);
        let not_heard = driver.name() == "libvirt-test";
        assert_eq!(is_refused(console), not_heard, "{driver:?}");
    }
}

/// Nobody is asked for that either: no such host is there.
#[tokio::test]
async fn what_a_machine_cannot_be_made_of_is_refused_before_it_is_brought() {
    let at = |uri: &str| Libvirt::at(uri, &settings(None)).unwrap();
    let (xen, qemu) = (
        at("xen+tcp://127.0.0.1:1/"),
        at("qemu+unix:///system?socket=/none"),
    );
    let image = |format: &str| Image {
        name: "x".to_owned(),
        source: "file:/none".to_owned(),
        sha256: "0".repeat(64),
        format: format.to_owned(),
    };
    let plain = |format: &str| Definition {
        name: "x".to_owned(),
        size: Size {
            vcpus: 1,
            memory_mib: 1,
        },
        image: image(format),
        disk_mib: None,
        nics: Vec::new(),
        seed: Seed::default(),
        metadata: String::new(),
        unfinished: String::new(),
        by: None,
    };
    xen.check(&plain("kernel")).unwrap();
    qemu.check(&plain("kernel")).unwrap();
    qemu.check(&plain("qcow2")).unwrap();
    let data = Definition {
        seed: Seed {
            user_data: "#cloud-config".to_owned(),
            ..Seed::default()
        },
        ..plain("kernel")
    };
    let refused = xen.check(&data).unwrap_err();
    assert!(matches!(refused, Error::Unsupported { .. }), "{refused}");
    qemu.check(&data).unwrap();
    let long = Definition {
        seed: Seed {
            boot_commands: vec!["x".repeat(1024)],
            ..Seed::default()
        },
        ..plain("kernel")
    };
    let sized = Definition {
        disk_mib: Some(1024),
        ..plain("kernel")
    };
    for (driver, new) in [(&xen, &long), (&xen, &sized), (&qemu, &sized)] {
        let refused = driver.check(new).unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    }
    qemu.check(&long).unwrap();
    let refused = xen.check(&plain("qcow2")).unwrap_err();
    assert!(matches!(refused, Error::Image { .. }), "{refused}");
    let keeps = ["qcow2", "raw", "kernel"].map(|format| qemu.keeps(&image(format)));
    assert_eq!(keeps, [true, true, false]);
    assert!(!xen.keeps(&image("kernel")));
}

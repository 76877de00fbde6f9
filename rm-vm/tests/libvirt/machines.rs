//! Machines: one of QEMU, emulated, that boots; and those of Xen.

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use rm_libvirt::ConsoleFlags;
use rm_vm::driver::{Definition, Driver, Error, Image, Seed, Size, State};
use tempfile::TempDir;

use crate::lab::{Lab, clear, only, pool, states_of};

/// An image of the format kernel, of these files and this command line.
pub(crate) fn archive(files: &[(&str, &Path)], cmdline: &str) -> (TempDir, Image) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("kernel.tar");
    let mut tar = tar::Builder::new(std::fs::File::create(&path).unwrap());
    for (name, file) in files {
        tar.append_path_with_name(file, name).unwrap();
    }
    let mut header = tar::Header::new_gnu();
    header.set_size(cmdline.len().try_into().unwrap());
    header.set_mode(0o644);
    tar.append_data(&mut header, "cmdline", cmdline.as_bytes())
        .unwrap();
    tar.into_inner().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    let sha256 = sum.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let image = Image {
        name: "kernel".to_owned(),
        source: format!("file:{}", path.display()),
        sha256,
        format: "kernel".to_owned(),
    };
    (dir, image)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emulated_machine_boots_what_was_brought() {
    let Some(lab) = Lab::of_this_run("an_emulated_machine_boots_what_was_brought") else {
        return;
    };
    let somebody = lab.somebody("qemu");
    pool(&lab).await;
    let driver = lab.open("qemu", Some(Path::new("rm-test")));
    let cmdline = format!("{} rm.name={{name}}", lab.text("/machine/cmdline"));
    let files = [
        ("kernel", Path::new(lab.text("/machine/kernel"))),
        ("initrd", Path::new(lab.text("/machine/initrd"))),
    ];
    let (_dir, image) = archive(&files, &cmdline);
    let new = Definition {
        image,
        size: Size {
            vcpus: 1,
            memory_mib: 256,
        },
        ..lab.definition("rm-machine")
    };
    clear(&driver, &new.name).await;
    let early = driver.define(&new).await.unwrap_err();
    assert!(matches!(early, Error::Image { .. }), "{early}");
    driver.bring(&new.image).await.unwrap();
    driver.define(&new).await.unwrap();
    driver.start(&new.name).await.unwrap();

    let domain = somebody.domain_by_name(&new.name).await.unwrap();
    let console = somebody.open_console(&domain, None, ConsoleFlags::FORCE);
    let mut console = console.await.unwrap();
    let mut said = String::new();
    let boots = async {
        while !said.contains("is ready") {
            let piece = console.read().await.unwrap().unwrap();
            said.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    let patience = Duration::from_secs(300);
    tokio::time::timeout(patience, boots).await.unwrap();
    drop(console);
    let there = only(&driver, &new.name).await;
    assert_eq!((there.state, there.size), (State::Running, new.size));
    assert_eq!(there.metadata, Some(new.metadata.clone()));
    // What it writes to is its memory, of which no snapshot is kept.
    let no_disk = driver.snapshot(&new.name, "a").await.unwrap_err();
    assert!(matches!(no_disk, Error::Unsupported { .. }), "{no_disk}");
    driver.stop(&new.name, Duration::ZERO).await.unwrap();

    // What was brought once is there for the next one, of another process too.
    let other = lab.open("qemu", Some(Path::new("rm-test")));
    other.bring(&new.image).await.unwrap();
    driver.undefine(&new.name).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kernel_of_other_bytes_never_reaches_the_host() {
    let Some(lab) = Lab::of_this_run("a_kernel_of_other_bytes_never_reaches_the_host") else {
        return;
    };
    let driver = lab.open("qemu", Some(Path::new("rm-test")));
    let (_dir, image) = archive(&[("initrd", Path::new(lab.text("/machine/initrd")))], "");
    let no_kernel = driver.bring(&image).await.unwrap_err();
    assert!(
        no_kernel.to_string().contains("no file kernel"),
        "{no_kernel}"
    );
    let wrong = Image {
        sha256: "1".repeat(64),
        ..image
    };
    let wrong = driver.bring(&wrong).await.unwrap_err();
    assert!(wrong.to_string().contains("checksum"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_of_xen_lives_and_is_heard_of() {
    let Some(lab) = Lab::named("RM_LAB_XEN", "a_machine_of_xen_lives_and_is_heard_of") else {
        return;
    };
    let driver = lab.open("xen", None);
    let idle = Path::new(lab.text("/idle/kernel"));
    let (_dir, image) = archive(&[("kernel", idle)], "");
    let small = |memory_mib| Size {
        vcpus: 1,
        memory_mib,
    };
    let new = Definition {
        name: "rm-xen".to_owned(),
        size: small(8),
        image,
        disk_mib: None,
        nics: Vec::new(),
        seed: Seed::default(),
        metadata: "ours".to_owned(),
        unfinished: String::new(),
        by: None,
    };
    clear(&driver, &new.name).await;
    driver.bring(&new.image).await.unwrap();
    driver.define(&new).await.unwrap();
    let mut events = states_of(driver.events().await.unwrap(), "rm-xen");

    driver.start(&new.name).await.unwrap();
    assert_eq!(events.next().await, Some(State::Running));
    let there = only(&driver, &new.name).await;
    assert_eq!((there.state, there.size), (State::Running, small(8)));
    assert_eq!(there.metadata.as_deref(), Some("ours"));
    driver.suspend(&new.name).await.unwrap();
    assert_eq!(only(&driver, &new.name).await.state, State::Suspended);
    driver.resume(&new.name).await.unwrap();
    assert_eq!(only(&driver, &new.name).await.state, State::Running);
    driver.annotate(&new.name, "still ours").await.unwrap();

    driver.stop(&new.name, Duration::ZERO).await.unwrap();
    let heard = [
        events.next().await,
        events.next().await,
        events.next().await,
    ];
    let order = [State::Suspended, State::Running, State::Stopped];
    assert_eq!(heard, order.map(Some));
    driver.resize(&new.name, small(12)).await.unwrap();
    let there = only(&driver, &new.name).await;
    assert_eq!((there.state, there.size), (State::Stopped, small(12)));
    assert_eq!(there.metadata.as_deref(), Some("still ours"));
    driver.undefine(&new.name).await.unwrap();
    assert_eq!(driver.these(&[new.name]).await.unwrap(), []);
}

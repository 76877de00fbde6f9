//! A lost store, made anew from each kind of host.

use std::path::Path;

use tempfile::TempDir;

use crate::booted::{boot_sector, image};
use crate::house::lost::comes_back;
use crate::lab::{Lab, pool, storage};
use crate::machines::archive;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_of_libvirt_give_back_a_lost_store() {
    let Some(lab) = Lab::of_this_run("containers_of_libvirt_give_back_a_lost_store") else {
        return;
    };
    let folder = storage(&lab);
    let place = lab.place("lxc", folder.path(), [30, 35]);
    comes_back(place, &lab.open("lxc", Some(folder.path()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_of_qemu_give_back_a_lost_store() {
    let Some(lab) = Lab::of_this_run("machines_of_qemu_give_back_a_lost_store") else {
        return;
    };
    pool(&lab).await;
    let dir = TempDir::new().unwrap();
    let raw = dir.path().join("disk.raw");
    std::fs::write(&raw, boot_sector()).unwrap();
    let pool = Path::new("rm-test");
    let mut place = lab.place_of("qemu", pool, &image("raw", &raw), [36, 40]);
    place.memory_mib = 64;
    comes_back(place, &lab.open("qemu", Some(pool))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_of_xen_give_back_a_lost_store() {
    let Some(lab) = Lab::named("RM_LAB_XEN", "machines_of_xen_give_back_a_lost_store") else {
        return;
    };
    let (_dir, image) = archive(&[("kernel", Path::new(lab.text("/idle/kernel")))], "");
    let pool = Path::new(lab.text("/pool"));
    let mut place = lab.place_of("xen", pool, &image, [100, 107]);
    place.memory_mib = 8;
    comes_back(place, &lab.open("xen", Some(pool))).await;
}

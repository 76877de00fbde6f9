//! Images in a storage pool that several use at once and others clean up.

use std::path::Path;

use rm_core::ErrorKind;
use rm_core::model::{NodeSpec, Power};
use rm_libvirt::Client;
use rm_vm::driver::{Definition, Driver, Error, Image};
use rm_vm::libvirt::Libvirt;
use tempfile::TempDir;

use crate::booted::image;
use crate::house::Program;
use crate::lab::{Lab, clear, pool};

/// An image of a disk that no other test has.
fn disk(says: &str) -> (TempDir, Image) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("disk.raw");
    let mut bytes = vec![0; 8 << 20];
    bytes[..says.len()].copy_from_slice(says.as_bytes());
    std::fs::write(&file, bytes).unwrap();
    let image = image("raw", &file);
    (dir, image)
}

/// Which of these volumes of an image are in the pool.
async fn there(somebody: &Client, image: &Image) -> Vec<String> {
    let pool = somebody.pool_by_name("rm-test").await.unwrap();
    let mut there = Vec::new();
    for last in ["1", "2", "3", "which"] {
        let name = format!("rm-{}-image-{last}", image.sha256);
        if somebody.volume_by_name(&pool, &name).await.is_ok() {
            there.push(last.to_owned());
        }
    }
    there
}

async fn remove(somebody: &Client, image: &Image, last: &str) {
    let pool = somebody.pool_by_name("rm-test").await.unwrap();
    let name = format!("rm-{}-image-{last}", image.sha256);
    if let Ok(volume) = somebody.volume_by_name(&pool, &name).await {
        somebody.delete_volume(&volume).await.unwrap();
    }
}

fn machine(lab: &Lab, name: &str, image: &Image) -> Definition {
    Definition {
        image: image.clone(),
        ..lab.definition(name)
    }
}

async fn is_made(driver: &Libvirt, new: &Definition) {
    clear(driver, &new.name).await;
    driver.define(new).await.unwrap();
    clear(driver, &new.name).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_bring_one_image_at_once_one_copy_is_left() {
    let Some(lab) = Lab::of_this_run("of_those_who_bring_one_image_at_once") else {
        return;
    };
    pool(&lab).await;
    let somebody = lab.somebody("qemu");
    let (_dir, image) = disk("brought at once");
    for last in ["1", "2", "3", "which"] {
        remove(&somebody, &image, last).await;
    }
    // As two accounts, or two processes.
    let [one, other, third] = [(); 3].map(|()| lab.open("qemu", Some(Path::new("rm-test"))));
    let (a, b, c) = tokio::join!(one.bring(&image), other.bring(&image), third.bring(&image));
    for brought in [a, b, c] {
        brought.unwrap();
    }
    let left = there(&somebody, &image).await;
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&"which".to_owned()), "{left:?}");
    for (driver, name) in [
        (&one, "rm-pool-1"),
        (&other, "rm-pool-2"),
        (&third, "rm-pool-3"),
    ] {
        is_made(driver, &machine(&lab, name, &image)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_begun_and_cut_off_is_neither_used_nor_touched() {
    let Some(lab) = Lab::of_this_run("what_was_begun_and_cut_off_is_neither_used") else {
        return;
    };
    pool(&lab).await;
    let somebody = lab.somebody("qemu");
    let (_dir, image) = disk("cut off");
    for last in ["1", "2", "3", "which"] {
        remove(&somebody, &image, last).await;
    }
    // Somebody else's, perhaps on its way.
    let pool = somebody.pool_by_name("rm-test").await.unwrap();
    let half = format!(
        "<volume><name>rm-{}-image-1</name><capacity unit='bytes'>4096</capacity></volume>",
        image.sha256
    );
    somebody.create_volume_xml(&pool, &half).await.unwrap();
    let driver = lab.open("qemu", Some(Path::new("rm-test")));
    driver.bring(&image).await.unwrap();
    assert_eq!(there(&somebody, &image).await, ["1", "2", "which"]);
    let which = format!("rm-{}-image-which", image.sha256);
    let which = somebody.volume_by_name(&pool, &which).await.unwrap();
    assert_eq!(somebody.volume_capacity(&which).await.unwrap(), 2 * 4096);
    is_made(&driver, &machine(&lab, "rm-pool-half", &image)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_somebody_removed_is_brought_again() {
    let Some(lab) = Lab::of_this_run("an_image_that_somebody_removed_is_brought_again") else {
        return;
    };
    pool(&lab).await;
    let somebody = lab.somebody("qemu");
    let (_dir, image) = disk("removed");
    for last in ["1", "2", "3", "which"] {
        remove(&somebody, &image, last).await;
    }
    let driver = lab.open("qemu", Some(Path::new("rm-test")));
    driver.bring(&image).await.unwrap();
    remove(&somebody, &image, "1").await;
    // Half of it says what the other half was.
    let half = driver.bring(&image).await.unwrap_err();
    assert!(matches!(half, Error::Image { .. }), "{half}");
    assert!(half.to_string().contains("image-which"), "{half}");
    remove(&somebody, &image, "which").await;
    driver.bring(&image).await.unwrap();
    assert_eq!(there(&somebody, &image).await, ["1", "which"]);
    is_made(&driver, &machine(&lab, "rm-pool-again", &image)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_for_which_the_pool_has_no_room_is_refused_before_anything_exists() {
    let Some(lab) = Lab::of_this_run("a_disk_for_which_the_pool_has_no_room") else {
        return;
    };
    pool(&lab).await;
    let driver = lab.open("qemu", Some(Path::new("rm-test")));
    let free_gib = driver.host().await.unwrap().free_disk_mib.unwrap() / 1024;
    assert!(free_gib > 0);
    let (_dir, image) = disk("of a machine with a disk");
    let place = lab.place_of("qemu", Path::new("rm-test"), &image, [51, 54]);
    let p = Program::on(place).await;
    let of = |disk_gib: u64| NodeSpec {
        disk_gib: Some(disk_gib),
        power: Power::Stopped,
        ..p.place.spec()
    };
    let refused = p.ask(of(free_gib * 2), false).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NoCapacity, "{refused}");
    let id = p.ask(of(1), false).await.unwrap();
    p.ready(id).await;
    p.end(id).await;
    // Nowhere is a pool of that name: what it has is not known.
    let elsewhere = lab.open("qemu", Some(Path::new("rm-never")));
    assert_eq!(elsewhere.host().await.unwrap().free_disk_mib, None);
}

/// Somebody removed the image that the old disk was over, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reimage_that_fails_after_the_old_disk_went_does_not_say_that_nothing_was_changed() {
    let Some(lab) = Lab::of_this_run("a_reimage_that_fails_after_the_old_disk_went") else {
        return;
    };
    pool(&lab).await;
    let somebody = lab.somebody("qemu");
    let (_dir, image) = disk("reimaged");
    for last in ["1", "2", "3", "which"] {
        remove(&somebody, &image, last).await;
    }
    let driver = lab.open("qemu", Some(Path::new("rm-test")));
    driver.bring(&image).await.unwrap();
    let new = machine(&lab, "rm-pool-reimage", &image);
    clear(&driver, &new.name).await;
    driver.define(&new).await.unwrap();
    remove(&somebody, &image, "1").await;
    remove(&somebody, &image, "which").await;
    let failed = driver.reimage(&new).await.unwrap_err();
    assert!(matches!(failed, Error::Unclear(_)), "{failed:?}");
    // What is wrong with the request is found before.
    let too_small = Definition {
        disk_mib: Some(1),
        ..new.clone()
    };
    driver.bring(&image).await.unwrap();
    driver.reimage(&new).await.unwrap();
    let refused = driver.reimage(&too_small).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)), "{refused:?}");
    let pool = somebody.pool_by_name("rm-test").await.unwrap();
    let own = somebody.volume_by_name(&pool, "rm-pool-reimage-disk");
    own.await.unwrap();
    clear(&driver, &new.name).await;
}

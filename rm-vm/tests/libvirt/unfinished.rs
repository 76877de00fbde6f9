//! Machines whose making is cut off between their domain and their volumes.

use std::path::Path;
use std::time::Duration;

use rm_core::ResourceId;
use rm_core::model::Power;
use rm_core::orphans::{Reclaimed, Verdict};
use rm_libvirt::Client;
use rm_vm::driver::{Definition, Driver, Image};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::booted::image;
use crate::house::{Program, RealEnv};
use crate::lab::{Lab, only, pool};

const SOON: Duration = Duration::from_secs(60);

/// A disk that no other test has.
fn disk(dir: &TempDir) -> Image {
    let file = dir.path().join("disk.raw");
    let mut bytes = vec![0; 1 << 20];
    bytes[..10].copy_from_slice(b"unfinished");
    std::fs::write(&file, bytes).unwrap();
    image("raw", &file)
}

/// Which of a machine's own volumes there are.
async fn volumes(somebody: &Client, name: &str) -> Vec<&'static str> {
    let pool = somebody.pool_by_name("rm-test").await.unwrap();
    let mut there = Vec::new();
    for of in ["disk", "seed"] {
        let volume = format!("{name}-{of}");
        if somebody.volume_by_name(&pool, &volume).await.is_ok() {
            there.push(of);
        }
    }
    there
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_machine_whose_making_was_cut_off_nothing_is_nobodys() {
    let Some(lab) = Lab::of_this_run("of_a_machine_whose_making_was_cut_off") else {
        return;
    };
    pool(&lab).await;
    let somebody = lab.somebody("qemu");
    let dir = TempDir::new().unwrap();
    let image = disk(&dir);
    let place = lab.place_of("qemu", Path::new("rm-test"), &image, [41, 44]);
    let p = Program::on(place).await;
    let mut spec = p.place.spec();
    spec.power = Power::Stopped;
    let id = p.ask(spec, false).await.unwrap();
    let name = p.ready(id).await.view().unwrap().name;
    assert_eq!(volumes(&somebody, &name).await, ["disk", "seed"]);
    let driver = lab.open("qemu", Some(Path::new("rm-test")));
    let says = async |name: &str| -> Value {
        let text = only(&driver, name).await.metadata.unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let whole = says(&name).await;
    assert_eq!(whole["unfinished"], Value::Null);

    // As one who was killed leaves it: it is finished when it is looked at.
    let pool = somebody.pool_by_name("rm-test").await.unwrap();
    for of in ["disk", "seed"] {
        let volume = format!("{name}-{of}");
        let volume = somebody.volume_by_name(&pool, &volume).await.unwrap();
        somebody.delete_volume(&volume).await.unwrap();
    }
    let mut half = whole.clone();
    half["mark"]["generation"] = json!(0);
    half["unfinished"] = json!(true);
    driver.annotate(&name, &half.to_string()).await.unwrap();
    let finished = async {
        while says(&name).await != whole {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, finished).await.unwrap();
    p.ready(id).await;
    assert_eq!(volumes(&somebody, &name).await, ["disk", "seed"]);
    p.get(id).await.start(&p.user).await.unwrap();
    p.ready(id).await;

    // Cut off in the middle, and there is no record that knows of it.
    let other = ResourceId::new(&RealEnv);
    half["mark"]["resource"] = json!(other);
    let lost = format!("rm-{other}");
    driver.bring(&image).await.unwrap();
    let new = Definition {
        image,
        unfinished: half.to_string(),
        ..lab.definition(&lost)
    };
    let begun = async { while volumes(&somebody, &lost).await.is_empty() {} };
    tokio::select! {
        biased;
        () = begun => {}
        done = driver.define(&new) => panic!("it was not cut off: {done:?}"),
    }
    assert_eq!(says(&lost).await, half);
    let orphans = p.host.orphans();
    let report = orphans.report(&p.operator).await.unwrap();
    let found = report.orphans.iter().find(|o| o.name == lost);
    let found = found.unwrap_or_else(|| panic!("nobody tells of it: {report:?}"));
    assert_eq!(found.verdict, Verdict::Unheard, "{found:?}");
    let kept = orphans.reclaim(&p.operator, &found.thing, false).await;
    assert!(kept.is_err(), "it may be of a store that was lost");
    // libvirt may still be filling what was asked for by who was cut off.
    let reclaimed = async {
        loop {
            match orphans.reclaim(&p.operator, &found.thing, true).await {
                Err(e) if e.is_temporary() => tokio::time::sleep(Duration::from_millis(50)).await,
                done => break done,
            }
        }
    };
    let reclaimed = tokio::time::timeout(SOON, reclaimed).await.unwrap();
    assert_eq!(reclaimed.unwrap(), Reclaimed::Accepted);
    let left = driver.these(std::slice::from_ref(&lost)).await.unwrap();
    assert_eq!(left, []);
    assert_eq!(volumes(&somebody, &lost).await, [""; 0]);
    p.end(id).await;
    assert_eq!(volumes(&somebody, &name).await, [""; 0]);
}

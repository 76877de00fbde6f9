//! The conformance suite on libvirt's driver for tests, on its containers, and
//! on machines of real Xen.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rm_core::backend::Mark;
use rm_core::env::Timestamp;
use rm_core::{RemoteId, Result};
use rm_testkit::conformance::{Eyes, Level, Real, suite};
use rm_vm::backend::Nodes;
use rm_vm::driver::Driver;
use rm_vm::libvirt::Libvirt;

use crate::house::Place;
use crate::house::conformance::{Stand, passed};
use crate::lab::{Lab, settings, storage};
use crate::machines::archive;

/// What libvirt says by a connection that is not the backend's.
#[derive(Debug)]
pub(crate) struct Beside(pub(crate) Libvirt);

#[async_trait]
impl Eyes for Beside {
    async fn everything(&self, _now: Timestamp) -> Result<Vec<Real>> {
        let all = self.0.list().await.unwrap();
        let real = all.into_iter().filter_map(|domain| {
            let (name, note) = (domain.name, domain.metadata?);
            let mut note: serde_json::Value = serde_json::from_str(&note).ok()?;
            let mark: Mark = serde_json::from_value(note["mark"].take()).ok()?;
            Some(Real {
                id: RemoteId(name),
                mark,
            })
        });
        Ok(real.collect())
    }
}

fn stand(name: &'static str, place: Place, storage: &Path) -> Stand {
    let beside = Libvirt::at(&place.url, &settings(Some(storage))).unwrap();
    Stand {
        name,
        place,
        nodes: |config| Nodes::new(config, rm_vm::libvirt::open),
        eyes: Arc::new(Beside(beside)),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn domains_for_tests_are_exact() {
    let Some(lab) = Lab::of_this_run("domains_for_tests_are_exact") else {
        return;
    };
    let none = Path::new("/none");
    let mut place = lab.place("test", none, [10, 250]);
    // It says that of the 3 GiB of its host 3 MiB are free, whatever is made.
    place.memory_mib = 1;
    let card = suite(stand("libvirt's driver for tests", place, none)).at_once(48);
    let card = card.await;
    println!("{card}");
    assert!(passed(&card) >= 80, "only {} checks passed", passed(&card));
    card.assert(Level::Exact);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_of_libvirt_are_exact() {
    let Some(lab) = Lab::of_this_run("containers_of_libvirt_are_exact") else {
        return;
    };
    let folder = storage(&lab);
    let place = lab.place("lxc", folder.path(), [100, 250]);
    let stand = stand("libvirt's containers", place, folder.path());
    let card = suite(stand).at_once(32).await;
    println!("{card}");
    assert!(passed(&card) >= 80, "only {} checks passed", passed(&card));
    card.assert(Level::Exact);
}

/// Each machine takes seconds under emulation: some of all checks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_of_xen_are_safe() {
    let Some(lab) = Lab::named("RM_LAB_XEN", "machines_of_xen_are_safe") else {
        return;
    };
    let (_dir, image) = archive(&[("kernel", Path::new(lab.text("/idle/kernel")))], "");
    let pool = Path::new(lab.text("/pool"));
    let mut place = lab.place_of("xen", pool, &image, [100, 107]);
    // A machine without a network is made in half the time.
    let site = place.section["sites"]["lab"].as_object_mut().unwrap();
    site.remove("bridge");
    site.remove("pools");
    place.memory_mib = 8;
    let stand = stand("machines of Xen", place, pool);
    let card = suite(stand).at_once(8).most(44).await;
    println!("{card}");
    assert!(passed(&card) >= 40, "only {} checks passed", passed(&card));
    card.assert(Level::Safe);
}

//! A cluster made of containers of libvirt, which outlives its store.

use std::time::Duration;

use rm_core::catalog::{NewAppliance, NewImplementation};
use rm_core::clusters::{ClusterRequest, Reuse, Size};
use rm_core::life::State;
use rm_core::model::ClusterView;
use rm_core::nodes::MEDIA_TYPE;
use rm_core::{ResourceId, Result};
use rm_vm::driver::Driver as _;
use rm_vm::plugin::LIBVIRT_LXC_API;
use serde_json::json;

use crate::containers::served;
use crate::house::Program;
use crate::lab::{Lab, storage};

const MINUTES: Duration = Duration::from_secs(120);

/// The appliance `web`: what answers at port 80, and says where its master is.
async fn load(p: &Program) -> Result<()> {
    let catalog = p.host.catalog();
    let appliance = NewAppliance::new("web");
    catalog.add_appliance(&p.operator, appliance).await?;
    let role = |name: &str, count, says: &str| {
        json!({"name": name, "count": count, "node": {
            "image": p.place.image.name, "vcpus": 1, "memory_mib": 64,
            "boot_commands": ["mkdir -p /srv/www", format!("echo {says} >/srv/www/found")],
        }})
    };
    let body = json!({
        "roles": [
            role("master", json!(1), "here"),
            role("slave", json!("slaves"), "{{master_ip}}"),
        ],
        "master": "master",
        "ready_port": 80,
    });
    let new = NewImplementation::new("web", LIBVIRT_LXC_API, MEDIA_TYPE, &body.to_string());
    catalog.add_implementation(&p.operator, new).await?;
    Ok(())
}

async fn ready(p: &Program, id: ResourceId) -> ClusterView {
    let clusters = p.host.clusters();
    let cluster = clusters.settled(&p.user, id, MINUTES).await.unwrap();
    let record = cluster.record();
    assert_eq!(record.seen, State::Ready, "{record:#?}");
    cluster.view().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliance_becomes_containers_of_libvirt_and_comes_back_with_its_store() {
    let Some(lab) = Lab::of_this_run("an_appliance_becomes_containers_of_libvirt") else {
        return;
    };
    let folder = storage(&lab);
    let place = lab.place("lxc", folder.path(), [24, 29]);
    let first = Program::on(place.clone()).await;
    load(&first).await.unwrap();
    let request = ClusterRequest {
        reuse: Reuse::Never,
        ..ClusterRequest::of("web", 2)
    };
    let clusters = first.host.clusters();
    let made = clusters.create(&first.user, &request).await.unwrap();
    let id = made.cluster.id();
    let view = ready(&first, id).await;
    let master = view.address.clone().unwrap();
    assert!(served(&master, "/found").await.ends_with("here\n"));
    assert_eq!(view.hosts.len(), 3);
    for slave in &view.hosts[1..] {
        let found = served(slave.address.as_deref().unwrap(), "/found").await;
        assert!(found.contains(&master), "a slave knows its master: {found}");
    }
    let installation = first.installation.clone();
    drop(first);

    let second = Program::of(place, &installation).await;
    load(&second).await.unwrap();
    let rebuilt = second.host.rebuild().run(&second.operator, true).await;
    let rebuilt = rebuilt.unwrap();
    assert_eq!(rebuilt.restored.len(), 4, "{rebuilt:#?}");
    let parts = rebuilt.restored.iter().filter(|r| r.part_of == Some(id));
    assert_eq!(parts.count(), 3, "{rebuilt:#?}");
    let again = ready(&second, id).await;
    assert_eq!((&again.address, &again.hosts), (&view.address, &view.hosts));
    let clusters = second.host.clusters();
    let smaller = clusters.resize(&second.user, id, Size::To(1));
    smaller.await.unwrap();
    let view = ready(&second, id).await;
    assert_eq!((view.hosts.len(), view.address), (2, Some(master)));
    let cluster = clusters.get(&second.user, id).await.unwrap();
    cluster.release(&second.user, None).await.unwrap();
    assert!(clusters.gone(&second.user, id, MINUTES).await.unwrap());
    let driver = lab.open("lxc", Some(folder.path()));
    let left = driver.list().await.unwrap();
    let left = left.iter().filter(|d| {
        let note = d.metadata.as_deref().unwrap_or_default();
        note.contains(&installation)
    });
    assert_eq!(left.count(), 0);
    let left = std::fs::read_dir(folder.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".images"]);
}

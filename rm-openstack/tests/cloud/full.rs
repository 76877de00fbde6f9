//! The cloud with real servers, networks and images.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rm_core::ResourceId;
use rm_core::catalog::NewImage;
use rm_core::clusters::{ClusterRequest, Size};
use rm_core::life::State;
use rm_core::model::SiteImage;
use rm_core::policy::Policy;
use rm_core::registry::Media;
use rm_core::resource::Resource;
use rm_openstack::client::glance::{ImageSource, NewImage as Made};
use rm_openstack::media::HeatTemplate;
use serde_json::json;

use crate::lab::{Cloud, Lab};

const SERVERS: &str = include_str!("../../../lab/openstack/templates/cluster.yaml");

#[tokio::test]
async fn servers_get_addresses_and_come_and_go_with_the_size() {
    let test = "servers_get_addresses_and_come_and_go_with_the_size";
    let Some(lab) = Lab::open_with(test, Cloud::Full, Policy::default()).await else {
        return;
    };
    lab.appliance("servers", SERVERS).await;
    let clusters = lab.host.clusters();
    let mut request = lab.another("servers");
    request.slaves = Some(1);
    let id = clusters
        .create(&lab.user, &request)
        .await
        .unwrap()
        .cluster
        .id();
    for slaves in [1, 2, 1] {
        clusters
            .resize(&lab.user, id, Size::To(slaves))
            .await
            .unwrap();
        let cluster = lab.ready(id).await;
        let view = cluster.view().unwrap();
        assert_eq!(view.hosts.len(), 1 + slaves as usize, "{:?}", view.hosts);
        assert_eq!(view.hosts[0].role, "master");
        assert_eq!(view.hosts[0].address, view.address);
        assert!(
            view.hosts.iter().all(|h| h.address.is_some()),
            "{:?}",
            view.hosts
        );
        let stacks = lab.stacks(id).await;
        assert_eq!(stacks.len(), 1);
        assert_eq!(lab.slaves(&stacks[0]).await, slaves as usize);
    }
    lab.delete(id).await;
    assert!(lab.stacks(id).await.is_empty());
}

#[tokio::test]
async fn servers_around_an_image_get_the_projects_network_and_the_smallest_flavor() {
    let test = "servers_around_an_image_get_the_projects_network";
    let Some(lab) = Lab::open_with(test, Cloud::Full, Policy::default()).await else {
        return;
    };
    let around = HeatTemplate.around_image("cirros").unwrap();
    lab.appliance("around", &around).await;
    let mut request = lab.another("around");
    request.slaves = Some(1);
    let made = lab.host.clusters().create(&lab.user, &request).await;
    let id = made.unwrap().cluster.id();
    let view = lab.ready(id).await.view().unwrap();
    assert_eq!(view.hosts.len(), 2);
    for host in &view.hosts {
        // Where the project's own network `private` has its addresses.
        let address = host.address.as_deref().unwrap();
        assert!(address.starts_with("10.20."), "{address}");
    }
    lab.delete(id).await;
}

#[tokio::test]
async fn an_image_that_the_site_lacks_is_uploaded_before_the_cluster_is_made() {
    let test = "an_image_that_the_site_lacks_is_uploaded";
    let Some(lab) = Lab::open_with(test, Cloud::Full, Policy::default()).await else {
        return;
    };
    let bytes = vec![7u8; 3 << 20];
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&bytes).unwrap();
    let request = imaged(&lab, "right", file.path(), &sha256(&bytes)).await;
    let clusters = lab.host.clusters();
    let first = clusters.create(&lab.user, &request).await.unwrap();
    let second = clusters.create(&lab.user, &request).await.unwrap();
    for made in [&first, &second] {
        lab.ready(made.cluster.id()).await;
    }
    let image = copies(&lab, image_of(&request)).await;
    assert_eq!(image.len(), 1, "both clusters use one upload");
    assert_eq!(image[0].record().seen, State::Ready);
    assert_eq!(image[0].view().unwrap().bytes, 3 << 20);
    for made in [first, second] {
        lab.delete(made.cluster.id()).await;
    }
    remove_copies(&lab, image_of(&request)).await;
}

#[tokio::test]
async fn another_image_of_the_same_name_is_not_used() {
    let test = "another_image_of_the_same_name_is_not_used";
    let Some(lab) = Lab::open_with(test, Cloud::Full, Policy::default()).await else {
        return;
    };
    let bytes = vec![9u8; 1 << 20];
    let digest = sha256(&bytes);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&bytes).unwrap();
    let mut request = imaged(&lab, "same", file.path(), &digest).await;
    let name = image_of(&request).to_owned();
    let other = lab.images.create(&Made::new(&*name, "raw")).await.unwrap();
    let mut old = tempfile::NamedTempFile::new().unwrap();
    old.write_all(b"old bytes").unwrap();
    let source = ImageSource::File(old.path().to_owned());
    let limit = Duration::from_secs(60);
    let uploaded = lab.images.upload(&other.id, &source, None, None, limit);
    uploaded.await.unwrap();

    let clusters = lab.host.clusters();
    let first = clusters.create(&lab.user, &request).await.unwrap().cluster;
    lab.ready(first.id()).await;
    let copy = copies(&lab, &name).await.remove(0);
    let remote = copy.record().remote.clone().unwrap().0;
    let there = lab.images.show(&remote).await.unwrap();
    assert_eq!(there.name, format!("{name}-{}", &digest[..12]));
    assert_eq!(made_of(&lab, first.id()).await, remote);
    // It is made of the same image when it is changed.
    clusters
        .resize(&lab.user, first.id(), Size::To(1))
        .await
        .unwrap();
    lab.ready(first.id()).await;
    assert_eq!(made_of(&lab, first.id()).await, remote);

    // A template that names the image itself gets the right one, too.
    let template = SERVERS.replace("image: {get_param: image}", &format!("image: {name}"));
    assert_ne!(template, SERVERS);
    let appliance = json!({"name": "itself", "images": [name]});
    lab.appliance_of(appliance, &template).await;
    request.appliance = "itself".to_owned();
    request.parameters.clear();
    let second = clusters.create(&lab.user, &request).await.unwrap().cluster;
    let second = lab.ready(second.id()).await;
    assert_eq!(second.record().needs, [copy.id()]);

    // A copy that was dropped is not in the way of the next one.
    for id in [first.id(), second.id()] {
        lab.delete(id).await;
    }
    remove_copies(&lab, &name).await;
    let third = clusters.create(&lab.user, &request).await.unwrap().cluster;
    lab.ready(third.id()).await;
    lab.delete(third.id()).await;
    remove_copies(&lab, &name).await;
    assert!(lab.images.delete(&other.id).await.unwrap());
}

/// The image that the stack of a cluster was given.
async fn made_of(lab: &Lab, id: ResourceId) -> String {
    let stack = lab.stacks(id).await.remove(0);
    let stack = lab.eyes.show_full(&stack.reference()).await.unwrap();
    let image = stack.parameters["image"].as_str().unwrap();
    image.to_owned()
}

#[tokio::test]
async fn an_image_that_vanished_is_brought_again() {
    let test = "an_image_that_vanished_is_brought_again";
    let policy = Policy {
        sweep: Duration::from_secs(2),
        ..Policy::default()
    };
    let Some(lab) = Lab::open_with(test, Cloud::Full, policy).await else {
        return;
    };
    let bytes = vec![5u8; 1 << 20];
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&bytes).unwrap();
    let request = imaged(&lab, "vanished", file.path(), &sha256(&bytes)).await;
    let name = image_of(&request).to_owned();
    let clusters = lab.host.clusters();
    let made = clusters.create(&lab.user, &request).await.unwrap().cluster;
    lab.ready(made.id()).await;
    lab.delete(made.id()).await;
    let first = copies(&lab, &name).await[0]
        .record()
        .remote
        .clone()
        .unwrap();
    assert!(lab.images.delete(&first.0).await.unwrap());
    lab.until("it is seen that the image is gone", || async {
        copies(&lab, &name).await[0].record().seen == State::Failed
    })
    .await;
    let made = clusters.create(&lab.user, &request).await.unwrap().cluster;
    lab.ready(made.id()).await;
    let all = copies(&lab, &name).await;
    assert_eq!(all.len(), 1);
    assert_ne!(all[0].record().remote, Some(first));
    lab.delete(made.id()).await;
    remove_copies(&lab, &name).await;
}

#[tokio::test]
async fn bytes_that_are_not_what_the_catalog_says_never_become_an_image() {
    let test = "bytes_that_are_not_what_the_catalog_says";
    let Some(lab) = Lab::open_with(test, Cloud::Full, Policy::default()).await else {
        return;
    };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"something else").unwrap();
    let request = imaged(&lab, "wrong", file.path(), &"0".repeat(64)).await;
    let clusters = lab.host.clusters();
    let made = clusters.create(&lab.user, &request).await.unwrap();
    let cluster = lab.settled(made.cluster.id()).await;
    let reason = &cluster.record().reason;
    assert_eq!(cluster.record().seen, State::Failed);
    assert!(
        reason.contains("image") && reason.contains("SHA-256"),
        "{reason}"
    );
    assert!(lab.stacks(made.cluster.id()).await.is_empty());
    assert_eq!(
        copies(&lab, image_of(&request)).await[0].record().seen,
        State::Failed
    );
    lab.delete(made.cluster.id()).await;
    remove_copies(&lab, image_of(&request)).await;
}

/// An appliance of servers that needs an image of its own, and a request for it.
async fn imaged(lab: &Lab, name: &str, file: &Path, digest: &str) -> ClusterRequest {
    let image = format!("{name}-{}", file.file_name().unwrap().display());
    let new = NewImage {
        name: image.clone(),
        source: format!("file:{}", file.display()),
        sha256: digest.to_owned(),
        disk_format: "raw".to_owned(),
    };
    lab.host
        .catalog()
        .add_image(&lab.operator, new)
        .await
        .unwrap();
    lab.appliance_of(json!({"name": name, "images": [image]}), SERVERS)
        .await;
    let mut request = lab.another(name);
    request.slaves = Some(0);
    request.parameters.insert("image".to_owned(), json!(image));
    request
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// The name of the image that a request needs.
fn image_of(request: &ClusterRequest) -> &str {
    request.parameters["image"].as_str().unwrap()
}

/// The copies of an image that were brought to the site.
async fn copies(lab: &Lab, image: &str) -> Vec<Resource<SiteImage>> {
    let copies = lab.host.copies();
    let page = copies.list(&lab.operator, image, None, 100).await.unwrap();
    page.items
}

async fn remove_copies(lab: &Lab, image: &str) {
    for copy in copies(lab, image).await {
        let all = lab.host.copies();
        all.remove(&lab.operator, image, copy.id()).await.unwrap();
    }
    lab.until("the images are gone", || async {
        copies(lab, image).await.is_empty()
    })
    .await;
}

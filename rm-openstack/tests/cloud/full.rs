//! The cloud with real servers, networks and images.

use std::io::Write;
use std::path::Path;

use rm_core::Kind;
use rm_core::catalog::NewImage;
use rm_core::clusters::{ClusterRequest, Size};
use rm_core::life::State;
use rm_core::model::SiteImage;
use rm_core::policy::Policy;
use rm_core::resource::Resource;
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
    }
    lab.delete(id).await;
    assert!(lab.stacks(id).await.is_empty());
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
    let image = copies(&lab).await;
    assert_eq!(image.len(), 1, "both clusters use one upload");
    assert_eq!(image[0].record().seen, State::Ready);
    assert_eq!(image[0].view().unwrap().bytes, 3 << 20);
    for made in [first, second] {
        lab.delete(made.cluster.id()).await;
    }
    remove_copies(&lab).await;
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
    assert_eq!(copies(&lab).await[0].record().seen, State::Failed);
    lab.delete(made.cluster.id()).await;
    remove_copies(&lab).await;
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

/// The images that were brought to the site.
async fn copies(lab: &Lab) -> Vec<Resource<SiteImage>> {
    let managers = lab
        .host
        .managers()
        .serving::<SiteImage>(&Kind::IMAGE)
        .unwrap();
    managers[0]
        .find(&lab.user, false, None, 100)
        .await
        .unwrap()
        .items
}

async fn remove_copies(lab: &Lab) {
    for copy in copies(lab).await {
        copy.release(&lab.user, None).await.unwrap();
    }
    lab.until("the images are gone", || async {
        copies(lab).await.is_empty()
    })
    .await;
}

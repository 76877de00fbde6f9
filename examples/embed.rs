//! The shortest program that embeds the library and holds a cluster, here on a
//! simulated site: `cargo run -p operation-manager --example embed`.

use std::{error::Error, sync::Arc, time::Duration};

use rm_adapters::TokioEnv;
use rm_core::catalog::{NewAppliance, NewCredential, NewImplementation, NewSite};
use rm_core::clusters::ClusterRequest;
use rm_core::{Caller, Host};
use rm_testkit::{MEDIA_TYPE, PLUGIN};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = Host::builder(Arc::new(TokioEnv::new()));
    builder.registries().install(&PLUGIN, None)?;
    let host = builder.build()?;
    let engine = host.engine();
    tokio::spawn(async move { engine.run(std::future::pending()).await });

    let (who, soon) = (Caller::operator("ann", "physics"), Duration::from_secs(60));
    let site = NewSite::new("here", "sim", "sim:here");
    let means = NewCredential::new("mine", "here", serde_json::json!({}));
    let how = NewImplementation::new("hadoop", "sim", MEDIA_TYPE, "{}");
    host.catalog().add_site(&who, site).await?;
    host.catalog().add_credential(&who, means).await?;
    let (catalog, what) = (host.catalog(), NewAppliance::new("hadoop"));
    catalog.add_appliance(&who, what).await?;
    catalog.add_implementation(&who, how).await?;

    let (clusters, request) = (host.clusters(), ClusterRequest::of("hadoop", 3));
    let id = clusters.create(&who, &request).await?.cluster.id();
    let cluster = clusters.settled(&who, id, soon).await?;
    println!("the master answers at {:?}", cluster.view()?.address);
    cluster.release(&who, None).await?;
    println!("gone: {}", clusters.gone(&who, id, soon).await?);
    Ok(())
}

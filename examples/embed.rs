//! The shortest program that embeds the library and holds a cluster, here on a
//! simulated site: `cargo run --example embed`.

use std::{sync::Arc, time::Duration};

use rm_adapters::TokioEnv;
use rm_core::clusters::ClusterRequest;
use rm_core::{Caller, Host};
use serde_json::{from_value as entry, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Host::builder(Arc::new(TokioEnv::new()));
    builder.registries().install(&rm_testkit::PLUGIN, None)?;
    let host = builder.build()?;
    let engine = host.engine();
    tokio::spawn(async move { engine.run(std::future::pending()).await });

    let (who, soon) = (Caller::operator("ann", "physics"), Duration::from_secs(60));
    let site = json!({"name": "here", "api": "sim", "url": "sim:here"});
    let means = json!({"name": "mine", "site": "here", "secret": {"password": "any"}});
    let what = json!({"name": "hadoop"});
    let how = json!({"appliance": "hadoop", "site": "here", "media_type": rm_testkit::MEDIA_TYPE, "body": "{}"});
    host.catalog().add_site(&who, entry(site)?).await?;
    host.catalog().add_credential(&who, entry(means)?).await?;
    host.catalog().add_appliance(&who, entry(what)?).await?;
    host.catalog().add_implementation(&who, entry(how)?).await?;

    let request = ClusterRequest {
        appliance: "hadoop".into(),
        slaves: Some(3),
        ..Default::default()
    };
    let id = host.clusters().create(&who, &request).await?.cluster.id();
    let cluster = host.clusters().settled(&who, id, soon).await?;
    println!("the master answers at {:?}", cluster.view()?.address);
    cluster.release(&who, None).await?;
    println!("gone: {}", host.clusters().gone(&who, id, soon).await?);
    Ok(())
}

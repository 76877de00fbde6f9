//! A program that keeps a file in a folder for as long as it runs, by a store
//! of its own: `cargo run -p new-backend --example own-store -- STORE FOLDER TEXT`.
//!
//! Kill it and start it again: the file is there, once. Ctrl-C removes it.

mod file_store;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use file_store::FileStore;
use new_backend::{File, PLUGIN};
use rm_adapters::TokioEnv;
use rm_core::catalog::{NewCredential, NewSite};
use rm_core::manager::{Terms, Want};
use rm_core::secret::Unsealed;
use rm_core::store::Batch;
use rm_core::{Caller, Host, Kind, Result};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [store, folder, text] = given().ok_or("give a STORE, a FOLDER that exists, and a TEXT")?;
    let env = Arc::new(TokioEnv::new());
    let store = Arc::new(FileStore::open(store.as_ref(), env.clone())?);
    // There is no secret to seal: whoever may write into the folder may.
    let mut builder = Host::builder(env).store(store).sealer(Arc::new(Unsealed));
    let section = json!({"folders": {"here": folder}});
    builder.registries().install(&PLUGIN, Some(&section))?;
    let host = builder.build()?;
    let engine = host.engine();
    tokio::spawn(async move { engine.run(std::future::pending()).await });

    let who = Caller::operator("ann", "physics");
    let kind = Kind::from_static("file");
    let manager = host.managers().serving::<File>(&kind)?.remove(0);
    let known = manager.find(&who, false, None, 1).await?.items;
    let id = match known.first() {
        Some(file) => file.id(),
        None => {
            let want = want(&host, &who, &folder, text).await?;
            let offers = manager.offers(&who, &want).await?;
            let name = "a file".to_owned();
            let terms = Terms {
                name,
                ..Terms::default()
            };
            let mut batch = Batch::default();
            let (id, _) = manager.prepare(&who, &offers, &terms, &mut batch)?;
            host.commit(batch).await?;
            id
        }
    };
    let soon = || tokio::time::sleep(Duration::from_millis(100));
    let mut file = manager.get(&who, id).await?;
    while !file.is_ready() {
        soon().await;
        file = manager.get(&who, id).await?;
    }
    println!("{} says {:?}", id, file.view()?);
    tokio::signal::ctrl_c().await?;
    file.release(&who, None).await?;
    while host.store().resource(id).await?.is_some() {
        soon().await;
    }
    println!("it is gone");
    Ok(())
}

/// What is wanted, at a site that is added where the store has none yet.
async fn want(host: &Host, who: &Caller, folder: &str, text: String) -> Result<Want<File>> {
    let catalog = host.catalog();
    if catalog.site("here").await.is_err() {
        let site = NewSite::new("here", "folder", &format!("file:{folder}"));
        catalog.add_site(who, site).await?;
    }
    if catalog.credential(who, "mine").await.is_err() {
        let means = NewCredential::new("mine", "here", json!({}));
        catalog.add_credential(who, means).await?;
    }
    Ok(Want {
        site: catalog.site("here").await?,
        credential: catalog.credential(who, "mine").await?.id,
        spec: text,
        key: None,
        asking: None,
    })
}

fn given() -> Option<[String; 3]> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    given.try_into().ok()
}

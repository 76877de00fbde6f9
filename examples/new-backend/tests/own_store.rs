//! The plugin over a store of the program's own.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "../examples/own-store/file_store.rs"]
mod file_store;

use std::fs;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use file_store::FileStore;
use new_backend::{File, PLUGIN};
use rm_core::catalog::{NewCredential, NewSite};
use rm_core::manager::{Terms, Want};
use rm_core::secret::Unsealed;
use rm_core::store::{Batch, By, Store};
use rm_core::{Caller, Effect, Host, Kind, ResourceId, Result};
use rm_testkit::World;
use serde_json::json;

fn ann() -> Caller {
    Caller::operator("ann", "physics")
}

/// A process: its world, its store, its host and an engine.
struct Process {
    world: World,
    host: Host,
}

impl Process {
    fn start(store: &Path, folder: &Path) -> Result<Self> {
        let world = World::new(1);
        let store = Arc::new(FileStore::open(store, world.env())?);
        let mut builder = Host::builder(world.env())
            .store(store)
            .sealer(Arc::new(Unsealed));
        let section = json!({"folders": {"here": folder}});
        builder.registries().install(&PLUGIN, Some(&section))?;
        let host = builder.build()?;
        let engine = host.engine();
        world.spawn("engine", async move {
            engine.run(pending()).await.unwrap();
        });
        Ok(Self { world, host })
    }

    async fn reserve(&self) -> Result<ResourceId> {
        let catalog = self.host.catalog();
        let site = NewSite::new("here", "folder", "file:/etc/cron.d");
        let site = catalog.add_site(&ann(), site).await?;
        let means = NewCredential::new("mine", "here", json!({}));
        let want = Want::<File> {
            credential: catalog.add_credential(&ann(), means).await?.id,
            site,
            spec: "text".to_owned(),
            key: None,
            asking: None,
        };
        let terms = Terms {
            name: "a file".to_owned(),
            ..Terms::default()
        };
        let kind = Kind::from_static("file");
        let manager = self.host.managers().serving::<File>(&kind)?.remove(0);
        let offers = manager.offers(&ann(), &want).await?;
        let mut batch = Batch::default();
        let (id, _) = manager.prepare(&ann(), &offers, &terms, &mut batch)?;
        self.host.commit(batch).await?;
        Ok(id)
    }

    /// How many resources there are, as soon as all of them are ready.
    async fn settled(&self) -> usize {
        loop {
            let all = self.host.store().resources(&By::All, None, 100).await;
            let all = all.unwrap().items;
            if all
                .iter()
                .all(|row| row.record.seen == rm_core::life::State::Ready)
            {
                return all.len();
            }
            self.world.sleep(Duration::from_secs(1)).await;
        }
    }
}

/// What can be read of a store.
async fn everything(store: &dyn Store) -> String {
    let resources = store.resources(&By::All, None, 100).await.unwrap();
    let catalog = store.documents("catalog.site", None, None, 100).await;
    let events = store.since(0, None, 1000).await.unwrap();
    let count = store.counter("quota/physics/clusters").await.unwrap();
    format!("{resources:#?} {catalog:#?} {events:#?} {count}")
}

#[test]
fn whatever_is_left_of_the_store_there_is_one_file_in_the_end() {
    let disk = tempfile::tempdir().unwrap();
    let (store, folder) = (disk.path().join("store"), disk.path().join("folder"));
    fs::create_dir(&folder).unwrap();
    let process = Process::start(&store, &folder).unwrap();
    let (id, before) = process.world.block_on(async {
        let id = process.reserve().await.unwrap();
        assert_eq!(process.settled().await, 1);
        (id, everything(&**process.host.store()).await)
    });
    let denied = FileStore::open(&store, process.world.env()).unwrap_err();
    assert!(denied.to_string().contains("no other process"), "{denied}");
    drop(process);

    let env = World::new(1).env();
    let again = FileStore::open(&store, env).unwrap();
    let after = World::new(1).block_on(everything(&again));
    assert_eq!(before, after, "opened again, it holds something else");

    // Power may take the last lines, and a part of a line, with it.
    let whole = fs::read(&store).unwrap();
    let reserved = format!("{id}");
    let mut known = 0;
    for end in (0..=whole.len()).step_by(97).chain([whole.len()]) {
        let left = disk.path().join("left");
        fs::write(&left, &whole[..end]).unwrap();
        let process = Process::start(&left, &folder).unwrap();
        let there = process.world.block_on(process.settled());
        assert!(there <= 1);
        known += there;
        let files: Vec<_> = fs::read_dir(&folder).unwrap().collect();
        assert_eq!(files.len(), 1, "at {end} of {}: {files:?}", whole.len());
        let file = files[0].as_ref().unwrap().file_name();
        assert!(file.to_string_lossy().contains(&reserved));
    }
    assert!(known > 10, "only {known} of the cuts knew of the file");
}

#[test]
fn after_a_line_that_could_not_be_written_nothing_is_believed() {
    let disk = tempfile::tempdir().unwrap();
    let path = disk.path().join("store");
    let world = World::new(1);
    let store = FileStore::open(&path, world.env()).unwrap();
    // As good as a full disk: nothing can be written through this.
    *store.file.lock().unwrap() = Some(fs::File::open(&path).unwrap());
    world.block_on(async {
        let lost = store.commit(Batch::default()).await.unwrap_err();
        assert_eq!(lost.effect(), Effect::Unknown);
        assert!(store.newest().await.is_err(), "it is still believed");
        assert!(store.commit(Batch::default()).await.is_err());
    });
}

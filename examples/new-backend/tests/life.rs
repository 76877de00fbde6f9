//! The plugin in a host: what a person at the machine would see.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::fs;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use new_backend::{File, PLUGIN};
use rm_core::backend::Mark;
use rm_core::catalog::{NewCredential, NewSite};
use rm_core::life::State;
use rm_core::manager::{ResourceManager, Terms, Want};
use rm_core::record::ResourceRecord;
use rm_core::resource::Resource;
use rm_core::store::Batch;
use rm_core::{Caller, Host, Kind, ResourceId, Result};
use rm_testkit::World;
use serde_json::json;
use tempfile::TempDir;

// -- what a program does ---------------------------------------------------------

/// A host with the plugin, and a site for it.
async fn open(world: &World, folder: &Path) -> Result<Host> {
    let mut builder = Host::builder(world.env());
    let section = json!({"folders": {"here": folder}});
    builder.registries().install(&PLUGIN, Some(&section))?;
    let host = builder.build()?;
    let site = NewSite::new("here", "folder", "file:/etc/cron.d");
    host.catalog().add_site(&ann(), site).await?;
    let means = NewCredential::new("mine", "here", json!({}));
    host.catalog().add_credential(&ann(), means).await?;
    Ok(host)
}

/// Reserves a file: the intent is written down, and the engine does the rest.
async fn reserve(host: &Host, text: &str) -> Result<ResourceId> {
    let want = Want::<File> {
        site: host.catalog().site("here").await?,
        credential: host.catalog().credential(&ann(), "mine").await?.id,
        spec: text.to_owned(),
        key: None,
        asking: None,
    };
    let terms = Terms {
        name: "a file".to_owned(),
        ..Terms::default()
    };
    let mut batch = Batch::default();
    let offers = manager(host)?.offers(&ann(), &want).await?;
    let (id, _) = manager(host)?.prepare(&ann(), &offers, &terms, &mut batch)?;
    host.commit(batch).await?;
    Ok(id)
}

fn manager(host: &Host) -> Result<Arc<dyn ResourceManager<File>>> {
    let kind = Kind::from_static("file");
    Ok(host.managers().serving(&kind)?.remove(0))
}

fn ann() -> Caller {
    Caller::operator("ann", "physics")
}

// -- what comes of it ------------------------------------------------------------

#[test]
fn a_file_is_made_changed_and_removed_among_the_files_of_others() {
    let t = Place::new();
    for name in ["cron", "rm-odd", ".hidden"] {
        fs::write(t.folder().join(name), "not ours").unwrap();
    }
    t.play(async |host| {
        t.start(host);
        let id = reserve(host, "* * * * * root true\n").await?;
        let file = t.until(host, id, Resource::is_ready).await?;
        assert_eq!(t.text(id), "* * * * * root true\n");
        assert_eq!(file.view()?, "* * * * * root true\n");

        let daily = |text: &mut String| {
            "@daily root true\n".clone_into(text);
            Ok(())
        };
        file.change(&ann(), daily).await?;
        let file = t.until(host, id, Resource::is_ready).await?;
        assert_eq!(t.text(id), "@daily root true\n");

        let report = host.orphans().report(&ann()).await?;
        assert_eq!((report.owned, report.orphans.len()), (1, 0));
        file.release(&ann(), None).await?;
        t.gone(host, id).await;
        Ok(())
    });
    assert_eq!(t.names(), [".hidden", "cron", "rm-odd"]);
}

#[test]
fn a_folder_that_is_away_is_no_evidence() {
    let t = Place::new();
    t.play(async |host| {
        t.start(host);
        let id = reserve(host, "text").await?;
        let file = t.until(host, id, Resource::is_ready).await?;
        let away = t.folder().with_file_name("away");
        fs::rename(t.folder(), &away).unwrap();
        file.release(&ann(), None).await?;
        t.world.sleep(Duration::from_secs(24 * 3600)).await;
        assert!(
            t.record(host, id).await.is_some(),
            "forgotten, and it is there"
        );
        fs::rename(away, t.folder()).unwrap();
        t.gone(host, id).await;
        Ok(())
    });
    assert_eq!(t.names(), [""; 0]);
}

#[test]
fn a_name_that_somebody_else_has_taken_is_left_to_them() {
    let t = Place::new();
    t.play(async |host| {
        let id = reserve(host, "ours").await?;
        fs::write(t.file(id), "theirs").unwrap();
        t.start(host);
        let file = t.until(host, id, quarantined).await?;
        file.abandon(&ann(), "it is not ours").await?;
        t.gone(host, id).await;
        assert_eq!(fs::read_to_string(t.file(id)).unwrap(), "theirs");
        Ok(())
    });
}

#[test]
fn what_was_written_aside_and_never_put_in_place_is_no_file() {
    let t = Place::new();
    t.play(async |host| {
        let id = ResourceId::new(&**host.env());
        let mark = Mark {
            installation: "default".to_owned(),
            resource: id,
            incarnation: 1,
            generation: 1,
        };
        let half = format!("# {}\nha", json!(mark));
        fs::write(t.folder().join(".0123456789abcdef"), &half).unwrap();
        let report = host.orphans().report(&ann()).await?;
        assert_eq!(report.orphans, []);
        // In its place it would be one.
        fs::write(t.file(id), &half).unwrap();
        let report = host.orphans().report(&ann()).await?;
        assert_eq!(report.orphans.len(), 1, "{report:?}");
        Ok(())
    });
}

// -- what they need --------------------------------------------------------------

/// How many seconds of the world anything may take: nobody waits for them.
const PATIENCE: u32 = 6 * 3600;

fn quarantined(file: &Resource<File>) -> bool {
    file.record().seen == State::Quarantined
}

struct Place {
    world: World,
    disk: TempDir,
}

impl Place {
    fn new() -> Self {
        let disk = tempfile::tempdir().unwrap();
        fs::create_dir(disk.path().join("cron.d")).unwrap();
        let world = World::new(1);
        Self { world, disk }
    }

    fn folder(&self) -> PathBuf {
        self.disk.path().join("cron.d")
    }

    /// Plays a story with a host.
    fn play(&self, story: impl AsyncFnOnce(&Host) -> Result<()>) {
        let played = self.world.block_on(async {
            let host = open(&self.world, &self.folder()).await?;
            story(&host).await
        });
        played.unwrap();
    }

    /// From now on an engine works.
    fn start(&self, host: &Host) {
        let engine = host.engine();
        self.world.spawn("engine", async move {
            engine.run(pending()).await.unwrap();
        });
    }

    fn file(&self, id: ResourceId) -> PathBuf {
        self.folder().join(format!("rm-{id}"))
    }

    /// What stands below the mark.
    fn text(&self, id: ResourceId) -> String {
        let file = fs::read_to_string(self.file(id)).unwrap();
        let (mark, text) = file.split_once('\n').unwrap();
        assert!(mark.starts_with("# {"), "{mark}");
        text.to_owned()
    }

    fn names(&self) -> Vec<String> {
        let all = fs::read_dir(self.folder()).unwrap();
        let mut names: Vec<_> = all
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    async fn record(&self, host: &Host, id: ResourceId) -> Option<Arc<ResourceRecord>> {
        let row = host.store().resource(id).await.unwrap();
        row.map(|row| row.record)
    }

    async fn until(
        &self,
        host: &Host,
        id: ResourceId,
        enough: impl Fn(&Resource<File>) -> bool,
    ) -> Result<Resource<File>> {
        for _ in 0..PATIENCE {
            let file = manager(host)?.get(&ann(), id).await?;
            if enough(&file) {
                return Ok(file);
            }
            self.world.sleep(Duration::from_secs(1)).await;
        }
        let r = self.record(host, id).await;
        panic!("after {PATIENCE} s it is not as it must be: {r:?}");
    }

    async fn gone(&self, host: &Host, id: ResourceId) {
        for _ in 0..PATIENCE {
            if self.record(host, id).await.is_none() {
                return;
            }
            self.world.sleep(Duration::from_secs(1)).await;
        }
        let r = self.record(host, id).await;
        panic!("after {PATIENCE} s it is still there: {r:?}");
    }
}
